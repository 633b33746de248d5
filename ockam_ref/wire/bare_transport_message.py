"""The message that Unix sockets, WebSocket and Bluetooth carry, in BARE (facts 01 section 4.5, 02 section 3.2).

``version, onward_route, return_route, payload, tracing_context``: the message of TCP before release 0.128.  The value
is the same ``TransportMessage`` as that of TCP today.
"""

from typing import Final

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire import bare
from ockam_ref.wire.cursor import Buffer, Cursor
from ockam_ref.wire.route import encode_route_bare, read_route_bare
from ockam_ref.wire.transport_message import TransportMessage

WRITTEN_VERSION: Final = 1
"""The version byte that is written, with a tracing context or without, as the Rust nodes do."""
READ_VERSIONS: Final = (1, 2)
"""The version bytes that are read; neither changes what follows."""

_VERSION: Final = bytes((WRITTEN_VERSION,))
_PRESENT: Final = 1
_EMPTY_CONTEXT: Final = b"\x01\x02{}"


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
