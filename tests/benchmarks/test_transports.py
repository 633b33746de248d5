"""The benchmark of the transports: its tunnels carry every byte, and its figures are put together rightly."""

import sys

import pytest

from tests.benchmarks import load
from tests.benchmarks.contenders import environment
from tests.benchmarks.measure import Figures
from tests.benchmarks.transports import ROWS, Row, goals_of, rate, table, tunnel
from tests.interop.harness import Peers


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("make", ["ours", "plain"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.transport)
def test_a_tunnel_carries_every_byte(row: Row, make: str, loop: str) -> None:
    with Peers(environment()) as peers:
        target = peers.start("target", [sys.executable, "-m", "tests.benchmarks.load"]).ready()["listen"]
        with tunnel(row, make, loop, target) as opened:
            assert len(opened.pids) == 2
            load.check(opened.address)
            assert load.upload(opened.address, 1_000_000) > 0
            assert len(load.round_trips(opened.address, 3, 1)) == 3


def figures(speed: float) -> Figures:
    names = ("p50_us", "p99_us", "floor_us", "processor_s_per_gib")
    numbers = {"download_mb_s": speed, "upload_mb_s": speed, **dict.fromkeys(names, 1.0)}
    return Figures(numbers, {"peak_mib": [1.0, 2.0]})


def test_both_directions_count() -> None:
    one_way = Figures({"download_mb_s": 100.0, "upload_mb_s": 300.0}, {})
    assert rate(one_way) == pytest.approx(150)


def test_ratios_are_those_of_the_rounds() -> None:
    """A busy minute, the second round, falls on both and changes nothing."""
    rounds = {
        "ours tcp": [figures(100), figures(10), figures(100)],
        "plain tcp": [figures(200), figures(20), figures(200)],
        "ours uds": [figures(90), figures(12), figures(120)],
    }
    rows = [row for row in ROWS if row.transport in {"tcp", "uds"}]
    assert [(goal.name, goal.measured, goal.verdict) for goal in goals_of(rows, rounds)] == [
        ("tcp: bulk", 0.5, "ok"),
        ("uds: bulk", 1.2, "ok"),
    ]
    lines = table(rows, rounds).splitlines()
    assert lines[2].split()[:5] == ["tcp", "100", "100", "100", "0.50"]
    assert lines[-1].split()[-9:] == ["-"] * 9
