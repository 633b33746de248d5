"""The record of what the interoperability tests proved, as a plug-in of pytest."""

import json
import os
from pathlib import Path
from typing import Final

import pytest

from tests.interop.matrix import PAGE, RESULTS, TABLE, page_text, results_text

WRITE_VARIABLE: Final = "OCKAM_REF_WRITE_INTEROP"
CELL_PROPERTY: Final = "interop-cell"
"""The user property of a test that proves a cell; it travels from the processes of xdist to the one that writes."""


class Record:
    """Collects the outcome of every cell and writes them to the documentation, if asked and if none is missing."""

    def __init__(self, results: Path = RESULTS, page: Path = PAGE) -> None:
        self._results = results
        self._page = page
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first outcome of set-up, call and tear-down that is not a pass."""
        cell = dict(report.user_properties).get(CELL_PROPERTY)
        if isinstance(cell, str) and self._outcomes.get(cell, "passed") == "passed":
            self._outcomes[cell] = report.outcome

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write both files, and say so."""
        if os.environ.get(WRITE_VARIABLE) == "1":
            terminalreporter.write_line(self.write())

    def write(self) -> str:
        """Write both files unless a cell is missing; return what was done as a sentence."""
        ran = {cell for cell, outcome in self._outcomes.items() if outcome != "skipped"}
        missing = [cell.id for cell in TABLE if cell.id not in ran]
        if missing:
            return f"interop: nothing written, these cells did not run: {', '.join(missing)}"
        text = results_text(self._outcomes)
        self._results.write_text(text)
        self._page.write_text(page_text(json.loads(text)))
        return f"interop: wrote {self._results.name} and {self._page.name}"
