"""The TCP adapter on real sockets: order, silence before ``start_reading``, back-pressure, and every way to end."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_transports import connecting, stream_socket, tcp
from ockam_transports.base import LOW_WATER_BYTES, Link
from ockam_transports.stream_socket import StreamSocketLink
from ockam_transports.tcp import TcpSocketListener, TcpTransport

Run = Callable[[Coroutine[Any, Any, None]], None]
BIG = 16 * 1024 * 1024


class Client:
    """A plain socket on the other side, driven through the loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, address: str) -> "Client":
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if "[" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host.strip("[]"), int(port)))
        return cls(sock)

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            chunk = await self.loop.sock_recv(self.sock, min(count - len(data), 1 << 20))
            assert chunk, f"the stream ended after {len(data)} of {count} bytes"
            data += chunk
        return bytes(data)

    async def read_all(self) -> bytes:
        data = bytearray()
        while chunk := await self.loop.sock_recv(self.sock, 1 << 20):
            data += chunk
        return bytes(data)

    def finish(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()

    def close(self) -> None:
        self.sock.close()


class Scene:
    """A listener, one accepted link and the client at its other end."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.transport = TcpTransport(host)
        self.listeners: list[TcpSocketListener] = []
        self.clients: list[Client] = []

    async def __aenter__(self) -> Self:
        self.listener = await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        for listener in self.listeners:
            listener.close()
        for client in self.clients:
            client.close()
        for link in self.host.accepted:
            link.abort()
        await asyncio.sleep(0)

    async def listen(self, address: str = "127.0.0.1:0") -> TcpSocketListener:
        listener = await self.transport.listen(address, self.host.accept)
        self.listeners.append(listener)
        return listener

    async def pair(self) -> tuple[StreamSocketLink, Client]:
        before = len(self.host.accepted)
        client = await Client.connect(self.listener.address)
        self.clients.append(client)
        await self.host.until(lambda: len(self.host.accepted) > before)
        return self.host.accepted[before], client

    def do(self, link: Link, *calls: Callable[[], None]) -> None:
        """Make calls as the host does, then flush."""
        with self.host.calling():
            for call in calls:
                call()
            link.flush()

    def write(self, link: Link, *chunks: bytes | memoryview) -> None:
        self.do(link, lambda: link.write(chunks))

    async def barrier(self) -> None:
        """Let the loop poll and read at least once more: a whole exchange over another connection."""
        link, client = await self.pair()
        link.start_reading()
        await client.send(b"?")
        await self.host.until(lambda: self.host.received[link.id] == b"?")
        self.write(link, b"!")
        assert await client.read(1) == b"!"
        link.abort()


def kernel_holds(link: StreamSocketLink) -> bytes:
    """What waits in the kernel for the link."""
    assert link._sock is not None
    try:
        return link._sock.recv(1 << 20, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


# ---- bytes


def test_bytes_arrive_in_order_both_ways(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            there, back = bytes(range(256)) * 20_000, bytes(reversed(range(256))) * 20_000
            scene.write(link, back[:10], b"", memoryview(back)[10:])
            _, got = await asyncio.gather(client.send(there), client.read(len(back)))
            await host.until(lambda: len(host.received[link.id]) == len(there))
            assert got == back
            assert host.received[link.id] == there
            assert link.buffered == 0

    run(main())


def test_more_chunks_than_one_write_takes(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            chunks = [bytes([n % 256]) * (n % 7) for n in range(3 * stream_socket.MAX_CHUNKS_PER_WRITE)]
            scene.write(link, *chunks)
            scene.write(link, b"end")
            expected = b"".join(chunks) + b"end"
            assert await client.read(len(expected)) == expected

    run(main())


def test_an_opened_link_carries_bytes(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            number = host.new_link()
            link = scene.transport.open(number, scene.listener.address)
            await host.told("opened", number)
            await host.until(lambda: len(host.accepted) == 1)
            (accepted,) = host.accepted
            link.start_reading()
            accepted.start_reading()
            scene.write(link, b"ping")
            await host.until(lambda: host.received[accepted.id] == b"ping")
            scene.write(accepted, b"pong")
            await host.until(lambda: host.received[number] == b"pong")
            link.abort()

    run(main())


def test_what_was_written_while_opening_is_sent(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link = scene.transport.open(host.new_link(), scene.listener.address)
            scene.write(link, b"early")
            await host.until(lambda: len(host.accepted) == 1)
            host.accepted[0].start_reading()
            await host.until(lambda: host.received[host.accepted[0].id] == b"early")
            link.abort()

    run(main())


def test_both_ends_send_without_delay(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link = scene.transport.open(host.new_link(), scene.listener.address)
            await host.told("opened", link.id)
            await host.until(lambda: len(host.accepted) == 1)
            for end in (link, host.accepted[0]):
                assert end._sock is not None
                assert end._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                assert end._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            link.abort()

    run(main())


# ---- reading begins when the host says so


def test_nothing_is_read_before_start_reading(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            await client.send(b"early bird")
            await scene.barrier()
            assert host.received[link.id] == b""
            assert kernel_holds(link) == b"early bird"
            link.start_reading()
            await host.until(lambda: host.received[link.id] == b"early bird")

    run(main())


def test_an_opened_link_is_not_read_before_start_reading(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link = scene.transport.open(host.new_link(), scene.listener.address)
            await host.told("opened", link.id)
            await host.until(lambda: len(host.accepted) == 1)
            scene.write(host.accepted[0], b"banner")
            await scene.barrier()
            assert host.received[link.id] == b""
            assert kernel_holds(link) == b"banner"
            link.start_reading()
            await host.until(lambda: host.received[link.id] == b"banner")
            link.abort()

    run(main())


def test_stop_reading_leaves_the_rest_in_the_kernel(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            host.on_bytes = lambda number: link.stop_reading() if number == link.id else None
            link.start_reading()
            link.start_reading()
            await client.send(b"one")
            await host.until(lambda: host.received[link.id] == b"one")
            await client.send(b"two")
            await scene.barrier()
            assert host.received[link.id] == b"one"
            link.stop_reading()
            host.on_bytes = lambda _: None
            link.start_reading()
            await host.until(lambda: host.received[link.id] == b"onetwo")

    run(main())


def test_a_client_that_hangs_up_unread_is_noticed(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)
    monkeypatch.setattr(stream_socket, "HANGUP_GRACE_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.close()
            assert await host.told("closed", link.id) == "the other side hung up"

    run(main())


def test_a_client_that_sent_something_and_finished_is_kept(
    run: Run, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)
    monkeypatch.setattr(stream_socket, "HANGUP_GRACE_S", 0)

    async def main() -> None:
        async with Scene(host) as scene:
            kept, client = await scene.pair()
            await client.send(b"request")
            client.finish()
            silent, other = await scene.pair()
            other.close()
            await host.told("closed", silent.id)
            assert host.count("closed", kept.id) == 0
            kept.start_reading()
            await host.told("finished", kept.id)
            assert host.received[kept.id] == b"request"

    run(main())


def test_the_grace_ends_when_reading_begins(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.finish()
            await scene.barrier()
            link.start_reading()
            await host.told("finished", link.id)
            scene.write(link, b"answer")
            assert await client.read(6) == b"answer"
            assert host.count("closed", link.id) == 0

    run(main())


def test_a_reset_is_noticed_before_reading(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "WATCH_AFTER_S", 0)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.reset()
            assert "reset" in await host.told("closed", link.id)

    run(main())


# ---- ends


def test_end_of_file_leaves_our_direction_open(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            await client.send(b"question")
            client.finish()
            await host.told("finished", link.id)
            assert host.received[link.id] == b"question"
            answer = b"a" * BIG
            scene.write(link, answer)
            scene.do(link, link.finish_sending)
            assert await client.read_all() == answer
            assert host.count("closed", link.id) == 0

    run(main())


def test_finish_sending_leaves_reading_open(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            scene.do(link, lambda: link.write((b"bye",)), link.finish_sending)
            assert await client.read_all() == b"bye"
            await client.send(b"still here")
            await host.until(lambda: host.received[link.id] == b"still here")

    run(main())


def test_close_destroys_nothing_on_its_way(run: Run, host: Any) -> None:
    """Unread input makes a bare ``close`` send a reset, which would throw away what the client has not read yet."""

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            await client.send(b"nobody will read this")
            await scene.barrier()
            answer = bytes(range(256)) * (BIG // 256)
            scene.do(link, lambda: link.write((answer,)), link.close)
            await client.send(b"nor this")
            assert await client.read_all() == answer
            client.close()
            await host.told("gone", link.id)
            assert host.received[link.id] == b""
            assert host.count("closed", link.id) == host.count("finished", link.id) == 0

    run(main())


def test_close_waits_for_a_silent_other_side_only_so_long(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "LINGER_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.close, link.close)
            await host.told("gone", link.id)
            assert await client.read_all() == b""
            assert host.count("gone", link.id) == 1

    run(main())


def test_close_gives_up_on_a_side_that_takes_nothing(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            link, _ = await scene.pair()
            scene.do(link, lambda: link.write((bytes(BIG),)), link.close)
            await host.told("gone", link.id)
            assert link.buffered == 0

    run(main())


def test_close_after_the_other_side_ended_is_immediate(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            client.finish()
            await host.told("finished", link.id)
            scene.do(link, lambda: link.write((b"last",)), link.close)
            assert link._sock is None
            assert await client.read_all() == b"last"

    run(main())


def test_close_before_anything_was_read(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.close)
            assert await client.read_all() == b""
            client.close()
            await host.told("gone", link.id)

    run(main())


def test_a_reset_while_reading_is_told_once(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link.start_reading()
            client.reset()
            assert "reset" in await host.told("closed", link.id)
            scene.write(link, b"nobody there")
            link.stop_reading()
            link.start_reading()
            scene.do(link, link.close)
            link.abort()
            await scene.barrier()
            assert [event for event in host.events if event[1] == link.id] == [
                ("accepted", link.id, ""),
                ("closed", link.id, "the other side reset the connection"),
            ]

    run(main())


def test_a_broken_write_is_told_after_what_came_before_it(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            await client.send(b"413 too large")
            client.close()
            await scene.barrier()
            with host.calling():
                link.start_reading()
                for _ in range(3):  # the first write after the other side's close provokes the reset
                    link.write((b"x" * 1000,))
                    link.flush()
            await host.told("closed", link.id)
            assert host.received[link.id] == b"413 too large"
            assert host.count("closed", link.id) == 1

    run(main())


def test_a_stalled_write_that_breaks_is_told(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.write(link, bytes(BIG))
            assert link.buffered > 0
            client.reset()
            await host.told("closed", link.id)
            assert link.buffered == 0

    run(main())


def test_abort_is_silent(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.write(link, bytes(BIG))
            with host.calling():
                link.abort()
                link.abort()
            await host.told("gone", link.id)
            assert len(await client.read_all()) < BIG
            assert host.count("gone", link.id) == 1

    run(main())


# ---- back-pressure


def test_drained_is_told_when_everything_has_left(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.report_drained)
            await host.told("drained", link.id)
            scene.do(link, lambda: link.write((bytes(BIG),)), link.report_drained, link.report_drained)
            await scene.barrier()
            assert host.count("drained", link.id) == 1
            await client.read(BIG)
            await host.until(lambda: host.count("drained", link.id) == 2)
            await scene.barrier()
            assert host.count("drained", link.id) == 2

    run(main())


def test_drained_answers_for_what_was_written_before_it_was_asked(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, lambda: link.write((bytes(BIG),)), link.report_drained)
            scene.write(link, bytes(BIG))
            await client.read(BIG)
            await host.told("drained", link.id)
            assert link.buffered > 0

    run(main())


def test_relieved_is_told_at_the_low_water_mark(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.write(link, bytes(BIG))
            with host.calling():
                link.report_relieved()
            await scene.barrier()
            assert host.count("relieved", link.id) == 0
            await client.read(BIG)
            await host.told("relieved", link.id)
            assert link.buffered <= LOW_WATER_BYTES
            assert host.count("relieved", link.id) == 1

    run(main())


def test_a_waiting_view_does_not_keep_its_buffer(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            large = memoryview(bytes(BIG))
            scene.write(link, bytes(BIG), large[:100], large[: BIG // 2])
            scene.write(link, large[:200])
            views = [chunk for chunk in link._out if isinstance(chunk, memoryview) and chunk.obj is large.obj]
            assert [len(view) for view in views] == [BIG // 2]
            assert len(await client.read(BIG + 300 + BIG // 2)) == BIG + 300 + BIG // 2

    run(main())


def test_readiness_without_anything_to_read_is_no_event(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            link._readable()
            link._peek()
            scene.do(link, link.close)
            link._discard()
            client.close()
            await host.told("gone", link.id)
            for late in (link._readable, link._peek, link._discard, link._writable):
                late()
            assert [event[0] for event in host.events] == ["accepted", "gone"]

    run(main())


def test_a_reset_while_closing_is_the_end(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, link.close)
            client.reset()
            await host.told("gone", link.id)
            flushing, client = await scene.pair()
            scene.do(flushing, lambda: flushing.write((bytes(BIG),)), flushing.close)
            client.reset()
            await host.told("gone", flushing.id)
            assert host.count("closed", link.id) == host.count("closed", flushing.id) == 0

    run(main())


def test_close_of_a_broken_link_is_silent(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.reset()
            await scene.barrier()
            scene.write(link, b"nobody there")
            scene.do(link, link.close)
            await host.told("gone", link.id)
            assert host.count("closed", link.id) == 0

    run(main())


def test_the_end_of_a_reset_socket_cannot_be_sent(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            client.reset()
            await scene.barrier()
            scene.do(link, link.finish_sending)
            await host.told("closed", link.id)

    run(main())


def test_a_slow_side_that_takes_a_little_is_waited_for(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.05)

    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.do(link, lambda: link.write((bytes(BIG),)), link.close)
            taken = 0
            while taken < BIG:
                taken += len(await client.read(min(BIG - taken, 1024 * 1024)))
                await asyncio.sleep(0.01)
            assert await client.read_all() == b""
            client.close()
            await host.told("gone", link.id)

    run(main())


# ---- opening


def test_a_closed_port_refuses(run: Run, host: Any) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with Scene(host) as scene:
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, f"127.0.0.1:{port}")
            reason = await host.told("failed", number)
            assert reason == f"cannot connect to 127.0.0.1:{port}: nothing listens there (connection refused)"

    run(main())


@pytest.mark.parametrize("target", ["", "nonsense", "host:70000", "[::1", "bad host:80"])
def test_a_target_that_cannot_be_read_fails(run: Run, host: Any, target: str) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, target)
            assert "is not a socket address" in await host.told("failed", number)

    run(main())


def test_an_unknown_name_fails(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, "no-such-host.invalid:80")
            assert "the host name is not known" in await host.told("failed", number)

    run(main())


def test_a_name_is_tried_on_all_its_addresses(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            port = int(scene.listener.address.rpartition(":")[2])
            with socket.create_server(("127.0.0.2", 0)) as taken:
                closed = taken.getsockname()[1]
            addresses = [
                (socket.AF_INET, ("127.0.0.2", closed)),
                (socket.AF_INET6, ("no address", 1, 0, 0)),
                (socket.AF_INET6, ("::ffff:240.0.0.1", 1, 0, 0)),
                (77, ("no family", 1)),
                (socket.AF_INET, ("127.0.0.1", port)),
            ]
            scene.transport._loop = _WithLookup(addresses)  # type: ignore[assignment]
            number = host.new_link()
            link = scene.transport.open(number, "many-addresses.test:1")
            await host.told("opened", number)
            link.abort()

    run(main())


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [([], "the name has no address"), ([(77, ("x", 1))], "address family not supported by protocol")],
)
def test_a_name_without_a_usable_address_fails(run: Run, host: Any, addresses: list[Any], reason: str) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            scene.transport._loop = _WithLookup(addresses)  # type: ignore[assignment]
            number = host.new_link()
            with host.calling():
                scene.transport.open(number, "no-address.test:1")
            assert await host.told("failed", number) == f"cannot connect to no-address.test:1: {reason}"

    run(main())


class _WithLookup:
    """The running loop with a resolver that knows one answer."""

    def __init__(self, addresses: list[Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._addresses = addresses

    async def getaddrinfo(self, *_: object, **__: object) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", where) for family, where in self._addresses]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def test_an_address_that_is_silent_does_not_hold_up_the_next(
    run: Run, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "NEXT_ADDRESS_AFTER_S", 0.02)

    async def main() -> None:
        async with Scene(host) as scene:
            with _full_listener() as (silent_port, _):
                port = int(scene.listener.address.rpartition(":")[2])

                addresses = [(socket.AF_INET, ("127.0.0.1", silent_port)), (socket.AF_INET, ("127.0.0.1", port))]
                scene.transport._loop = _WithLookup(addresses)  # type: ignore[assignment]
                number = host.new_link()
                link = scene.transport.open(number, "slow-and-quick.test:1")
                await host.told("opened", number)
                link.abort()

    run(main())


class _full_listener:  # noqa: N801  # reads as a function
    """A listening socket whose queue is full, so that the kernel ignores whoever knocks."""

    def __enter__(self) -> tuple[int, list[socket.socket]]:
        self.sockets = [socket.socket()]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[0].listen(0)
        where = self.sockets[0].getsockname()
        for _ in range(3):
            knocking = socket.socket()
            knocking.setblocking(False)
            knocking.connect_ex(where)
            self.sockets.append(knocking)
        return where[1], self.sockets

    def __exit__(self, *_: object) -> None:
        for sock in self.sockets:
            sock.close()


def test_connecting_has_a_deadline(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with Scene(host) as scene:
            with _full_listener() as (port, _):
                number = host.new_link()
                scene.transport.open(number, f"127.0.0.1:{port}")
                assert await host.told("failed", number) == f"no answer from 127.0.0.1:{port} within 0.05 s"

    run(main())


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost"])
def test_close_while_opening_is_silent(run: Run, host: Any, target: str) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            port = scene.listener.address.rpartition(":")[2]
            number = host.new_link()
            link = scene.transport.open(number, f"{target}:{port}")
            with host.calling():
                link.close()
            await host.told("gone", number)
            await scene.barrier()
            assert host.count("opened", number) == host.count("failed", number) == 0

    run(main())


def test_a_socket_connected_to_itself_is_told_apart() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert connecting._is_connected_to_itself(sock)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        assert not connecting._is_connected_to_itself(sock)


def test_families_take_turns() -> None:
    addresses = [(6, ("a",)), (6, ("b",)), (4, ("c",)), (6, ("d",))]
    assert [where[0] for _, where in connecting._alternate(addresses)] == ["a", "c", "b", "d"]
    assert connecting._alternate([]) == []


# ---- listening


def test_a_listener_names_its_port(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            name, _, port = scene.listener.address.rpartition(":")
            assert name == "127.0.0.1"
            assert int(port) > 0
            with pytest.raises(OckamError, match="the port is taken") as caught:
                await scene.listen(scene.listener.address)
            assert caught.value.code is ErrorCode.LINK_FAILED
            with pytest.raises(MisuseError, match="is not a socket address"):
                await scene.listen("nonsense")
            with pytest.raises(OckamError, match="does not have that address"):
                await scene.listen("192.0.2.1:0")

    run(main())


def test_ipv6(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            try:
                listener = await scene.listen("[::1]:0")
            except OckamError as error:
                pytest.skip(str(error))
            link = scene.transport.open(host.new_link(), listener.address)
            await host.told("opened", link.id)
            assert listener.address.startswith("[::1]:")
            link.abort()

    run(main())


def test_a_closed_listener_takes_nobody_and_leaves_its_links(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            link, client = await scene.pair()
            scene.listener.close()
            scene.listener.close()
            number = host.new_link()
            scene.transport.open(number, scene.listener.address)
            await host.told("failed", number)
            scene.write(link, b"alive")
            assert await client.read(5) == b"alive"

    run(main())


def test_clients_beyond_the_limit_are_closed_at_once(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_ACCEPTED_LINKS", 2)

    async def main() -> None:
        async with Scene(host) as scene:
            (first, _), _ = await scene.pair(), await scene.pair()
            third = await Client.connect(scene.listener.address)
            assert await third.read_all() == b""
            third.close()
            assert scene.listener.turned_away == 1
            first.abort()
            fourth, client = await scene.pair()
            scene.write(fourth, b"room again")
            assert await client.read(10) == b"room again"

    run(main())


def test_running_out_of_descriptors_pauses_accepting(run: Run, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "ACCEPT_PAUSE_S", 0.02)

    class Exhausted:
        """A listening socket in a process without free descriptors."""

        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock
            self.tries = 0

        def accept(self) -> tuple[socket.socket, Any]:
            self.tries += 1
            if self.tries < 4:
                raise OSError(errno.EMFILE, "Too many open files")
            return self.sock.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sock, name)

    async def main() -> None:
        async with Scene(host) as scene:
            exhausted = Exhausted(scene.listener._sock)
            scene.listener._sock = exhausted  # type: ignore[assignment]
            link, client = await scene.pair()
            scene.write(link, b"late")
            assert await client.read(4) == b"late"
            assert exhausted.tries <= 6  # three failures, the client, nobody else: no busy loop

    run(main())


def test_closing_while_accepting_is_paused(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            scene.listener._stop_accepting()
            scene.listener._pause = asyncio.get_running_loop().call_later(0, scene.listener._accept_again)
            scene.listener.close()
            await asyncio.sleep(0)
            assert scene.listener._pause is None

    run(main())


def test_many_clients_at_once(run: Run, host: Any) -> None:
    async def main() -> None:
        async with Scene(host) as scene:
            clients = await asyncio.gather(*(Client.connect(scene.listener.address) for _ in range(200)))
            scene.clients.extend(clients)
            await host.until(lambda: len(host.accepted) == 200)
            for link in host.accepted:
                scene.write(link, b"hello")
            assert await asyncio.gather(*(client.read(5) for client in clients)) == [b"hello"] * 200

    run(main())
