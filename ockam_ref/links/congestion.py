"""How fast a path takes packets: a model of its rate and its round trip, after BBR (draft-cardwell-iccrg-bbr).

A controller that halves on every loss stands still on a path that loses 5 % by chance.  This one measures how fast
bytes are delivered and how long an empty path takes, and keeps about what fits on the path on its way, at the pace
of its bottleneck.  It shares because every sender drains what it put into the queue after each probe, makes room
to measure the empty path, and falls back when a round loses more than chance explains.  Pure; seconds and bytes.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from ockam_ref.links.recovery_flight import Run
from ockam_ref.links.rtt import Rtt

FIRST_WINDOW_PACKETS: Final = 32
"""Packets on the way before anything is known of the path."""

LEAST_WINDOW_PACKETS: Final = 4
"""Packets on the way however slow the path is."""

QUANTUM_S: Final = 0.001
"""Packets leave in bursts of what the path takes in this time, or two; no timer has to be more exact."""

MAX_QUANTUM_PACKETS: Final = 64
"""Packets of the largest burst."""

BURSTS_AHEAD: Final = 3
"""Bursts that are allowed beyond what the path holds, since hosts see and acknowledge packets in bursts too."""

SPREADS: Final = 4
"""Times the variation of round trips that is allowed beyond that: on a path with jitter packets are not queued."""

STARTUP_GAIN: Final = 2.885
"""2 / ln 2: doubles the rate each round while the rate is looked for."""

WINDOW_GAIN: Final = 2.0
"""What may be on its way, in parts of what the path holds; half of it covers late acknowledgements."""

CYCLE: Final = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Pace of one cycle: look for more, drain what that queued, cruise; one round trip each."""

LEAST_STEP_S: Final = 0.01
"""A step of the cycle takes no less, however short the round trip."""

LEAST_ROUND: Final = 0.75
"""A round, and a sample of the rate, takes no less than this part of a round trip: one early packet is neither."""

FULL_GROWTH: Final = 1.25
"""The rate is found when it has grown by less than this in three rounds."""

FULL_ROUNDS: Final = 3
"""See ``FULL_GROWTH``."""

RATE_ROUNDS: Final = 10
"""Rounds for which the best rate counts."""

RATE_S: Final = 0.25
"""And no less than this time: a pause of a host is no slower path."""

ROUND_TRIP_S: Final = 10.0
"""Time for which the least round trip counts before room is made to measure it again."""

EMPTY_S: Final = 0.2
"""Time for which that room is made."""

EMPTY_GAIN: Final = 0.5
"""What may be on its way then, in parts of what the path holds."""

TOO_MUCH_LOSS: Final = 0.2
"""Part of a round's packets; chance explains less, a bottleneck that others use too does not."""

LEAST_JUDGED_PACKETS: Final = 20
"""A round of fewer packets says nothing about loss."""

RETREAT: Final = 0.7
"""What may be on its way after such a round, in parts of what was."""


class Phase(Enum):
    """What the sender is doing with the path."""

    STARTUP = "startup"
    DRAIN = "drain"
    CRUISE = "cruise"
    EMPTY = "empty"


_GAINS: Final = {Phase.STARTUP: STARTUP_GAIN, Phase.DRAIN: 1 / STARTUP_GAIN, Phase.EMPTY: 1.0}


class Rate(NamedTuple):
    """A sample of how fast bytes were delivered, in bytes a second, and when."""

    round: int
    at: float
    rate: float


class Delivery(NamedTuple):
    """What an acknowledgement changed: bytes that came, bytes given up, the run that was sent last of those that came.

    ``sample`` is the round trip that it measured, if it did; ``in_flight`` what is still on its way, in bytes;
    ``rtt`` is the estimate with it.
    """

    acknowledged: int
    lost: int
    newest: Run
    sample: float | None
    in_flight: int
    rtt: Rtt


