"""What an experiment has measured, and how people and programs read it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

_UNITS: Final = ((1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True)
class Delays:
    """Times in seconds: the middle one, the one that a hundredth exceeds; how many there are, and how many lost."""

    p50_s: float | None
    p99_s: float | None
    count: int
    lost: int


@dataclass(frozen=True, slots=True)
class HopReport:
    """One hop, seen from the node before it: ``bytes_out`` leave towards the far end, ``bytes_in`` come back.

    ``overhead`` is what the hop carried beyond the bytes of the application, as a part of those.  ``delay`` is one way,
    half of the way there and back to the next node.  ``packets`` and ``lost_packets`` count both directions; ``marks``
    how often what the application sent could be read on the hop, of ``marks_sent``.
    """

    number: int
    source: str
    target: str
    transport: str
    address: str
    mtu: int | None
    bytes_out: int
    bytes_in: int
    overhead: float
    delay: Delays
    packets: int
    lost_packets: int
    marks: int
    marks_sent: int

    @property
    def readable(self) -> str:
        """What somebody on this hop can read."""
        if self.marks:
            return "everything"
        return "routes, sizes, times"


@dataclass(frozen=True, slots=True)
class MessageReport:
    """Messages of one size from end to end and back."""

    size: int
    round_trip: Delays


@dataclass(frozen=True, slots=True)
class PortalReport:
    """What a browser got through the portal: one small answer after ``first_s``, then a long one in ``seconds``.

    ``length`` counts the bytes of both.  Where it got nothing, ``status`` says why.
    """

    status: str
    first_s: float | None
    length: int
    seconds: float | None
    intact: bool


@dataclass(frozen=True, slots=True)
class RouteReport:
    """A whole experiment; ``channel_s`` is how long the channel took, ``None`` where there was none."""

    route: str
    nodes: tuple[str, ...]
    processes: int
    channel_s: float | None
    hops: tuple[HopReport, ...]
    messages: tuple[MessageReport, ...]
    portal: PortalReport


def delays_of(seconds: Sequence[float | None], *, divided_by: int = 1) -> Delays:
    """Return what is to be said of some times; ``None`` is one that was lost."""
    known = sorted(one / divided_by for one in seconds if one is not None)
    lost = len(seconds) - len(known)
    if not known:
        return Delays(None, None, 0, lost)
    return Delays(known[len(known) // 2], known[min(len(known) - 1, len(known) * 99 // 100)], len(known), lost)


def report_fields(report: RouteReport) -> dict[str, Any]:
    """Return the report as plain data; sizes are bytes, times seconds, parts fractions of 1."""
    return asdict(report) | {"hops": [asdict(hop) | {"readable": hop.readable} for hop in report.hops]}


# ---- for people


def size_text(size: float) -> str:
    """Return a number of bytes as people write it."""
    for unit, name in _UNITS:
        if size >= unit:
            number = size / unit
            return f"{number:.1f} {name}" if number < 100 and number != int(number) else f"{number:.0f} {name}"
    return f"{size:.0f} B"


def time_text(seconds: float | None) -> str:
    """Return a time with three digits."""
    if seconds is None:
        return "-"
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} \u00b5s"


def overhead_text(overhead: float) -> str:
    """Return a part as a percentage."""
    return f"{100 * overhead:+.1f} %"


def loss_text(hop: HopReport) -> str:
    """Return how many packets of a hop were lost."""
    if not hop.lost_packets:
        return "0"
    return f"{hop.lost_packets} of {hop.packets} ({100 * hop.lost_packets / hop.packets:.1f} %)"


def table(report: RouteReport) -> str:
    """Return the report as a table for a terminal."""
    head = (
        "hop",
        "transport",
        "from",
        "to",
        "MTU",
        "bytes out",
        "bytes in",
        "overhead",
        "p50",
        "p99",
        "lost",
        "can read",
    )
    rows = [
        (
            str(hop.number),
            hop.transport,
            hop.source,
            hop.target,
            "-" if hop.mtu is None else str(hop.mtu),
            size_text(hop.bytes_out),
            size_text(hop.bytes_in),
            overhead_text(hop.overhead),
            time_text(hop.delay.p50_s),
            time_text(hop.delay.p99_s),
            loss_text(hop),
            hop.readable,
        )
        for hop in report.hops
    ]
    lines = [_channel_line(report), "", *_aligned((head, *rows), right={4, 5, 6, 7, 8, 9}), ""]
    sizes = ("message", "count", "p50 there and back", "p99", "lost")
    lines += _aligned(
        (
            sizes,
            *(
                (
                    size_text(one.size),
                    str(one.round_trip.count),
                    time_text(one.round_trip.p50_s),
                    time_text(one.round_trip.p99_s),
                    str(one.round_trip.lost),
                )
                for one in report.messages
            ),
        ),
        right={0, 1, 2, 3, 4},
    )
    return "\n".join([*lines, "", portal_text(report.portal), reading_text(report)])


def _channel_line(report: RouteReport) -> str:
    ends = f"{report.nodes[0]} to {report.nodes[-1]}, {report.route}"
    if report.channel_s is None:
        return f"No channel: {ends}."
    return f"One secure channel from {ends}; it took {time_text(report.channel_s)}."


def portal_text(portal: PortalReport) -> str:
    """Return what a browser got."""
    if portal.seconds is None:
        return f"HTTP through a portal: {portal.status}."
    rate = size_text(portal.length / portal.seconds) + "/s"
    whole = "unchanged" if portal.intact else "CHANGED ON THE WAY"
    return (
        f"HTTP through a portal: {portal.status} after {time_text(portal.first_s)}; "
        f"{size_text(portal.length)} {whole} in {time_text(portal.seconds)}, {rate}."
    )


def reading_text(report: RouteReport) -> str:
    """Return whether anybody on the way could read what was sent."""
    seen, sent = sum(hop.marks for hop in report.hops), report.hops[0].marks_sent
    if not seen:
        return f"Of {sent} marks in what was sent, none could be read on any hop."
    return f"Of {sent} marks in what was sent, up to {max(hop.marks for hop in report.hops)} could be read on a hop."


def _aligned(rows: Sequence[Sequence[str]], *, right: set[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
