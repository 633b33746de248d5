"""Measure each transport beside the plain thing: ``python -m tests.benchmarks.transports``, or ``make bench-transports``.

A tunnel over a transport has two processes.  Of ours they are two nodes with a portal and no secure channel, so that the
transport is what differs; beside it stands the plainest pair of programs over the same kind of socket.  Both carry the
same load to the same target, in turns and in every round.  Figures are for people: nothing fails because of one.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.benchmarks import ble, udp
from tests.benchmarks.contenders import Contender, Tunnel, environment
from tests.benchmarks.measure import Effort, Figures, measure, medians
from tests.benchmarks.report import Goal, aligned, goals_table
from tests.benchmarks.run import attempt, machine, say
from tests.interop.harness import Peers

_MIB: Final = 1024**2

FULL: Final = Effort(512 * _MIB, round_trips=3000, connections=200, channels=0, rounds=3, starts=0)
QUICK: Final = replace(FULL, bulk_bytes=64 * _MIB, round_trips=500, connections=50)


@dataclass(frozen=True, slots=True)
class Row:
    """One transport: where its far end listens, what stands beside it, and which part of that is to be reached."""

    transport: str
    address: str
    beside: str | None = None
    goal: float | None = None


ROWS: Final = (
    Row("tcp", "127.0.0.1:0", "asyncio.Protocol over TCP", goal=0.30),
    Row("uds", "{folder}/far.sock", "asyncio.Protocol over a Unix socket"),
    Row("ws", "127.0.0.1:0", "websockets for asyncio", goal=0.50),
    Row("udp", "127.0.0.1:0"),  # with recovery; a stream over plain datagrams would not arrive
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    effort = QUICK if options.quick else FULL
    effort = replace(effort, rounds=options.rounds or effort.rounds)
    if options.size:
        effort = replace(effort, bulk_bytes=options.size * _MIB)
    rows = [row for row in ROWS if not options.only or row.transport in options.only]
    rounds = _measure(rows, effort, options.loop)
    found = machine()
    print(
        f"\nMedians of {effort.rounds} rounds, {effort.bulk_bytes // _MIB} MiB each way, {found['processors']} processors,"
        f" Python {found['python']}, Linux {found['kernel']}, event loop {options.loop}; two processes a tunnel.\n"
    )
    print(table(rows, rounds))
    goals = list(goals_of(rows, rounds))
    if not options.only:
        say("UDP beside raw sockets and the Rust peer, Bluetooth beside a bare loop of GATT")
        print("\n" + udp.table(udp.measure_udp(effort.rounds)))
        radio = ble.measure_ble(rounds=effort.rounds)
        rates = (radio.up, radio.bare_up, radio.down, radio.bare_down)
        words = ("to the peripheral", "bare", "to the central", "bare")
        print("\nBLE, kB/s: " + ", ".join(f"{word} {one / 1e3:.0f}" for word, one in zip(words, rates, strict=True)))
        goals.append(Goal("ble: bulk", radio.ratio, 0.80, at_least=True, unit=" x bare"))
    if goals:
        print("\n" + goals_table(goals))
    if options.json:
        document: dict[str, Any] = {
            "conditions": {"machine": found, "loop": options.loop, "effort": asdict(effort)},
            "medians": {name: asdict(medians(measured)) for name, measured in rounds.items()},
            "rounds": {name: [asdict(figures) for figures in measured] for name, measured in rounds.items()},
            "goals": [asdict(goal) | {"verdict": goal.verdict} for goal in goals],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.transports", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    names = [row.transport for row in ROWS]
    parser.add_argument("--quick", action="store_true", help="64 MiB and fewer samples")
    parser.add_argument("--only", action="append", choices=names, help="measure this alone; may be repeated")
    parser.add_argument("--size", type=int, metavar="MIB", help="bytes of one bulk transfer (512)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds that the medians are taken of (3)")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio", help="event loop of all processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all rounds there")
    return parser


def _measure(rows: list[Row], effort: Effort, loop: str) -> dict[str, list[Figures]]:
    """Measure both of each row in every round; what fails is left out from then on."""
    able = [(row, make) for row in rows for make in ("ours", "plain") if make == "ours" or row.beside is not None]
    measured: dict[str, list[Figures]] = {}
    with Peers(environment()) as peers:
        target = peers.start("target", [sys.executable, "-m", "tests.benchmarks.load"]).ready()["listen"]
        for number in range(effort.rounds):
            for row, make in list(able):
                name = f"{make} {row.transport}"
                say(f"round {number + 1} of {effort.rounds}: {name}")
                contender = Contender(name, None, partial(tunnel, row, make, loop))
                figures = attempt(name, partial(measure, contender, target, effort))
                if figures is None:
                    able.remove((row, make))
                    measured.pop(name, None)
                else:
                    measured.setdefault(name, []).append(figures)
    return measured


@contextmanager
def tunnel(row: Row, make: str, loop: str, target: str) -> Iterator[Tunnel]:
    """Start the far end and the near end."""
    command = [sys.executable, "-m", "tests.benchmarks.transport_ends", make]
    with tempfile.TemporaryDirectory(prefix="ockam-ref-") as folder, Peers(environment(OCKAM_REF_LOOP=loop)) as peers:
        address = row.address.format(folder=folder)
        far = peers.start("far", [*command, "far", row.transport, address, target]).ready()["listen"]
        near = peers.start("near", [*command, "near", row.transport, far]).ready()["listen"]
        yield Tunnel(near, [peer.pid for peer in peers.started])


def rate(figures: Figures) -> float:
    """Return the megabytes a second of both directions together."""
    return 2 / (1 / figures.numbers["download_mb_s"] + 1 / figures.numbers["upload_mb_s"])


def ratio(ours: Sequence[Figures], others: Sequence[Figures]) -> float:
    """Return the median of what ours is of the other in each round, so that a busy minute falls on both."""
    return median(rate(one) / rate(other) for one, other in zip(ours, others, strict=True))


def table(rows: Sequence[Row], rounds: Mapping[str, Sequence[Figures]]) -> str:
    """Return the medians, two lines a transport."""
    lines = [
        ["", "download", "upload", "both", "x plain", "p50", "p99", "floor", "processor", "RSS peak"],
        ["", "MB/s", "MB/s", "MB/s", "", "us", "us", "us", "s/GiB", "MiB"],
    ]
    for row in rows:
        ours, plain = rounds.get(f"ours {row.transport}"), rounds.get(f"plain {row.transport}")
        compared = f"{ratio(ours, plain):.2f}" if ours and plain else ""
        lines.append([row.transport, *_cells(ours, compared)])
        if row.beside is not None:
            lines.append([f"  {row.beside}", *_cells(plain, "")])
    return aligned(lines)


def _cells(measured: Sequence[Figures] | None, compared: str) -> list[str]:
    if not measured:
        return ["-"] * 9
    figures = medians(measured)
    numbers = figures.numbers
    bulk = (numbers["download_mb_s"], numbers["upload_mb_s"], rate(figures))
    times = (numbers["p50_us"], numbers["p99_us"], numbers["floor_us"])
    processor = f"{numbers['processor_s_per_gib']:.2f}"
    peaks = "/".join(f"{peak:.0f}" for peak in figures.processes["peak_mib"])
    return [*(f"{one:,.0f}" for one in bulk), compared, *(f"{one:,.0f}" for one in times), processor, peaks]


def goals_of(rows: Sequence[Row], rounds: Mapping[str, Sequence[Figures]]) -> Iterator[Goal]:
    """Yield what was to be reached and can be judged with what was measured."""
    for row in rows:
        ours, plain = rounds.get(f"ours {row.transport}"), rounds.get(f"plain {row.transport}")
        if ours and plain and row.goal is not None:
            yield Goal(f"{row.transport}: bulk", ratio(ours, plain), row.goal, at_least=True, unit=" x plain")
    if {"ours uds", "ours tcp"} <= rounds.keys():
        yield Goal("uds: bulk", ratio(rounds["ours uds"], rounds["ours tcp"]), 1, at_least=True, unit=" x tcp")
    if "ours udp" in rounds:
        measured = median(rate(figures) for figures in rounds["ours udp"])
        yield Goal("udp: bulk with recovery", measured, 100, at_least=True, unit=" MB/s")


if __name__ == "__main__":
    main()
