"""The stream that a sender of recovery makes of its messages, and the packets that are cut from it.

A message is its length in four bytes and its bytes, as in a TCP frame.  The stream is kept in blocks until its bytes
are acknowledged; messages that wait are glued where they are small, so that their number costs nothing.  Pure.
"""

from bisect import bisect_right
from operator import itemgetter
from typing import Final, TypeAlias

from ockam_ref.links.recovery_flight import Span
from ockam_ref.links.recovery_packets import PIECE, piece_head

MAX_LOOSE_BLOCKS: Final = 128
"""Blocks are glued when there are more of them."""

BLOCK_BYTES: Final = 65_536
"""Blocks shorter than this are glued with their neighbours."""

Chunk: TypeAlias = bytes | bytearray | memoryview
Block: TypeAlias = tuple[int, memoryview]
Blocks: TypeAlias = tuple[Block, ...]
"""Where a block begins in the stream, and its bytes; one after the other, without a gap."""

_BLOCK_START: Final = itemgetter(0)


def appended(blocks: Blocks, end: int, chunks: tuple[Chunk, ...]) -> tuple[Blocks, int]:
    """Return the blocks with one more message behind the offset ``end``, and the new end of the stream."""
    length = sum(map(len, chunks))
    block = memoryview(b"".join((length.to_bytes(4, "big"), *chunks)))
    blocks = (*blocks, (end, block))
    if len(blocks) % MAX_LOOSE_BLOCKS == 0:
        blocks = _glued(blocks)
    return blocks, end + 4 + length


def _glued(blocks: Blocks) -> Blocks:
    groups: list[list[Block]] = []
    size = BLOCK_BYTES
    for block in blocks:
        if size >= BLOCK_BYTES or len(block[1]) >= BLOCK_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(block)
        size += len(block[1])
    return tuple(
        group[0] if len(group) == 1 else (group[0][0], memoryview(b"".join([data for _, data in group])))
        for group in groups
    )


def trimmed(blocks: Blocks, floor: int) -> Blocks:
    """Return the blocks without those that end at or before the offset ``floor``."""
    place = 0
    while place < len(blocks) and blocks[place][0] + len(blocks[place][1]) <= floor:
        place += 1
    return blocks[place:] if place else blocks


def cut(blocks: Blocks, span: Span, piece: int, connection: int, number: int) -> list[bytes]:
    """Return packets with the bytes of the span, ``piece`` in each, with numbers from ``number`` on.

    The span lies within the blocks.
    """
    packets: list[bytes] = []
    at, end = span
    place = bisect_right(blocks, at, key=_BLOCK_START) - 1
    while at < end:
        first, data = blocks[place]
        begin, stop = at - first, first + len(data)
        if at >= stop:
            place += 1
            continue
        whole = (min(end, stop) - at) // piece
        if whole:  # the way of nearly every packet
            length = whole * piece
            numbers, offsets = range(number, number + whole), range(at, at + length, piece)
            packets += [
                piece_head(PIECE, connection, count, offset) + data[one : one + piece]
                for count, offset, one in zip(numbers, offsets, range(begin, begin + length, piece), strict=True)
            ]
            at += length
        else:
            last = min(at + piece, end)
            part = data[begin : last - first] if last <= stop else _gather(blocks, place, at, last)
            packets.append(piece_head(PIECE, connection, number, at) + part)
            whole, at = 1, last
        number += whole
    return packets


def _gather(blocks: Blocks, place: int, at: int, last: int) -> bytes:
    """Return the bytes ``at`` to ``last``, out of as many blocks as hold them."""
    parts: list[memoryview] = []
    while at < last:
        first, data = blocks[place]
        part = data[at - first : last - first]
        parts.append(part)
        at += len(part)
        place += 1
    return b"".join(parts)
