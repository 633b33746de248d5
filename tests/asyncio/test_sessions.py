"""Sessions: a portal that comes back by itself after its hub or the node at the other end did."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self

import pytest

from ockam_ref.asyncio import InletSession, Node, OutletSession, WayLost, WayRestored, inlet_session, outlet_session
from ockam_ref.channels.trust import TrustIdentifiers
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.observations import ConnectionClosed, ConnectionOpened
from ockam_ref.wire.address import local
from tests.asyncio.conftest import connect, exchange, free_port, hub, serve_echo, serving

Run = Callable[[Coroutine[Any, Any, None]], None]


class Scene:
    """A hub that can be stopped and started, an outlet's session and an inlet's session, each on a node of its own."""

    def __init__(self, target: str, *, channel: bool = True, pong_timeout_s: float = 10.0) -> None:
        self.target = target
        self.channel = channel
        self.pong_timeout_s = pong_timeout_s
        self.address = f"127.0.0.1:{free_port()}"
        self._stack = AsyncExitStack()
        self._hub = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start_hub()
        await self.start_outlet()
        node = await self._stack.enter_async_context(Node.create())
        self.inlet = await self._stack.enter_async_context(
            InletSession(
                node,
                "127.0.0.1:0",
                via=self.address,
                forwarding_address="forward_to_bob",
                identity=node.create_identity() if self.channel else None,
                pong_timeout_s=self.pong_timeout_s,
                jitter=random.Random(1),
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self.outlet_stack.aclose()
        await self._hub.aclose()

    async def start_hub(self) -> None:
        assert await self._hub.enter_async_context(hub(self.address)) == self.address

    async def stop_hub(self) -> None:
        await self._hub.aclose()

    async def start_outlet(self) -> None:
        self.outlet_stack = AsyncExitStack()
        node = await self.outlet_stack.enter_async_context(Node.create())
        session = OutletSession(
            node,
            self.target,
            hub=self.address,
            identity=node.create_identity() if self.channel else None,
            relay="bob",
            jitter=random.Random(2),
        )
        self.outlet = await self.outlet_stack.enter_async_context(session)


async def next_of(session: InletSession | OutletSession, kind: type[Any]) -> Any:
    """Read events until there is one of that kind."""
    async for event in session.events():
        if isinstance(event, kind):
            return event
    raise AssertionError("the session ended")


@pytest.mark.spec("HOST-20")
@pytest.mark.parametrize("channel", [True, False])
def test_a_hub_that_restarts_is_met_again(run: Run, *, channel: bool) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address, channel=channel) as scene:
            assert scene.outlet.forwarding_address == local("forward_to_bob")
            assert await exchange(scene.inlet.address, b"before") == b"before"
            open_reader, open_writer = await connect(scene.inlet.address)
            open_writer.write(b"still open")
            await open_reader.readexactly(10)
            await scene.stop_hub()
            assert (await next_of(scene.inlet, WayLost)).reason == "the peer closed the connection"
            assert (await next_of(scene.outlet, WayLost)).reason == "the peer closed the connection"
            with pytest.raises(ConnectionResetError):
                await open_reader.read(-1)
            open_writer.close()
            address = scene.inlet.address
            assert await exchange(address, b"") == b""  # closed at once: there is no way
            async with asyncio.timeout(5):
                await scene.start_hub()
                await next_of(scene.outlet, WayRestored)
                assert (await next_of(scene.inlet, WayRestored)).attempts >= 1
                assert await exchange(address, b"after") == b"after"
            assert scene.inlet.address == address
            assert scene.outlet.forwarding_address == local("forward_to_bob")

    run(main())


@pytest.mark.spec("HOST-21")
def test_clients_find_out_at_once_that_there_is_no_way(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene:
            await scene.stop_hub()
            await next_of(scene.inlet, WayLost)
            async with asyncio.timeout(1):
                reader, writer = await connect(scene.inlet.address)
                assert await reader.read(-1) == b""
                writer.close()
                closed = await next_of(scene.inlet, ConnectionClosed)
            assert closed.reason == "the inlet has no way to its outlet at the moment"

    run(main())


@pytest.mark.spec("HOST-20", "LINK-34")
def test_an_outlet_node_that_restarts_behind_a_living_hub_is_found_again(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene:
            assert await exchange(scene.inlet.address, b"before") == b"before"
            before = scene.inlet.peer
            await scene.outlet_stack.aclose()
            assert (await next_of(scene.inlet, WayLost)).reason == "the way to the peer is gone"
            await scene.start_outlet()
            async with asyncio.timeout(5):
                await next_of(scene.inlet, WayRestored)
            assert await exchange(scene.inlet.address, b"after") == b"after"
            assert scene.inlet.peer != before

    run(main())


@pytest.mark.spec("HOST-22")
def test_an_outlet_that_answers_nothing_makes_the_way_suspect(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address, pong_timeout_s=0.2) as scene:
            scene.inlet._suspect("too young to be suspected")
            assert not scene.inlet._lost.done()
            assert scene.outlet._served is not None
            await scene.outlet._served.close()
            await asyncio.sleep(0.2)  # younger ways are not suspected
            reader, writer = await connect(scene.inlet.address)
            assert await reader.read(-1) == b""
            writer.close()
            assert (await next_of(scene.inlet, WayLost)).reason == "the outlet did not answer in time"
            async with asyncio.timeout(5):
                await next_of(scene.inlet, WayRestored)

    run(main())


def test_an_outlet_node_that_comes_back_late_is_found_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inlet_session, "CHANNEL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(inlet_session, "HANDSHAKE_AGAIN_S", 0.05)

    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address, pong_timeout_s=0.1) as scene:
            await scene.outlet_stack.aclose()
            await asyncio.sleep(0.1)
            _, writer = await connect(scene.inlet.address)
            await next_of(scene.inlet, WayLost)
            writer.close()
            await asyncio.sleep(0.5)
            await scene.start_outlet()
            async with asyncio.timeout(5):
                await next_of(scene.inlet, WayRestored)
                assert await exchange(scene.inlet.address, b"after") == b"after"

    run(main())


@pytest.mark.spec("HOST-22")
def test_ways_that_are_only_suspected_keep_their_connections(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inlet_session, "MAX_RETIRED_WAYS", 1)

    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address, pong_timeout_s=0.05) as scene:
            reader, writer = await connect(scene.inlet.address)
            writer.write(b"a")
            await reader.readexactly(1)
            for _ in range(2):
                await asyncio.sleep(0.05)
                scene.inlet._suspect("for the test")
                await next_of(scene.inlet, WayRestored)
                assert await exchange(scene.inlet.address, b"new") == b"new"
                if not scene.inlet._retired[0][0].closed:
                    break
            writer.write(b"b")
            assert await reader.readexactly(1) == b"b"
            await asyncio.sleep(0.05)
            scene.inlet._suspect("for the test")
            await next_of(scene.inlet, WayRestored)
            with pytest.raises(ConnectionResetError):  # the oldest of too many
                await reader.read(-1)
            assert len(scene.inlet._retired) == 1
            writer.close()

    run(main())


def test_a_portal_tells_of_its_connections(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene:
            await exchange(scene.inlet.address, b"12345")
            for session in (scene.inlet, scene.outlet):
                assert isinstance(await anext(session.events()), ConnectionOpened)
                closed = await anext(session.events())
                assert isinstance(closed, ConnectionClosed)
                assert (closed.sent, closed.received) == (5, 5)

    run(main())


def test_directly_to_the_outlets_node(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Node.create() as outlet_node, Node.create() as inlet_node:
            listener = await outlet_node.tcp_listen("127.0.0.1:0")
            bob = outlet_node.create_identity()
            channels = await outlet_node.create_secure_channel_listener(bob, "api", consumer_of=(listener,))
            await outlet_node.create_outlet("outlet", target.address, consumer_of=(channels,))
            alice = inlet_node.create_identity()
            session = InletSession(
                inlet_node, "127.0.0.1:0", via=listener.address, identity=alice, trust=bob.identifier
            )
            with pytest.raises(MisuseError):
                _ = session.address
            async with session:
                assert session.peer == bob.identifier
                assert await exchange(session.address, b"direct") == b"direct"

    run(main())


@pytest.mark.spec("HOST-20")
def test_a_random_relay_name_is_kept(run: Run) -> None:
    async def main() -> None:
        async with hub() as address, Node.create() as node:
            session = OutletSession(node, "127.0.0.1:1", hub=address, identity=None)
            with pytest.raises(MisuseError):
                _ = session.forwarding_address
            async with session:
                assert session.forwarding_address == local("forward_to_" + session.relay_name)
                assert len(session.relay_name) == 32

    run(main())


def test_a_hub_that_cannot_be_reached_at_first_is_an_error(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            port = free_port()
            identity = node.create_identity()
            outlet = OutletSession(node, "127.0.0.1:1", hub=f"127.0.0.1:{port}", identity=identity)
            with pytest.raises(OckamError, match="nothing listens there"):
                await outlet.__aenter__()
            inlet = InletSession(
                node, "127.0.0.1:0", via=f"127.0.0.1:{port}", forwarding_address="x", identity=identity
            )
            with pytest.raises(OckamError, match="nothing listens there"):
                await inlet.__aenter__()
            assert local("api") not in node._driver.core

    run(main())


def test_a_hub_that_is_none_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet_session, "REGISTER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(inlet_session, "CHANNEL_TIMEOUT_S", 0.05)
    monkeypatch.setattr(outlet_session, "CHANNEL_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with Node.create() as node, Node.create() as other:
            listener = await other.tcp_listen("127.0.0.1:0")
            identity = node.create_identity()
            with pytest.raises(OckamError, match="did not confirm"):
                await OutletSession(node, "127.0.0.1:1", hub=listener.address, identity=identity).__aenter__()
            inlet = InletSession(node, "127.0.0.1:0", via=listener.address, identity=identity)
            with pytest.raises(OckamError, match="no secure channel over") as caught:
                await inlet.__aenter__()
            assert caught.value.code is ErrorCode.TIMEOUT
            assert node._driver._links == {}

    run(main())


def test_an_untrusted_outlet_is_refused(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, Scene(target.address) as scene, Node.create() as node:
            session = InletSession(
                node,
                "127.0.0.1:0",
                via=scene.address,
                forwarding_address=scene.outlet.forwarding_address,
                identity=node.create_identity(),
                trust=TrustIdentifiers(frozenset()),
            )
            with pytest.raises(OckamError) as caught:
                await session.__aenter__()
            assert caught.value.code is ErrorCode.REFUSED

    run(main())


def test_handshakes_beside_each_other_leave_one_channel(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inlet_session, "HANDSHAKE_AGAIN_S", 0.02)

    async def main() -> None:
        async with hub() as address, Node.create() as outlet_node, Node.create() as node:
            late = asyncio.ensure_future(
                InletSession(
                    node, "127.0.0.1:0", via=address, forwarding_address="forward_to_x", identity=node.create_identity()
                ).__aenter__()
            )
            await asyncio.sleep(0.1)
            bob = outlet_node.create_identity()
            async with OutletSession(outlet_node, "127.0.0.1:1", hub=address, identity=bob, relay="x"):
                session = await late
                kinds = [type(node._driver.core.state_of(a)).__name__ for a in node._driver.core.addresses()]
                assert kinds.count("Open") == 1
                assert kinds.count("AwaitingMessage2") == 0
                await session.__aexit__(None, None, None)

    run(main())


@pytest.mark.spec("HOST-20")
def test_two_handshakes_that_end_together_leave_one_channel(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inlet_session, "HANDSHAKE_AGAIN_S", 0)

    class Channel:
        closed = False

        async def close(self) -> None:
            self.closed = True

    async def main() -> None:
        async with Node.create() as node:
            both = asyncio.Event()
            made: list[Channel] = []

            async def create(*_: object, **__: object) -> Channel:
                made.append(Channel())
                channel = made[-1]
                if len(made) == 2:
                    both.set()
                await both.wait()
                return channel

            node.create_secure_channel = create  # type: ignore[method-assign, assignment]
            session = InletSession(node, "127.0.0.1:0", via="x:1", identity=None)
            chosen: Any = await session._open_channel(node.create_identity(), "hop")  # type: ignore[arg-type]
            assert [channel.closed for channel in made if channel is not chosen] == [True]
            assert not chosen.closed

    run(main())


def test_pauses_grow_to_a_limit_and_vary() -> None:
    async def main() -> list[float]:
        async with Node.create() as node:
            pauses = OutletSession(node, "x:1", hub="y:1", identity=None, jitter=random.Random(3))._pauses()
            return [next(pauses) for _ in range(12)]

    pauses = asyncio.run(main())
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, *[2.0] * 7]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, longest, strict=True))
    assert len(set(pauses)) == 12