@dataclass(frozen=True, slots=True)
class Path:
    """What is known of a path.

    ``rates`` are the best samples of the last rounds, falling; ``delivered`` counts
    acknowledged bytes; ``limited_until`` is the count up to which the sender, and not the path, was the limit.
    """

    packet: int
    phase: Phase = Phase.STARTUP
    rates: tuple[Rate, ...] = ()
    least_rtt: float = 0.0
    least_rtt_at: float = 0.0
    delivered: int = 0
    delivered_at: float = 0.0
    first_sent_at: float = 0.0
    limited_until: int = 0
    round: int = 0
    round_ends: int = 0
    round_delivered: int = 0
    round_lost: int = 0
    full_rate: float = 0.0
    full_rounds: int = 0
    step: int = 0
    step_at: float = 0.0
    ceiling: int | None = None
    smoothed_rtt: float = 0.0
    spread: float = 0.0
    round_at: float = 0.0

    @property
    def rate(self) -> float:
        """The rate of the bottleneck, in bytes a second; 0 while it is unknown."""
        return self.rates[0].rate if self.rates else 0.0

    @property
    def content(self) -> float:
        """What the path holds without a queue, in bytes; 0 while it is unknown."""
        return self.rate * self.least_rtt


def first_path(packet: int, now: float) -> Path:
    """Return what is known of a path that nothing was sent on; ``packet`` is the longest packet."""
    return Path(packet, delivered_at=now, first_sent_at=now, least_rtt_at=now, step_at=now)


def pace(path: Path, smoothed_rtt: float) -> float:
    """Return how many bytes a second should leave."""
    least = LEAST_WINDOW_PACKETS * path.packet / smoothed_rtt
    if not path.rates:
        return STARTUP_GAIN * FIRST_WINDOW_PACKETS * path.packet / smoothed_rtt
    gain = CYCLE[path.step] if path.phase is Phase.CRUISE else _GAINS[path.phase]
    return max(gain * path.rate, least)


def quantum(path: Path, rate: float) -> int:
    """Return the bytes of one burst at that pace."""
    return int(min(max(rate * QUANTUM_S, 2 * path.packet), MAX_QUANTUM_PACKETS * path.packet))


def window(path: Path) -> int:
    """Return how many bytes may be on their way."""
    least = LEAST_WINDOW_PACKETS * path.packet
    if not path.rates:
        return FIRST_WINDOW_PACKETS * path.packet
    content = path.content
    if path.phase is Phase.EMPTY:
        return max(int(EMPTY_GAIN * content), least)
    ahead = BURSTS_AHEAD * quantum(path, path.rate)
    if path.phase is Phase.CRUISE or path.phase is Phase.DRAIN:
        size = int(WINDOW_GAIN * content + SPREADS * path.spread * path.rate) + ahead
    else:
        size = max(int(STARTUP_GAIN * content) + ahead, FIRST_WINDOW_PACKETS * path.packet)
    if path.ceiling is not None:
        size = min(size, path.ceiling)
    return max(size, least)


def after_silence(path: Path, now: float) -> Path:
    """Return the path when the first packet leaves after nothing was on its way."""
    return replace(path, delivered_at=now, first_sent_at=now)


def after_running_dry(path: Path, in_flight: int) -> Path:
    """Return the path when the sender had nothing more to send although it might have."""
    return replace(path, limited_until=max(path.delivered + in_flight, 1))


def after_losses(path: Path, lost: int) -> Path:
    """Return the path after so many bytes were given up without an acknowledgement; less than 0 came after all."""
    return replace(path, round_lost=max(path.round_lost + lost, 0))


