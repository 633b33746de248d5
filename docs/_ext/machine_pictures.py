"""The tables of transitions of all machines, drawn from the code: there is no picture that could be out of date."""

from collections.abc import Iterator, Sequence
from html import escape
from importlib import import_module
from typing import Final, NamedTuple

from api_pages import module_names
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ockam_ref.machine import Transition

SUFFIX: Final = "TRANSITIONS"

# Of the picture, in pixels: states stand below each other, ways back and loops left of them, ways past others right.
_BOX_WIDTH: Final = 190
_BOX_HEIGHT: Final = 34
_ROW: Final = 78
_LOOP: Final = 46
_BULGE: Final = 44
_LABEL: Final = 8

_HEAD: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" style="max-width: 100%"
 role="img" aria-label="States of {title}" font-family="sans-serif" font-size="13">
<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>
"""


class Table(NamedTuple):
    """One table of transitions of a module."""

    title: str
    rows: Sequence[Transition]


def tables() -> Iterator[Table]:
    """Yield every table of ``ockam_ref``, by the name of its module."""
    for name in module_names():
        for attribute, rows in sorted(vars(import_module(name)).items()):
            if attribute.endswith(SUFFIX) and name.startswith("ockam_ref."):
                kind = attribute.removesuffix(SUFFIX).strip("_").lower()
                yield Table(f"{name.removeprefix('ockam_ref.')}{f' ({kind})' if kind else ''}", rows)


def svg(table: Table) -> str:
    """Draw the states as boxes and the transitions as arrows that carry the numbers of their rows."""
    states = _in_order(table.rows)
    edges: dict[tuple[int, int], list[int]] = {}
    for number, row in enumerate(table.rows, start=1):
        edges.setdefault((states.index(row.state), states.index(row.next_state)), []).append(number)
    loops = [_LOOP + _LABEL * len(_text(numbers)) for (first, last), numbers in edges.items() if first == last]
    left = max([_LOOP, *loops, *(_bulge(first - last) for first, last in edges if first > last)]) + 10
    right = max([0, *(_bulge(last - first) for first, last in edges if last > first + 1)]) + 40
    width, height = left + _BOX_WIDTH + right, _ROW * len(states)
    parts = [
        _HEAD.format(width=width, height=height, title=escape(table.title)),
        *(_box(left, _middle(index), state) for index, state in enumerate(states)),
        *(_arrow(left, first, last, numbers) for (first, last), numbers in edges.items()),
        "</svg>",
    ]
    return "".join(parts)


def _in_order(rows: Sequence[Transition]) -> list[str]:
    """Return the states as they first appear, those that are never left at the end."""
    left = {row.state for row in rows if row.state != row.next_state}
    states = dict.fromkeys(state for row in rows for state in (row.state, row.next_state))
    return sorted(states, key=lambda state: state not in left)


def _middle(index: int) -> int:
    return _ROW * index + _ROW // 2


def _bulge(distance: int) -> int:
    return _LOOP + _BULGE * distance


def _box(left: int, middle: int, text: str) -> str:
    return (
        f'<rect x="{left}" y="{middle - _BOX_HEIGHT // 2}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="8" '
        'fill="none" stroke="currentColor"/>'
        f'<text x="{left + _BOX_WIDTH // 2}" y="{middle + 5}" text-anchor="middle" fill="currentColor">'
        f"{escape(text)}</text>"
    )


def _arrow(left: int, first: int, last: int, numbers: list[int]) -> str:
    start, end = _middle(first), _middle(last)
    half = _BOX_HEIGHT // 2
    if first == last:
        # Out of the upper half of the left edge and back into the lower one.
        path = f"M{left} {start - 8} C{left - _LOOP} {start - 26} {left - _LOOP} {start + 26} {left} {start + 8}"
        return _line(path) + _label(left - _LOOP * 3 // 4 - _LABEL * len(_text(numbers)) // 2, start, numbers)
    if last == first + 1:
        x = left + _BOX_WIDTH // 2
        return _line(f"M{x} {start + half} V{end - half}") + _label(x, (start + end) // 2, numbers)
    edge, out = (left + _BOX_WIDTH, 1) if last > first else (left, -1)
    far = edge + out * _bulge(abs(last - first))
    path = f"M{edge} {start} C{far} {start} {far} {end} {edge} {end}"
    return _line(path) + _label((edge + 3 * far) // 4, (start + end) // 2, numbers)


def _line(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="currentColor" marker-end="url(#arrow)"/>'


def _text(numbers: list[int]) -> str:
    """Write ascending numbers shortly: ``1, 4-7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _label(x: int, y: int, numbers: list[int]) -> str:
    text = _text(numbers)
    width = _LABEL * len(text) + 8
    return (
        f'<rect x="{x - width // 2}" y="{y - 10}" width="{width}" height="20" rx="10" '
        'fill="var(--color-background-primary, white)" stroke="none"/>'
        f'<text x="{x}" y="{y + 5}" text-anchor="middle" fill="currentColor">{text}</text>'
    )


class Machines(SphinxDirective):
    """Draws every table of transitions, with its picture."""

    def run(self) -> list[nodes.Node]:
        """Read the tables anew at every build."""
        self.env.note_reread()
        return [self._section(table) for table in tables()]

    def _section(self, table: Table) -> nodes.section:
        section = nodes.section("", nodes.title("", table.title), ids=[nodes.make_id(f"machine {table.title}")])
        section += nodes.raw("", svg(table), format="html")
        section += self._table(table)
        return section

    def _table(self, table: Table) -> nodes.table:
        head = ("", "State", "Event", "Next state", "")
        body = [
            (str(number), row.state, row.event, row.next_state, row.note)
            for number, row in enumerate(table.rows, start=1)
        ]
        columns = [nodes.colspec(colwidth=width) for width in (1, 4, 6, 4, 6)]
        group = nodes.tgroup("", *columns, nodes.thead("", self._row(head)), cols=len(head))
        group += nodes.tbody("", *map(self._row, body))
        return nodes.table("", group)

    @staticmethod
    def _row(cells: tuple[str, ...]) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with sphinx."""
    app.add_directive("machines", Machines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
