"""The fast twin of the route reader, for the one form that nodes write on every packet.

Short heads, at most eight hops, transport types below 24.
``IndexError`` means that the bytes are unusual or cut short: the caller then asks the general reader, whose answer
counts.  A property test keeps the two equal.
"""

from functools import lru_cache
from typing import Final

from ockam_ref.wire.cursor import Buffer, Cursor
from ockam_ref.wire.route import Route, read_route_cbor

_MEMO_ENTRIES: Final = 4096
_MEMO_BYTES: Final = 400
"""Longer pairs of routes are not remembered, so that a stranger makes us keep ten megabytes at most."""
_USUAL_HOPS: Final = 8


def read_usual_routes(data: Buffer, position: int) -> tuple[Route, Route, int]:
    """Return onward route, return route and where they end.

    The routes of a packet are mostly those of an earlier one, so the pair is looked up by its bytes; that also shares
    the addresses, whose hashes tables then need not compute again.

    Raises:
        IndexError: unusual, or cut short.
    """
    stop = _skip_usual_route(data, _skip_usual_route(data, position))
    if stop - position > _MEMO_BYTES or stop > len(data):
        raise IndexError
    onward_route, return_route = _routes(bytes(data[position:stop]))
    return onward_route, return_route, stop


def _skip_usual_route(data: Buffer, position: int) -> int:
    count = data[position]
    position += 1
    if not 0x80 <= count <= 0x80 + _USUAL_HOPS:
        raise IndexError
    for _ in range(count - 0x80):
        if data[position] != 0x82 or data[position + 1] > 23:
            raise IndexError
        head = data[position + 2]
        if 0x40 <= head < 0x58:
            position += head - 0x40 + 3
        elif head == 0x58:
            position += data[position + 3] + 4
        else:
            raise IndexError
    return position


@lru_cache(_MEMO_ENTRIES)
def _routes(raw: bytes) -> tuple[Route, Route]:
    cursor = Cursor(raw)
    return read_route_cbor(cursor), read_route_cbor(cursor)


def usual_bytes_bounds(data: Buffer, position: int) -> tuple[int, int]:
    """Return where the content of the byte string at ``position`` begins and where it should end.

    Raises:
        IndexError: no byte string of less than 4 GiB, or its head is cut short.
    """
    head = data[position]
    position += 1
    if 0x40 <= head < 0x58:
        return position, position + head - 0x40
    if not 0x58 <= head <= 0x5A:
        raise IndexError
    start = position + (1 << (head - 0x58))
    if start > len(data):
        raise IndexError
    return start, start + int.from_bytes(data[position:start], "big")
