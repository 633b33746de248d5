"""The experiment itself: nodes are started from the far end on, joined, used and measured."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ockam_ref.lab.description import Hop, RouteDescription
from ockam_ref.lab.nodes import HOP, LabNode, LocalNode, Setup
from ockam_ref.lab.report import HopReport, MessageReport, PortalReport, RouteReport, delays_of
from ockam_ref.wire.address import parse_address

MARK_BYTES: Final = 8
"""A mark this long, drawn anew for each experiment, is in what is sent at every eighth byte."""

NodeFactory: TypeAlias = Callable[[Setup], AbstractAsyncContextManager[LabNode]]


@dataclass(frozen=True, slots=True)
class Load:
    """What goes through the route: messages of these sizes, this often each, and a portal's bulk."""

    sizes: tuple[int, ...] = (16, 1024, 16 * 1024, 64 * 1024)
    repeat: int = 20
    probes: int = 100
    bulk_bytes: int = 1024 * 1024
    channel: bool = True


async def run_experiment(
    description: RouteDescription, load: Load, *, make_node: NodeFactory = LocalNode, processes: int = 1
) -> RouteReport:
    """Start the nodes, use the route and return what was measured; nothing is left running.

    Raises:
        OckamError: a hop or the channel could not be opened, or a message came back changed.
    """
    mark = os.urandom(MARK_BYTES)
    async with AsyncExitStack() as stack:
        hops = description.hops
        nodes = [
            await stack.enter_async_context(make_node(setup)) for setup in _setups(description, mark, load.channel)
        ]
        addresses, onward = await _join(nodes)
        far = await nodes[-1].serve()
        channel_s = await nodes[0].open(onward, far["identifier"])
        before = [await node.count() for node in nodes]
        messages = [MessageReport(size, delays_of(await nodes[0].exchange(size, load.repeat))) for size in load.sizes]
        first = await nodes[0].fetch(MARK_BYTES)
        bulk = await nodes[0].fetch(load.bulk_bytes)
        after = [await node.count() for node in nodes]
        delays = [delays_of(await node.probe(load.probes), divided_by=2) for node in nodes[:-1]]
        sent = sum(one.size * (one.round_trip.count + one.round_trip.lost) for one in messages)
        returned = sum(one.size * one.round_trip.count for one in messages) + first["length"] + bulk["length"]
        reports = tuple(
            _hop_report(number, description, addresses[number], sent + returned, before, after, delays[number])
            for number in range(len(hops))
        )
        portal = PortalReport(
            first["status"], first["seconds"], bulk["length"], bulk["seconds"], first["intact"] and bulk["intact"]
        )
        return RouteReport(
            str(description),
            description.nodes,
            processes,
            channel_s if load.channel else None,
            reports,
            tuple(messages),
            portal,
        )


def _setups(description: RouteDescription, mark: bytes, channel: bool) -> list[Setup]:  # noqa: FBT001
    sides: Sequence[Hop | None] = (None, *description.hops, None)
    return [
        Setup(name, sides[number], sides[number + 1], mark, channel) for number, name in enumerate(description.nodes)
    ]


async def _join(nodes: Sequence[LabNode]) -> tuple[list[str], list[str]]:
    """Open all hops, the last one first; return where each leads, and the route behind the first."""
    addresses: list[str] = []
    onward: list[str] = []
    for near, far in reversed(list(zip(nodes, nodes[1:], strict=False))):
        address = await far.listen()
        hop = await near.connect(address)
        addresses.insert(0, address)
        onward[:0] = [HOP, parse_address(hop).value.decode()]
    return addresses, onward[2:]


def _hop_report(
    number: int,
    description: RouteDescription,
    address: str,
    carried: int,
    before: Sequence[dict[str, Any]],
    after: Sequence[dict[str, Any]],
    delay: Any,  # noqa: ANN401
) -> HopReport:
    near = _between(before[number]["after"], after[number]["after"])
    far = _between(before[number + 1]["before"], after[number + 1]["before"])
    total = near["bytes_out"] + near["bytes_in"]
    return HopReport(
        number + 1,
        description.nodes[number],
        description.nodes[number + 1],
        str(description.hops[number]),
        address,
        after[number]["after"]["mtu"],
        near["bytes_out"],
        near["bytes_in"],
        (total - carried) / carried,
        delay,
        near["packets_out"] + far["packets_out"],
        near["lost"] + far["lost"],
        near["marks"] + far["marks"],
        carried // MARK_BYTES,
    )


def _between(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before if name != "mtu"}
