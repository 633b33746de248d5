"""Measure ours beside ssh and the Rust implementation: ``python -m tests.benchmarks.run``, or ``make bench``.

Every round starts each contender anew, one after the other, so that whatever else the machine does falls on all of
them; the tables show the medians.  Figures are for people: nothing fails because of one.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from tests.benchmarks.contenders import Contender, contenders, environment, rust_binary
from tests.benchmarks.measure import FULL, QUICK, Effort, Figures, measure, medians
from tests.benchmarks.report import KEPT_CREDENTIAL, NEW_CREDENTIALS, RUST, figures_table, goals_of, goals_table
from tests.benchmarks.start_up import start_up
from tests.interop.harness import Peers
from tests.processes import ProcessError

T = TypeVar("T")

CHANNELS: Final = "channels"
START_UP: Final = "start-up"
RATES: Final = {
    "identities": "tests.benchmarks.identities",
    "policies": "tests.benchmarks.policies",
    "store": "tests.benchmarks.store",
}
"""What is measured by itself: the program of each prints one object with its ``rates``, a second."""
_MIB: Final = 1024**2

# What a contender that does not work on this machine raises; it is left out, and the others go on.
_FAILURES: Final = (ProcessError, OSError, EOFError, ValueError, RuntimeError, subprocess.CalledProcessError)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    effort = QUICK if options.quick else FULL
    effort = replace(
        effort,
        bulk_bytes=options.size * _MIB if options.size else effort.bulk_bytes,
        rounds=options.rounds or effort.rounds,
    )

    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    rounds = _tunnels([contender for contender in contenders() if wanted(contender.name)], effort)
    summary = {name: medians(measured) for name, measured in rounds.items()}
    channels = _channels(effort) if wanted(CHANNELS) else {}
    rates = {name: figure for area in RATES if wanted(area) for name, figure in _rates_of(area, effort).items()}
    begun = attempt(START_UP, partial(start_up, effort.starts)) if wanted(START_UP) else None

    print(f"\n{_conditions(effort)}\n")
    if summary:
        print(figures_table(summary) + "\n")
    for name, rate in channels.items():
        print(f"secure channels a second, both ends in one process, {name}: {rate:,.0f}")
    for name, rate in rates.items():
        print(f"a second, {name}: {rate:,.0f}")
    goals = list(goals_of(summary, channels, begun or {}))
    if goals:
        print("\n" + goals_table(goals))
    if options.json:
        document: dict[str, Any] = {
            "conditions": {"machine": machine(), "effort": asdict(effort)},
            "medians": {name: asdict(figures) for name, figures in summary.items()},
            "rounds": {name: [asdict(figures) for figures in measured] for name, measured in rounds.items()},
            "channels_per_s": channels,
            "rates_per_s": rates,
            "start_up": begun or {},
            "goals": [asdict(goal) | {"verdict": goal.verdict} for goal in goals],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run", description=(__doc__ or "").split("\n")[0])
    names = ["direct", "ssh", "rust", "ours-asyncio", "ours-uvloop", CHANNELS, START_UP, *RATES]
    parser.add_argument("--quick", action="store_true", help="128 MiB and fewer samples")
    parser.add_argument("--only", action="append", choices=names, help="measure this alone; may be repeated")
    parser.add_argument("--size", type=int, metavar="MIB", help="bytes of one bulk transfer (1024)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds that the medians are taken of (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all rounds there")
    return parser


def _tunnels(wanted: list[Contender], effort: Effort) -> dict[str, list[Figures]]:
    """Measure every contender in every round; one that fails is left out from then on."""
    measured: dict[str, list[Figures]] = {}
    able = []
    for contender in wanted:
        if contender.missing:
            say(f"{contender.name}: not measured, {contender.missing}")
        else:
            able.append(contender)
    if not able:
        return measured
    with Peers(environment()) as peers:
        target = peers.start("target", [sys.executable, "-m", "tests.benchmarks.load"]).ready()["listen"]
        for number in range(effort.rounds):
            for contender in list(able):
                say(f"round {number + 1} of {effort.rounds}: {contender.name}")
                figures = attempt(contender.name, partial(measure, contender, target, effort))
                if figures is None:
                    able.remove(contender)
                    measured.pop(contender.name, None)
                else:
                    measured.setdefault(contender.name, []).append(figures)
    return {contender.name: measured[contender.name] for contender in able}


def _channels(effort: Effort) -> dict[str, float]:
    """Return the median rate of secure channels of either implementation, and of ours with credentials, in turns."""
    count = ["--count", str(effort.channels)]
    ours = [sys.executable, "-m", "tests.benchmarks.channels", *count]
    programs = {
        "ours": ours,
        KEPT_CREDENTIAL: [*ours, "--credentials", "kept"],
        NEW_CREDENTIALS: [*ours, "--credentials", "new"],
    }
    binary, missing = rust_binary()
    if binary is None:
        say(f"{CHANNELS} of {RUST}: not measured, {missing}")
    else:
        programs[RUST] = [str(binary), CHANNELS, *count]

    rates: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(effort.rounds):
        for name, program in programs.items():
            say(f"round {number + 1} of {effort.rounds}: {CHANNELS} of {name}")
            rate = attempt(f"{CHANNELS} of {name}", partial(_rate, program))
            if rate is not None:
                rates[name].append(rate)
    return {name: median(measured) for name, measured in rates.items() if measured}


def _rates_of(area: str, effort: Effort) -> dict[str, float]:
    """Return the median of each rate that the program of that area measures."""

    def measured() -> dict[str, float]:
        with Peers(environment()) as peers:
            rates: dict[str, float] = peers.start(area, [sys.executable, "-m", RATES[area]]).event("done", timeout=60)[
                "rates"
            ]
            return rates

    rounds = []
    for number in range(effort.rounds):
        say(f"round {number + 1} of {effort.rounds}: {area}")
        if (rates := attempt(area, measured)) is not None:
            rounds.append(rates)
    return {name: median(rates[name] for rates in rounds) for name in (rounds[0] if rounds else ())}


def _rate(program: list[str]) -> float:
    with Peers(environment()) as peers:
        return float(peers.start(CHANNELS, program).event("done", timeout=60)["per_second"])


def attempt(name: str, work: Callable[[], T]) -> T | None:
    try:
        return work()
    except _FAILURES as failure:
        # What a process said is in between; its last line is the one that tells.
        lines = str(failure).strip().splitlines() or [type(failure).__name__]
        say(f"{name}: not measured, {': '.join(dict.fromkeys((lines[0], lines[-1])))}")
        return None


def _conditions(effort: Effort) -> str:
    found = machine()
    return (
        f"Medians of {effort.rounds} rounds, {effort.bulk_bytes // _MIB} MiB each way, {found['processors']} processors,"
        f" Python {found['python']}, Linux {found['kernel']}.\n"
        "Three processes with the channel end to end over the relay; ssh -L through an ssh -W hop; "
        "figures of each process are those of hub/outlet/inlet."
    )


def machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "kernel": platform.release(), "processors": os.cpu_count()}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
