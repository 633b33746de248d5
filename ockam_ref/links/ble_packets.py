"""Messages over a Bluetooth LE connection (facts 02 section 8.4): a length alone in its packet, then pieces.

A *packet* is the value of one GATT write or notification.  A length is eight bytes, the most significant first, and a
packet of exactly eight bytes whose value is no more than the limit is a length wherever it comes; so a lost packet
costs the message that it belonged to, and the next length puts the receiver right again.

Two modes.  Between our own ends pieces are as long as the connection takes, and a message may have 2 MiB.
*Compat* is what the programs and boards of 2022 speak: pieces of 18 bytes and no more than 1024 bytes a message.

Pure: ``receive(state, packet)`` returns the next state and what came out.  There is no clock in it, and none is needed:
a half message is at most ``MAX_LENGTH`` bytes of one connection, the next length replaces it, and it is forgotten with
the connection, which the radio ends by itself when the other side vanishes.  A peer that takes nothing is noticed by
the adapter.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.links.form import Chunk, Fault, Form, Packet
from ockam_ref.links.framing import glue
from ockam_ref.machine import Transition
from ockam_ref.wire.bare_transport_message import decode_bare_transport_message, encode_bare_transport_message
from ockam_ref.wire.transport_message import TransportMessage

HEADER_LENGTH: Final = 8
"""Bytes of a length; the one number of bytes that no piece of a message may have."""

MAX_LENGTH: Final = 2 * 1024 * 1024
"""Bytes of a message between our own ends, inclusive.

