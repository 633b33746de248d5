"""The two ends of a tunnel over one transport, each a process of its own: of ours, and as plain as can be.

``python -m tests.benchmarks.transport_ends MAKE far TRANSPORT ADDRESS TARGET`` listens with the transport and connects to
the target for every client; ``... MAKE near TRANSPORT ADDRESS`` listens on a free TCP port and leads to the far end.  ``MAKE``
is ``ours``, a portal without a secure channel between two nodes, or ``plain``: a pair of ``asyncio.Protocol`` for each
client, or a connection of the library ``websockets``.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

from ockam_ref.asyncio import UDP, Node, keep_freed_buffers
from ockam_ref.asyncio.hops import Hop
from ockam_ref.portals.connection import MAX_PAYLOAD_BYTES, PORTABLE_PAYLOAD_BYTES

READ_BYTES: Final = 256 * 1024
"""What the plain end of a WebSocket reads at once, and so the size of its messages; as much as asyncio reads at once."""

SHORT_MESSAGES: Final = {"uds"}
"""Transports whose messages are too short for the Payloads that a portal sends otherwise."""


def main() -> None:
    """Run one end until standard input ends."""
    make, side, transport, *addresses = sys.argv[1:]
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(ENDS[make, side, "ws" if make == "plain" and transport == "ws" else "any"](transport, *addresses))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if os.environ.get("OCKAM_REF_LOOP") != "uvloop":
        return None
    import uvloop

    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)


async def _run_until_told(listen: str) -> None:
    print(json.dumps({"event": "ready", "listen": listen}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


# ---- ours


def _payload(transport: str) -> int:
    return PORTABLE_PAYLOAD_BYTES if transport in SHORT_MESSAGES else MAX_PAYLOAD_BYTES


async def ours_far(transport: str, address: str, target: str) -> None:
    """An outlet."""
    keep_freed_buffers()
    async with Node.create() as node:
        listener = await (node.udp_bind(address) if transport == "udp" else node.listen(transport, address))
        limit = _payload(transport)
        await node.create_outlet("outlet", target, consumer_of=[listener], max_payload_bytes=limit)
        await _run_until_told(listener.address)


async def ours_near(transport: str, address: str) -> None:
    """An inlet."""
    keep_freed_buffers()
    async with Node.create() as node:
        route: list[Hop]
        if transport == "udp":
            route = [await node.udp_bind(recovery=True), (UDP, address), "outlet"]
        else:
            route = [await node.connect(transport, address), "outlet"]
        inlet = await node.create_inlet("127.0.0.1:0", route, max_payload_bytes=_payload(transport))
        await _run_until_told(inlet.address)


# ---- plain sockets


class Pipe(asyncio.Protocol):
    """One of two connections; what comes in here goes out there, as fast as it is taken."""

    def __init__(self, other: "Pipe | None" = None) -> None:
        self.other = other
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        if self.other is not None:
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class AcceptedPipe(Pipe):
    """The connection of a client; the other is opened first."""

    def __init__(self, connect: Callable[[Callable[[], Pipe]], Awaitable[Any]]) -> None:
        super().__init__()
        self._connect = connect
        self._opening: asyncio.Task[None] | None = None

        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        other = Pipe(self)
        await self._connect(lambda: other)
        self.other = other
        other.transport.write(self._early)
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is None:  # uvloop reads once whatever it was told in ``connection_made``
            self._early += data
        else:
            super().data_received(data)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def plain_far(transport: str, address: str, target: str) -> None:
    """Accept by the transport, connect by TCP."""
    loop = asyncio.get_running_loop()
    host, port = _split(target)
    accept = partial(AcceptedPipe, lambda make: loop.create_connection(make, host, port))
    if transport == "uds":
        await loop.create_unix_server(accept, address)
        await _run_until_told(address)
    else:
        server = await loop.create_server(accept, *_split(address))
        await _run_until_told("{}:{}".format(*server.sockets[0].getsockname()))


async def plain_near(transport: str, address: str) -> None:
    """Accept by TCP, connect by the transport."""
    loop = asyncio.get_running_loop()

    def connect(make: Callable[[], Pipe]) -> Awaitable[Any]:
        if transport == "uds":
            return loop.create_unix_connection(make, address)
        return loop.create_connection(make, *_split(address))

    server = await loop.create_server(partial(AcceptedPipe, connect), "127.0.0.1", 0)
    await _run_until_told("{}:{}".format(*server.sockets[0].getsockname()))


# ---- a plain WebSocket


async def _carry(connection: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry the bytes of one client both ways, until either end is gone."""
    from websockets.exceptions import ConnectionClosed

    async def out() -> None:
        while data := await reader.read(READ_BYTES):
            await connection.send(data)
        await connection.close()

    async def back() -> None:
        async for message in connection:
            writer.write(message)
            await writer.drain()
        writer.close()

    with suppress(ConnectionClosed, ConnectionError):
        await asyncio.gather(out(), back())
    writer.close()


async def websocket_far(_: str, address: str, target: str) -> None:
    """Accept by WebSocket, connect by TCP."""
    from websockets.asyncio.server import serve

    async def answer(connection: Any) -> None:
        await _carry(connection, *await asyncio.open_connection(*_split(target), limit=READ_BYTES))

    async with serve(answer, *_split(address), compression=None, max_size=None) as server:
        await _run_until_told("{}:{}".format(*next(iter(server.sockets)).getsockname()))


async def websocket_near(_: str, address: str) -> None:
    """Accept by TCP, connect by WebSocket."""
    from websockets.asyncio.client import connect

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with connect(f"ws://{address}", compression=None, max_size=None) as connection:
            await _carry(connection, reader, writer)

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=READ_BYTES)
    await _run_until_told("{}:{}".format(*server.sockets[0].getsockname()))


ENDS: Final[dict[tuple[str, str, str], Callable[..., Any]]] = {
    ("ours", "far", "any"): ours_far,
    ("ours", "near", "any"): ours_near,
    ("plain", "far", "any"): plain_far,
    ("plain", "near", "any"): plain_near,
    ("plain", "far", "ws"): websocket_far,
    ("plain", "near", "ws"): websocket_near,
}


if __name__ == "__main__":
    main()
