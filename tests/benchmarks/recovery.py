"""Recovery on a simulated path: throughput and delay against what the path does, beside the bare rate of the path.

    python -m tests.benchmarks.recovery [--mebibytes 16]

Nothing of this depends on the speed of the machine: the clock is that of the simulation.
"""

import argparse
from dataclasses import replace
from typing import Final, NamedTuple

from ockam_ref.links.impairment import Impairment
from tests.simulated_path import SimulatedPath

RATE: Final = 12.5e6
PATHS: Final = {
    "20 ms": Impairment(delay_s=0.010, rate=RATE, queue_bytes=256 * 1024),
    "1 ms": Impairment(delay_s=0.0005, rate=RATE, queue_bytes=256 * 1024),
}
BAD: Final = {"late_s": 0.003, "reorder": 0.05, "duplication": 0.02}
CASES: Final[dict[str, dict[str, float]]] = {
    "0 %": {},
    "1 %": {"loss": 0.01},
    "5 %": {"loss": 0.05},
    "10 %": {"loss": 0.10},
    "5 %, 5 % reordered, 2 % doubled": {"loss": 0.05, **BAD},
}
BULK_MESSAGE: Final = 64 * 1024
SMALL_MESSAGE: Final = 1000
SMALL_INTERVAL_S: Final = 0.01
SMALL_MESSAGES: Final = 2000


class Row(NamedTuple):
    path: str
    loss: str
    rate: float
    sent_again: float
    p50_ms: float
    p99_ms: float


def bulk(path: Impairment, mebibytes: int) -> tuple[float, float]:
    """Return bytes a second, and the part of bytes that were sent more than once."""
    it = SimulatedPath(path, seed=1)
    it.ends[1].keep_bytes = False
    messages = mebibytes * 1024 * 1024 // BULK_MESSAGE
    given, started = 0, it.now
    while len(it.ends[1].delivered) < messages:
        while given < messages and it.ends[0].waiting < 512 * 1024:
            it.give(0, bytes(BULK_MESSAGE))
            given += 1
        it.step()
    total = messages * (BULK_MESSAGE + 4)
    return total / (it.now - started), it.ends[0].packet_bytes * 1175 / 1200 / total - 1


def delays(path: Impairment) -> list[float]:
    """Return how long each of many short messages took, in seconds; one goes every 10 ms."""
    it = SimulatedPath(path, seed=2)
    it.ends[1].keep_bytes = False
    given: list[float] = []
    for number in range(SMALL_MESSAGES):
        at = 100.0 + number * SMALL_INTERVAL_S
        while it.next_at() < at and it.step():
            pass
        it.now = at
        given.append(at)
        it.give(0, bytes(SMALL_MESSAGE))
    it.finish()
    return sorted(arrived - at for at, arrived in zip(given, it.ends[1].delivered_at, strict=True))


def measure(mebibytes: int) -> list[Row]:
    rows = []
    for name, path in PATHS.items():
        for loss, changes in CASES.items():
            impaired = replace(path, **changes)  # type: ignore[arg-type]
            rate, again = bulk(impaired, mebibytes)
            waits = delays(impaired)
            p50, p99 = (waits[int(len(waits) * part)] * 1000 for part in (0.5, 0.99))
            rows.append(Row(name, loss, rate, again, p50, p99))
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as the table of the documentation."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - round trip",
        "     - loss",
        "     - bulk, MB/s",
        "     - of the path",
        "     - sent again",
        "     - p50, ms",
        "     - p99, ms",
    ]
    for row in rows:
        lines += [
            f"   * - {row.path}",
            f"     - {row.loss}",
            f"     - {row.rate / 1e6:.2f}",
            f"     - {row.rate / RATE:.2f}",
            f"     - {100 * row.sent_again:.1f} %",
            f"     - {row.p50_ms:.1f}",
            f"     - {row.p99_ms:.1f}",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=32)
    print(table(measure(parser.parse_args().mebibytes)))


if __name__ == "__main__":
    main()
