"""The page of the documentation says what the file says, the file holds the whole table, and only a whole run writes."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest

from tests.interop.matrix import PAGE, RESULTS, TABLE, Cell, page_text, peer_version, results_text
from tests.interop.record import CELL_PROPERTY, Record

Outcome: TypeAlias = Literal["passed", "failed", "skipped"]
Phase: TypeAlias = Literal["setup", "call", "teardown"]
PHASES: Final[tuple[Phase, ...]] = ("setup", "call", "teardown")


def test_page_is_made_from_the_file() -> None:
    assert PAGE.read_text() == page_text(json.loads(RESULTS.read_text()))


def test_file_holds_every_cell_of_this_peer() -> None:
    document = json.loads(RESULTS.read_text())
    assert set(document["cells"]) == {cell.id for cell in TABLE}
    assert document["peer"] == f"ockam {peer_version()}"
    assert results_text(document["cells"]) == RESULTS.read_text()


def test_every_cell_of_the_file_passed() -> None:
    outcomes = json.loads(RESULTS.read_text())["cells"]
    assert {cell: outcome for cell, outcome in outcomes.items() if outcome != "passed"} == {}


def test_a_failure_is_shown() -> None:
    outcomes = {cell.id: "passed" for cell in TABLE} | {TABLE[0].id: "failed"}
    page = page_text(json.loads(results_text(outcomes)))
    assert page.count("- failed\n") == 1
    assert page.count("- passed\n") == len(TABLE) - 1


def run(cells: Iterable[Cell], folder: Path, *, bad: Outcome = "passed", phase: Phase = "call") -> tuple[str, Path]:
    """Record a run of these cells, the first of which has another outcome in one phase."""
    record = Record(folder / "interop.json", folder / "interop.rst")
    for number, cell in enumerate(cells):
        for when in PHASES:
            outcome: Outcome = bad if number == 0 and when == phase else "passed"
            report = pytest.TestReport(
                cell.id, ("", 0, ""), {}, outcome, None, when, user_properties=[(CELL_PROPERTY, cell.id)]
            )
            record.pytest_runtest_logreport(report)
    return record.write(), folder / "interop.json"


def test_a_whole_run_is_written(tmp_path: Path) -> None:
    said, results = run(TABLE, tmp_path)
    assert said == "interop: wrote interop.json and interop.rst"
    document = json.loads(results.read_text())
    assert set(document["cells"].values()) == {"passed"}
    assert (tmp_path / "interop.rst").read_text() == page_text(document)


@pytest.mark.parametrize("phase", PHASES)
def test_a_failure_in_any_phase_is_written(phase: Phase, tmp_path: Path) -> None:
    _, results = run(TABLE, tmp_path, bad="failed", phase=phase)
    assert json.loads(results.read_text())["cells"][TABLE[0].id] == "failed"


def test_nothing_is_written_unless_every_cell_ran(tmp_path: Path) -> None:
    for said, results in (run(TABLE[1:], tmp_path), run(TABLE, tmp_path, bad="skipped", phase="setup")):
        assert said == f"interop: nothing written, these cells did not run: {TABLE[0].id}"
        assert not results.exists()
