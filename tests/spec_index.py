"""The requirements of ``spec/`` and the tests and vectors that carry them, read from the sources without importing any.

A requirement is a bullet ``- **AREA-1** — text.`` of a page.  A test carries it by ``@pytest.mark.spec("AREA-1")``, a
vector by its ``"spec"`` list.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent

_BULLET: Final = re.compile(r"^\s*[-*]\s+\*\*(?P<bold>[^*]+)\*\*")
_REQUIREMENT: Final = re.compile(r"^- \*\*(?P<id>[A-Z][A-Z0-9]*-[1-9][0-9]*)\*\* — (?P<text>\S.*)$")
_CONTINUATION: Final = re.compile(r"^  \S")


class SpecError(Exception):
    """A page or a marker that cannot be read; the text names the place."""


class Requirement(NamedTuple):
    """One numbered sentence of the specification; ``page`` is relative to the root."""

    id: str
    text: str
    page: str


class Carrier(NamedTuple):
    """What checks a requirement: a test (``path::name``) or a file of vectors."""

    requirement: str
    path: str
    name: str


def read_requirements(root: Path = ROOT) -> list[Requirement]:
    """Return all requirements, page by page in the order of their lines.

    Raises:
        SpecError: a bullet that begins in bold but has not the form, or a number that is there twice.
    """
    found: dict[str, Requirement] = {}
    for path in sorted((root / "spec").rglob("*.rst")):
        page = path.relative_to(root).as_posix()
        for requirement in _requirements_of(page, path.read_text(encoding="utf-8").splitlines()):
            if requirement.id in found:
                raise SpecError(f"{requirement.id} is in {found[requirement.id].page} and again in {page}")
            found[requirement.id] = requirement
    return list(found.values())


def _requirements_of(page: str, lines: list[str]) -> Iterator[Requirement]:
    for number, line in enumerate(lines):
        if _BULLET.match(line) is None:
            continue
        match = _REQUIREMENT.match(line)
        if match is None:
            raise SpecError(f"{page}:{number + 1}: a requirement is written `- **AREA-1** — text.`: {line}")
        text = [match["text"]]
        for following in lines[number + 1 :]:
            if not _CONTINUATION.match(following):
                break
            text.append(following.strip())
        yield Requirement(match["id"], " ".join(text), page)


def read_carriers(root: Path = ROOT) -> list[Carrier]:
    """Return every pair of a requirement and what checks it, sorted.

    Raises:
        SpecError: an argument of a ``spec`` marker that is not a literal text, or a marker without any.
    """
    found: set[Carrier] = set()
    for path in sorted((root / "tests").rglob("*.py")):
        found.update(_markers_of(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")))
    for path in sorted((root / "tests" / "vectors").rglob("*.json")):
        vectors = json.loads(path.read_text(encoding="utf-8"))
        name = path.relative_to(root).as_posix()
        found.update(Carrier(requirement, name, "") for requirement in _spec_lists(vectors))
    return sorted(found)


def _markers_of(path: str, source: str) -> Iterator[Carrier]:
    def visit(node: ast.AST, name: str) -> Iterator[Carrier]:
        if isinstance(node, ast.Call) and _is_spec_marker(node.func):
            for requirement in _literals(path, node):
                yield Carrier(requirement, path, name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{name}::{node.name}" if name else node.name
        for child in ast.iter_child_nodes(node):
            yield from visit(child, name)

    yield from visit(ast.parse(source, path), "")


def _is_spec_marker(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "spec"
        and isinstance(function.value, ast.Attribute)
        and function.value.attr == "mark"
    )


def _literals(path: str, call: ast.Call) -> list[str]:
    values = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    texts = [value for value in values if isinstance(value, str)]
    if not texts or len(texts) != len(call.args) or call.keywords:
        raise SpecError(f"{path}:{call.lineno}: a spec marker takes one or more literal texts")
    return texts


def _spec_lists(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "spec" and isinstance(inner, list):
                yield from (item for item in inner if isinstance(item, str))
            else:
                yield from _spec_lists(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _spec_lists(inner)
