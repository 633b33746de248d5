"""What people write to say which route they want: hops, their options, and the names of the nodes between them.

One line is enough: ``tcp > udp(loss=5%) > ble``.  Hops may stand on lines of their own, ``#`` begins a comment, and a
name in brackets, ``[laptop] tcp > [hub] udp > [server]``, is that of the node where it stands.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError

MAX_HOPS: Final = 16
"""Hops of one route; more would exceed what a message may visit."""

_PART: Final = re.compile(
    r"\s*(?:\[(?P<node>[^\[\]]{1,40})\])?\s*(?:(?P<transport>[a-z][a-z0-9+-]*)\s*(?:\((?P<options>[^()]*)\))?)?\s*"
)
_FRACTION: Final = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,4})?)%")
_TIME: Final = re.compile(r"(?P<number>\d{1,5}(?:\.\d{1,3})?)(?P<unit>ms|s)")

FRACTIONS: Final = ("loss", "reorder", "duplicate")
"""Options that say how many of a hundred packets something happens to."""

TIMES: Final = ("delay", "jitter")
"""Options that say how long."""

IMPAIRED: Final = ("udp",)
"""Transports whose packets may be lost, so that their hops can be made worse."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop: a transport, and what happens to its packets; parts are between 0 and 1, times in seconds.

    ``recovery`` says whether both ends of a datagram hop repair losses.
    """

    transport: str
    loss: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    recovery: bool = True

    @property
    def impaired(self) -> bool:
        """Whether anything is done to the packets of this hop."""
        return any((self.loss, self.reorder, self.duplicate, self.delay_s, self.jitter_s))

    def __str__(self) -> str:
        said = [f"{name}={100 * getattr(self, name):g}%" for name in FRACTIONS if getattr(self, name)]
        said += [f"{name}={1000 * getattr(self, f'{name}_s'):g}ms" for name in TIMES if getattr(self, f"{name}_s")]
        said += [] if self.recovery else ["recovery=off"]
        return f"{self.transport}({', '.join(said)})" if said else self.transport


@dataclass(frozen=True, slots=True)
class RouteDescription:
    """Hops in order, and the names of the nodes: one more than hops."""

    hops: tuple[Hop, ...]
    nodes: tuple[str, ...]

    def ends_of(self, hop: int) -> tuple[str, str]:
        """Return the names of the nodes at the ends of a hop, counted from 0."""
        return self.nodes[hop], self.nodes[hop + 1]

    def __str__(self) -> str:
        return " > ".join(map(str, self.hops))


def parse_description(text: str) -> RouteDescription:
    """Read a description.

    Raises:
        MisuseError: it is none; the message says where and why.
    """
    lines = (line.partition("#")[0] for line in text.splitlines())
    parts = [part.strip() for line in lines for part in line.split(">") if part.strip()]
    hops: list[Hop] = []
    names: dict[int, str] = {}
    for part in parts:
        found = _PART.fullmatch(part)
        if found is None:
            raise _bad(f"{part!r} is no hop; a hop is a transport, for instance 'tcp' or 'udp(loss=5%)'")
        if found["node"]:
            if len(hops) in names:
                raise _bad(f"the node before {part!r} has a name already")
            names[len(hops)] = found["node"].strip()
        if found["transport"]:
            hops.append(_hop(found["transport"], found["options"] or ""))
    if not hops:
        raise _bad("there is no hop in it; write for instance 'tcp > udp > tcp'")
    if len(hops) > MAX_HOPS:
        raise _bad(f"{len(hops)} hops are too many; {MAX_HOPS} are possible")
    nodes = tuple(names.get(number, f"node {number + 1}") for number in range(len(hops) + 1))
    if len(set(nodes)) < len(nodes):
        raise _bad("two nodes have the same name")
    return RouteDescription(tuple(hops), nodes)


def _hop(transport: str, text: str) -> Hop:
    options: dict[str, str] = {}
    for option in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (each.strip() for each in option.partition("="))
        if name in options:
            raise _bad(f"{name!r} is said twice of {transport}")
        options[name] = value
    known = (*FRACTIONS, *TIMES, "recovery")
    if unknown := sorted(set(options) - set(known)):
        raise _bad(f"{unknown[0]!r} is no option of a hop; there are {', '.join(known)}")
    if options and transport not in IMPAIRED:
        raise _bad(f"{transport} takes no options: its packets cannot be lost without ending the link")
    return Hop(
        transport,
        **{name: _fraction(name, options[name]) for name in FRACTIONS if name in options},
        **{f"{name}_s": _seconds(name, options[name]) for name in TIMES if name in options},
        recovery=_switch(options),
    )


def _fraction(name: str, text: str) -> float:
    found = _FRACTION.fullmatch(text)
    if found is None or float(found["number"]) > 100:
        raise _bad(f"{name}={text}: write a part of a hundred, for instance {name}=5%")
    return float(found["number"]) / 100


def _seconds(name: str, text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None:
        raise _bad(f"{name}={text}: write a time, for instance {name}=20ms")
    return float(found["number"]) / (1000 if found["unit"] == "ms" else 1)


def _switch(options: Mapping[str, str]) -> bool:
    text = options.get("recovery", "on")
    if text not in ("on", "off"):
        raise _bad(f"recovery={text}: it may be 'on' or 'off'")
    return text == "on"


def _bad(reason: str) -> MisuseError:
    return MisuseError(ErrorCode.MISUSE, f"this is no description of a route: {reason}")
