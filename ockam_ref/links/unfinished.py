"""One message of which slices are still missing: a table of two levels, cheap to copy and to write to.

``Unfinished`` is the frozen form that a state holds, ``Draft`` the one that a batch of datagrams is worked into.
Slices lie in parts of 256, so that one of them costs a copy of two short tuples at most; those of one batch share
these copies.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH
from ockam_ref.wire.udp_datagram import AnySlice, LegacySlice, Slice, slice_heads

SLICE_COST: Final = 64
"""What a waiting slice costs beside its bytes."""

BLOCK: Final = 256
"""Slices in one part of the table; a message has at most 256 parts."""

_Block: TypeAlias = tuple[bytes | None, ...]


class Unfinished(NamedTuple):
    """A message of which slices are missing.

    ``size`` is the length of every slice but the last, 0 while none has come; ``total`` is 0 while only the last one
    could tell it (the older form).  ``last`` is kept apart, ``last_offset`` says where it belongs.
    ``kept`` slices lie in ``blocks``, and all together cost ``cost`` bytes.
    """

    legacy: bool
    total: int
    size: int = 0
    kept: int = 0
    blocks: tuple[_Block | None, ...] = ()
    last: bytes | None = None
    last_offset: int = 0
    cost: int = 0


class Draft:
    """An unfinished message while a batch is worked off: its parts become lists when they are written to."""

    __slots__ = ("blocks", "cost", "kept", "last", "last_offset", "legacy", "number", "size", "total", "written")

    def __init__(self, number: int, place: Unfinished) -> None:
        self.number = number
        self.legacy, self.total, self.size, self.kept, blocks, self.last, self.last_offset, self.cost = place
        self.blocks: list[_Block | list[bytes | None] | None] = list(blocks)
        self.written: set[int] = set()

    def freeze(self) -> Unfinished:
        """Return what a state can hold."""
        for index in self.written:
            self.blocks[index] = tuple(self.blocks[index] or ())
        blocks: tuple[_Block | None, ...] = tuple(self.blocks)  # type: ignore[arg-type]  # no list is left
        return Unfinished(self.legacy, self.total, self.size, self.kept, blocks, self.last, self.last_offset, self.cost)

    def block(self, index: int) -> list[bytes | None]:
        """Return the part of the table with that number, to write to."""
        blocks = self.blocks
        if index >= len(blocks):
            blocks.extend([None] * (index + 1 - len(blocks)))
        found = blocks[index]
        if isinstance(found, list):
            return found
        if found is None:
            length = min(BLOCK, self.total - index * BLOCK) if self.total else BLOCK
            found = (None,) * length
            self.cost += 8 * length + SLICE_COST
        thawed = list(found)
        self.written.add(index)
        blocks[index] = thawed
        return thawed

    def get(self, index: int) -> bytes | None:
        """Return the slice with that number, if it has come."""
        part, rest = divmod(index, BLOCK)
        block = self.blocks[part] if part < len(self.blocks) else None
        return None if block is None else block[rest]

    def add(self, piece: AnySlice) -> bool:
        """Keep a slice that does not contradict the others; return whether it had not come before."""
        data = bytes(piece.data)
        if _is_last(piece):
            if self.last is not None:
                return False
            self.last, self.last_offset = data, piece.offset
        else:
            part, rest = divmod(_index_of(piece), BLOCK)
            block = self.block(part)
            if block[rest] is not None:
                return False
            block[rest] = data
            self.size = len(data)
            self.kept += 1
        self.cost += len(data) + SLICE_COST
        return True

    def end(self) -> int:
        """Return at which byte the slices end that are there, at least one, not counting the last of the message."""
        part = max(index for index, block in enumerate(self.blocks) if block)
        rest = max(index for index, data in enumerate(self.blocks[part] or ()) if data is not None)
        return (part * BLOCK + rest + 1) * self.size

    def follow(self, datagrams: Sequence[bytes], position: int, piece: AnySlice) -> int:
        """Take the datagrams that continue this message slice by slice, as a sender writes them; return how many.

        A benchmark asked for it: what follows in order is compared with what is expected instead of being decoded.
        """
        if isinstance(piece, LegacySlice) or not self.size or len(piece.data) != self.size:
            return 0
        size, first = self.size, piece.offset + 1
        stop = min(self.total - 1, MAX_MESSAGE_LENGTH // size, first + len(datagrams) - position)
        index = first
        for heads in slice_heads(self.number, first, stop, self.total, size):
            at = position + index - first
            run = datagrams[at : at + len(heads)]
            part, rest = divmod(index, BLOCK)
            block = self.block(part)
            count = _matching(run, heads, size, block[rest : rest + len(heads)])
            start = len(heads[0])
            block[rest : rest + count] = [datagram[start:] for datagram in run[:count]]
            index += count
            if count < len(heads):
                break
        taken = index - first
        self.kept += taken
        self.cost += taken * (size + SLICE_COST)
        return taken

    def message(self) -> bytes | None:
        """Return the whole message if nothing is missing."""
        if self.last is None:
            return None
        if self.legacy and self.size:
            self.total = self.last_offset // self.size + 1
        elif self.legacy and not self.last_offset:
            self.total = 1
        if not self.total or self.kept != self.total - 1:
            return None
        return b"".join((*filter(None, chain.from_iterable(filter(None, self.blocks))), self.last))


def _matching(datagrams: Sequence[bytes], heads: list[bytes], size: int, places: list[bytes | None]) -> int:
    """Return how many datagrams have these heads and slices of that size, and find their places empty."""
    start = len(heads[0])
    if (
        [datagram[:start] for datagram in datagrams] == heads
        and set(map(len, datagrams)) == {start + size}
        and places.count(None) == len(places)
    ):
        return len(heads)
    tried = enumerate(zip(datagrams, heads, places, strict=True))
    return next(
        index
        for index, (datagram, head, place) in tried
        if place is not None or len(datagram) != start + size or not datagram.startswith(head)
    )


def _is_last(piece: AnySlice) -> bool:
    """Return whether the slice ends its message."""
    return piece.is_last if isinstance(piece, LegacySlice) else piece.offset == piece.total - 1


def _index_of(piece: AnySlice) -> int:
    """Return the slice number; that of the older form follows from its offset, since only the last one is shorter."""
    return piece.offset // len(piece.data) if isinstance(piece, LegacySlice) else piece.offset


def fault_of(piece: AnySlice) -> str | None:
    """Return what is wrong with a slice by itself."""
    length = len(piece.data)
    if isinstance(piece, LegacySlice):
        end = piece.offset + length
        if not length and not (piece.is_last and piece.offset):
            return "an empty slice"
        if not piece.is_last and piece.offset % length:
            return f"{length} bytes at offset {piece.offset}"
    else:
        if piece.offset >= piece.total:
            return f"slice {piece.offset} of {piece.total}"
        if not length and (piece.total == 1 or piece.offset != piece.total - 1):
            return "an empty slice"
        end = length if piece.offset == piece.total - 1 else (piece.offset + 1) * length
    return f"it ends at byte {end} of a message" if end > MAX_MESSAGE_LENGTH else None


def contradicts(draft: Draft, piece: AnySlice) -> bool:
    """Whether the slice cannot belong to the message that its number names."""
    if isinstance(piece, LegacySlice) is not draft.legacy or (isinstance(piece, Slice) and piece.total != draft.total):
        return True
    if _is_last(piece):
        if draft.last is not None:
            return (draft.last_offset, draft.last) != (piece.offset, piece.data)
        return draft.legacy and draft.size > 0 and not _fits(piece.offset, draft.end() - draft.size, draft.size)
    length = len(piece.data)
    if draft.size not in {0, length}:
        return True
    if draft.legacy and draft.last is not None and not _fits(draft.last_offset, piece.offset, length):
        return True
    known = draft.get(_index_of(piece))
    return known is not None and known != piece.data


def _fits(last: int, offset: int, size: int) -> bool:
    """Whether a last slice at one byte offset can follow a slice of that size at another one."""
    return last > offset and last % size == 0
