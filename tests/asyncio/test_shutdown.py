"""A node ends within a second, whatever is open, and leaves nothing behind."""

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from ockam_ref.asyncio import Node, Routed
from ockam_ref.asyncio.handles import Handle
from ockam_ref.errors import OckamError
from tests.asyncio.conftest import connect, portal, serve_echo, serve_sink, serving

Run = Callable[[Coroutine[Any, Any, None]], None]


DESCRIPTORS = Path("/proc/self/fd")


def open_descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir()))


@pytest.mark.spec("HOST-19")
def test_an_exit_is_quick_with_everything_open(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_sink) as target, portal() as it:
            target.may_read.clear()
            address = await it.open(target.address, "channel")
            streams = [await connect(address) for _ in range(20)]
            for _, writer in streams:
                writer.write(bytes(1_000_000))
            await target.until(lambda: target.accepted == 20)

            async def stuck(_: Routed) -> None:
                await asyncio.Event().wait()

            await it.outlet_node.start_worker("stuck", stuck)
            await it.outlet_node.send("stuck", "x")
            for node in (it.outlet_node, it.inlet_node):
                begun = perf_counter()
                await node.close()
                assert perf_counter() - begun < 1
            for _, writer in streams:
                writer.transport.abort()
            target.may_read.set()
            await target.until(lambda: len(target.ends) == 20)

    run(main())


def test_both_sides_of_an_open_portal_see_that_it_was_cut(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            reader, writer = await connect(await it.open(target.address, "channel"))
            writer.write(b"x" * 100_000)
            await reader.readexactly(100_000)
            await it.inlet_node.close()
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            writer.close()
            await target.until(lambda: target.ends == ["ConnectionResetError"])

    run(main())


@pytest.mark.spec("HOST-19")
@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs /proc to count descriptors")
def test_no_descriptor_is_left(run: Run) -> None:
    async def once() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, "relay-channel")
            reader, writer = await connect(address)
            writer.write(b"x")
            await reader.readexactly(1)
            writer.close()
            await writer.wait_closed()
            with pytest.raises(OckamError):
                await it.inlet_node.tcp_connect("nonsense")
            for _ in range(20):
                sock = socket.create_connection(address.split(":"))  # type: ignore[arg-type]
                sock.close()

    async def main() -> None:
        await once()
        await asyncio.sleep(0.01)
        gc.collect()
        before = open_descriptors()
        await once()
        await asyncio.sleep(0.01)
        gc.collect()
        assert open_descriptors() <= before

    run(main())


@pytest.mark.spec("HOST-19")
def test_closing_twice_and_closing_parts_after_the_node(run: Run) -> None:
    async def main() -> None:
        node = Node.create()
        listener = await node.tcp_listen("127.0.0.1:0")
        connection = await node.tcp_connect(listener.address)
        worker = await node.start_worker("echo", _ignore)
        inlet = await node.create_inlet("127.0.0.1:0")
        await node.close()
        await node.close()
        handles: list[Handle] = [listener, connection, worker, inlet]
        for handle in handles:
            await handle.close()
        assert node._driver._links == {}
        assert node._driver._timers == {}
        assert node._driver.core.addresses() == []

    run(main())


def test_closing_while_a_listener_opens(run: Run) -> None:
    async def main() -> None:
        node = Node.create()
        opening = asyncio.ensure_future(node.tcp_listen("localhost:0"))
        await asyncio.sleep(0)
        await node.close()
        with pytest.raises(OckamError, match="the node has stopped"):
            await opening
        assert not node._driver._listeners

    run(main())


def test_a_worker_may_close_its_own_node(run: Run) -> None:
    async def main() -> None:
        node = Node.create()
        done = asyncio.Event()

        async def last(_: Routed) -> None:
            await node.close()
            done.set()

        handle = await node.start_worker("last", last)
        await node.start_worker("other", _ignore)
        await node.send("last", None)
        await done.wait()
        assert node._driver.core.addresses() == []
        await handle.close()

    run(main())


async def _ignore(_: Routed) -> None:
    return
