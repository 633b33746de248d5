"""Requests and responses (checklist lines 36 to 39)."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.api import (
    ApiError,
    Method,
    RequestHeader,
    ResponseHeader,
    Status,
    decode_error,
    decode_request,
    decode_response,
    encode_error,
    encode_request,
    encode_response,
    fresh_id,
)
from ockam_ref.wire.bare import encode_data, read_data
from ockam_ref.wire.cbor import encode_text
from ockam_ref.wire.cursor import Cursor

REQUESTS = [
    (RequestHeader(1, "/", Method.GET), b"", "a4010102612f030004f4"),
    (
        RequestHeader(0x11223344, "/node/tcp/connection", Method.POST, has_body=True),
        encode_text("hi"),
        "a4011a1122334402742f6e6f64652f7463702f636f6e6e656374696f6e030104f5626869",
    ),
    (RequestHeader(256, "p", Method.PUT), b"", "a401190100026170030204f4"),
    (RequestHeader(0xFFFFFFFF, "/v0/x", Method.DELETE), b"", "a4011affffffff02652f76302f78030304f4"),
    (RequestHeader(24, "p", Method.PATCH), b"", "a4011818026170030404f4"),
]


@pytest.mark.spec("WIRE-80", "WIRE-81")
@pytest.mark.parametrize(("header", "body", "encoded"), REQUESTS)
def test_requests(header: RequestHeader, body: bytes, encoded: str) -> None:
    """Checklist lines 36 and 37."""
    payload = encode_request(header, body)
    assert read_data(Cursor(payload)).hex() == encoded
    assert payload == encode_data(bytes.fromhex(encoded))
    decoded, rest = decode_request(payload)
    assert (decoded, bytes(rest)) == (header, body)


@pytest.mark.spec("WIRE-80")
def test_the_payload_of_the_worked_example() -> None:
    assert encode_request(RequestHeader(1, "/", Method.GET)).hex() == "0aa4010102612f030004f4"


@pytest.mark.spec("WIRE-81", "WIRE-82")
@pytest.mark.parametrize("status", Status)
def test_responses(status: Status) -> None:
    header = ResponseHeader(2, 1, status, has_body=True)
    payload = encode_response(header, encode_text("hi"))
    assert decode_response(payload)[0] == header
    assert bytes(decode_response(payload)[1]) == encode_text("hi")
    assert payload[0] == len(payload) - 1


@pytest.mark.spec("WIRE-81")
def test_response_vectors() -> None:
    assert encode_response(ResponseHeader(2, 1, Status.OK))[1:].hex() == "a4010202010318c804f4"
    with_body = encode_response(ResponseHeader(2, 1, Status.OK, has_body=True), encode_text("hi"))
    assert with_body[1:].hex() == "a4010202010318c804f5626869"


@pytest.mark.spec("WIRE-81")
def test_fresh_ids_are_never_zero() -> None:
    """Checklist line 37."""
    assert fresh_id(bytes(4)) == 1
    assert fresh_id(b"\x00\x00\x01\x00") == 257
    assert fresh_id(b"\xff" * 4) == 2**32 - 1
    with pytest.raises(MisuseError):
        fresh_id(b"")


@pytest.mark.spec("WIRE-14", "WIRE-17", "WIRE-82")
@pytest.mark.parametrize(
    ("encoded", "header"),
    [
        ("a3010102612f04f4", RequestHeader(1, "/", None)),
        ("a4010102612f03f604f4", RequestHeader(1, "/", None)),
        ("a5010102612f030004f40563616263", RequestHeader(1, "/", Method.GET)),
        ("bf010102612f030004f4ff", RequestHeader(1, "/", Method.GET)),
        ("a4010102612f0319000004f4", RequestHeader(1, "/", Method.GET)),
        ("a5001a0073c0e6010102612f030004f4", RequestHeader(1, "/", Method.GET)),
        ("a501010102" + "02612f030004f4", RequestHeader(2, "/", Method.GET)),
        ("a404f403000" + "2612f0101", RequestHeader(1, "/", Method.GET)),
    ],
)
def test_request_headers_that_are_accepted(encoded: str, header: RequestHeader) -> None:
    decoded, rest = decode_request(encode_data(bytes.fromhex(encoded)))
    assert (decoded, bytes(rest)) == (header, b"")


@pytest.mark.spec("WIRE-16", "WIRE-82")
@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("a3010102612f0300", ErrorCode.MISSING_FIELD),
        ("a302612f030004f4", ErrorCode.MISSING_FIELD),
        ("a3010103" + "0004f4", ErrorCode.MISSING_FIELD),
        ("a401010204030004f4", ErrorCode.WRONG_TYPE),
        ("8401010203", ErrorCode.WRONG_TYPE),
        ("a4010102612f030904f4", ErrorCode.UNKNOWN_VARIANT),
        ("a4010102612f04f40309", ErrorCode.UNKNOWN_VARIANT),
        ("a4011b0000000100000000" + "02612f030004f4", ErrorCode.OUT_OF_RANGE),
        ("a4010102612f030004f6", ErrorCode.WRONG_TYPE),
        ("a401f602612f030004f4", ErrorCode.WRONG_TYPE),
        ("", ErrorCode.TRUNCATED),
    ],
)
def test_request_headers_that_are_refused(encoded: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_request(encode_data(bytes.fromhex(encoded)))
    assert caught.value.code is code


@pytest.mark.spec("WIRE-82")
def test_responses_with_absent_and_unknown_status() -> None:
    assert decode_response(encode_data(bytes.fromhex("a30102020104f4")))[0] == ResponseHeader(2, 1, None)
    assert decode_response(encode_data(bytes.fromhex("a500000102020103f604f4")))[0] == ResponseHeader(2, 1, None)
    for encoded, code in (
        ("a4010202010318c904f4", ErrorCode.UNKNOWN_VARIANT),
        ("a3010202010318c8", ErrorCode.MISSING_FIELD),
        ("a301020318c804f4", ErrorCode.MISSING_FIELD),
    ):
        with pytest.raises(DecodeError) as caught:
            decode_response(encode_data(bytes.fromhex(encoded)))
        assert caught.value.code is code


@pytest.mark.spec("WIRE-80")
def test_bytes_after_the_data_are_ignored_and_a_short_length_is_refused() -> None:
    payload = encode_request(RequestHeader(1, "/", Method.GET))
    assert bytes(decode_request(payload + b"\xff")[1]) == b""
    with pytest.raises(DecodeError):
        decode_request(payload[1:])
    with pytest.raises(DecodeError):
        decode_response(b"")


@pytest.mark.spec("WIRE-82", "WIRE-5")
def test_what_is_never_sent() -> None:
    """Checklist line 38."""
    for header, body in (
        (RequestHeader(1, "/", None), b""),
        (RequestHeader(1, "/", Method.GET), b"body"),
        (RequestHeader(1, "/", Method.GET, has_body=True), b""),
        (RequestHeader(2**32, "/", Method.GET), b""),
    ):
        with pytest.raises(MisuseError):
            encode_request(header, body)
    for response in (ResponseHeader(1, 0, None), ResponseHeader(-1, 0, Status.OK), ResponseHeader(1, 2**32, Status.OK)):
        with pytest.raises(MisuseError):
            encode_response(response)


@pytest.mark.spec("WIRE-81")
@pytest.mark.parametrize(
    ("error", "encoded"),
    [
        (ApiError("/p", Method.POST, "m", ApiError(message="c")), "a401622f70020103616d04a1036163"),
        (ApiError(), "a0"),
        (ApiError("/foo", Method.GET), "a201642f666f6f0200"),
        (ApiError(message="boom"), "a10364626f6f6d"),
    ],
)
def test_error_bodies(error: ApiError, encoded: str) -> None:
    assert encode_error(error).hex() == encoded
    assert decode_error(bytes.fromhex(encoded)) == error


@pytest.mark.spec("WIRE-83")
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("6161", ApiError(message="a")),
        ("4161", ApiError(message="a")),
        ("41ff", ApiError()),
        ("61ff", ApiError()),
        ("", ApiError()),
        ("01", ApiError()),
        ("a10364", ApiError()),
        ("a203616d04f6", ApiError(message="m")),
        ("a207a003616d", ApiError(message="m")),
        ("a104" * 40 + "a0", ApiError()),
    ],
)
def test_the_body_of_a_failed_response(body: str, error: ApiError) -> None:
    """Checklist line 39, and chapter 08 section 5."""
    assert decode_error(bytes.fromhex(body)) == error


@pytest.mark.spec("WIRE-19")
def test_causes_nest_to_a_limit() -> None:
    error = ApiError()
    for _ in range(31):
        error = ApiError(cause=error)
    assert decode_error(encode_error(error)) == error
    assert decode_error(encode_error(ApiError(cause=error))) == ApiError()


def test_texts_for_people() -> None:
    assert str(Status.NOT_FOUND) == "404 NotFound"
    assert str(Status.OK) == "200 Ok"
    assert str(Status.METHOD_NOT_ALLOWED) == "405 MethodNotAllowed"
    assert str(Status.INTERNAL_SERVER_ERROR) == "500 InternalServerError"
    assert str(ApiError("p", Method.GET, "m", ApiError(message="c"))) == "message: m, path: p, method: GET, message: c"
    assert str(ApiError()) == ""
