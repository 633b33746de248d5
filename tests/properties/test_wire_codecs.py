"""Round trips, and the three readers of each format against one another.

The schema is the oracle: codec and schema give the same value, write the same bytes and refuse the same input, whether it
was written properly, sloppily (long heads, indefinite arrays, surplus elements) or damaged.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError
from ockam_ref.wire import bare, cbor
from ockam_ref.wire.address import (
    Address,
    encode_address_bare,
    encode_address_cbor,
    parse_address,
    read_address_bare,
    read_address_cbor,
)
from ockam_ref.wire.api import (
    ApiError,
    Method,
    RequestHeader,
    ResponseHeader,
    Status,
    decode_request,
    decode_response,
    encode_error,
    encode_request,
    encode_response,
    read_error,
    read_request_header,
    read_response_header,
)
from ockam_ref.wire.bare import encode_data
from ockam_ref.wire.bare_transport_message import (
    decode_any_bare_transport_message,
    decode_bare_transport_message,
    encode_bare_transport_message,
)
from ockam_ref.wire.body import Cbor, decode_body, encode_body
from ockam_ref.wire.cbor_value import decode_value, encode_value
from ockam_ref.wire.channel_message import (
    ChannelPayload,
    Close,
    RefreshCredentials,
    decode_any_channel_message,
    decode_channel_message,
    encode_channel_message,
)
from ockam_ref.wire.cursor import Cursor
from ockam_ref.wire.portal_message import Payload, Signal, decode_portal_message, encode_portal_message
from ockam_ref.wire.puncture_message import (
    PuncturePayload,
    PunctureSignal,
    decode_puncture_message,
    encode_puncture_message,
)
from ockam_ref.wire.puncture_negotiation import Introduction, decode_introduction, encode_introduction
from ockam_ref.wire.rendezvous_message import (
    MyAddress,
    RendezvousPong,
    RendezvousRequest,
    decode_rendezvous_request,
    decode_rendezvous_response,
    encode_rendezvous_request,
    encode_rendezvous_response,
)
from ockam_ref.wire.route import (
    encode_route_bare,
    encode_route_cbor,
    read_route_bare,
    read_route_cbor,
)
from ockam_ref.wire.schemas import (
    ADDRESS,
    API_ERROR,
    BARE_ADDRESS,
    BARE_DATA,
    BARE_ROUTE,
    BARE_TRANSPORT_MESSAGE,
    BARE_UINT,
    CHANNEL_MESSAGE,
    INTEGERS,
    INTRODUCTION,
    PORTAL_MESSAGE,
    PUNCTURE_MESSAGE,
    RENDEZVOUS_REQUEST,
    RENDEZVOUS_RESPONSE,
    REQUEST_HEADER,
    RESPONSE_HEADER,
    ROUTE,
    TRANSPORT_MESSAGE,
    UDP_DATAGRAM,
    strict_parse,
)
from ockam_ref.wire.transport_message import (
    TransportMessage,
    decode_any_transport_message,
    decode_transport_message,
    encode_transport_message,
)
from ockam_ref.wire.udp_datagram import LegacySlice, Slice, decode_any_slice, decode_slice, encode_slice

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 23, 24, 127, 128, 255, 256, 65535, 65536, 2**32, 2**63])
TEXT = st.text(max_size=30)
VALUES = st.binary(max_size=6) | st.binary(min_size=20, max_size=30) | st.binary(min_size=250, max_size=260)
ADDRESSES = st.builds(Address, st.integers(0, 3) | st.integers(0, 255), VALUES)
ROUTES = st.lists(ADDRESSES, max_size=4).map(tuple) | st.lists(ADDRESSES, max_size=10).map(tuple)
PAYLOADS = st.binary(max_size=40) | st.integers(240, 300).map(bytes)
TRANSPORT_MESSAGES = st.builds(TransportMessage, ROUTES, ROUTES, PAYLOADS, st.just("{}") | TEXT)
SHORT = st.integers(0, 30) | st.integers(0, 300) | st.integers(0, 0xFFFF)
VERSIONS = st.just(1) | st.integers(0, 255)
SLICES = st.builds(Slice, SHORT, SHORT, SHORT, PAYLOADS, VERSIONS) | st.builds(
    LegacySlice, SHORT, U32, st.booleans(), PAYLOADS, VERSIONS
)
CHANNEL_PAYLOADS = st.builds(ChannelPayload, ROUTES, ROUTES, PAYLOADS)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=9)
)
CBOR_VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-5, 5) | TEXT | st.binary(max_size=4), inner, max_size=4)
    ),
    max_leaves=10,
)
ITEMS = CBOR_VALUES.map(encode_value)
CHANNEL_MESSAGES = (
    CHANNEL_PAYLOADS | st.just(Close()) | st.builds(RefreshCredentials, ITEMS, st.lists(ITEMS, max_size=3).map(tuple))
)
PUNCTURE_MESSAGES = st.sampled_from(PunctureSignal) | st.builds(PuncturePayload, ROUTES, ROUTES, PAYLOADS)
PORTAL_MESSAGES = st.sampled_from(Signal) | st.builds(Payload, PAYLOADS, st.none() | st.integers(0, 65535))
ERRORS = st.recursive(
    st.builds(ApiError, st.none() | TEXT, st.none() | st.sampled_from(Method), st.none() | TEXT),
    lambda inner: st.builds(ApiError, st.none() | TEXT, st.none() | st.sampled_from(Method), st.none() | TEXT, inner),
    max_leaves=3,
)
REQUEST_HEADERS = st.builds(RequestHeader, U32, TEXT, st.sampled_from(Method), st.just(False))
RESPONSE_HEADERS = st.builds(ResponseHeader, U32, U32, st.sampled_from(Status), st.just(False))


def whole(reader: Callable[[Cursor], Any]) -> Callable[[bytes], Any]:
    """Make a decoder that wants all bytes."""

    def decode(data: bytes) -> Any:
        cursor = Cursor(data)
        value = reader(cursor)
        cursor.end()
        return value

    return decode


def inside_data(encoded: bytes) -> bytes:
    """Strip the BARE length of a request or response."""
    return bare.read_data(Cursor(encoded))


class Format(NamedTuple):
    """One record format: values, encoder, decoders that must agree, schema."""

    values: st.SearchStrategy[Any]
    encode: Callable[[Any], bytes]
    decoders: tuple[Callable[[bytes], Any], ...]
    schema: Any


FORMATS = {
    "address": Format(ADDRESSES, encode_address_cbor, (whole(read_address_cbor),), ADDRESS),
    "route": Format(ROUTES, encode_route_cbor, (whole(read_route_cbor),), ROUTE),
    "bare address": Format(ADDRESSES, encode_address_bare, (whole(read_address_bare),), BARE_ADDRESS),
    "bare route": Format(ROUTES, encode_route_bare, (whole(read_route_bare),), BARE_ROUTE),
    "bare uint": Format(U64, bare.encode_uint, (whole(bare.read_uint),), BARE_UINT),
    "bare data": Format(st.binary(max_size=300), encode_data, (whole(bare.read_data),), BARE_DATA),
    "transport message": Format(
        TRANSPORT_MESSAGES,
        encode_transport_message,
        (decode_transport_message, decode_any_transport_message),
        TRANSPORT_MESSAGE,
    ),
    "bare transport message": Format(
        TRANSPORT_MESSAGES,
        encode_bare_transport_message,
        (decode_bare_transport_message, decode_any_bare_transport_message),
        BARE_TRANSPORT_MESSAGE,
    ),
    "datagram": Format(SLICES, encode_slice, (decode_slice, decode_any_slice), UDP_DATAGRAM),
    "channel message": Format(
        CHANNEL_MESSAGES, encode_channel_message, (decode_channel_message, decode_any_channel_message), CHANNEL_MESSAGE
    ),
    "portal message": Format(PORTAL_MESSAGES, encode_portal_message, (decode_portal_message,), PORTAL_MESSAGE),
    "integers": Format(
        st.binary(max_size=300) | st.binary(max_size=20).map(lambda data: data.replace(b"a", b"\x18")),
        cbor.encode_integers,
        (whole(cbor.read_integers), whole(cbor.read_any_integers)),
        INTEGERS,
    ),
    "introduction": Format(
        st.builds(Introduction, TEXT, VALUES), encode_introduction, (decode_introduction,), INTRODUCTION
    ),
    "puncture message": Format(
        PUNCTURE_MESSAGES, encode_puncture_message, (decode_puncture_message,), PUNCTURE_MESSAGE
    ),
    "rendezvous request": Format(
        st.sampled_from(RendezvousRequest), encode_rendezvous_request, (decode_rendezvous_request,), RENDEZVOUS_REQUEST
    ),
    "rendezvous response": Format(
        st.just(RendezvousPong()) | st.builds(MyAddress, TEXT),
        encode_rendezvous_response,
        (decode_rendezvous_response,),
        RENDEZVOUS_RESPONSE,
    ),
    "error": Format(ERRORS, encode_error, (whole(read_error),), API_ERROR),
    "request header": Format(
        REQUEST_HEADERS,
        lambda header: inside_data(encode_request(header)),
        (whole(read_request_header),),
        REQUEST_HEADER,
    ),
    "response header": Format(
        RESPONSE_HEADERS,
        lambda header: inside_data(encode_response(header)),
        (whole(read_response_header),),
        RESPONSE_HEADER,
    ),
}


def outcome(decode: Callable[[bytes], Any], data: bytes) -> Any:
    """Return the value, or that there is none."""
    try:
        return decode(data)
    except DecodeError:
        return DecodeError


def check_agreement(record: Format, data: bytes) -> Any:
    """All readers of a format give one answer, also when the bytes lie inside a larger buffer."""
    expected = outcome(lambda raw: strict_parse(record.schema, raw), data)
    for decode in record.decoders:
        assert outcome(decode, data) == expected
        assert outcome(decode, memoryview(b"!" + data + b"!")[1:-1]) == expected  # type: ignore[arg-type]
    return expected


@pytest.mark.spec("WIRE-3")
@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_what_is_written_is_read_by_all_and_written_alike(name: str, data: st.DataObject) -> None:
    record = FORMATS[name]
    value = data.draw(record.values)
    encoded = record.encode(value)
    assert record.schema.build(value) == encoded
    assert check_agreement(record, encoded) == value


@st.composite
def damaged(draw: st.DrawFn, encoded: bytes) -> bytes:
    """Cut, flip, drop, repeat or insert some bytes."""
    raw = bytearray(encoded)
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(raw)))
        match draw(st.integers(0, 4)):
            case 0:
                del raw[position:]
            case 1 if position < len(raw):
                raw[position] ^= 1 << draw(st.integers(0, 7))
            case 2:
                del raw[position : position + draw(st.integers(1, 3))]
            case 3:
                raw[position:position] = draw(st.binary(min_size=1, max_size=3))
            case _:
                raw[position:position] = raw[position : position + 2]
    return bytes(raw)


@pytest.mark.spec("WIRE-3", "WIRE-1")
@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_damaged_bytes_are_read_alike_or_refused_by_all(name: str, data: st.DataObject) -> None:
    record = FORMATS[name]
    check_agreement(record, data.draw(damaged(record.encode(data.draw(record.values)))))


# one valid message in many forms


@st.composite
def head(draw: st.DrawFn, major: int, argument: int) -> bytes:
    """Write a head in any width that holds the argument."""
    widths = [width for width in (0, 1, 2, 4, 8) if argument < (24 if width == 0 else 1 << 8 * width)]
    width = draw(st.sampled_from(widths))
    if width == 0:
        return bytes((major << 5 | argument,))
    return bytes((major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width],)) + argument.to_bytes(width, "big")


@st.composite
def array(draw: st.DrawFn, elements: list[bytes], *, surplus: bool = True) -> bytes:
    """Write an array, definite or not, perhaps with elements that nobody knows."""
    extra = (
        draw(st.lists(ITEMS | st.sampled_from([b"\xc1\x00", b"\xf7", b"\x7f\x61a\xff"]), max_size=2)) if surplus else []
    )
    content = b"".join(elements + extra)
    if draw(st.booleans()):
        return b"\x9f" + content + b"\xff"
    return draw(head(4, len(elements) + len(extra))) + content


@st.composite
def string(draw: st.DrawFn, major: int, content: bytes) -> bytes:
    """Write a byte string or text."""
    return draw(head(major, len(content))) + content


@st.composite
def sloppy_route(draw: st.DrawFn, route: tuple[Address, ...]) -> bytes:
    """Write a route."""
    hops = [draw(array([draw(head(0, hop.transport_type)), draw(string(2, hop.value))])) for hop in route]
    return draw(array(hops, surplus=False))


@st.composite
def sloppy_transport_message(draw: st.DrawFn) -> tuple[bytes, TransportMessage]:
    """Draw a message, and one of the ways to write it that a peer accepts."""
    message = draw(TRANSPORT_MESSAGES)._replace(tracing_context=draw(st.none() | st.just("{}") | TEXT))
    elements = [
        draw(sloppy_route(message.onward_route)),
        draw(sloppy_route(message.return_route)),
        draw(string(2, bytes(message.payload))),
    ]
    if message.tracing_context is not None:
        encoded = draw(array([*elements, draw(string(3, message.tracing_context.encode()))]))
    elif draw(st.booleans()):
        encoded = draw(array([*elements, b"\xf6"]))
    else:
        encoded = draw(array(elements, surplus=False))
    return encoded + draw(st.binary(max_size=3)), message


@pytest.mark.spec("WIRE-14", "WIRE-52", "WIRE-3")
@given(drawn=sloppy_transport_message())
def test_all_forms_of_a_transport_message_have_one_meaning(drawn: tuple[bytes, TransportMessage]) -> None:
    encoded, message = drawn
    assert check_agreement(FORMATS["transport message"], encoded) == message


@st.composite
def sloppy_uint(draw: st.DrawFn, number: int) -> bytes:
    """Write a number in any length that is read."""
    groups = bare.encode_uint(number)
    longer = draw(st.integers(0, 9 - len(groups))) if len(groups) < 9 else 0
    return groups if longer == 0 else groups[:-1] + bytes((groups[-1] | 0x80,)) + b"\x80" * (longer - 1) + b"\x00"


@st.composite
def sloppy_bare_route(draw: st.DrawFn, route: tuple[Address, ...]) -> bytes:
    """Write a route."""
    hops = [bytes((hop.transport_type,)) + draw(sloppy_uint(len(hop.value))) + hop.value for hop in route]
    return draw(sloppy_uint(len(hops))) + b"".join(hops)


NO_CONTEXT = st.sampled_from([b"", b"\x00", b"\x02{}", b"\x01", b"\x01\x05{}", b"\x01\x01\xff", b"\xff" * 12])


@st.composite
def sloppy_bare_transport_message(draw: st.DrawFn) -> tuple[bytes, TransportMessage]:
    """Draw a message, and one of the ways to write it that a peer accepts."""
    message = draw(TRANSPORT_MESSAGES)._replace(tracing_context=draw(st.none() | st.just("{}") | TEXT))
    encoded = draw(st.sampled_from([b"\x01", b"\x02"]))
    encoded += draw(sloppy_bare_route(message.onward_route)) + draw(sloppy_bare_route(message.return_route))
    encoded += draw(sloppy_uint(len(message.payload))) + message.payload
    if message.tracing_context is None:
        return encoded + draw(NO_CONTEXT), message
    context = message.tracing_context.encode()
    return encoded + b"\x01" + draw(sloppy_uint(len(context))) + context + draw(st.binary(max_size=3)), message


@pytest.mark.spec("WIRE-91", "WIRE-3")
@given(drawn=sloppy_bare_transport_message())
def test_all_forms_of_a_bare_transport_message_have_one_meaning(drawn: tuple[bytes, TransportMessage]) -> None:
    encoded, message = drawn
    assert check_agreement(FORMATS["bare transport message"], encoded) == message


@pytest.mark.spec("WIRE-92")
@given(message=TRANSPORT_MESSAGES)
def test_a_message_that_ends_after_its_payload_comes_back_without_a_context(message: TransportMessage) -> None:
    encoded = encode_bare_transport_message(message, ends_after_payload=True)
    assert check_agreement(FORMATS["bare transport message"], encoded) == message._replace(tracing_context=None)
    assert encode_bare_transport_message(message).startswith(encoded)


@st.composite
def sloppy_datagram(draw: st.DrawFn) -> tuple[bytes, Slice | LegacySlice]:
    """Draw a slice, and one of the ways to write it that a peer accepts."""
    piece = draw(SLICES)
    last = b"\xf5" if piece[2] else b"\xf4"
    measure = last if isinstance(piece, LegacySlice) else draw(head(0, piece.total))
    numbers = [draw(head(0, piece.version)), draw(head(0, piece.number)), draw(head(0, piece.offset))]
    encoded = draw(array([*numbers, measure, draw(string(2, bytes(piece.data)))]))
    return encoded + draw(st.binary(max_size=3)), piece


@pytest.mark.spec("WIRE-14", "UDP-1", "UDP-3", "WIRE-3")
@given(drawn=sloppy_datagram())
def test_all_forms_of_a_datagram_have_one_meaning(drawn: tuple[bytes, Slice | LegacySlice]) -> None:
    encoded, piece = drawn
    found = check_agreement(FORMATS["datagram"], encoded)
    assert (type(found), found) == (type(piece), piece)


@st.composite
def sloppy_channel_payload(draw: st.DrawFn) -> tuple[bytes, ChannelPayload]:
    """Draw a payload, and one of the ways to write it that a peer accepts."""
    message = draw(CHANNEL_PAYLOADS)
    fields = [
        draw(sloppy_route(message.onward_route)),
        draw(sloppy_route(message.return_route)),
        draw(string(2, bytes(message.payload))),
    ]
    variant = draw(head(4, 2)) + draw(head(0, 0)) + draw(array([draw(array(fields))]))
    return draw(array([variant, draw(string(2, draw(st.binary(max_size=5))))])), message


@pytest.mark.spec("WIRE-14", "WIRE-70", "WIRE-3")
@given(drawn=sloppy_channel_payload())
def test_all_forms_of_a_channel_payload_have_one_meaning(drawn: tuple[bytes, ChannelPayload]) -> None:
    encoded, message = drawn
    assert check_agreement(FORMATS["channel message"], encoded) == message


# what has no schema


@pytest.mark.spec("WIRE-20")
@given(value=CBOR_VALUES)
def test_generic_values_come_back(value: Any) -> None:
    encoded = encode_value(value)
    assert decode_value(encoded) == value
    assert encode_value(decode_value(encoded)) == encoded
    assert decode_body(encode_body(Cbor(value)), Cbor) == Cbor(value)


@pytest.mark.spec("WIRE-32", "WIRE-33")
@given(text=TEXT, data=st.binary(max_size=40))
def test_bodies_come_back(text: str, data: bytes) -> None:
    assert decode_body(encode_body(text), str) == text
    assert decode_body(encode_body(data), bytes) == data


@pytest.mark.spec("WIRE-80")
@given(request=REQUEST_HEADERS, response=RESPONSE_HEADERS, body=st.binary(min_size=1, max_size=40))
def test_requests_and_responses_come_back(request: RequestHeader, response: ResponseHeader, body: bytes) -> None:
    request, response = request._replace(has_body=True), response._replace(has_body=True)
    decoded_request, rest = decode_request(encode_request(request, body))
    assert (decoded_request, bytes(rest)) == (request, body)
    decoded_response, rest = decode_response(encode_response(response, body))
    assert (decoded_response, bytes(rest)) == (response, body)


@pytest.mark.spec("WIRE-40", "WIRE-41")
@given(transport_type=st.integers(0, 255), value=st.text(alphabet=st.characters(exclude_characters="#", codec="utf-8")))
def test_the_text_of_an_address_comes_back(transport_type: int, value: str) -> None:
    address = Address(transport_type, value.encode())
    assert parse_address(str(address)) == address
