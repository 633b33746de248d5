"""The message that Unix sockets, WebSocket and Bluetooth carry, in BARE (facts 01 section 4.5, 02 section 3.2).

``version, onward_route, return_route, payload, tracing_context``: the message of TCP before release 0.128.  The value
is the same ``TransportMessage`` as that of TCP today.
"""

from functools import lru_cache
from typing import Final

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire import bare
from ockam_ref.wire.cursor import Buffer, Cursor
from ockam_ref.wire.route import Route, encode_route_bare, read_route_bare
from ockam_ref.wire.transport_message import EMPTY_TRACING_CONTEXT, TransportMessage

WRITTEN_VERSION: Final = 1
"""The version byte that is written, with a tracing context or without, as the Rust nodes do."""
READ_VERSIONS: Final = (1, 2)
"""The version bytes that are read; neither changes what follows."""

_VERSION: Final = bytes((WRITTEN_VERSION,))
_PRESENT: Final = 1
_EMPTY_CONTEXT: Final = b"\x01\x02{}"
_SHORT: Final = 0x80
_MEMO_ENTRIES: Final = 4096
_MEMO_BYTES: Final = 400
"""Longer pairs of routes are not remembered, so that a stranger makes us keep ten megabytes at most."""
_USUAL_HOPS: Final = 8


def encode_bare_transport_message(message: TransportMessage, *, ends_after_payload: bool = False) -> bytes:
    """Return the bytes of a message, by default as the Rust nodes of 0.119 and later write them.

    They always write a tracing context, the text ``{}`` when there is none.  With ``ends_after_payload`` the message
    has the form of 2021 and 2022, which Bluetooth boards and Elixir nodes read: it has no room for a context, and one
    that is there is left out, since it never affects delivery.
    """
    return b"".join(bare_transport_message_parts(message, ends_after_payload=ends_after_payload))


def bare_transport_message_parts(
    message: TransportMessage, *, ends_after_payload: bool = False
) -> tuple[bytes, bytes | memoryview, bytes]:
    """Return the same bytes in three parts: up to the payload, the payload itself uncopied, the rest."""
    onward_route, return_route, payload, tracing_context = message
    head = b"".join(
        (_VERSION, encode_route_bare(onward_route), encode_route_bare(return_route), bare.encode_uint(len(payload)))
    )
    if ends_after_payload:
        tail = b""
    elif tracing_context is None:
        tail = _EMPTY_CONTEXT
    else:
        tail = b"\x01" + bare.encode_string(tracing_context)
    return head, payload, tail


def decode_bare_transport_message(data: Buffer) -> TransportMessage:
    """Read a message in the form of any release; its payload is a view of ``data``.

    After the payload may come nothing, a byte that says whether a tracing context follows, and more bytes: what is no
    whole tracing context counts as none, and what follows it is ignored.

    Raises:
        DecodeError: a version other than 1 and 2, or a field before the tracing context that is cut short or too long.
    """
    message = _decode_usual(data)
    return decode_any_bare_transport_message(data) if message is None else message


def decode_any_bare_transport_message(data: Buffer) -> TransportMessage:
    """Read a message in any of the forms; ``decode_bare_transport_message`` gives the same answers sooner."""
    cursor = Cursor(data)
    version = cursor.u8()
    if version not in READ_VERSIONS:
        raise DecodeError(ErrorCode.UNSUPPORTED_VERSION, f"a transport message of version {version}")
    return TransportMessage(
        read_route_bare(cursor), read_route_bare(cursor), bare.read_data_view(cursor), _read_context(cursor)
    )


def _read_context(cursor: Cursor) -> str | None:
    """Read what is after the payload; a bad context does not fail the message (facts 01, checklist 26)."""
    if not cursor.remaining or cursor.u8() != _PRESENT:
        return None
    try:
        return bare.read_string(cursor)
    except DecodeError:
        return None


def _decode_usual(data: Buffer) -> TransportMessage | None:
    """Read the form that nodes without tracing write, with short routes; ``None`` when anything is unusual.

    A benchmark asked for it: this runs for every 48 KiB of a portal.
    """
    try:
        if data[0] != WRITTEN_VERSION:
            return None
        position = _skip_usual_route(data, _skip_usual_route(data, 1))
        start, length, shift = position, 0, 0
        while data[start] >= _SHORT:
            length |= (data[start] & 0x7F) << shift
            start, shift = start + 1, shift + 7
        start, length = start + 1, length | data[start] << shift
    except IndexError:
        return None
    stop = start + length
    # no context is seen where the payload is cut short; a tenth byte of a length is the general reader's to judge
    if shift > 28 or position - 1 > _MEMO_BYTES or data[stop : stop + 4] != _EMPTY_CONTEXT:
        return None
    onward_route, return_route = _routes(bytes(data[1:position]))
    return TransportMessage(onward_route, return_route, memoryview(data)[start:stop], EMPTY_TRACING_CONTEXT)


def _skip_usual_route(data: Buffer, position: int) -> int:
    """Return where the route ends; ``IndexError`` when it is unusual or cut short."""
    count = data[position]
    position += 1
    if count > _USUAL_HOPS:
        raise IndexError
    for _ in range(count):
        length = data[position + 1]
        if length >= _SHORT:
            raise IndexError
        position += 2 + length
    return position


@lru_cache(_MEMO_ENTRIES)
def _routes(raw: bytes) -> tuple[Route, Route]:
    """Return the pair of routes of a packet, which are mostly those of an earlier one, with the same addresses."""
    cursor = Cursor(raw)
    return read_route_bare(cursor), read_route_bare(cursor)
