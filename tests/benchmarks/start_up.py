"""What a user waits for before anything happens: the import of the core, and the help of the command line."""

import subprocess
import sys
import time
from statistics import median
from typing import Final

from tests.benchmarks.contenders import environment
from tests.processes import REPOSITORY

_NOTHING: Final = ["-c", "pass"]
_CORE: Final = ["-c", "import ockam_ref.node"]
_HELP: Final = ["-m", "ockam_ref", "--help"]


def start_up(samples: int) -> dict[str, float]:
    """Return the seconds of the core's import, the bare interpreter taken off, and of ``--help``."""
    commands = (_NOTHING, _CORE, _HELP)
    for command in commands:
        _seconds(command)  # writes the compiled modules
    # One after the other, so that whatever else the machine does falls on all of them.
    rounds = [[_seconds(command) for command in commands] for _ in range(samples)]
    nothing, core, shown = (median(column) for column in zip(*rounds, strict=True))
    return {"core_import_s": core - nothing, "help_s": shown}


def _seconds(arguments: list[str]) -> float:
    begin = time.perf_counter()
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=REPOSITORY, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin
