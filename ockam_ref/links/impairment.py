"""What a bad path does to packets: loss, delay, jitter, reordering, duplication, length, a bottleneck, a cut.

Pure: chance comes in as a function that returns numbers from 0 to 1 (1 excluded), so a seeded run repeats.  The same
few draws are made for every packet, whatever becomes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Random: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Impairment:
    """One direction of a path; parts are between 0 and 1, times in seconds.

    A packet waits for the bottleneck of ``rate`` bytes a second, unless ``queue_bytes`` wait there already; then it
    may be lost or doubled; it takes ``delay_s``, up to ``jitter_s`` more, and ``late_s`` more if it is one of those
    that are reordered.  ``cut`` lets nothing through.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reorder: float = 0.0
    late_s: float = 0.005
    delay_s: float = 0.0
    jitter_s: float = 0.0
    mtu: int | None = None
    rate: float | None = None
    queue_bytes: int = 256 * 1024
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """What a path remembers: until when its bottleneck is busy."""

    busy_until: float = 0.0


def let_through(
    impairment: Impairment, passage: Passage, length: int, now: float, random: Random
) -> tuple[Passage, tuple[float, ...]]:
    """Return the next state, and when a packet of that length arrives: never, once or twice."""
    is_lost = random() < impairment.loss
    is_doubled = random() < impairment.duplication
    is_late = random() < impairment.reorder
    jitter = random() * impairment.jitter_s
    second_jitter = random() * impairment.jitter_s
    if impairment.cut or (impairment.mtu is not None and length > impairment.mtu):
        return passage, ()
    left_at = now
    if impairment.rate is not None:
        starts_at = max(now, passage.busy_until)
        if (starts_at - now) * impairment.rate > impairment.queue_bytes:
            return passage, ()
        left_at = starts_at + length / impairment.rate
        passage = Passage(left_at)
    if is_lost:
        return passage, ()
    arrives_at = left_at + impairment.delay_s + (impairment.late_s if is_late else 0.0)
    if not is_doubled:
        return passage, (arrives_at + jitter,)
    return passage, (arrives_at + jitter, arrives_at + second_jitter)
