"""The page on policies: every command of it, in its order, in a clean folder."""

import os
import sys
from pathlib import Path

import pytest

from tests.guide.terminals import Terminals, free_ports, steps
from tests.processes import REPOSITORY

PAGE = REPOSITORY / "docs" / "policies.rst"


@pytest.mark.spec("POL-50", "POL-52", "POL-53")
def test_the_page(tmp_path: Path) -> None:
    commands = list(steps(PAGE.read_text(encoding="utf-8")))
    assert len(commands) == 11
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    terminals = Terminals(tmp_path, {"4000": free_ports(1)[0]}, environment)
    try:
        for step in commands:
            terminals.run(step)
    finally:
        terminals.close()
