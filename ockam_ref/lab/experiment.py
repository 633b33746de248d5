"""The experiment itself: nodes are started from the far end on, joined, used and measured."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.lab.description import Hop, RouteDescription
from ockam_ref.lab.nodes import HOP, Counts, LabNode, LocalNode, Setup
from ockam_ref.lab.report import Delays, HopReport, MessageReport, PortalReport, RouteReport, delays_of
from ockam_ref.wire.address import parse_address
from ockam_transports.base import TransportPlugin
from ockam_transports.plugins import find_plugin

MARK_BYTES: Final = 8
"""A mark this long, drawn anew for each experiment, is in what is sent at every eighth byte."""

NodeFactory: TypeAlias = Callable[[Setup], AbstractAsyncContextManager[LabNode]]

PATIENCE_S: Final = 10.0
"""A message whose answer takes longer from end to end is lost."""

IMPATIENCE_S: Final = 1.0
"""The same where packets are lost for good, and waiting is in vain."""


@dataclass(frozen=True, slots=True)
class Load:
    """What goes through the route: messages of these sizes, this often each, and a portal's bulk."""

    sizes: tuple[int, ...] = (16, 1024, 16 * 1024, 48 * 1024)
    repeat: int = 20
    probes: int = 100
    bulk_bytes: int = 1024 * 1024
    channel: bool = True


async def run_experiment(
    description: RouteDescription, load: Load, *, make_node: NodeFactory | None = None, processes: int = 1
) -> RouteReport:
    """Start the nodes, use the route and return what was measured; nothing is left running.

    ``make_node`` starts a node elsewhere than in this process, which a route over Bluetooth or memory cannot leave.

    Raises:
        OckamError: a hop or the channel could not be opened, or a message came back changed.
    """
    mark = os.urandom(MARK_BYTES)
    async with AsyncExitStack() as stack:
        plugins = await _virtual_plugins(stack, description) if make_node is None else ()
        make = make_node or partial(LocalNode, plugins=plugins)
        nodes = [await stack.enter_async_context(make(setup)) for setup in _setups(description, mark, load.channel)]
        addresses, onward = await _join(nodes)
        far = await nodes[-1].serve()
        channel_s = await nodes[0].open(onward, far["identifier"])
        before = [await node.count() for node in nodes]
        messages, portal = await _use(nodes[0], description, load)
        after = [await node.count() for node in nodes]
        delays = [delays_of(await node.probe(load.probes), divided_by=2) for node in nodes[:-1]]
        sent = sum(one.size * (one.round_trip.count + one.round_trip.lost) for one in messages)
        carried = sent + sum(one.size * one.round_trip.count for one in messages) + portal.length
        hops = tuple(
            _hop_report(
                HopPlace(number + 1, str(hop), *description.ends_of(number), addresses[number]),
                (before[number], before[number + 1]),
                (after[number], after[number + 1]),
                carried,
                delays[number],
            )
            for number, hop in enumerate(description.hops)
        )
        channel = channel_s if load.channel else None
        return RouteReport(str(description), description.nodes, processes, channel, hops, tuple(messages), portal)


async def _virtual_plugins(stack: AsyncExitStack, description: RouteDescription) -> tuple[TransportPlugin, ...]:
    """Put a radio into the air of this process, if the route needs one."""
    if all(hop.transport != "ble" for hop in description.hops):
        return ()
    try:
        from ockam_transports.virtual_radio import virtual_radio  # noqa: PLC0415  # its packages are extras
    except ImportError as error:
        advice = "a hop over Bluetooth needs two extras: pip install 'ockam-ref[ble,ble-peripheral]'"
        raise OckamError(ErrorCode.LINK_FAILED, f"{advice} ({error})") from None
    _, create = await stack.enter_async_context(virtual_radio())
    return (replace(find_plugin("ble"), create=create),)


async def _use(
    node: LabNode, description: RouteDescription, load: Load
) -> tuple[tuple[MessageReport, ...], PortalReport]:
    messages = [MessageReport(size, delays_of(await node.exchange(size, load.repeat))) for size in load.sizes]
    try:
        first = await node.fetch(MARK_BYTES)
        bulk = await node.fetch(load.bulk_bytes)
    except OckamError as error:
        if not _loses(description):
            raise
        return tuple(messages), PortalReport(str(error), None, 0, None, False)
    intact = bool(first["intact"] and bulk["intact"])
    length = int(first["length"] + bulk["length"])
    return tuple(messages), PortalReport(first["status"], first["seconds"], length, bulk["seconds"], intact)


def _setups(description: RouteDescription, mark: bytes, channel: bool) -> list[Setup]:  # noqa: FBT001
    sides: Sequence[Hop | None] = (None, *description.hops, None)
    patience_s = IMPATIENCE_S if _loses(description) else PATIENCE_S
    return [
        Setup(name, sides[number], sides[number + 1], mark, channel, patience_s)
        for number, name in enumerate(description.nodes)
    ]


def _loses(description: RouteDescription) -> bool:
    return any(hop.loss and not hop.recovery for hop in description.hops)


async def _join(nodes: Sequence[LabNode]) -> tuple[list[str], list[str]]:
    """Open all hops, the last one first; return where each leads, and the route behind the first."""
    addresses: list[str] = []
    onward: list[str] = []
    for near, far in reversed(list(pairwise(nodes))):
        address = await far.listen()
        hop = await near.connect(address)
        addresses.insert(0, address)
        onward[:0] = [HOP, parse_address(hop).value.decode()]
    return addresses, onward[2:]


class HopPlace(NamedTuple):
    """Which hop it is."""

    number: int
    transport: str
    source: str
    target: str
    address: str


def _hop_report(
    place: HopPlace, before: Sequence[Counts], after: Sequence[Counts], carried: int, delay: Delays
) -> HopReport:
    near = _between(before[0]["after"], after[0]["after"])
    far = _between(before[1]["before"], after[1]["before"])
    total = near["bytes_out"] + near["bytes_in"]
    return HopReport(
        **place._asdict(),
        mtu=after[0]["after"]["mtu"],
        bytes_out=near["bytes_out"],
        bytes_in=near["bytes_in"],
        overhead=total / carried - 1,
        delay=delay,
        packets=near["packets_out"] + far["packets_out"],
        lost_packets=near["lost"] + far["lost"],
        marks=near["marks"] + far["marks"],
        marks_sent=carried // MARK_BYTES,
    )


def _between(before: dict[str, int | None], after: dict[str, int | None]) -> dict[str, int]:
    return {name: (after[name] or 0) - (before[name] or 0) for name in before if name != "mtu"}
