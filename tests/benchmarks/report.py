"""The tables: figures, ratios, and what was to be reached."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.measure import Figures

ASYNCIO: Final = "ours-asyncio"
UVLOOP: Final = "ours-uvloop"
RUST: Final = "rust"
SSH: Final = "ssh"
KEPT_CREDENTIAL: Final = "ours, a credential"
NEW_CREDENTIALS: Final = "ours, a new credential each"

Figure = tuple[str, str, str, int]
COLUMNS: Final[tuple[Figure, ...]] = (
    # key, heading, unit, digits
    ("download_mb_s", "download", "MB/s", 0),
    ("upload_mb_s", "upload", "MB/s", 0),
    ("p50_us", "p50", "us", 0),
    ("p99_us", "p99", "us", 0),
    ("floor_us", "floor", "us", 0),
    ("connections_per_s", "connections", "1/s", 0),
    ("processor_s_per_gib", "processor", "s/GiB", 2),
    ("launch_s", "launch", "s", 2),
)
PER_PROCESS: Final[tuple[Figure, ...]] = (
    ("processor_s_per_gib", "each process", "s/GiB", 1),
    ("idle_mib", "RSS idle", "MiB", 0),
    ("peak_mib", "RSS peak", "MiB", 0),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to reach: what was measured, and its limit."""

    name: str
    measured: float
    limit: float
    at_least: bool
    unit: str

    @property
    def verdict(self) -> str:
        """``ok``, or by how much it is missed."""
        reached = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return "ok" if reached else f"missed by {abs(1 - self.measured / self.limit):.0%}"


def figures_table(summary: Mapping[str, Figures]) -> str:
    """Return the figures, one line a contender, and below ours what they are in relation to the rivals'."""
    columns = (*COLUMNS, *PER_PROCESS)
    rows = [["", *(name for _, name, _, _ in columns)], ["", *(unit for _, _, unit, _ in columns)]]
    for name, figures in summary.items():
        cells = [f"{figures.numbers[key]:,.{digits}f}" for key, _, _, digits in COLUMNS]
        rows.append([name, *cells, *(_joined(figures.processes[key], digits) for key, _, _, digits in PER_PROCESS)])
        rivals = (RUST, SSH) if name in (ASYNCIO, UVLOOP) else (SSH,) if name == RUST else ()
        present = (rival for rival in rivals if rival in summary)
        rows.extend([f"  x {rival}", *_ratios(figures, summary[rival])] for rival in present)
    return aligned(rows)


def goals_table(goals: list[Goal]) -> str:
    """Return what was to be reached, and whether it is."""
    rows = [["to reach", "measured", "limit", ""]]
    for goal in goals:
        sign = ">=" if goal.at_least else "<="
        rows.append([goal.name, f"{goal.measured:.2f}{goal.unit}", f"{sign} {goal.limit:g}{goal.unit}", goal.verdict])
    return aligned(rows)


def goals_of(
    summary: Mapping[str, Figures], channels: Mapping[str, float], start_up: Mapping[str, float]
) -> Iterator[Goal]:
    """Yield everything that was to be reached and can be judged with what was measured."""
    for name, bulk in ((ASYNCIO, 1.2), (UVLOOP, 1.8)):
        if name not in summary:
            continue
        for rival in (RUST, SSH):
            if rival in summary:
                yield from _against(name, rival, bulk, summary)
        yield Goal(
            f"{name}: idle memory of a node", max(summary[name].processes["idle_mib"]), 45, at_least=False, unit=" MiB"
        )
        launch = summary[name].numbers["launch_s"]
        yield Goal(f"{name}: launch to first byte", launch, 0.8, at_least=False, unit=" s")
    if {"ours", RUST} <= channels.keys():
        ratio = channels["ours"] / channels[RUST]
        yield Goal("secure channels a second", ratio, 1.3, at_least=True, unit=" x rust")
    for name in (KEPT_CREDENTIAL, NEW_CREDENTIALS):
        if {"ours", name} <= channels.keys():
            yield Goal(f"handshake, {name}", channels["ours"] / channels[name], 1.5, at_least=False, unit=" x without")
    if start_up:
        yield Goal("import of the core", start_up["core_import_s"] * 1000, 120, at_least=False, unit=" ms")
        yield Goal("--help", start_up["help_s"] * 1000, 200, at_least=False, unit=" ms")


def _against(name: str, rival: str, bulk: float, summary: Mapping[str, Figures]) -> Iterator[Goal]:
    def ratio(key: str, title: str, limit: float, *, at_least: bool) -> Goal:
        measured = summary[name].numbers[key] / summary[rival].numbers[key]
        return Goal(f"{name}: {title}", measured, limit, at_least, f" x {rival}")

    yield ratio("download_mb_s", "download", bulk, at_least=True)
    yield ratio("upload_mb_s", "upload", bulk, at_least=True)
    if rival == RUST:
        yield ratio("p50_us", "64-byte round trip p50", 2.2, at_least=False)
        yield ratio("connections_per_s", "new connections a second", 0.6, at_least=True)
        yield ratio("processor_s_per_gib", "processor time", 1.2, at_least=False)


def _ratios(ours: Figures, theirs: Figures) -> list[str]:
    ratios = ("" if key == "floor_us" else f"{ours.numbers[key] / theirs.numbers[key]:.2f}" for key, *_ in COLUMNS)
    return [*ratios, *("" for _ in PER_PROCESS)]


def _joined(processes: list[float], digits: int) -> str:
    return "/".join(f"{figure:.{digits}f}" for figure in processes)


def aligned(rows: list[list[str]]) -> str:
    """Return the rows as text: names to the left, everything else to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
