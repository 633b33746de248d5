"""Routes that name nodes by address: connected to by themselves, in the first place and in later ones."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.wire.address import TCP, UDP, UDS, Address, any_of_type
from tests.asyncio.conftest import exchange, free_port, serve_echo, serving

Run = Callable[[Coroutine[Any, Any, None]], None]
NOBODY: Final = Address(99, b"somewhere")


class World:
    """Bob with an echo worker and a channel listener; a node in the middle; Alice."""

    async def open(self, stack: AsyncExitStack) -> None:
        enter = stack.enter_async_context
        self.bob, self.middle, self.alice = [await enter(Node.create()) for _ in range(3)]
        self.at_bob, self.at_middle = (
            await self.bob.tcp_listen("127.0.0.1:0"),
            await self.middle.tcp_listen("127.0.0.1:0"),
        )
        channels = await self.bob.create_secure_channel_listener(
            self.bob.create_identity(), "api", consumer_of=(self.at_bob,)
        )
        self.reachable = (self.at_bob, channels)
        await self.bob.start_echo("echo", consumer_of=self.reachable)
        self.to_bob = (TCP, self.at_bob.address)
        self.to_middle = (TCP, self.at_middle.address)


def world(run: Run, test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            it = World()
            await it.open(stack)
            await test(it)

    run(main())


@pytest.mark.spec("HOP-2")
def test_a_first_hop_is_connected_to_once(run: Run) -> None:
    async def test(it: World) -> None:
        for text in ("one", "two"):
            assert (await it.alice.send_and_receive((it.to_bob, "echo"), text)).body(str) == text
        await it.alice.send((it.to_bob, "echo"), "three")
        hops = [address for address in it.alice._driver.core.addresses() if address.transport_type]
        assert hops == [any_of_type(TCP), Address(1, it.at_bob.address.encode())]

    world(run, test)


@pytest.mark.spec("HOP-5")
def test_a_later_hop_is_connected_to_where_the_node_on_the_way_allows_it(run: Run) -> None:
    async def test(it: World) -> None:
        route = (it.to_middle, it.to_bob, "echo")
        with pytest.raises(OckamError, match="no reply"):
            await it.alice.send_and_receive(route, "no", timeout=0.1)
        await it.middle.allow_onward("tcp", it.at_middle, "127.0.0.1:1")
        with pytest.raises(OckamError, match="no reply"):
            await it.alice.send_and_receive(route, "no", timeout=0.1)
        await it.middle.allow_onward("tcp", it.at_middle)
        assert (await it.alice.send_and_receive(route, "yes")).body(str) == "yes"

    world(run, test)


@pytest.mark.spec("HOP-3")
def test_a_channel_and_a_portal_over_typed_hops(run: Run) -> None:
    async def test(it: World) -> None:
        await it.middle.allow_onward("tcp", it.at_middle)
        identity = it.alice.create_identity()
        channel = await it.alice.create_secure_channel(identity, (it.to_middle, it.to_bob, "api"))
        assert (await it.alice.send_and_receive((channel, "echo"), "secret")).body(str) == "secret"
        async with serving(serve_echo) as target:
            await it.bob.create_outlet("outlet", target.address, consumer_of=it.reachable)
            secured = await it.alice.create_inlet("127.0.0.1:0", (channel, "outlet"))
            plain = await it.alice.create_inlet("127.0.0.1:0", (it.to_middle, it.to_bob, "outlet"))
            for inlet in (secured, plain):
                assert await exchange(inlet.address, b"x" * 300_000) == b"x" * 300_000

    world(run, test)


@pytest.mark.spec("HOP-7")
def test_who_cannot_be_reached_is_told_with_the_reason(run: Run) -> None:
    async def test(it: World) -> None:
        refused = (TCP, f"127.0.0.1:{free_port()}")
        identity = it.alice.create_identity()
        attempts: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            lambda: it.alice.send((refused, "echo"), "x"),
            lambda: it.alice.send_and_receive((refused, "echo"), "x"),
            lambda: it.alice.create_secure_channel(identity, (refused, "api")),
            lambda: it.alice.create_relay(refused),
            lambda: it.alice.create_inlet("127.0.0.1:0", (refused, "outlet")),
        ]
        for attempt in attempts:
            with pytest.raises(OckamError, match="nothing listens there") as caught:
                await attempt()
            assert caught.value.code is ErrorCode.LINK_FAILED
        with pytest.raises(OckamError, match="no transport with that number is installed"):
            await it.alice.send((NOBODY, "echo"), "x")
        with pytest.raises(OckamError, match="is not a socket address"):
            await it.alice.send(((TCP, "nonsense"), "echo"), "x")
        outcomes = await asyncio.gather(*(it.alice.send((refused, "x"), "x") for _ in range(5)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {OckamError}
        assert not it.alice._driver.watching._lives

    world(run, test)


@pytest.mark.spec("HOP-4")
def test_a_lost_connection_is_made_again(run: Run) -> None:
    async def test(it: World) -> None:
        observations = it.bob.observe()
        assert (await it.alice.send_and_receive((it.to_bob, "echo"), "one")).body(str) == "one"
        typed = Address(1, it.at_bob.address.encode())
        it.alice._driver.stop(typed, "for the test")
        async for _ in observations:
            break
        assert (await it.alice.send_and_receive((it.to_bob, "echo"), "two")).body(str) == "two"

    world(run, test)


@pytest.mark.spec("HOP-8")
def test_unlike_hops_one_behind_the_other(run: Run, tmp_path: Path) -> None:
    async def test(it: World) -> None:
        at_socket = await it.middle.listen("uds", str(tmp_path / "socket"))
        bind = await it.bob.udp_bind()
        it.bob.add_consumer("echo", bind)
        it.bob.add_consumer("api", bind)
        await it.middle.allow_onward("udp", at_socket)
        way = ((UDS, at_socket.address), (UDP, bind.address))
        assert (await it.alice.send_and_receive((*way, "echo"), "plain")).body(str) == "plain"
        channel = await it.alice.create_secure_channel(it.alice.create_identity(), (*way, "api"))
        assert (await it.alice.send_and_receive((channel, "echo"), "secret")).body(str) == "secret"
        assert (await it.alice.send_and_receive(((UDP, bind.address), "echo"), "direct")).body(str) == "direct"
        await asyncio.gather(*(it.alice.send(((UDP, bind.address), "echo"), "x") for _ in range(3)))

    world(run, test)


@pytest.mark.spec("HOP-8")
def test_a_channel_whose_first_hop_is_udp(run: Run) -> None:
    async def test(it: World) -> None:
        bind = await it.bob.udp_bind()
        it.bob.add_consumer("api", bind)
        identity = it.alice.create_identity()
        channel = await it.alice.create_secure_channel(identity, ((UDP, bind.address), "api"))
        assert (await it.alice.send_and_receive((channel, "echo"), "secret")).body(str) == "secret"

    world(run, test)
