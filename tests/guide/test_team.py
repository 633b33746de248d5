"""The guide "From a laptop to a team": every command of it, in its order, in a clean folder."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.guide.terminals import Terminals, free_ports, matches, steps
from tests.processes import REPOSITORY

GUIDE = REPOSITORY / "docs" / "from-a-laptop-to-a-team.rst"


@pytest.mark.timeout(300)
def test_the_guide(tmp_path: Path) -> None:
    page = GUIDE.read_text(encoding="utf-8")
    commands = list(steps(page))
    assert len(commands) > 25
    ports = sorted(set(re.findall(r"127\.0\.0\.1:(\d{4})\b", page)))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    terminals = Terminals(tmp_path, dict(zip(ports, free_ports(len(ports)), strict=True)), environment)
    try:
        for step in commands:
            terminals.run(step)
    finally:
        terminals.close()


def test_pages_are_read_as_people_read_them() -> None:
    page = """
.. code-block:: console
   :caption: Alice

   $ echo one
   one
   $ sleep 9 &

.. code-block:: text

   $ not this

.. code-block:: console
   :caption: Bob

   $ echo two \\
   >   lines
   two lines
   of ...

"""
    assert [tuple(step) for step in steps(page)] == [
        ("Alice", "echo one", "one"),
        ("Alice", "sleep 9 &", ""),
        ("Bob", "echo two \\\n  lines", "two lines\nof ..."),
    ]
    assert matches("of ... and\nmore", "of this and\nmore\n", whole=True)
    assert not matches("of ... and", "of this and\nmore\n", whole=True)
    assert matches("of ... and", "of this and\nmore\n", whole=False)
    assert not matches("one", "two", whole=False)