def after_acknowledgement(path: Path, delivery: Delivery, now: float) -> Path:
    """Return the path after an acknowledgement of something that was on its way."""
    acknowledged, lost, newest, sample, in_flight, rtt = delivery
    delivered = path.delivered + acknowledged
    round_lost, round_delivered = path.round_lost + lost, path.round_delivered + acknowledged
    number, round_ends, ceiling = path.round, path.round_ends, path.ceiling
    is_round = newest.delivered >= round_ends and now - path.round_at >= LEAST_ROUND * rtt.smoothed
    if is_round:
        number, round_ends = number + 1, delivered
        ceiling = _judge_losses(path, round_delivered, round_lost, in_flight)
        round_lost = round_delivered = 0
    rates = _with_rate(path, newest, delivered, now, number)
    least_rtt, least_rtt_at, is_old = path.least_rtt, path.least_rtt_at, False
    if sample is not None:
        is_old = now - least_rtt_at > ROUND_TRIP_S
        if not least_rtt or sample <= least_rtt or is_old:
            least_rtt, least_rtt_at = sample, now
    path = Path(
        path.packet,
        path.phase,
        rates,
        least_rtt,
        least_rtt_at,
        delivered,
        now,
        newest.sent_at,
        path.limited_until,
        number,
        round_ends,
        round_delivered,
        round_lost,
        path.full_rate,
        path.full_rounds,
        path.step,
        path.step_at,
        ceiling,
        rtt.smoothed,
        rtt.variation,
        now if is_round else path.round_at,
    )
    return _turn(path, now, in_flight, newest, is_round=is_round, is_old=is_old)


def _with_rate(path: Path, newest: Run, delivered: int, now: float, number: int) -> tuple[Rate, ...]:
    """Return the best rates with this sample; the slower of sending and acknowledging tells the rate."""
    rates = path.rates
    interval = max(newest.sent_at - newest.first_sent_at, now - newest.delivered_at)
    if interval <= 0 or interval < LEAST_ROUND * path.least_rtt:
        return rates
    sample = (delivered - newest.delivered) / interval
    if newest.limited and sample <= path.rate:
        return rates
    kept = [one for one in rates if one.rate > sample and (number - one.round < RATE_ROUNDS or now - one.at < RATE_S)]
    if kept and kept[-1].round == number:
        return tuple(kept)
    return (*kept[: RATE_ROUNDS - 1], Rate(number, now, sample))


def _judge_losses(path: Path, delivered: int, lost: int, in_flight: int) -> int | None:
    """Return what may be on its way after a round with such losses: less after too many, more again after few."""
    total = delivered + lost
    if total >= LEAST_JUDGED_PACKETS * path.packet and lost > TOO_MUCH_LOSS * total:
        return int(max(RETREAT * min(window(path), in_flight + total), path.content))
    if path.ceiling is None or path.ceiling > 2 * window(replace(path, ceiling=None)):
        return None
    return path.ceiling + max(path.ceiling // 16, path.packet)


def _turn(path: Path, now: float, in_flight: int, newest: Run, *, is_round: bool, is_old: bool) -> Path:
    """Go to the next phase, where it is time."""
    if is_old and path.phase is Phase.CRUISE:
        return replace(path, phase=Phase.EMPTY, step_at=now)
    match path.phase:
        case Phase.STARTUP if is_round and not newest.limited and path.rates:
            if path.rate >= path.full_rate * FULL_GROWTH:
                return replace(path, full_rate=path.rate, full_rounds=0)
            phase = Phase.DRAIN if path.full_rounds + 1 >= FULL_ROUNDS else Phase.STARTUP
            return replace(path, full_rounds=path.full_rounds + 1, phase=phase)
        case Phase.DRAIN if in_flight <= path.content + BURSTS_AHEAD * quantum(path, path.rate):
            return replace(path, phase=Phase.CRUISE, step=2, step_at=now)
        case Phase.CRUISE if now - path.step_at >= max(path.smoothed_rtt, LEAST_STEP_S):
            return replace(path, step=(path.step + 1) % len(CYCLE), step_at=now)
        case Phase.EMPTY if now - path.step_at >= EMPTY_S:
            return replace(path, phase=Phase.CRUISE, step=2, step_at=now)
        case _:
            return path
