"""The tables of the benchmarks say what the figures say."""

from tests.benchmarks.measure import Figures, medians
from tests.benchmarks.report import (
    ASYNCIO,
    COLUMNS,
    KEPT_CREDENTIAL,
    NEW_CREDENTIALS,
    PER_PROCESS,
    RUST,
    figures_table,
    goals_of,
    goals_table,
)

ONES = Figures({key: 1.0 for key, *_ in COLUMNS}, {key: [10.0, 11.0] for key, *_ in PER_PROCESS})
HALVES = Figures(dict.fromkeys(ONES.numbers, 0.5), ONES.processes | {"idle_mib": [46.0, 40.0]})


def test_medians_of_every_figure_and_every_process() -> None:
    figures = medians([ONES, HALVES, HALVES])
    assert figures.numbers == HALVES.numbers
    assert figures.processes == HALVES.processes


def test_figures_and_ratios() -> None:
    lines = figures_table({RUST: ONES, ASYNCIO: HALVES}).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [RUST, ASYNCIO, "x"]
    assert lines[2].split()[-2:] == ["10/11", "10/11"]
    assert lines[4].split() == ["x", RUST, *["0.50"] * (len(COLUMNS) - 1)]


def test_goals_are_judged_in_both_directions() -> None:
    found = {
        goal.name: goal.verdict
        for goal in goals_of({RUST: ONES, ASYNCIO: HALVES}, {}, {"core_import_s": 0.12, "help_s": 0.3})
    }
    assert found == {
        f"{ASYNCIO}: download": "missed by 58%",
        f"{ASYNCIO}: upload": "missed by 58%",
        f"{ASYNCIO}: 64-byte round trip p50": "ok",
        f"{ASYNCIO}: new connections a second": "missed by 17%",
        f"{ASYNCIO}: processor time": "ok",
        f"{ASYNCIO}: idle memory of a node": "missed by 2%",
        f"{ASYNCIO}: launch to first byte": "ok",
        "import of the core": "ok",
        "--help": "missed by 50%",
    }


def test_what_was_not_measured_is_not_judged() -> None:
    assert list(goals_of({}, {"ours": 1.0}, {})) == []
    (goal,) = goals_of({}, {"ours": 3.0, RUST: 2.0}, {})
    assert goals_table([goal]).splitlines()[1].split() == [
        "secure",
        "channels",
        "a",
        "second",
        "1.50",
        "x",
        "rust",
        ">=",
        "1.3",
        "x",
        "rust",
        "ok",
    ]


def test_handshakes_with_credentials_are_judged_by_those_without() -> None:
    kept, new = goals_of({}, {"ours": 3.0, KEPT_CREDENTIAL: 2.0, NEW_CREDENTIALS: 1.5}, {})
    assert (kept.name, kept.measured, kept.verdict) == ("handshake, ours, a credential", 1.5, "ok")
    assert (new.name, new.measured, new.verdict) == ("handshake, ours, a new credential each", 2.0, "missed by 33%")
