"""Portals for datagrams on real sockets: a DNS server at the far end, many clients at once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from ockam_ref.asyncio import Datagrams, InletSession, Node, OutletSession, WayLost, WayRestored
from ockam_ref.errors import OckamError
from ockam_ref.observations import ConnectionClosed
from tests.asyncio.conftest import WAYS, hub, portal
from tests.dns import LONG_TEXT, DnsServer, address_of, answers, question

Run = Callable[[Coroutine[Any, Any, None]], None]


class Asking:
    """A client of an inlet.  It has a socket of its own: transports of asyncio send no empty datagram."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._got: asyncio.Queue[bytes] = asyncio.Queue()

    def read(self) -> None:
        self._got.put_nowait(self._sock.recv(1 << 16))

    def send(self, datagram: bytes) -> None:
        self._sock.send(datagram)

    async def receive(self) -> bytes:
        return await self._got.get()

    async def ask(self, name: str, kind: str = "A") -> list[str]:
        asked, number = question(name, kind)
        self.send(asked)
        replied, said = answers(await self.receive())
        assert replied == number
        return said


@contextmanager
def bound() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        try:
            yield sock
        finally:
            asyncio.get_running_loop().remove_reader(sock)


@contextmanager
def client(address: str) -> Iterator[Asking]:
    host, _, port = address.rpartition(":")
    with bound() as sock:
        sock.connect((host, int(port)))
        asking = Asking(sock)
        asyncio.get_running_loop().add_reader(sock, asking.read)
        yield asking


@contextmanager
def echoing() -> Iterator[str]:
    """Run a service that sends every datagram back; return where."""
    with bound() as sock:
        asyncio.get_running_loop().add_reader(sock, lambda: sock.sendto(*sock.recvfrom(1 << 16)))
        host, port = sock.getsockname()
        yield f"{host}:{port}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.spec("DP-1", "DP-13")
def test_a_dns_server_answers_many_clients_at_once(run: Run, way: str) -> None:
    async def main() -> None:
        with DnsServer() as server:
            async with portal() as opened:
                address = await opened.open(server.address, way, datagrams=True)

                async def one(number: int) -> None:
                    with client(address) as asking:
                        for each in range(5):
                            name = 5 * number + each
                            assert await asking.ask(f"host-{name}.example") == [address_of(name)]

                await asyncio.gather(*map(one, range(20)))
                with client(address) as asking:
                    assert await asking.ask("long.example", "TXT") == [LONG_TEXT] * 15

    run(main())


@pytest.mark.spec("DP-1", "DP-4")
def test_datagrams_of_every_size_keep_their_boundaries(run: Run) -> None:
    async def main() -> None:
        with echoing() as target:
            async with portal() as opened:
                address = await opened.open(target, "channel", datagrams=True)
                with client(address) as asking:
                    for size in (0, 1, 0, 511, 1472, 1473, 9000, 65_000, 65_507):
                        sent = bytes(number % 251 for number in range(size))
                        asking.send(sent)
                        assert await asking.receive() == sent

    run(main())


@pytest.mark.spec("DP-9", "DP-21")
def test_a_session_ends_and_begins_again(run: Run) -> None:
    async def main() -> None:
        with echoing() as target:
            async with portal() as opened:
                address = await opened.open(target, "channel", datagrams=True, idle_timeout=0.05)
                ends = [node.observe() for node in (opened.inlet_node, opened.outlet_node)]
                with client(address) as asking:
                    for text in (b"one", b"again"):
                        asking.send(text)
                        assert await asking.receive() == text
                        for observations in ends:
                            closed = await anext(one async for one in observations if isinstance(one, ConnectionClosed))
                            assert (closed.sent, closed.received) == (len(text), len(text))

    run(main())


@pytest.mark.spec("DP-12", "DP-17", "DP-18")
def test_an_inlet_is_paused_and_closed(run: Run) -> None:
    async def main() -> None:
        with echoing() as target:
            async with portal() as opened:
                address = await opened.open(target, "channel", datagrams=True)
                ended = opened.outlet_node.observe()
                with client(address) as old, client(address) as new:
                    old.send(b"x")
                    assert await old.receive() == b"x"
                    opened.inlet.pause()
                    new.send(b"nobody hears this")
                    old.send(b"open sessions go on")
                    assert await old.receive() == b"open sessions go on"
                    opened.inlet.resume()
                    new.send(b"now")
                    assert await new.receive() == b"now"
                await opened.inlet.close()
                closed = [
                    await anext(one async for one in ended if isinstance(one, ConnectionClosed)) for _ in range(2)
                ]
                assert {one.reason for one in closed} == {"the inlet has ended the session"}
                again = await opened.inlet_node.create_udp_inlet(address)
                with pytest.raises(OckamError, match="cannot bind"):
                    await opened.inlet_node.create_udp_inlet(again.address)

    run(main())


@pytest.mark.spec("DP-15", "DP-16")
def test_sessions_find_an_outlet_that_has_restarted(run: Run) -> None:
    """Behind a hub, with another node, another identity and another socket in the place of the first."""

    async def main() -> None:
        with DnsServer() as server:
            async with hub() as address, Node.create() as near:
                inlet = InletSession(
                    near,
                    "127.0.0.1:0",
                    via=address,
                    forwarding_address="forward_to_dns",
                    identity=near.create_identity(),
                    carries=Datagrams(),
                )
                way = inlet.events()
                first = AsyncExitStack()
                await first.enter_async_context(outlet(server.address, address))
                async with inlet:
                    with client(inlet.address) as asking:
                        assert await asking.ask("host-1.example") == [address_of(1)]
                        await first.aclose()
                        await anext(one async for one in way if isinstance(one, WayLost))
                        async with outlet(server.address, address):
                            await anext(one async for one in way if isinstance(one, WayRestored))
                            assert await asking.ask("host-2.example") == [address_of(2)]

    @asynccontextmanager
    async def outlet(target: str, address: str) -> AsyncIterator[None]:
        async with Node.create() as far:
            identity = far.create_identity()
            async with OutletSession(far, target, hub=address, identity=identity, relay="dns", carries=Datagrams()):
                yield

    run(main())
