"""What the two ends of a portal say to each other: the whole payload of a routed message (facts 05 section 1)."""

from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import ErrorCode
from ockam_ref.wire.bare import encode_u16, encode_uint, read_data_view, read_u16
from ockam_ref.wire.cursor import Buffer, Cursor


class Signal(Enum):
    """The messages without content; the value is the tag."""

    PING = 0
    PONG = 1
    DISCONNECT = 2


Ping: Final = Signal.PING
Pong: Final = Signal.PONG
Disconnect: Final = Signal.DISCONNECT


class Payload(NamedTuple):
    """Bytes of the connection, any number, and the packet counter that some peers add."""

    data: bytes | memoryview
    counter: int | None = None


PortalMessage: TypeAlias = Signal | Payload

_PAYLOAD_TAG: Final = 3
_SIGNALS: Final = tuple(Signal)
_ENCODED: Final = {signal: bytes((signal.value,)) for signal in Signal}


def encode_portal_message(message: PortalMessage) -> bytes:
    """Return the payload; without a counter nothing follows the data, as the Rust peer writes it."""
    if isinstance(message, Signal):
        return _ENCODED[message]
    tail = b"" if message.counter is None else b"\x01" + encode_u16(message.counter)
    return b"".join((payload_head(len(message.data)), message.data, tail))


def payload_head(length: int) -> bytes:
    """Return what stands before ``length`` bytes of data in a ``Payload``."""
    return b"\x03" + encode_uint(length)


def decode_portal_message(payload: Buffer) -> PortalMessage:
    """Read a portal message; the data is a view of ``payload``.

    Bytes after a signal are ignored.
    There is no counter when fewer than three bytes follow the data or the first is not ``01`` (facts 05 section 1.3).

    Raises:
        DecodeError: empty, an unknown tag, or data shorter than announced.
    """
    cursor = Cursor(payload)
    tag = cursor.u8()
    if tag < _PAYLOAD_TAG:
        return _SIGNALS[tag]
    if tag > _PAYLOAD_TAG:
        cursor.position = 0
        raise cursor.fail(ErrorCode.UNKNOWN_VARIANT, f"{tag} is no portal message")
    data = read_data_view(cursor)
    if cursor.remaining >= 3 and cursor.u8() == 1:
        return Payload(data, read_u16(cursor))
    return Payload(data)
