"""Attackers on the way of messages: strangers with a socket of their own, and one who sits on somebody else's link."""

import asyncio
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Any, Final

from ockam_ref.asyncio import Node
from ockam_ref.events import MessageReceived
from ockam_ref.observations import MessageDropped
from ockam_ref.wire.address import TCP, Address, local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.portal_message import Payload, Signal, encode_portal_message
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import PROTOCOL_VERSION, TransportMessage, encode_transport_message
from tests.asyncio.conftest import connect

DROPS_S: Final = 10.0
MARK: Final = b"what an attacker wrote"

PAYLOADS: Final = (
    b"",
    MARK,
    bytes(8) + MARK,  # begins as a packet of a channel does
    bytes(32),  # the length of the first message of a handshake
    encode_body("attacker"),  # a name to register
    encode_portal_message(Signal.PING),
    encode_portal_message(Payload(MARK, 0)),
    encode_portal_message(Signal.DISCONNECT),
)
"""What is sent to every address: something for each kind of worker to take amiss."""

REFUSED: Final = frozenset({"outgoing:flow-control", "unknown-address"})
"""The rules that may say no to what comes from outside, before any worker has seen it."""


def frame(*hops: Address, payload: bytes, way_back: Route = ()) -> bytes:
    """Return a message as a TCP link carries it."""
    body = encode_transport_message(TransportMessage(hops, way_back, payload))
    return struct.pack(">I", len(body)) + body


# ---- whom it is about


class _Recorded(deque[Any]):
    """The queue of a node; what workers are given is written down."""

    def __init__(self, queue: Iterable[Any]) -> None:
        super().__init__(queue)
        self.deliveries: list[MessageReceived] = []

    def append(self, item: Any) -> None:
        if isinstance(item[1], MessageReceived):
            self.deliveries.append(item[1])
        super().append(item)


class Victim:
    """A node whose deliveries are on record."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.core = node._driver.core
        self.queue = _Recorded(self.core._queue)
        self.core._queue = self.queue

    def mailboxes(self) -> set[Address]:
        """Return every address that a worker of the node has at this moment."""
        return {one for primary in self.core.addresses() for one in self.core.addresses_of(primary)}

    def entrances(self, *machines: str) -> set[Address]:
        """Return the first addresses of the workers of these kinds."""
        records = (record for _, record in self.core._mailboxes.values())
        return {record.mailboxes[0].address for record in records if record.machine.name in machines}

    def kinds(self) -> set[str]:
        """Return the kinds of the workers that the node has at this moment."""
        return {record.machine.name for _, record in self.core._mailboxes.values()}

    def _kind(self, address: Address) -> str:
        found = self.core._mailboxes.get(address)
        return "nobody" if found is None else f"{found[1].machine.name}, {found[1].mailboxes.index(found[0])}"

    async def attacked(
        self,
        send: Callable[[bytes], None],
        reachable: Iterable[Address],
        *,
        before: Route = (),
        within_s: float = DROPS_S,
    ) -> Counter[str]:
        """Send everything to every address but those that may be reached, and return what refused it.

        Each message has to be dropped, once, by a rule that asked before any worker saw it.
        """
        trap = Address(TCP, b"127.0.0.1:1")
        targets = self.mailboxes() - set(reachable) | {local("nobody"), trap}
        observations = self.node.observe()
        missing = Counter({target: len(PAYLOADS) for target in targets})
        rules: Counter[str] = Counter()
        sources: set[Address] = set()
        seen = len(self.queue.deliveries)
        for target in sorted(targets):
            for payload in PAYLOADS:
                send(frame(*before, target, local("outlet"), payload=payload, way_back=(local("app"),)))
        try:
            async with asyncio.timeout(within_s):
                while missing:
                    observation = await anext(observations)
                    if (
                        isinstance(observation, MessageDropped)
                        and observation.onward_route[:1]
                        and missing[observation.onward_route[0]]
                    ):
                        rules[observation.rule] += 1
                        sources.add(observation.source)
                        missing[observation.onward_route[0]] -= 1
                        missing = +missing
        except TimeoutError:
            kept = ", ".join(f"{count} to {address} ({self._kind(address)})" for address, count in missing.items())
            raise AssertionError(f"nobody refused {kept}") from None
        finally:
            observations.end()
        delivered = [
            one for one in self.queue.deliveries[seen:] if one.source in sources and one.destination in targets
        ]
        assert not delivered
        assert rules.total() == len(targets) * len(PAYLOADS)
        assert set(rules) <= REFUSED, rules
        return rules


# ---- who attacks


@asynccontextmanager
async def stranger(address: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Connect to a node as another node would; what comes back is read and forgotten."""
    reader, writer = await connect(address)
    writer.write(bytes([PROTOCOL_VERSION]))
    reading = asyncio.ensure_future(_forget(reader))
    try:
        yield writer
    finally:
        writer.close()
        await reading


async def _forget(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(1 << 16):
            pass
    except ConnectionError:
        pass


class Direction(IntEnum):
    """Which way frames go."""

    TO_HUB = 0
    TO_NODE = 1


class Interceptor:
    """Sits on the link between one node and its hub: passes frames on, holds them back, and adds its own."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.gates = (asyncio.Event(), asyncio.Event())
        self.held = (asyncio.Event(), asyncio.Event())
        for gate in self.gates:
            gate.set()
        self.address = ""

    def inject(self, direction: Direction) -> Callable[[bytes], None]:
        """Return what adds frames that go this way."""
        return self._writers[direction].write

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hub_reader, hub_writer = await connect(self._hub)
        self._writers = [hub_writer, writer]
        ways = ((reader, hub_writer, Direction.TO_HUB), (hub_reader, writer, Direction.TO_NODE))
        self._tasks += [asyncio.ensure_future(self._pass(*way)) for way in ways]
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
        writer.write(await reader.readexactly(1))
        while True:
            head = await reader.readexactly(4)
            body = await reader.readexactly(struct.unpack(">I", head)[0])
            if not self.gates[direction].is_set():
                self.held[direction].set()
                await self.gates[direction].wait()
            writer.write(head + body)  # whole frames, so that those of the attacker stand between them


@asynccontextmanager
async def intercepted(hub: str) -> AsyncIterator[Interceptor]:
    """Stand before a hub."""
    interceptor = Interceptor(hub)
    server = await asyncio.start_server(interceptor.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    interceptor.address = f"{host}:{port}"
    try:
        yield interceptor
    finally:
        server.close()
        await interceptor.close()
