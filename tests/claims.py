"""The claims of the threat model, and the tests that show them, read from the page and the sources.

A claim is a bullet of the page; each has at least one ``:shown-by:`path/of/test.py::test_name```, path below ``tests/``.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = "docs/threat-model.rst"

_SHOWN_BY: Final = re.compile(r":shown-by:`([^`]*)`")


class Claim(NamedTuple):
    """One bullet of the page, and the tests that it names."""

    line: int
    text: str
    tests: tuple[str, ...]


def read_claims(page: str) -> list[Claim]:
    """Return the claims of the text of a page."""
    claims: list[Claim] = []
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith(("- ", "* ")):
            claims.append(Claim(number, line[2:], ()))
        elif claims and line.startswith("  ") and number == claims[-1].line + claims[-1].text.count("\n") + 1:
            claims[-1] = claims[-1]._replace(text=f"{claims[-1].text}\n{line.strip()}")
    return [claim._replace(tests=tuple(_SHOWN_BY.findall(claim.text))) for claim in claims]


def is_test(name: str, root: Path = ROOT) -> bool:
    """Whether ``path/of/test.py::test_name`` is a test function below ``tests/``."""
    path, _, function = name.partition("::")
    return function.startswith("test_") and function in _functions(root / "tests" / path)


@cache
def _functions(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
