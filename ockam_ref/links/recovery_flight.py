"""What is on its way: packets that were sent and neither acknowledged nor given up (RFC 9002 section 6).

Packets that were sent together, with numbers and pieces in a row, are one ``Run``; everything here costs by runs, of
which there are few, and not by packets.  Pure.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

PACKET_THRESHOLD: Final = 3
"""A packet is lost once so many later ones are acknowledged, until the path was seen to reorder more than that."""

MAX_PACKET_THRESHOLD: Final = 256
"""However much a path reorders, so many later packets prove a loss."""

EARLY_FRACTION: Final = 0.125
"""A packet is lost when it is older than a round trip and this part of one, and a later one is acknowledged."""

MAX_EARLY_FRACTION: Final = 1.0
"""The part grows up to this while packets that were given up turn up after all."""

Span: TypeAlias = tuple[int, int]
"""From the first, up to and without the second."""


class Run(NamedTuple):
    """Packets ``first`` to ``stop`` (not included) with the bytes ``start`` to ``end`` of the stream.

    There are ``piece`` bytes in each but the last.  The rest says when they were sent, and what had been delivered
    then: see ``ockam_ref.links.congestion``.
    """

    first: int
    stop: int
    start: int
    end: int
    piece: int
    sent_at: float
    delivered: int
    delivered_at: float
    first_sent_at: float
    limited: bool

    def part(self, first: int, stop: int) -> "Run":
        """Return the packets ``first`` to ``stop`` of it."""
        start = self.start + (first - self.first) * self.piece
        end = min(self.end, self.start + (stop - self.first) * self.piece)
        return Run(first, stop, start, end, *self[4:])


class Tolerance(NamedTuple):
    """How much reordering is taken for no loss; it grows with what is seen of it."""

    packets: int = PACKET_THRESHOLD
    fraction: float = EARLY_FRACTION

    def grown(self, distance: int) -> "Tolerance":
        """Return it after a packet that was given up came, ``distance`` packets late."""
        packets = min(max(self.packets, distance + 1), MAX_PACKET_THRESHOLD)
        return Tolerance(packets, min(self.fraction * 2, MAX_EARLY_FRACTION))


def settle(flight: Iterable[Run], ranges: Sequence[Span]) -> tuple[list[Run], list[Run]]:
    """Split what is on its way into what remains and what the ranges acknowledge; all ascend by packet number."""
    left: list[Run] = []
    acknowledged: list[Run] = []
    place, count = 0, len(ranges)
    for run in flight:
        at, stop = run.first, run.stop
        while place < count and ranges[place][1] <= at:
            place += 1
        if place < count and ranges[place][0] <= at and ranges[place][1] >= stop:
            acknowledged.append(run)
            continue
        while place < count and ranges[place][0] < stop:
            begin, end = max(ranges[place][0], at), min(ranges[place][1], stop)
            if at < begin:
                left.append(run.part(at, begin))
            acknowledged.append(run.part(begin, end))
            at = end
            if end == stop:
                break
            place += 1
        if at == run.first:
            left.append(run)
        elif at < stop:
            left.append(run.part(at, stop))
    return left, acknowledged


def give_up(
    flight: Sequence[Run], largest: int, tolerance: Tolerance, sent_before: float
) -> tuple[list[Run], list[Run], float | None]:
    """Split what is on its way into what may still come and what is lost, now that ``largest`` was acknowledged.

    Lost is what ``tolerance.packets`` or more later packets overtook, or what was sent at or before ``sent_before``
    and overtaken at all.  Also returned: when the oldest of the rest that was overtaken was sent.
    """
    threshold = largest - tolerance.packets + 1
    left: list[Run] = []
    lost: list[Run] = []
    oldest: float | None = None
    for place, run in enumerate(flight):
        if run.first >= largest:
            left += flight[place:]
            break
        stop = min(run.stop, largest if run.sent_at <= sent_before else threshold)
        if stop >= run.stop:
            lost.append(run)
            continue
        if stop > run.first:
            lost.append(run.part(run.first, stop))
            run = run.part(stop, run.stop)  # noqa: PLW2901
        left.append(run)
        if oldest is None and run.first < largest:
            oldest = run.sent_at
    return left, lost, oldest


def bytes_of(runs: Iterable[Run]) -> int:
    """Return how many bytes of the stream the runs hold."""
    return sum([run.end - run.start for run in runs])


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same numbers as ascending spans that do not touch."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            if end > whole[-1][1]:
                whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return tuple(whole)


def without(spans: Iterable[Span], start: int, end: int) -> tuple[Span, ...]:
    """Return the spans without the numbers from ``start`` to ``end``."""
    left: list[Span] = []
    for first, stop in spans:
        if stop <= start or first >= end:
            left.append((first, stop))
            continue
        if first < start:
            left.append((first, start))
        if stop > end:
            left.append((end, stop))
    return tuple(left)