The peer's 1024 are too few for a handshake with credentials, and a portal puts 1 MiB into a message.
"""

COMPAT_MAX_LENGTH: Final = 1024
"""Bytes of a message that programs and boards of 2022 take, inclusive."""

MIN_PIECE: Final = 10
"""The smallest largest piece: with 9 bytes, what is left of 17 could only be cut as 9 and 8, or 8 and 9."""

MAX_PIECE: Final = 512
"""The longest value of an attribute, whatever the connection would carry."""

COMPAT_PIECE: Final = 18
"""Bytes that a board takes in one write, and the smallest attribute packet of any connection (23) less five."""

MAX_WAITING_PIECES: Final = 64
"""Pieces of an unfinished message are joined beyond this number, so that tiny ones cost no more than their bytes."""


@dataclass(frozen=True, slots=True)
class Between:
    """No message has begun."""

    limit: int
    doubts: bool = False


@dataclass(frozen=True, slots=True)
class Inside:
    """A message of ``length`` bytes has begun; ``waiting`` of them are in ``pieces``.

    ``doubtful`` while nothing has followed a length that may have been the end of the message before it.
    """

    limit: int
    doubts: bool
    length: int
    pieces: tuple[bytes | memoryview, ...] = ()
    waiting: int = 0
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """A fault was told; what belongs to it is passed over until the next length."""

    limit: int
    doubts: bool = False


PacketState: TypeAlias = Between | Inside | Lost
Found: TypeAlias = list[memoryview | Fault]

TRANSITIONS: Final = (
    Transition("Between", "a length", "Inside"),
    Transition("Between", "the length 0", "Between", "a fault: no message is empty"),
    Transition("Between", "anything else", "Lost", "a fault: nothing announced it"),
    Transition("Inside", "a piece, not the last", "Inside"),
    Transition("Inside", "the last piece", "Between", "the message comes out, bytes beyond its length are dropped"),
    Transition("Inside", "a length", "Inside", "a fault: the message before it was cut short"),
    Transition("Inside", "a length where 8 bytes are left, in compat", "Inside", "the message comes out all the same"),
    Transition("Lost", "a length", "Inside"),
    Transition("Lost", "anything else", "Lost", "passed over"),
)


def fragment(message: bytes, size: int, *, compat: bool = False) -> list[Chunk]:
    """Return the packets of a message: its length, then pieces of at most ``size`` bytes, none of exactly eight.

    ``compat`` cuts pieces of 18 bytes whatever the size.

    Raises:
        MisuseError: the message is empty, or longer than the mode allows, or ``size`` is less than ``MIN_PIECE``
            (``TOO_LONG``).
    """
    limit = COMPAT_MAX_LENGTH if compat else MAX_LENGTH
    length = len(message)
    if not 0 < length <= limit:
        raise MisuseError(ErrorCode.TOO_LONG, f"a message of {length} bytes; 1 to {limit} go over this connection")
    size = min(size, COMPAT_PIECE if compat else MAX_PIECE)
    if size < MIN_PIECE:
        raise MisuseError(ErrorCode.TOO_LONG, f"packets of {size} bytes carry no message; {MIN_PIECE} is the least")
    packets: list[Chunk] = [length.to_bytes(HEADER_LENGTH, "big")]
    view, start = memoryview(message), 0
    while (left := length - start) > 0:
        take = min(size, left)
        if HEADER_LENGTH in (take, left - take):
            take -= 1
        packets.append(view[start : start + take])
        start += take
    return packets


def receive(state: PacketState, packet: bytes | memoryview) -> tuple[PacketState, Found]:
    """Take the next packet; return the next state and the message, or the fault, that it brings to light."""
    if len(packet) == HEADER_LENGTH:
        length = int.from_bytes(packet, "big")
        if length <= state.limit:
            return _begin(state, packet, length)
    if type(state) is Inside:
        return _go_on(state, packet)
    if type(state) is Lost:
        return state, []
    detail = f"a packet of {len(packet)} bytes that no length announced"
    return Lost(state.limit, state.doubts), [Fault("no-length", detail)]


def _begin(state: PacketState, packet: bytes | memoryview, length: int) -> tuple[PacketState, Found]:
    """Take a length; it ends what was there, and in doubt it is also the last piece of it."""
    found: Found = []
    doubtful = False
    if type(state) is Inside:
        doubtful = state.doubts and not state.doubtful and state.length - state.waiting == HEADER_LENGTH
        if doubtful:
            found.append(memoryview(b"".join((*state.pieces, packet))))
        elif not state.doubtful:
            detail = f"the next message began after {state.waiting} of {state.length} bytes"
            found.append(Fault("cut-short", detail))
    if length:
        return Inside(state.limit, state.doubts, length, doubtful=doubtful), found
    if not doubtful:
        found.append(Fault("empty-message", "the length 0 announces no message"))
    return Between(state.limit, state.doubts), found


def _go_on(state: Inside, packet: bytes | memoryview) -> tuple[PacketState, Found]:
    """Take a piece; an empty one is none."""
    if not packet:
        return state, []
    waiting = state.waiting + len(packet)
    pieces = (*state.pieces, packet)
    if waiting >= state.length:
        message = packet if len(pieces) == 1 else b"".join(pieces)
        return Between(state.limit, state.doubts), [memoryview(message)[: state.length]]
    if len(pieces) > MAX_WAITING_PIECES:
        pieces = glue(pieces)
    return Inside(state.limit, state.doubts, state.length, pieces, waiting), []


def _pack(message: TransportMessage, mtu: int | None) -> list[Packet]:
    encoded = encode_bare_transport_message(message)
    return [(packet,) for packet in fragment(encoded, COMPAT_PIECE if mtu is None else mtu)]


def _pack_compat(message: TransportMessage, _mtu: int | None) -> list[Packet]:
    encoded = encode_bare_transport_message(message, ends_after_payload=True)
    return [(packet,) for packet in fragment(encoded, COMPAT_PIECE, compat=True)]


BLE: Final = Form("ble", (), Between(MAX_LENGTH), receive, decode_bare_transport_message, _pack, undecodable_ends=False)
"""Between our own ends: the message of today's nodes, in pieces as long as the connection takes."""

BLE_COMPAT: Final = Form(
    "ble-compat",
    (),
    Between(COMPAT_MAX_LENGTH, doubts=True),
    receive,
    decode_bare_transport_message,
    _pack_compat,
    undecodable_ends=False,
)
"""What programs and boards of 2022 speak; such an end also sends last pieces of eight bytes, which are in doubt."""
