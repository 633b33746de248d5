"""Portals on real sockets: bulk, ends of every kind, refusals, many at once, garbage."""

import asyncio
import hashlib
import random
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.errors import OckamError
from ockam_ref.observations import ConnectionClosed, ConnectionOpened
from ockam_ref.portals import connection
from ockam_transports import stream_socket
from tests.asyncio.conftest import WAYS, Target, connect, exchange, free_port, portal, serve_echo, serve_sink, serving

Run = Callable[[Coroutine[Any, Any, None]], None]
MIB = 1024 * 1024


def closings(node: Node, count: int) -> "asyncio.Future[list[ConnectionClosed]]":
    """Collect the next ends of portal connections of a node, that many."""
    observations = node.observe()  # from now on, not from the first step of the task on

    async def collect() -> list[ConnectionClosed]:
        ends: list[ConnectionClosed] = []
        while len(ends) < count:
            observation = await anext(observations)
            if isinstance(observation, ConnectionClosed):
                ends.append(observation)
        return ends

    return asyncio.ensure_future(collect())


@pytest.mark.parametrize("way", WAYS)
def test_bulk_arrives_unchanged_both_ways(run: Run, way: str) -> None:
    data = random.Random(way).randbytes(8 * MIB + 12_345)

    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, way)
            ends = asyncio.gather(closings(it.inlet_node, 1), closings(it.outlet_node, 1))
            answer = await exchange(address, data)
            assert hashlib.sha256(answer).digest() == hashlib.sha256(data).digest()
            for (closed,) in await ends:
                assert (closed.sent, closed.received, closed.opened) == (len(data), len(data), True)

    run(main())


@pytest.mark.parametrize("way", ["plain", "channel"])
def test_without_handshake(run: Run, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HALF_CLOSE_LINGER_S", 0.05)

    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, way, skip_handshake=True)
            reader, writer = await connect(address)
            writer.write(b"x" * MIB)
            assert await reader.readexactly(MIB) == b"x" * MIB
            writer.close()
            await target.until(lambda: bool(target.ends))

    run(main())


