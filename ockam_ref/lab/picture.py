"""A route as a picture: nodes, hops between them in the colours of their transports, and what was measured."""

from collections.abc import Sequence
from html import escape
from typing import Final

from ockam_ref.lab.report import (
    HopReport,
    RouteReport,
    loss_text,
    overhead_text,
    portal_text,
    reading_text,
    size_text,
    time_text,
)

COLOURS: Final = {
    "tcp": "#2563eb",
    "udp": "#ea7a12",
    "ble": "#7c3aed",
    "ws": "#0d9488",
    "uds": "#a16207",
    "memory": "#64748b",
}
OTHER_COLOUR: Final = "#be185d"
INK, FAINT, PAPER, TUNNEL, ALARM = "#0f172a", "#64748b", "#ffffff", "#dcfce7", "#dc2626"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"

MARGIN: Final = 40
NODE_WIDTH: Final = 104
NODE_HEIGHT: Final = 54
HOP_WIDTH: Final = 236
"""From the middle of a node to the middle of the next."""
TUNNEL_Y: Final = 84
TUNNEL_HEIGHT: Final = 96
ROW_HEIGHT: Final = 22
MAX_NAME: Final = 13
MIN_WIDTH: Final = 760


def picture(report: RouteReport) -> str:
    """Return an SVG document that needs nothing from elsewhere."""
    hops = len(report.hops)
    route_width = hops * HOP_WIDTH + NODE_WIDTH
    width = max(MIN_WIDTH, route_width + 2 * MARGIN)
    left = (width - route_width) / 2
    middle = TUNNEL_Y + TUNNEL_HEIGHT / 2 + 8
    centres = [left + NODE_WIDTH / 2 + number * HOP_WIDTH for number in range(hops + 1)]
    parts = [_text(MARGIN, 42, _shorten(report.route, width // 11), size=20, weight=600)]
    parts += _tunnel(report, left, route_width)
    parts += [_hop_line(hop, centres[number], centres[number + 1], middle) for number, hop in enumerate(report.hops)]
    parts += [_node(name, centre, middle) for name, centre in zip(report.nodes, centres, strict=True)]
    top = TUNNEL_Y + TUNNEL_HEIGHT + 34
    for number, hop in enumerate(report.hops):
        parts += _figures(hop, (centres[number] + centres[number + 1]) / 2, top)
    bottom = top + 8 * ROW_HEIGHT + 26
    footer = _footer(report)
    parts += [_text(MARGIN, bottom + number * 23, line, size=14, fill=FAINT) for number, line in enumerate(footer)]
    height = bottom + len(footer) * 23 + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="{escape(FONT)}">\n'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _tunnel(report: RouteReport, left: float, width: float) -> list[str]:
    if report.channel_s is None:
        return [_text(left + 6, TUNNEL_Y + 20, "no channel: everything can be read", size=14, fill=ALARM)]
    box = (
        f'<rect x="{left - 16:g}" y="{TUNNEL_Y}" width="{width + 32:g}" height="{TUNNEL_HEIGHT}" rx="20" '
        f'fill="{TUNNEL}" stroke="#16a34a" stroke-width="1.5"/>'
    )
    said = f"one secure channel from end to end, opened in {time_text(report.channel_s)}"
    return [box, _text(left + width / 2, TUNNEL_Y - 9, said, size=14, fill="#15803d", anchor="middle")]


def _hop_line(hop: HopReport, start: float, end: float, y: float) -> str:
    colour = _colour(hop)
    x_1, x_2, middle = start + NODE_WIDTH / 2, end - NODE_WIDTH / 2, (start + end) / 2
    dashes = ' stroke-dasharray="9 6"' if hop.lost_packets else ""
    name, _, options = hop.transport.partition("(")
    label = _text(middle, y - 12, name, size=17, weight=700, fill=colour, anchor="middle")
    note = _text(middle, y + 24, options.rstrip(")"), size=12, fill=colour, anchor="middle") if options else ""
    return (
        f'<line x1="{x_1:g}" y1="{y:g}" x2="{x_2 - 10:g}" y2="{y:g}" stroke="{colour}" stroke-width="4"{dashes}/>'
        f'<path d="M{x_2 - 12:g},{y - 8:g} L{x_2:g},{y:g} L{x_2 - 12:g},{y + 8:g} z" fill="{colour}"/>{label}{note}'
    )


def _node(name: str, centre: float, y: float) -> str:
    box = (
        f'<rect x="{centre - NODE_WIDTH / 2:g}" y="{y - NODE_HEIGHT / 2:g}" width="{NODE_WIDTH}" '
        f'height="{NODE_HEIGHT}" rx="12" fill="{PAPER}" stroke="{INK}" stroke-width="2"/>'
    )
    return box + _text(centre, y + 5, _shorten(name, MAX_NAME), size=15, weight=600, anchor="middle")


def _figures(hop: HopReport, centre: float, top: float) -> list[str]:
    rows = (
        ("MTU", "none" if hop.mtu is None else size_text(hop.mtu)),
        ("bytes out", size_text(hop.bytes_out)),
        ("bytes in", size_text(hop.bytes_in)),
        ("overhead", overhead_text(hop.overhead)),
        ("delay p50", time_text(hop.delay.p50_s)),
        ("delay p99", time_text(hop.delay.p99_s)),
        ("lost", loss_text(hop)),
        ("can read", hop.readable),
    )
    parts = []
    for number, (name, value) in enumerate(rows):
        y = top + number * ROW_HEIGHT
        alarm = (name == "can read" and hop.marks) or (name == "lost" and hop.lost_packets)
        parts.append(_text(centre - 34, y, name, size=13, fill=FAINT, anchor="end"))
        parts.append(_text(centre - 26, y, value, size=13, fill=ALARM if alarm else INK, weight=500))
    return parts


def _footer(report: RouteReport) -> Sequence[str]:
    messages = ", ".join(f"{size_text(one.size)} {time_text(one.round_trip.p50_s)}" for one in report.messages)
    return (
        f"Messages there and back, p50: {messages}",
        portal_text(report.portal),
        reading_text(report),
    )


def _colour(hop: HopReport) -> str:
    return COLOURS.get(hop.transport.partition("(")[0], OTHER_COLOUR)


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _text(
    x: float, y: float, text: str, *, size: int, weight: int = 400, fill: str = INK, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
