"""A portal that leaves the hub for a direct path, and comes back; its clients notice nothing."""

import asyncio
import os
import random
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self

import pytest

from ockam_ref.asyncio import InletSession, Node, OutletSession, WayLost, WayMoved
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_transports.udp import UdpSocketEndpoint
from tests.asyncio.conftest import connect, exchange, free_port, hub, serve_echo, serving

Run = Callable[[Coroutine[Any, Any, None]], None]

SIZE = 8 * 1024 * 1024


class Cut:
    """While it is set, no datagram leaves any socket of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_set = False
        self.lost = 0
        send = UdpSocketEndpoint.send

        def sending(endpoint: UdpSocketEndpoint, target: str, datagrams: Any, *, paced: bool) -> None:
            if self.is_set:
                self.lost += 1
            else:
                send(endpoint, target, datagrams, paced=paced)

        monkeypatch.setattr(UdpSocketEndpoint, "send", sending)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    return Cut(monkeypatch)


class Scene:
    """A hub, a rendezvous service, and both sessions of a portal."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.address = f"127.0.0.1:{free_port()}"
        self._stack = AsyncExitStack()
        self._hub = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start_hub()
        enter = self._stack.enter_async_context
        service = await (await enter(Node.create())).start_rendezvous("127.0.0.1:0")
        self.rendezvous = service.address
        await self.start_outlet()
        inlet = await enter(Node.create())
        self.inlet = await enter(
            InletSession(
                inlet,
                "127.0.0.1:0",
                via=self.address,
                forwarding_address="forward_to_bob",
                identity=inlet.create_identity(),
                rendezvous=service.address,
                jitter=random.Random(2),
            )
        )
        self.events = self.inlet.events()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self._outlet.aclose()
        await self._hub.aclose()

    async def start_hub(self) -> None:
        await self._hub.enter_async_context(hub(self.address))

    async def start_outlet(self) -> None:
        self._outlet = AsyncExitStack()
        node = await self._outlet.enter_async_context(Node.create())
        session = OutletSession(
            node,
            self.target,
            hub=self.address,
            relay="bob",
            identity=node.create_identity(),
            rendezvous=self.rendezvous,
            jitter=random.Random(1),
        )
        await self._outlet.enter_async_context(session)

    async def stop_outlet(self) -> None:
        await self._outlet.aclose()

    async def stop_hub(self) -> None:
        await self._hub.aclose()

    async def until(self, event: object) -> None:
        async for one in self.events:
            if one == event:
                return
            assert not isinstance(one, WayLost)


async def transfer(address: str, data: bytes, *, at: int, then: Callable[[], None]) -> bytes:
    """Send data through an echo; call ``then`` when that many bytes are back; return what came back."""
    reader, writer = await connect(address)

    async def push() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    pushing = asyncio.ensure_future(push())
    back = bytearray()
    try:
        while chunk := await reader.read(1 << 16):
            if len(back) < at <= len(back) + len(chunk):
                then()
            back += chunk
        await pushing
    finally:
        writer.close()
    return bytes(back)


@pytest.mark.spec("PUN-70", "PUN-71", "PUN-72")
def test_a_transfer_survives_the_death_of_the_direct_path(run: Run, cut: Cut) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene:
            await scene.until(WayMoved(direct=True))
            data = os.urandom(SIZE)
            back = await transfer(scene.inlet.address, data, at=SIZE // 4, then=lambda: setattr(cut, "is_set", True))
            assert back == data
            assert cut.lost > 0
            assert target.accepted == 1
            await scene.until(WayMoved(direct=False))
            cut.is_set = False
            await scene.until(WayMoved(direct=True))
            assert await exchange(scene.inlet.address, b"direct again") == b"direct again"

    run(main())


@pytest.mark.spec("PUN-71")
def test_a_transfer_that_begins_at_the_hub_goes_on_directly(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene:
            data = os.urandom(SIZE)
            assert await exchange(scene.inlet.address, data) == data
            await scene.until(WayMoved(direct=True))

    run(main())


@pytest.mark.spec("PUN-73")
def test_connections_survive_the_hub_too(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene:
            await scene.until(WayMoved(direct=True))
            reader, writer = await connect(scene.inlet.address)
            writer.write(b"before")
            assert await reader.readexactly(6) == b"before"
            await scene.stop_hub()
            async for event in scene.events:
                if isinstance(event, WayLost):
                    break
            writer.write(b"without a hub")
            assert await reader.readexactly(13) == b"without a hub"
            assert await exchange(scene.inlet.address, b"a new client") == b"a new client"
            await scene.start_hub()
            writer.write(b"after")
            assert await reader.readexactly(5) == b"after"
            writer.close()
            assert target.accepted == 2

    run(main())


@pytest.mark.spec("PUN-70")
def test_an_outlet_that_comes_back_as_another_node(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene:
            await scene.until(WayMoved(direct=True))
            await scene.stop_outlet()
            async for event in scene.events:
                if isinstance(event, WayLost):
                    break
            await scene.start_outlet()
            await scene.until(WayMoved(direct=True))
            assert await exchange(scene.inlet.address, b"again") == b"again"

    run(main())


def test_a_direct_path_needs_a_channel(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            with pytest.raises(MisuseError):
                InletSession(node, "127.0.0.1:0", via="127.0.0.1:1", identity=None, rendezvous="127.0.0.1:2")
            with pytest.raises(MisuseError):
                OutletSession(node, "127.0.0.1:1", hub="127.0.0.1:1", identity=None, rendezvous="127.0.0.1:2")

    run(main())


@pytest.mark.spec("PUN-74")
def test_an_outlet_that_has_no_steady_links(run: Run) -> None:
    async def main() -> None:
        async with hub() as address, Node.create() as node:
            hop = await node.tcp_connect(address)
            with pytest.raises(OckamError) as caught:
                await node.steady_connect((hop, "nobody"), timeout=0.1)
            assert caught.value.code is ErrorCode.TIMEOUT
            with pytest.raises(MisuseError):
                await node.steady_connect(hop)

    run(main())
