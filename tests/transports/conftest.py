"""Both event loops, and the plain socket at the other end of a link."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self

import pytest
import uvloop

from ockam_ref.testing.contract import NotingHost
from ockam_transports.base import Link
from ockam_transports.stream_socket import StreamSocketLink
from ockam_transports.tcp import TcpListener, TcpTransport

Run = Callable[[Coroutine[Any, Any, None]], None]
BIG: Final = 16 * 1024 * 1024
"""More bytes than the kernel takes for a side that does not read."""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on each kind of loop, at most ten seconds."""

    def run_it(coroutine: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(10):
                await coroutine

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(bounded())

    return run_it


@pytest.fixture
def host() -> NotingHost:
    """A fresh noting host."""
    return NotingHost()


class Client:
    """A plain socket on the other side, driven through the loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, address: str) -> "Client":
        if "/" in address:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, address)
            return cls(sock)
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

    def __init__(self, host: Any, transport: TcpTransport | None = None) -> None:
        self.host = host
        self.transport = transport or TcpTransport(host)
        self.listeners: list[TcpListener] = []
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

    async def listen(self, address: str = "127.0.0.1:0") -> TcpListener:
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
