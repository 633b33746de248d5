"""The sending half of recovery: when which piece of the stream leaves, and when it leaves again (RFC 9002).

Packets are numbered as they leave, each number once; a piece that is sent again has a new number, so an
acknowledgement says which of the two came.  Pure: every function returns the next state.
"""

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from ockam_ref.links import congestion
from ockam_ref.links.congestion import Path, first_path
from ockam_ref.links.recovery_flight import (
    Run,
    Span,
    Tolerance,
    bytes_of,
    give_up,
    settle,
    united,
    without,
)
from ockam_ref.links.recovery_packets import PIECE_HEAD_BYTES, PIECE_HURRY, Acknowledgement
from ockam_ref.links.recovery_stream import Blocks, Chunk, appended, cut, trimmed
from ockam_ref.links.rtt import Rtt, first_rtt, probe_timeout, with_sample

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Bytes that one sender keeps; a message that does not fit beside others is refused.

Hosts hold their sources long before: see the effect ``Backlog``.
"""

MAX_REMEMBERED_RUNS: Final = 64
"""Runs of packets that were given up and are remembered for a while, to learn whether they came after all."""

CATCH_UP_S: Final = 0.004
"""A host that was late by no more than this makes up for it at once."""

SMALL_PACKET_BYTES: Final = 508
"""What every path takes: the length of an ordinary datagram (facts 08 section 2.1)."""

PROBES_BEFORE_SMALL: Final = 3
"""Unanswered probes after which packets become small, on a path that never acknowledged a long one."""

PROBE_PACKETS: Final = 2
"""Packets of one probe."""

LEAST_SAMPLE_S: Final = 1e-4
"""No round trip is taken for shorter, whatever a clock says."""

LEAST_LOSS_DELAY_S: Final = 0.002
"""An overtaken packet is given this time however short the round trip: hosts swap packets too."""

_HURRY: Final = bytes((PIECE_HURRY,))
_STOP: Final = itemgetter(1)


class Sender(NamedTuple):
    """One direction of a connection, seen from where it begins.

    The stream ends at ``end``; up to ``next_offset`` it was sent at least once; ``again`` has to leave once more.
    ``remembered`` are packets that were given up.  ``outstanding_since`` is when the first of what is on its way left
    after nothing was.
    """

    connection: int
    packet: int
    blocks: Blocks
    end: int
    next_offset: int
    next_number: int
    again: tuple[Span, ...]
    flight: tuple[Run, ...]
    in_flight: int
    remembered: tuple[Run, ...]
    limit: int
    largest: int
    tolerance: Tolerance
    rtt: Rtt
    path: Path
    pace_at: float
    lost_at: float | None
    probe_from: float
    probes: int
    outstanding_since: float
    proven: bool

    @property
    def waiting(self) -> int:
        """Bytes that were given and never sent."""
        return self.end - self.next_offset

    @property
    def kept(self) -> int:
        """Bytes that are kept because they may have to be sent."""
        return self.end - self.blocks[0][0] if self.blocks else 0


def first_sender(connection: int, packet: int, expected_rtt_s: float, limit: int, now: float) -> Sender:
    """Return a sender with nothing to send; ``packet`` is the longest packet, ``limit`` the first limit."""
    return Sender(
        connection=connection,
        packet=packet,
        blocks=(),
        end=0,
        next_offset=0,
        next_number=0,
        again=(),
        flight=(),
        in_flight=0,
        remembered=(),
        limit=limit,
        largest=-1,
        tolerance=Tolerance(),
        rtt=first_rtt(expected_rtt_s),
        path=first_path(packet, now),
        pace_at=now - CATCH_UP_S,
        lost_at=None,
        probe_from=now,
        probes=0,
        outstanding_since=now,
        proven=False,
    )


def give(sender: Sender, chunks: tuple[Chunk, ...]) -> Sender:
    """Put one more message behind the stream."""
    blocks, end = appended(sender.blocks, sender.end, chunks)
    return sender._replace(blocks=blocks, end=end)


def acknowledge(sender: Sender, acknowledgement: Acknowledgement, now: float) -> Sender:
    """Take what the receiver says, of packets that were sent; old news changes nothing."""
    _, limit, delay_us, ranges = acknowledgement
    largest = ranges[-1][1] - 1
    late = False
    if sender.remembered:
        sender, late = _without_late_ones(sender, ranges, now)
    left, settled = settle(sender.flight, _from(ranges, sender.flight))
    limit = max(limit, sender.limit)
    if not settled:
        if late:
            floor = _floor(sender.next_offset, sender.flight, sender.again)
            sender = sender._replace(blocks=trimmed(sender.blocks, floor), probe_from=now, probes=0)
        return sender if limit == sender.limit else sender._replace(limit=limit)
    newest = settled[-1]
    rtt, sample = sender.rtt, None
    if newest.stop > largest >= sender.largest:
        sample, delay = max(now - newest.sent_at, LEAST_SAMPLE_S), delay_us / 1e6
        rtt = with_sample(rtt, sample, delay)
        sample = max(sample - delay, LEAST_SAMPLE_S)
    largest = max(largest, sender.largest)
    left, lost, lost_at = _losses(left, largest, sender.tolerance, rtt, now)
    lost_bytes, acknowledged = bytes_of(lost), bytes_of(settled)
    in_flight = sender.in_flight - acknowledged - lost_bytes
    again, remembered = _with_lost(sender, lost)
    delivery = congestion.Delivery(acknowledged, lost_bytes, newest, sample, in_flight, rtt)
    return sender._replace(
        blocks=trimmed(sender.blocks, _floor(sender.next_offset, left, again)),
        again=again,
        flight=tuple(left),
        in_flight=in_flight,
        remembered=remembered,
        limit=limit,
        largest=largest,
        rtt=rtt,
        path=congestion.after_acknowledgement(sender.path, delivery, now),
        lost_at=lost_at,
        probe_from=now,
        probes=0,
        proven=sender.proven or any(_has_long_packet(run) for run in settled),
    )


def _has_long_packet(run: Run) -> bool:
    return run.end - run.start >= run.piece > SMALL_PACKET_BYTES - PIECE_HEAD_BYTES


def _from(ranges: Sequence[Span], runs: tuple[Run, ...]) -> Sequence[Span]:
    """Return the ranges without those that end before all runs."""
    if not runs or ranges[0][1] > runs[0].first:
        return ranges
    return ranges[bisect_right(ranges, runs[0].first, key=_STOP) :]


def _floor(next_offset: int, flight: Sequence[Run], again: tuple[Span, ...]) -> int:
    """Return the offset before which nothing has to be sent again."""
    floor = min([run.start for run in flight], default=next_offset)
    return min(floor, again[0][0]) if again else floor


def _without_late_ones(sender: Sender, ranges: Sequence[Span], now: float) -> tuple[Sender, bool]:
    """Look for packets that were given up and came after all: what waits to be sent again for them need not be.

    Their round trips count too; those of packets that were early enough alone would tell of a better path.
    """
    left, late = settle(sender.remembered, _from(ranges, sender.remembered))
    if not late:
        return sender, False
    again, tolerance, rtt = sender.again, sender.tolerance, sender.rtt
    for run in late:
        rtt = with_sample(rtt, now - run.sent_at, 0.0)
        again = without(again, run.start, run.end)
        tolerance = tolerance.grown(ranges[-1][1] - 1 - run.first)
    path = congestion.after_losses(sender.path, -bytes_of(late))
    return sender._replace(remembered=tuple(left), again=again, tolerance=tolerance, rtt=rtt, path=path), True


def _losses(
    left: list[Run], largest: int, tolerance: Tolerance, rtt: Rtt, now: float
) -> tuple[list[Run], list[Run], float | None]:
    if not left or left[0].first >= largest:
        return left, [], None
    delay = (1 + tolerance.fraction) * max(rtt.smoothed, rtt.latest, LEAST_LOSS_DELAY_S)
    left, lost, oldest = give_up(left, largest, tolerance, now - delay)
    return left, lost, None if oldest is None else oldest + delay


def _with_lost(sender: Sender, lost: list[Run]) -> tuple[tuple[Span, ...], tuple[Run, ...]]:
    """Return what has to be sent again, and what is remembered of packets that were given up."""
    if not lost:
        return sender.again, sender.remembered
    again = united([*sender.again, *((run.start, run.end) for run in lost)])
    return again, tuple(sorted([*sender.remembered, *lost])[-MAX_REMEMBERED_RUNS:])


def look_for_losses(sender: Sender, now: float) -> Sender:
    """Give up what was overtaken and is too old by now."""
    left, lost, lost_at = _losses(list(sender.flight), sender.largest, sender.tolerance, sender.rtt, now)
    again, remembered = _with_lost(sender, lost)
    return sender._replace(
        again=again,
        flight=tuple(left),
        in_flight=sender.in_flight - bytes_of(lost),
        remembered=remembered,
        lost_at=lost_at,
        path=congestion.after_losses(sender.path, bytes_of(lost)),
    )


def probe(sender: Sender, now: float) -> tuple[Sender, list[bytes]]:
    """Nothing was acknowledged for too long: send the oldest packets again, beyond window and pace."""
    packet = sender.packet
    if not sender.proven and sender.probes >= PROBES_BEFORE_SMALL:
        packet = min(packet, SMALL_PACKET_BYTES)
    oldest = sender.flight[0]
    taken = oldest.part(oldest.first, min(oldest.first + PROBE_PACKETS, oldest.stop))
    rest = sender.flight[1:]
    if taken.stop < oldest.stop:
        rest = (oldest.part(taken.stop, oldest.stop), *rest)
    _, remembered = _with_lost(sender, [taken])
    sender = sender._replace(
        packet=packet,
        flight=rest,
        in_flight=sender.in_flight - (taken.end - taken.start),
        remembered=remembered,
        probes=sender.probes + 1,
    )
    return _send(sender, [(taken.start, taken.end)], now)


def transmit(sender: Sender, now: float) -> tuple[Sender, list[bytes]]:
    """Send what window, pace and limit let leave now: first what was lost, then what is new."""
    stop = min(sender.end, sender.limit)
    if not sender.again and sender.next_offset >= stop:
        return sender, []
    base = max(sender.pace_at, now - CATCH_UP_S)
    if base > now:
        return sender, []
    piece = sender.packet - PIECE_HEAD_BYTES
    rate = congestion.pace(sender.path, sender.rtt.smoothed)
    burst = int(congestion.quantum(sender.path, rate) + (now - base) * rate)
    pieces = min(congestion.window(sender.path) - sender.in_flight, burst) // piece
    if pieces <= 0:
        return sender, []
    spans, again, next_offset = _choose(sender, stop, piece, pieces)
    sent = sum([end - start for start, end in spans])
    sender = sender._replace(
        again=again,
        next_offset=next_offset,
        pace_at=base + sent / rate,
        outstanding_since=sender.outstanding_since if sender.flight else now,
    )
    return _send(sender, spans, now)


def _choose(sender: Sender, stop: int, piece: int, pieces: int) -> tuple[list[Span], tuple[Span, ...], int]:
    """Return what to send in so many pieces, what is still to be sent again, and where the new begins."""
    again, next_offset = sender.again, sender.next_offset
    spans: list[Span] = []
    for place, (start, end) in enumerate(again):
        part = min(end - start, pieces * piece)
        spans.append((start, start + part))
        pieces -= -(-part // piece)
        if start + part < end:
            return spans, ((start + part, end), *again[place + 1 :]), next_offset
        if not pieces:
            return spans, again[place + 1 :], next_offset
    part = min(stop - next_offset, pieces * piece)
    if part > 0:
        spans.append((next_offset, next_offset + part))
    return spans, (), next_offset + max(part, 0)


def _send(sender: Sender, spans: list[Span], now: float) -> tuple[Sender, list[bytes]]:
    """Return the packets of the spans, which are on their way from now on."""
    path, piece = sender.path, sender.packet - PIECE_HEAD_BYTES
    if not sender.flight:
        path = congestion.after_silence(path, now)
    number = sender.next_number
    in_flight = sender.in_flight + sum([end - start for start, end in spans])
    is_dry = not sender.again and sender.next_offset >= sender.end
    if is_dry and in_flight < congestion.window(path):
        path = congestion.after_running_dry(path, in_flight)
    limited = path.delivered < path.limited_until
    packets: list[bytes] = []
    runs: list[Run] = []
    for start, end in spans:
        packets += cut(sender.blocks, (start, end), piece, sender.connection, number)
        stop = sender.next_number + len(packets)
        runs.append(
            Run(number, stop, start, end, piece, now, path.delivered, path.delivered_at, path.first_sent_at, limited)
        )
        number = stop
    if sender.probes or in_flight + piece > congestion.window(path):
        packets[-1] = _HURRY + packets[-1][1:]
    return sender._replace(
        next_number=number,
        flight=(*sender.flight, *runs),
        in_flight=in_flight,
        path=path,
        probe_from=now,
    ), packets


def is_probe_due(sender: Sender, now: float) -> bool:
    """Whether nothing was acknowledged for so long that it is time to ask."""
    return bool(sender.flight) and now >= sender.probe_from + probe_timeout(sender.rtt, sender.probes)


def next_deadline(sender: Sender) -> float | None:
    """Return when the sender wants to be looked at again; ``None`` while it waits for nothing."""
    deadlines: list[float] = []
    if sender.flight:
        deadlines.append(sender.probe_from + probe_timeout(sender.rtt, sender.probes))
    if sender.lost_at is not None:
        deadlines.append(sender.lost_at)
    if (sender.again or sender.next_offset < min(sender.end, sender.limit)) and (
        sender.in_flight + sender.packet - PIECE_HEAD_BYTES <= congestion.window(sender.path)
    ):
        deadlines.append(sender.pace_at)
    return min(deadlines, default=None)


def on_new_path(sender: Sender, packet: int, expected_rtt_s: float, now: float) -> Sender:
    """The path changed under the connection: nothing of the old one is believed, and what is on its way leaves again.

    Bytes that may have come are sent twice at most; the receiver takes each once.
    """
    again = united([*sender.again, *((run.start, run.end) for run in sender.flight)])
    return sender._replace(
        packet=packet,
        again=again,
        flight=(),
        in_flight=0,
        remembered=(),
        tolerance=Tolerance(),
        rtt=first_rtt(expected_rtt_s),
        path=first_path(packet, now),
        pace_at=now - CATCH_UP_S,
        lost_at=None,
        probe_from=now,
        probes=0,
        proven=False,
    )
