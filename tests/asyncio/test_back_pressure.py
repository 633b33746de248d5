"""Memory stays bounded whatever peers do, and a slow one stops only what feeds it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ockam_ref.asyncio import Node, Routed, Worker
from ockam_ref.asyncio.workers import MAILBOX_MESSAGES
from ockam_ref.portals.credit import WINDOW_BYTES
from ockam_transports.base import HIGH_WATER_BYTES
from ockam_transports.stream_socket import READ_BYTES
from tests.asyncio.conftest import connect, exchange, portal, serve_echo, serve_sink, serving

Run = Callable[[Coroutine[Any, Any, None]], None]
MIB = 1024 * 1024


def buffered(node: Node) -> int:
    """How many bytes wait in the links of a node."""
    return sum(link.buffered for link in node._driver._links.values())


class Gauge:
    """Watches the most that ever waited in the links of some nodes, at every turn of the event loop."""

    def __init__(self, *nodes: Node) -> None:
        self.most = dict.fromkeys(nodes, 0)
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            for node in self.most:
                self.most[node] = max(self.most[node], buffered(node))
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def until_still(measure: Callable[[], int]) -> int:
    """Wait until a number that only grows has stopped growing for a while."""
    before, same = -1, 0
    while same < 5:
        await asyncio.sleep(0.02)
        now = measure()
        before, same = now, same + 1 if now == before else 0
    return before


@pytest.mark.spec("HOST-10", "HOST-14")
@pytest.mark.parametrize("way", ["plain", "relay-channel"])
def test_a_target_that_stops_reading_holds_up_the_client(run: Run, way: str) -> None:
    total = 64 * MIB

    async def main() -> None:
        async with serving(serve_sink) as target, portal() as it:
            target.may_read.clear()
            address = await it.open(target.address, way)
            gauge = Gauge(it.inlet_node, it.outlet_node)
            _, writer = await connect(address)
            pushed = 0

            async def push() -> None:
                nonlocal pushed
                block = bytes(256 * 1024)
                while pushed < total:
                    writer.write(block)
                    pushed += len(block)
                    await writer.drain()
                writer.write_eof()

            pushing = asyncio.ensure_future(push())
            await until_still(lambda: pushed)
            assert pushed < total
            target.may_read.set()
            await pushing
            await target.until(lambda: target.received == total)
            await gauge.stop()
            for most in gauge.most.values():
                assert most <= WINDOW_BYTES + 2 * READ_BYTES
            writer.close()
            await target.until(lambda: bool(target.ends))

    run(main())


@pytest.mark.spec("HOST-10", "HOST-14")
def test_a_client_that_stops_reading_holds_up_the_target(run: Run) -> None:
    total = 64 * MIB

    async def pour(target: Any, _: Any, writer: asyncio.StreamWriter) -> None:
        for _ in range(total // MIB):
            writer.write(bytes(MIB))
            await writer.drain()
            target.received += MIB

    async def main() -> None:
        async with serving(pour) as target, portal() as it:
            address = await it.open(target.address, "channel")
            gauge = Gauge(it.inlet_node, it.outlet_node)
            reader, writer = await connect(address)
            assert await until_still(lambda: target.received) < total
            await gauge.stop()
            assert max(gauge.most.values()) <= WINDOW_BYTES + 2 * READ_BYTES
            assert len(await reader.read(-1)) == total
            writer.close()

    run(main())


@pytest.mark.spec("HOST-14")
@pytest.mark.parametrize("way", ["plain", "channel", "relay-channel"])
def test_a_stalled_target_leaves_its_neighbours_alone(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(serve_sink) as stalled, serving(serve_echo) as busy, portal() as it:
            stalled.may_read.clear()
            slow = await it.open(stalled.address, way)
            await it.outlet_node.create_outlet("busy", busy.address)
            it.outlet_node.add_consumer(
                "busy", next(iter(it.outlet_node._driver.core.flow_controls.ids_of_consumer(it.outlet.hop)))
            )
            quick = await it.inlet_node.create_inlet("127.0.0.1:0", (*it.hops, "busy"))
            _, writer = await connect(slow)
            pushed = 0

            async def push() -> None:
                nonlocal pushed
                while True:
                    writer.write(bytes(256 * 1024))
                    pushed += 256 * 1024
                    await writer.drain()

            pushing = asyncio.ensure_future(push())
            await until_still(lambda: pushed)
            for _ in range(3):
                assert await exchange(quick.address, b"n" * (4 * MIB)) == b"n" * (4 * MIB)
            assert buffered(it.outlet_node) <= WINDOW_BYTES + 2 * READ_BYTES
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            writer.transport.abort()
            stalled.may_read.set()
            await stalled.until(lambda: bool(stalled.ends))

    run(main())


@pytest.mark.spec("HOST-13")
def test_a_slow_worker_holds_up_who_sends_to_it(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as alice, Node.create() as bob:
            listener = await bob.tcp_listen("127.0.0.1:0")
            connection = await alice.tcp_connect(listener.address)
            gate, all_handled, handled = asyncio.Event(), asyncio.Event(), 0

            async def slow(message: Routed) -> None:
                nonlocal handled
                await gate.wait()
                assert message.body(bytes)[:4] == handled.to_bytes(4, "big")
                handled += 1
                if handled == 1000:
                    all_handled.set()

            handle = await bob.start_worker("slow", slow, consumer_of=(listener,))
            sent, payload = 0, bytes(60_000)

            async def send_all() -> None:
                nonlocal sent
                for number in range(1000):
                    await alice.send((connection, "slow"), number.to_bytes(4, "big") + payload)
                    sent += 1

            sending = asyncio.ensure_future(send_all())
            assert await until_still(lambda: sent) < 1000
            waiting = len(handle._task._queue)
            assert MAILBOX_MESSAGES <= waiting <= MAILBOX_MESSAGES + READ_BYTES // 60_000
            assert buffered(alice) <= HIGH_WATER_BYTES + 2 * len(payload)
            gate.set()
            await sending
            await all_handled.wait()

    run(main())


@pytest.mark.spec("HOST-11")
def test_a_slow_worker_leaves_other_connections_alone(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as alice, Node.create() as bob:
            listener = await bob.tcp_listen("127.0.0.1:0")
            first, second = await alice.tcp_connect(listener.address), await alice.tcp_connect(listener.address)
            gate = asyncio.Event()

            async def slow(message: Routed) -> None:
                await gate.wait()
                await message.reply(None)

            await bob.start_worker("slow", slow, consumer_of=(listener,))
            await bob.start_echo(consumer_of=(listener,))
            for _ in range(2 * MAILBOX_MESSAGES):
                await alice.send((first, "slow"), None)
            assert (await alice.send_and_receive((second, "echo"), "x")).body(str) == "x"
            late = asyncio.ensure_future(alice.send_and_receive((first, "echo"), "y"))
            assert (await alice.send_and_receive((second, "echo"), "x")).body(str) == "x"
            assert not late.done()
            gate.set()
            assert (await late).body(str) == "y"

    run(main())


def test_a_worker_that_ends_frees_who_waits_for_it(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    gate = asyncio.Event()

    class Broken(Worker):
        async def initialize(self, node: Node) -> None:
            del node
            await gate.wait()
            raise RuntimeError("as asked")

    async def main() -> None:
        async with Node.create() as alice, Node.create() as bob:
            gate.clear()
            listener = await bob.tcp_listen("127.0.0.1:0")
            connection = await alice.tcp_connect(listener.address)
            await bob.start_worker("broken", Broken(), consumer_of=(listener,))
            await bob.start_echo(consumer_of=(listener,))
            for _ in range(2 * MAILBOX_MESSAGES):
                await alice.send((connection, "broken"), None)
            other = await alice.tcp_connect(listener.address)
            assert (await alice.send_and_receive((other, "echo"), "x")).body(str) == "x"
            late = asyncio.ensure_future(alice.send_and_receive((connection, "echo"), "y"))
            assert (await alice.send_and_receive((other, "echo"), "x")).body(str) == "x"
            assert not late.done()
            gate.set()
            assert (await late).body(str) == "y"

    run(main())
    assert "failed to initialize" in caplog.text


def test_a_worker_may_write_to_itself(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            done = asyncio.Event()

            async def multiply(message: Routed) -> None:
                depth = message.body(bytes)[0]
                if not depth:
                    done.set()
                    return
                for _ in range(10):
                    await node.send("multiply", bytes([depth - 1]))

            await node.start_worker("multiply", multiply)
            await node.send("multiply", b"\x03")
            await done.wait()

    run(main())


@pytest.mark.spec("HOST-13")
def test_a_local_sender_waits_for_a_full_mailbox(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            gate = asyncio.Event()

            async def slow(_: Routed) -> None:
                await gate.wait()

            handle = await node.start_worker("slow", slow)
            sent = 0

            async def send_all() -> None:
                nonlocal sent
                for _ in range(100):
                    await node.send("slow", None)
                    sent += 1

            sending = asyncio.ensure_future(send_all())
            await until_still(lambda: sent)
            assert sent <= MAILBOX_MESSAGES + 1
            gate.set()
            await sending
            await handle.close()

    run(main())


def test_a_sender_that_is_cancelled_while_it_waits_is_forgotten(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            gate = asyncio.Event()

            async def slow(_: Routed) -> None:
                await gate.wait()

            await node.start_worker("slow", slow)

            async def send_for_ever() -> None:
                while True:
                    await node.send("slow", None)

            sending = asyncio.ensure_future(send_for_ever())
            pressure = node._driver._pressure
            while not pressure._sinks_of:  # noqa: ASYNC110  # the sender itself fills the mailbox
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            assert not pressure._sinks_of
            assert not pressure._sources_of
            gate.set()

    run(main())
