"""The page of limits: every named number that bounds a buffer, a table or a wait, read from the sources at each build.

A limit is a module-level ``Final`` constant with an upper-case name and a docstring; its unit stands in its name
(``_S``, ``_BYTES``) or in the docstring.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT: Final = Path(__file__).resolve().parent.parent.parent
ROOMS: Final = (ROOT / "ockam_ref", ROOT / "transports" / "ockam_transports")
NOT_LIMITS: Final = ("wire/schema", "testing/")
KINDS: Final = (
    "MAX_",
    "_BYTES",
    "_S",
    "WINDOW",
    "TIMEOUT",
    "LIMIT",
    "INTERVAL",
    "BACKLOG",
    "PER_TURN",
    "PROBES",
    "A_MINUTE",
)


class Limit(NamedTuple):
    """One constant."""

    name: str
    value: str
    meaning: str
    module: str


def limits() -> Iterator[Limit]:
    """Yield all limits, by module."""
    for room in ROOMS:
        for path in sorted(room.rglob("*.py")):
            module = path.relative_to(room.parent).with_suffix("").as_posix()
            if not any(part in module for part in NOT_LIMITS):
                yield from _limits_of(ast.parse(path.read_text(encoding="utf-8")), module.replace("/", "."))


def _limits_of(tree: ast.Module, module: str) -> Iterator[Limit]:
    for statement, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=value),
                ast.Expr(value=ast.Constant(value=str(meaning))),
            ) if value is not None and name.isupper() and not name.startswith("_") and _is_limit(name, value):
                yield Limit(name, _readable(name, ast.unparse(value)), " ".join(meaning.split()), module)


def _is_limit(name: str, value: ast.expr) -> bool:
    numeric = all(
        isinstance(node, ast.BinOp | ast.Constant | ast.operator | ast.Name | ast.Load) for node in ast.walk(value)
    )
    return numeric and any(name.startswith(kind) or name.endswith(kind) for kind in KINDS)


def _readable(name: str, value: str) -> str:
    if value.endswith(" * 1024 * 1024"):
        value = value.removesuffix(" * 1024 * 1024") + " MiB"
    elif value.endswith(" * 1024"):
        value = value.removesuffix(" * 1024") + " KiB"
    elif name.endswith("_S"):
        value += " s"
    return value


class LimitsDirective(SphinxDirective):
    """``.. limits::`` is the whole table."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 28 12 60", ""]
        lines += ["   * - Limit", "     - Value", "     - What it bounds"]
        for limit in limits():
            lines += [
                f"   * - ``{limit.name}``",
                f"     - {limit.value}",
                f"     - {limit.meaning} (``{limit.module}``)",
            ]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source="limits"), self.content_offset, container)
        return container.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("limits", LimitsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
