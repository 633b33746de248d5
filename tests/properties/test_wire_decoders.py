"""Every decoder on any bytes: a value or a ``DecodeError``, and memory in proportion to the input."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError
from ockam_ref.wire import bare, cbor
from ockam_ref.wire.address import parse_address, read_address_bare, read_address_cbor
from ockam_ref.wire.api import decode_error, decode_request, decode_response, read_request_header, read_response_header
from ockam_ref.wire.bare_transport_message import decode_any_bare_transport_message, decode_bare_transport_message
from ockam_ref.wire.body import Cbor, decode_body, read_bare_bytes
from ockam_ref.wire.cbor_value import decode_value
from ockam_ref.wire.channel_message import decode_any_channel_message, decode_channel_message
from ockam_ref.wire.cursor import Cursor
from ockam_ref.wire.local_message import SECURE_CHANNEL_IDENTIFIER, LocalInfo, find_channel_identifier
from ockam_ref.wire.portal_message import decode_portal_message
from ockam_ref.wire.puncture_message import decode_puncture_message
from ockam_ref.wire.puncture_negotiation import decode_introduction
from ockam_ref.wire.rendezvous_message import decode_rendezvous_request, decode_rendezvous_response
from ockam_ref.wire.route import parse_route, read_route_bare, read_route_cbor
from ockam_ref.wire.steady_message import decode_steady_message
from ockam_ref.wire.transport_message import decode_any_transport_message, decode_transport_message
from ockam_ref.wire.udp_datagram import decode_any_slice, decode_slice

Decoder = Callable[[bytes], Any]


def of(reader: Callable[[Cursor], Any]) -> Decoder:
    """Make a decoder of a reader, that wants all bytes."""

    def decode(data: bytes) -> Any:
        cursor = Cursor(data)
        value = reader(cursor)
        cursor.end()
        return value

    return decode


DECODERS: dict[str, Decoder] = {
    "cbor uint": of(cbor.read_uint),
    "cbor bool": of(cbor.read_bool),
    "cbor bytes": of(cbor.read_bytes),
    "cbor text": of(cbor.read_text),
    "cbor enum": of(cbor.read_enum_head),
    "cbor integers": of(cbor.read_integers),
    "cbor keys": of(lambda cursor: [cbor.read_raw(cursor) for _ in cbor.read_map_keys(cursor)]),
    "cbor skip": of(cbor.skip),
    "cbor value": decode_value,
    "bare uint": of(bare.read_uint),
    "bare string": of(bare.read_string),
    "bare optional": of(lambda cursor: bare.read_optional(cursor, bare.read_data)),
    "bare fixed": of(lambda cursor: (bare.read_u16(cursor), bare.read_u32(cursor), bare.read_u64(cursor))),
    "address cbor": of(read_address_cbor),
    "address bare": of(read_address_bare),
    "route cbor": of(read_route_cbor),
    "route bare": of(read_route_bare),
    "transport message": decode_transport_message,
    "any transport message": decode_any_transport_message,
    "bare transport message": decode_bare_transport_message,
    "any bare transport message": decode_any_bare_transport_message,
    "datagram": decode_slice,
    "any datagram": decode_any_slice,
    "portal message": decode_portal_message,
    "introduction": decode_introduction,
    "puncture message": decode_puncture_message,
    "rendezvous request": decode_rendezvous_request,
    "rendezvous response": decode_rendezvous_response,
    "steady message": decode_steady_message,
    "channel message": decode_channel_message,
    "any channel message": decode_any_channel_message,
    "request": decode_request,
    "response": decode_response,
    "request header": of(read_request_header),
    "response header": of(read_response_header),
    "error": decode_error,
    "text body": lambda data: decode_body(data, str),
    "cbor body": lambda data: decode_body(data, Cbor),
    "bare bytes body": read_bare_bytes,
    "local info": lambda data: find_channel_identifier((LocalInfo(SECURE_CHANNEL_IDENTIFIER, data),)),
}

# bytes that are likely to form heads, beside any bytes at all
HEADS = st.sampled_from(
    [0, 1, 0x18, 0x19, 0x1B, 0x40, 0x41, 0x58, 0x5A, 0x5B, 0x5F, 0x60, 0x61, 0x7F, 0x80, 0x81, 0x82, 0x83]
)
MORE_HEADS = st.sampled_from([0x84, 0x9B, 0x9F, 0xA0, 0xA1, 0xA4, 0xBF, 0xC0, 0xF4, 0xF5, 0xF6, 0xF7, 0xFB, 0xFF])
BYTES = st.binary(max_size=80) | st.lists(HEADS | MORE_HEADS, max_size=40).map(bytes)


@pytest.mark.spec("WIRE-1")
@pytest.mark.parametrize("name", DECODERS)
@given(data=BYTES)
@example(data=b"")
@example(data=b"\x81" * 5000)
@example(data=b"\x9f" * 5000)
@example(data=b"\x84\x80\x80\x5a\xff\xff\xff\xff")
def test_only_decode_errors(name: str, data: bytes) -> None:
    offset = 0
    try:
        DECODERS[name](data)
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(data)


@pytest.mark.spec("WIRE-1", "WIRE-40", "WIRE-46")
@given(text=st.text(max_size=40) | st.text(alphabet="0123456789#+- =>a", max_size=20))
@pytest.mark.parametrize("parse", [parse_address, parse_route])
def test_only_decode_errors_for_text(parse: Callable[[str], Any], text: str) -> None:
    with suppress(DecodeError):
        parse(text)


HOSTILE = {
    "lengths": bytes.fromhex("84808058ff"),
    "huge byte string": bytes.fromhex("8480805bffffffffffffffff") + bytes(1000),
    "huge array": bytes.fromhex("9bffffffffffffffff") + bytes(1000),
    "huge map": bytes.fromhex("bbffffffffffffffff") + bytes(1000),
    "huge bare count": bytes.fromhex("ffffffffffffffffff01") + bytes(1000),
    "a hundred thousand addresses": b"\x83\x9a\x00\x01\x86\xa0" + b"\x82\x00\x40" * 30_000,
    "a hundred thousand bare addresses": bare.encode_uint(100_000) + b"\x00\x00" * 30_000,
    "a long route and a huge payload in bare": b"\x01\xff\x01" + b"\x00\x00" * 255 + b"\x00" + b"\xff" * 9 + b"\x01",
    "surplus": b"\x9f\x80\x80\x40" + b"\xf6" * 30_000 + b"\xff",
    "empty arrays": b"\x9a\x00\x00\x75\x30" + b"\x80" * 30_000,
    "nesting": b"\x81" * 30_000,
}


@pytest.mark.spec("WIRE-2", "WIRE-45")
@pytest.mark.parametrize("kind", HOSTILE)
def test_memory_is_bounded_by_the_input(kind: str) -> None:
    data = HOSTILE[kind]
    for name, decode in DECODERS.items():
        tracemalloc.start()
        with suppress(DecodeError):
            decode(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # a list of its own for each byte is the most that a generic value can ask for
        assert peak < 100_000 + 80 * len(data), name
        if "value" not in name and "body" not in name:
            assert peak < 100_000 + 4 * len(data), name