def test_the_client_may_finish_before_the_answer(run: Run) -> None:
    async def answer_at_the_end(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(-1)
        writer.write(hashlib.sha256(request).digest() + b"tail" * MIB)
        await writer.drain()

    async def main() -> None:
        async with serving(answer_at_the_end) as target, portal() as it:
            address = await it.open(target.address, "channel")
            request = b"r" * (3 * MIB)
            assert await exchange(address, request) == hashlib.sha256(request).digest() + b"tail" * MIB

    run(main())


def test_the_target_may_finish_first(run: Run) -> None:
    async def greet(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(b"220 ready")
        writer.write_eof()
        target.received += len(await reader.read(-1))

    async def main() -> None:
        async with serving(greet) as target, portal() as it:
            reader, writer = await connect(await it.open(target.address, "channel"))
            writer.write(b"HELO")
            assert await reader.read(-1) == b"220 ready"
            writer.write(b"late thanks")
            writer.write_eof()
            await target.until(lambda: target.ends == ["finished"])
            assert target.received == len(b"late thanks")
            writer.close()

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_target_closes_the_client_and_is_recorded(run: Run, way: str) -> None:
    async def main() -> None:
        async with portal() as it:
            target = f"127.0.0.1:{free_port()}"
            address = await it.open(target, way)
            ends = asyncio.gather(closings(it.inlet_node, 1), closings(it.outlet_node, 1))
            async with asyncio.timeout(1):
                reader, writer = await connect(address)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                assert await reader.read(-1) == b""
                (inlet_end,), (outlet_end,) = await ends
            writer.close()
            assert inlet_end.reason == "the outlet could not reach its target, or refused the connection"
            assert not inlet_end.opened
            assert inlet_end.answered
            assert "nothing listens there" in outlet_end.reason
            assert target in outlet_end.reason

    run(main())


def test_an_outlet_that_never_answers_meets_a_deadline(run: Run) -> None:
    async def main() -> None:
        async with portal() as it:
            await it.open("127.0.0.1:1", "plain")
            inlet = await it.inlet_node.create_inlet(
                "127.0.0.1:0", (it.connection, "no such outlet"), pong_timeout=0.05
            )
            ends = closings(it.inlet_node, 1)
            reader, writer = await connect(inlet.address)
            assert await reader.read(-1) == b""
            writer.close()
            (closed,) = await ends
            assert closed.reason == "the outlet did not answer in time"
            assert not closed.answered

    run(main())


def test_a_reset_by_the_client_reaches_the_target(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_sink) as target, portal() as it:
            reader, writer = await connect(await it.open(target.address, "channel"))
            writer.write(b"x" * 1000)
            await target.until(lambda: target.received == 1000)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            ends = closings(it.inlet_node, 1)
            writer.transport.abort()
            await target.until(lambda: bool(target.ends))
            assert "reset" in (await ends)[0].reason
            del reader

    run(main())


def test_a_reset_by_the_target_reaches_the_client(run: Run) -> None:
    async def slam(_: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    async def main() -> None:
        async with serving(slam) as target, portal() as it:
            reader, writer = await connect(await it.open(target.address, "channel"))
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            writer.close()

    run(main())


def test_a_client_that_gives_up_before_pong_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "HANGUP_GRACE_S", 0.05)

    async def main() -> None:
        async with portal() as it:
            await it.open("127.0.0.1:1", "plain")
            inlet = await it.inlet_node.create_inlet("127.0.0.1:0", (it.connection, "no such outlet"))
            ends = closings(it.inlet_node, 1)
            _, writer = await connect(inlet.address)
            writer.close()
            (closed,) = await ends
            assert closed.reason == "the other side hung up"

    run(main())


@pytest.mark.parametrize("way", ["plain", "relay-channel"])
def test_killing_the_other_node_ends_open_connections(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, way)
            reader, writer = await connect(address)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await it.outlet_node.close()
            with pytest.raises(ConnectionResetError):  # a stream that was cut must not look complete
                await reader.read(-1)
            await target.until(lambda: bool(target.ends))
            writer.close()

    run(main())


def test_closing_an_inlet_leaves_open_connections(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, "channel")
            reader, writer = await connect(address)
            writer.write(b"a")
            assert await reader.readexactly(1) == b"a"
            await it.inlet.close()
            await it.outlet.close()
            writer.write(b"b")
            assert await reader.readexactly(1) == b"b"
            with pytest.raises(ConnectionRefusedError):
                await connect(address)
            writer.close()

    run(main())


@pytest.mark.parametrize("at", ["inlet", "outlet"])
def test_open_connections_can_be_ended(run: Run, at: str) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, "relay-channel")
            await it.outlet_node.create_outlet("other", target.address, consumer_of=(it.flow,))
            inlet = await it.inlet_node.create_inlet("127.0.0.1:0", (*it.hops, "other"))
            cut, left = await connect(address), await connect(inlet.address)
            for reader, writer in (cut, left):
                writer.write(b"a")
                assert await reader.readexactly(1) == b"a"
            (it.inlet if at == "inlet" else it.outlet).end_connections()
            with pytest.raises(ConnectionResetError):
                await cut[0].read(-1)
            await target.until(lambda: target.ends == ["ConnectionResetError"])
            left[1].write(b"b")
            assert await left[0].readexactly(1) == b"b"
            assert await exchange(address, b"another") == b"another"
            for _, writer in (cut, left):
                writer.close()

    run(main())


def test_an_inlet_can_be_paused_and_led_elsewhere(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, "plain")
            it.inlet.pause()
            assert await exchange(address, b"") == b""
            ends = closings(it.inlet_node, 1)
            reader, writer = await connect(address)
            assert await reader.read(-1) == b""
            writer.close()
            assert (await ends)[0].reason == "the inlet has no way to its outlet at the moment"
            it.inlet.resume()
            assert await exchange(address, b"back") == b"back"
            it.inlet.change_route((it.connection, "elsewhere"))
            await it.outlet_node.create_outlet("elsewhere", target.address)
            it.outlet_node.add_consumer("elsewhere", it.entrance)
            assert await exchange(address, b"there") == b"there"
            with pytest.raises(OckamError, match="the port is taken"):
                await it.inlet_node.create_inlet(address, "anywhere")
            late = await it.inlet_node.create_inlet("127.0.0.1:0", paused=True)
            assert await exchange(late.address, b"") == b""

    run(main())


def test_two_hundred_at_once(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, "relay-channel")
            streams = await asyncio.gather(*(connect(address) for _ in range(200)))
            for number, (_, writer) in enumerate(streams):
                writer.write(b"%06d" % number * 2000)
            for number, (reader, _) in enumerate(streams):
                assert await reader.readexactly(12_000) == b"%06d" % number * 2000
            assert target.accepted == 200
            observations = it.inlet_node.observe()
            for _, writer in streams:
                writer.close()
            ended = 0
            while ended < 200:
                ended += isinstance(await anext(observations), ConnectionClosed)
            assert len(it.inlet_node._driver._links) == 1

    run(main())


def test_connections_are_reported(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, "channel")
            inlet_side, outlet_side = it.inlet_node.observe(), it.outlet_node.observe()
            assert await exchange(address, b"12345") == b"12345"
            for observations, side, place in (
                (inlet_side, "inlet", it.inlet.worker),
                (outlet_side, "outlet", it.outlet.hop),
            ):
                opened, closed = await anext(observations), await anext(observations)
                assert isinstance(opened, ConnectionOpened)
                assert isinstance(closed, ConnectionClosed)
                assert opened.worker == closed.worker
                assert (opened.side, opened.portal) == (closed.side, closed.portal) == (side, place)

    run(main())


def test_garbage_on_every_port_hurts_nobody(run: Run) -> None:
    dice = random.Random(7)
    noise = [dice.randbytes(dice.randrange(1, 5000)) for _ in range(20)]
    noise += [b"\x01", b"\x01\xff\xff\xff\xff", b"\x02", b"\x01\x00\x00\x00\x00", b"GET / HTTP/1.1\r\n\r\n"]
    noise += [b"\x01\x00\x00\x00\x04\x83\x80\x80\x40" + dice.randbytes(300)]

    async def throw(address: str, data: bytes) -> None:
        reader, writer = await connect(address)
        try:
            writer.write(data)
            writer.write_eof()
            await reader.read(-1)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def main() -> None:
        async with serving(serve_echo) as target, portal() as it:
            address = await it.open(target.address, "channel")
            for data in noise:
                await asyncio.gather(throw(it.entrance.address, data), throw(address, data))
            assert await exchange(address, b"still fine") == b"still fine"

    run(main())
