"""The figures of one contender in one round."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.benchmarks import load
from tests.benchmarks.contenders import Contender
from tests.benchmarks.processes import processor_s, resident_mib

_GIB: Final = 1024**3
_MEGABYTE: Final = 1e6
_FLOOR_ROUND_TRIPS: Final = 500


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    bulk_bytes: int
    round_trips: int
    connections: int
    channels: int
    rounds: int
    starts: int


FULL: Final = Effort(_GIB, round_trips=5000, connections=1000, channels=500, rounds=3, starts=15)
QUICK: Final = Effort(128 * 1024**2, round_trips=1000, connections=200, channels=100, rounds=3, starts=5)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one contender: figures by name, and those of each of its processes.

    ``floor_us`` is the round trip without any tunnel at the same time.  It tells figures of an idle machine, where each
    hop wakes a processor that sleeps, from those of a busy one, where none sleeps; only figures of the same kind compare.
    """

    numbers: dict[str, float]
    processes: dict[str, list[float]]


def measure(contender: Contender, target: str, effort: Effort) -> Figures:
    """Start the contender, measure everything, end it."""
    begin = time.perf_counter()
    with contender.open(target) as tunnel:
        load.first_byte(tunnel.address)
        launch = time.perf_counter() - begin
        idle = [resident_mib(pid) for pid in tunnel.pids]
        load.check(tunnel.address)

        floor = load.round_trips(target, _FLOOR_ROUND_TRIPS)
        trips = load.round_trips(tunnel.address, effort.round_trips)
        rate = load.connections(tunnel.address, effort.connections)

        before = [processor_s(pid) for pid in tunnel.pids]
        download = load.download(tunnel.address, effort.bulk_bytes)
        upload = load.upload(tunnel.address, effort.bulk_bytes)
        used = [processor_s(pid) - earlier for pid, earlier in zip(tunnel.pids, before, strict=True)]
        gibibytes = 2 * effort.bulk_bytes / _GIB
        numbers = {
            "launch_s": launch,
            "download_mb_s": effort.bulk_bytes / download / _MEGABYTE,
            "upload_mb_s": effort.bulk_bytes / upload / _MEGABYTE,
            "p50_us": _percentile(trips, 50) * 1e6,
            "floor_us": _percentile(floor, 50) * 1e6,
            "p99_us": _percentile(trips, 99) * 1e6,
            "connections_per_s": rate,
            "processor_s_per_gib": sum(used) / gibibytes,
        }
        processes = {
            "processor_s_per_gib": [seconds / gibibytes for seconds in used],
            "idle_mib": idle,
            "peak_mib": [resident_mib(pid, peak=True) for pid in tunnel.pids],
        }
        return Figures(numbers, processes)


def _percentile(ascending: list[float], percent: int) -> float:
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)]


def medians(rounds: Sequence[Figures]) -> Figures:
    """Return the median of each figure over the rounds."""
    first = rounds[0]
    return Figures(
        {name: median(figures.numbers[name] for figures in rounds) for name in first.numbers},
        {
            name: [median(process) for process in zip(*(figures.processes[name] for figures in rounds), strict=True)]
            for name in first.processes
        },
    )
