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
    assert len(commands) == 14
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    ports = ("8000", "4000", "5000")
    terminals = Terminals(tmp_path, dict(zip(ports, free_ports(3), strict=True)), environment)
    try:
        for step in commands:
            terminals.run(step)
    finally:
        terminals.close()
