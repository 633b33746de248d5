"""The receiving half of recovery: pieces in any order become the stream, and the stream becomes messages again.

A batch of packets is first sorted into runs (numbers and pieces in a row), so that what is done for each packet is
little; a run is then one piece to the rest.  That this changes nothing is a property test.  Pure.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.links.framing import MAX_WAITING_CHUNKS, AwaitingFrame, FramingState, glue
from ockam_ref.links.framing import receive as cut_frames
from ockam_ref.links.recovery_flight import Span
from ockam_ref.links.recovery_packets import (
    MAX_ACK_RANGES,
    PIECE,
    PIECE_HEAD_BYTES,
    PIECE_HURRY,
    Acknowledgement,
    Packet,
    encode_acknowledgement,
    read_piece_head,
)
from ockam_ref.links.rtt import MAX_ACK_DELAY_S

WINDOW_BYTES: Final = 8 * 1024 * 1024
"""A sender goes no further than this beyond what is complete; so much may wait for a missing piece."""

MAX_GAPS: Final = 1024
"""Holes in what has come; a piece that would make one more is dropped and not acknowledged, so it comes again."""

PACKETS_PER_ACK: Final = 16
"""So many packets are acknowledged at once, fewer within ``MAX_ACK_DELAY_S``; so is what its sender waits for."""

Island: TypeAlias = tuple[int, int, tuple[bytes | memoryview, ...]]
"""Bytes of the stream behind a hole: where they begin and end, and they."""

_FIRST: Final = itemgetter(0)


class Pieces(NamedTuple):
    """Packets in a row: numbers ``first`` to ``stop`` (not included), their bytes from the offset ``start`` on."""

    first: int
    stop: int
    start: int
    parts: list[Packet]


class Receiver(NamedTuple):
    """One direction of a connection, seen from where it ends.

    ``ranges`` are the newest received packet numbers, ascending; the stream is complete up to ``offset``, and
    ``islands`` lie behind it; ``unanswered`` packets came since the last acknowledgement, which is due at ``ack_at``.
    """

    connection: int
    ranges: tuple[Span, ...] = ()
    offset: int = 0
    islands: tuple[Island, ...] = ()
    framing: FramingState = AwaitingFrame()
    unanswered: int = 0
    ack_at: float | None = None
    largest_at: float = 0.0

    @property
    def held(self) -> int:
        """Bytes that wait for a missing piece or for the rest of their message."""
        waiting = self.framing.waiting if isinstance(self.framing, AwaitingFrame) else 0
        return waiting + sum([end - start for start, end, _ in self.islands])


class Sorted(NamedTuple):
    """A batch of packets: pieces in rows, whether a sender is in a hurry, and the packets that are something else."""

    rows: list[Pieces]
    hurry: bool
    others: list[Packet]


def sort_packets(packets: Iterable[Packet], connection: int) -> Sorted:
    """Sort a batch; what is too short, or of another kind or connection, is among the others."""
    rows: list[Pieces] = []
    others: list[Packet] = []
    hurry = False
    parts: list[Packet] = []
    first = number = start = offset = -1
    for packet in packets:
        size = len(packet) - PIECE_HEAD_BYTES
        if size <= 0:
            others.append(packet)
            continue
        kind, named, count, at = read_piece_head(packet)
        if named != connection or kind > PIECE_HURRY or kind < PIECE:
            others.append(packet)
            continue
        if kind == PIECE_HURRY:
            hurry = True
        if count != number or at != offset:
            if parts:
                rows.append(Pieces(first, number, start, parts))
            parts, first, start = [], count, at
            number, offset = count, at
        parts.append(packet[PIECE_HEAD_BYTES:])
        number += 1
        offset += size
    if parts:
        rows.append(Pieces(first, number, start, parts))
    return Sorted(rows, hurry, others)


def take(receiver: Receiver, rows: list[Pieces], now: float, *, hurry: bool) -> tuple[Receiver, list[memoryview]]:
    """Take pieces; return the messages that they complete.

    The framing may be broken afterwards: the sender of the stream broke the rules.
    """
    ranges, islands, offset = list(receiver.ranges), list(receiver.islands), receiver.offset
    limit = offset + WINDOW_BYTES
    due: list[bytes] = []
    unanswered, is_uneven = receiver.unanswered, hurry
    largest = ranges[-1][1] if ranges else 0
    for first, stop, start, parts in rows:
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        end = start + len(data)
        if end > limit or (start > offset and len(islands) >= MAX_GAPS):
            continue
        is_uneven = is_uneven or first != largest
        _add_range(ranges, first, stop)
        largest = ranges[-1][1]
        unanswered += stop - first
        if end <= offset:
            continue
        if start > offset:
            _add_island(islands, start, bytes(data))
            continue
        due.append(bytes(data[offset - start :]))
        offset = end
        while islands and islands[0][0] <= offset:
            begin, end, chunks = islands.pop(0)
            if end > offset:
                due.append(b"".join(chunks)[offset - begin :])
                offset = end
    framing = receiver.framing
    messages: list[memoryview] = []
    if due:
        framing, messages = cut_frames(framing, due[0] if len(due) == 1 else b"".join(due))
    if unanswered == receiver.unanswered:
        return receiver, []
    ack_at = receiver.ack_at
    if is_uneven or unanswered >= PACKETS_PER_ACK:
        ack_at = now
    elif ack_at is None:
        ack_at = now + MAX_ACK_DELAY_S
    is_newer = not receiver.ranges or ranges[-1][1] > receiver.ranges[-1][1]
    return Receiver(
        receiver.connection,
        tuple(ranges[-MAX_ACK_RANGES:]),
        offset,
        tuple(islands),
        framing,
        unanswered,
        ack_at,
        now if is_newer else receiver.largest_at,
    ), messages


def _add_range(ranges: list[Span], first: int, stop: int) -> None:
    """Put packet numbers to the others, in place."""
    if ranges and ranges[-1][1] == first:
        ranges[-1] = (ranges[-1][0], stop)
        return
    if not ranges or first > ranges[-1][1]:
        ranges.append((first, stop))
        return
    low = bisect_left(ranges, first, key=itemgetter(1))
    high = bisect_right(ranges, stop, key=_FIRST)
    if low < high:
        first, stop = min(first, ranges[low][0]), max(stop, ranges[high - 1][1])
    ranges[low:high] = [(first, stop)]


def _add_island(islands: list[Island], start: int, data: bytes) -> None:
    """Put bytes behind a hole to the others, in place; what is there already is kept."""
    place = bisect_right(islands, start, key=_FIRST)
    if place and islands[place - 1][1] > start:
        data, start = data[islands[place - 1][1] - start :], islands[place - 1][1]
    while data:
        is_last = place == len(islands)
        part = data if is_last else data[: islands[place][0] - start]
        if part:
            place = _insert(islands, place, start, part)
        if is_last or place == len(islands):
            return
        data, start = data[max(islands[place][1] - start, 0) :], islands[place][1]
        place += 1


def _insert(islands: list[Island], place: int, start: int, data: bytes) -> int:
    """Put bytes where nothing is, in front of the island at ``place``; return the place behind them."""
    end = start + len(data)
    if place and islands[place - 1][1] == start:
        begin, _, chunks = islands[place - 1]
        chunks = (*chunks, data)
        islands[place - 1] = (begin, end, chunks if len(chunks) <= MAX_WAITING_CHUNKS else glue(chunks))
        return place
    islands.insert(place, (start, end, (data,)))
    return place + 1


def acknowledge_now(receiver: Receiver, now: float) -> tuple[Receiver, bytes]:
    """Return the acknowledgement of all that has come."""
    packet = encode_acknowledgement(
        Acknowledgement(
            receiver.connection,
            receiver.offset + WINDOW_BYTES,
            max(0, round((now - receiver.largest_at) * 1e6)),
            receiver.ranges,
        )
    )
    return receiver._replace(unanswered=0, ack_at=None), packet
