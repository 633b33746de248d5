"""What the two ends of a steady link say to each other (spec page "Steady links"); between our own nodes only.

All integers are big-endian.  The first byte is the kind:

* open (1): version (1), connection (8), longest packet (4);
* move (2): version (1), connection (8), epoch (4), longest packet (4);
* here (3): connection (8), epoch (4);
* packet (4): a packet of ``ockam_ref.links.recovery_packets``.
"""

import struct
from typing import Final, NamedTuple, TypeAlias, assert_never

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.wire.cursor import Buffer

VERSION: Final = 1
"""The only version; another is refused."""

_OPEN: Final = struct.Struct(">BBQI")
_MOVE: Final = struct.Struct(">BBQII")
_HERE: Final = struct.Struct(">BQI")


class Open(NamedTuple):
    """The initiator begins a link; the path that this came along is that of epoch 0."""

    connection: int
    packet: int


class Move(NamedTuple):
    """The path that this came along is that of ``epoch``, from now on if the epoch is the newest."""

    connection: int
    epoch: int
    packet: int


class Here(NamedTuple):
    """The answer to both: the path of that epoch works in both directions."""

    connection: int
    epoch: int


class Carried(NamedTuple):
    """A packet of the link."""

    packet: bytes | memoryview


SteadyMessage: TypeAlias = Open | Move | Here | Carried

CARRIED: Final = b"\x04"
"""What stands in front of a packet."""


def encode_steady_message(message: SteadyMessage) -> bytes:
    """Return the payload."""
    match message:
        case Open(connection, packet):
            return _OPEN.pack(1, VERSION, connection, packet)
        case Move(connection, epoch, packet):
            return _MOVE.pack(2, VERSION, connection, epoch, packet)
        case Here(connection, epoch):
            return _HERE.pack(3, connection, epoch)
        case Carried(packet):
            return CARRIED + packet
        case _:
            assert_never(message)


def decode_steady_message(payload: Buffer) -> SteadyMessage:
    """Read a message; a packet is a view of ``payload``.

    Raises:
        DecodeError: it is none, it has another version, or not its length.
    """
    kind = payload[0] if len(payload) else 0
    if kind == CARRIED[0]:
        return Carried(memoryview(payload)[1:])
    try:
        match kind:
            case 1:
                _, version, connection, packet = _OPEN.unpack(payload)
                return _checked(version, Open(connection, packet))
            case 2:
                _, version, connection, epoch, packet = _MOVE.unpack(payload)
                return _checked(version, Move(connection, epoch, packet))
            case 3:
                _, connection, epoch = _HERE.unpack(payload)
                return Here(connection, epoch)
            case _:
                raise DecodeError(ErrorCode.UNKNOWN_VARIANT, f"{kind} is no message of a steady link")
    except struct.error:
        raise DecodeError(ErrorCode.TRUNCATED, f"{len(payload)} bytes are no such message") from None


def _checked(version: int, message: Open | Move) -> Open | Move:
    if version != VERSION:
        raise DecodeError(ErrorCode.UNSUPPORTED_VERSION, f"version {version} of steady links is unknown", offset=1)
    return message
