"""The packets of recovery: pieces of a byte stream one way, acknowledgements the other (spec page "Recovery").

All integers are big-endian.  The first byte of every packet is a CBOR byte string's, so no packet can be mistaken for
the array of five that an ordinary UDP datagram is (facts 08 section 2), nor the other way round.

* piece: kind (1), connection (8), packet number (8), offset in the stream (8), 1 or more bytes of the stream;
* acknowledgement: kind (1), connection (8), limit (8), largest packet number (8), delay in microseconds (4), then
  32-bit counts from the largest number downward: received, missing, received, ... , received; none is 0;
* gone: kind (1), connection (8).
"""

import struct
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import DecodeError, ErrorCode

PIECE: Final = 0x40
"""Kind of a packet with a piece of the stream."""

PIECE_HURRY: Final = 0x41
"""The same; its sender cannot go on without an acknowledgement, so it is not delayed."""

ACKNOWLEDGEMENT: Final = 0x42
"""Kind of a packet that says what has come and how far the stream may go on."""

GONE: Final = 0x43
"""Kind of a packet that says that its sender does not know that connection, or knows it no more."""

MAX_ACK_RANGES: Final = 60
"""Runs of received packet numbers in one acknowledgement of 505 bytes; older ones were in many before it."""

MAX_COUNT: Final = 0xFFFFFFFF
"""The largest count in an acknowledgement; what is older than a longer run is left out, for it was said before."""

PIECE_HEAD_BYTES: Final = 25
"""Bytes of a packet in front of its piece."""

ACK_HEAD_BYTES: Final = 29
"""Bytes of an acknowledgement in front of its counts."""

GONE_BYTES: Final = 9
"""Length of a packet of kind ``GONE``."""

Packet: TypeAlias = bytes | memoryview

_KIND_BITS: Final = 0xFC
_PIECE: Final = struct.Struct(">BQQQ")
_ACK: Final = struct.Struct(">BQQQI")
_GONE: Final = struct.Struct(">BQ")

piece_head: Final = _PIECE.pack
"""``piece_head(kind, connection, number, offset)``: what stands in front of a piece."""

read_piece_head: Final = _PIECE.unpack_from
"""``read_piece_head(packet)``: kind, connection, number, offset; the packet has ``PIECE_HEAD_BYTES`` or more."""


class Acknowledgement(NamedTuple):
    """What the receiver of a stream says of it.

    ``limit`` is the first offset that must not be sent yet.  ``ranges`` are the received packet numbers as pairs
    (first, one behind the last), ascending; ``delay_us`` is how long the largest of them waited for this.
    """

    connection: int
    limit: int
    delay_us: int
    ranges: tuple[tuple[int, int], ...]


def is_recovery_packet(datagram: Packet) -> bool:
    """Whether a datagram belongs to recovery, by its first byte."""
    return len(datagram) > 0 and datagram[0] & _KIND_BITS == PIECE


def connection_of(packet: Packet) -> int | None:
    """Return the connection that a packet names, or ``None`` where it is too short for one."""
    return int.from_bytes(packet[1:9], "big") if len(packet) >= GONE_BYTES else None


def encode_gone(connection: int) -> bytes:
    """Return the packet that ends a connection."""
    return _GONE.pack(GONE, connection)


def encode_acknowledgement(acknowledgement: Acknowledgement) -> bytes:
    """Return the packet; of more than ``MAX_ACK_RANGES`` ranges the newest are taken."""
    connection, limit, delay_us, ranges = acknowledgement
    newest = ranges[-MAX_ACK_RANGES:]
    counts = [newest[-1][1] - newest[-1][0]]
    for (first, stop), (above, _) in zip(newest[-2::-1], newest[:0:-1], strict=True):
        counts += (above - stop, stop - first)
    if max(counts) > MAX_COUNT:
        counts = _cut_counts(counts)
    head = _ACK.pack(ACKNOWLEDGEMENT, connection, limit, newest[-1][1] - 1, min(delay_us, MAX_COUNT))
    return head + struct.pack(f">{len(counts)}I", *counts)


def _cut_counts(counts: list[int]) -> list[int]:
    """Keep what stands above the first count that is too long; of a run of received packets its newest part too."""
    place = next(place for place, count in enumerate(counts) if count > MAX_COUNT)
    return [*counts[:place], MAX_COUNT] if place % 2 == 0 else counts[:place]


def decode_acknowledgement(packet: Packet) -> Acknowledgement:
    """Read an acknowledgement.

    Raises:
        DecodeError: it is cut, it has more ranges than are sent, or a count that cannot be.
    """
    size = len(packet) - ACK_HEAD_BYTES
    if size < 4 or size % 8 != 4:
        raise DecodeError(ErrorCode.TRUNCATED, f"an acknowledgement of {len(packet)} bytes", offset=len(packet))
    if size > 8 * MAX_ACK_RANGES:
        raise DecodeError(ErrorCode.TOO_LONG, f"more than {MAX_ACK_RANGES} ranges", offset=ACK_HEAD_BYTES)
    _, connection, limit, largest, delay_us = _ACK.unpack_from(packet)
    counts = struct.unpack_from(f">{size // 4}I", packet, ACK_HEAD_BYTES)
    stop = largest + 1
    edges = [stop]
    for count in counts:
        stop -= count
        edges.append(stop)
    if stop < 0 or 0 in counts:
        raise DecodeError(ErrorCode.OUT_OF_RANGE, "a count that cannot be", offset=ACK_HEAD_BYTES)
    edges.reverse()
    return Acknowledgement(connection, limit, delay_us, tuple(pairwise(edges))[::2])
