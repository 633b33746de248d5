"""One node of an experiment: what it listens to, where it leads, what it counts.

Whatever is asked of a node and whatever it answers is plain data, so that it may as well run in another process.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.hops import Flow
from ockam_ref.channels.trust import TrustIdentifier
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.identities.identifier import parse_identifier
from ockam_ref.lab.description import IMPAIRED, Hop
from ockam_ref.lab.lossy import Path, Weather, impairment_of
from ockam_ref.lab.metering import Counters, Meter
from ockam_ref.lab.web import WebServer, fetch, marked
from ockam_ref.portals.connection import PORTABLE_PAYLOAD_BYTES
from ockam_ref.wire.address import local
from ockam_transports.base import TransportPlugin
from ockam_transports.plugins import find_plugin

HOP: Final = "hop"
"""The worker of every node that passes messages on."""
ECHO: Final = "echo"
LISTENER: Final = "api"
OUTLET: Final = "outlet"

PROBE_BYTES: Final = 32

PROBE_TIMEOUT_S: Final = 2.0
"""A probe of one hop whose answer takes longer is lost."""

CHANNEL_TIMEOUT_S: Final = 30.0
"""How long the channel may take."""

Counts: TypeAlias = dict[str, dict[str, int | None]]
"""``before`` and ``after`` a node: the fields of ``Counters``, and the largest packet as ``mtu``."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a node must know before it starts: the hops at its sides, and the mark that nobody else may read.

    What is not answered from end to end within ``patience_s`` is lost.
    """

    name: str
    before: Hop | None
    after: Hop | None
    mark: bytes
    channel: bool = True
    patience_s: float = 10.0


class LabNode(Protocol):
    """A node of an experiment, in this process or in another."""

    async def serve(self) -> dict[str, str]:
        """Be the last node: offer an echo, a channel listener and a web server behind an outlet; return who it is."""

    async def listen(self) -> str:
        """Open the hop before this node; return the address at which the node before connects."""

    async def connect(self, address: str) -> str:
        """Open the hop behind this node; return its address in routes."""

    async def open(self, route: Sequence[str], expect: str) -> float:
        """Be the first node: make the channel along the route, and an inlet; return how many seconds it took."""

    async def exchange(self, size: int, count: int) -> list[float | None]:
        """Send so many messages of that size to the far end and back, one by one; return the seconds of each.

        Where no answer came in time, it is ``None``.
        """

    async def fetch(self, length: int) -> dict[str, Any]:
        """Fetch so many bytes through the portal."""

    async def probe(self, count: int) -> list[float | None]:
        """Measure the hop behind this node alone: seconds to the next node and back, ``None`` where nothing came."""

    async def count(self) -> Counts:
        """Return what was counted ``before`` and ``after`` this node so far, with the largest packet as ``mtu``."""

    async def close(self) -> None:
        """End the node."""


class _Side:
    """What is measured, and done, at one side of a node."""

    def __init__(self, hop: Hop | None) -> None:
        self.hop = hop
        self.counters = Counters()
        self.path = Path() if hop is None else Path(impairment_of(hop))


class LocalNode:
    """A node in this process."""

    def __init__(self, setup: Setup, plugins: Iterable[TransportPlugin] = ()) -> None:
        self._setup = setup
        self._plugins = {plugin.name: plugin for plugin in plugins}
        self._meter = Meter(setup.mark)
        self._weather = Weather()
        self._before, self._after = _Side(setup.before), _Side(setup.after)
        self._stack = AsyncExitStack()
        self._connection: Any = None
        self._flow: Any = None
        self._route: tuple[Any, ...] = ()
        self._inlet: Any = None

    async def __aenter__(self) -> Self:
        names = {hop.transport for hop in (self._setup.before, self._setup.after) if hop is not None}
        plugins = [self._wrap(self._plugins.get(name) or find_plugin(name)) for name in sorted(names)]
        self._node = await self._stack.enter_async_context(Node.create(transports=plugins))
        await self._node.start_hop(HOP)
        await self._node.start_echo(ECHO)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the node."""
        await self._stack.aclose()

    def _wrap(self, plugin: TransportPlugin) -> TransportPlugin:
        return self._meter.wrap(self._weather.wrap(plugin) if plugin.name in IMPAIRED else plugin)

    def _measure(self, side: "_Side") -> None:
        self._meter.current, self._weather.current = side.counters, side.path

    # ---- the hops

    async def listen(self) -> str:
        """Open the hop before this node."""
        hop = self._setup.before
        if hop is None:
            raise OckamError(ErrorCode.MISUSE, "nobody comes before the first node")
        self._measure(self._before)
        if hop.transport == "udp":
            bound = await self._node.udp_bind("127.0.0.1:0", recovery=hop.recovery)
            self._admit(bound)
            return bound.address
        listener = await self._node.listen(hop.transport, self._free_address(hop.transport))
        self._admit(listener)
        return listener.address.partition("@")[0]  # a peripheral is found by its name

    async def connect(self, address: str) -> str:
        """Open the hop behind this node."""
        hop = self._setup.after
        if hop is None:
            raise OckamError(ErrorCode.MISUSE, "nobody comes behind the last node")
        self._measure(self._after)
        connection: Any
        if hop.transport == "udp":
            connection = await self._node.udp_bind("127.0.0.1:0", peer=address, recovery=hop.recovery)
        else:
            connection = await self._node.connect(hop.transport, address)
        self._connection = connection
        self._admit(connection)
        return str(connection.hop)

    def _admit(self, flow: Flow) -> None:
        """Let what comes in there reach the workers of the experiment; sockets of the portal are no part of the hop."""
        self._measure(_Side(None))
        self._flow = flow
        for worker in (HOP, ECHO):
            self._node.add_consumer(worker, flow)

    def _free_address(self, transport: str) -> str:
        if transport == "memory":
            return "*"
        if transport == "ble":
            name = f"route-{os.urandom(2).hex()}"
            return f"{name}@virtual-{name}"
        if transport == "uds":
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ockam-route-"))
            return f"{folder}/socket"
        return "127.0.0.1:0"

    # ---- the ends

    async def serve(self) -> dict[str, str]:
        """Be the last node."""
        server = WebServer(self._setup.mark)
        await server.start()
        self._stack.push_async_callback(server.close)
        flow: Any = self._flow
        identifier = ""
        if self._setup.channel:
            identity = self._node.create_identity()
            identifier = str(identity.identifier)
            flow = await self._node.create_secure_channel_listener(identity, LISTENER, consumer_of=(self._flow,))
            self._node.add_consumer(ECHO, flow)
        await self._node.create_outlet(
            OUTLET, server.address, consumer_of=(flow,), max_payload_bytes=PORTABLE_PAYLOAD_BYTES
        )
        return {"identifier": identifier}

    async def open(self, route: Sequence[str], expect: str) -> float:
        """Be the first node."""
        hops: tuple[Any, ...] = (self._connection, *map(local, route))
        began = perf_counter()
        if self._setup.channel:
            trust = TrustIdentifier(parse_identifier(expect).value)
            identity = self._node.create_identity()
            way, limit_s = (*hops, LISTENER), CHANNEL_TIMEOUT_S
            hops = (await self._node.create_secure_channel(identity, way, trust=trust, timeout=limit_s),)
        seconds = perf_counter() - began
        self._route = hops
        self._inlet = await self._node.create_inlet(
            "127.0.0.1:0",
            (*hops, OUTLET),
            pong_timeout=self._setup.patience_s,
            max_payload_bytes=PORTABLE_PAYLOAD_BYTES,
        )
        return seconds

    async def exchange(self, size: int, count: int) -> list[float | None]:
        """Send messages to the far end and back."""
        return await self._ask((*self._route, ECHO), marked(self._setup.mark, size), count, self._setup.patience_s)

    async def _ask(self, route: tuple[Any, ...], body: bytes, count: int, timeout_s: float) -> list[float | None]:
        took: list[float | None] = []
        for _ in range(count):
            began = perf_counter()
            try:
                reply = await self._node.send_and_receive(route, body, timeout=timeout_s)
            except OckamError as error:
                if error.code is not ErrorCode.TIMEOUT:
                    raise
                took.append(None)
                continue
            took.append(perf_counter() - began)
            if reply.payload != body:
                raise OckamError(ErrorCode.REFUSED, f"a message of {len(body)} bytes came back changed")
        return took

    async def fetch(self, length: int) -> dict[str, Any]:
        """Fetch bytes through the portal."""
        return (await fetch(self._inlet.address, length, self._setup.mark))._asdict()

    # ---- measuring

    async def probe(self, count: int) -> list[float | None]:
        """Measure the hop behind this node alone."""
        body = os.urandom(PROBE_BYTES)  # not the mark: this is no secret
        return await self._ask((self._connection, ECHO), body, count, PROBE_TIMEOUT_S)

    async def count(self) -> Counts:
        """Return what was counted so far."""
        return {
            name: {**asdict(side.counters), "lost": side.path.lost, "mtu": self._mtu(side)}
            for name, side in (("before", self._before), ("after", self._after))
        }

    def _mtu(self, side: "_Side") -> int | None:
        """What a datagram can hold says little, where far smaller ones are sent to survive the way."""
        if side.hop is not None and side.hop.transport in IMPAIRED:
            return side.counters.largest
        return self._meter.mtu(side.counters)
