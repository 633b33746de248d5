"""For the tests of WebSocket: certificates made on the spot, a raw end made of the library, and a reverse proxy."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.certificates import make_certificate
from tests.transports.conftest import Client


class Tls(NamedTuple):
    """Both ends of TLS with a certificate that nobody else knows."""

    client: ssl.SSLContext
    server: ssl.SSLContext
    certificate: Path


def make_tls(folder: Path) -> Tls:
    """Make a certificate for 127.0.0.1 and localhost, and the contexts of both ends."""
    files = make_certificate(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    return Tls(ssl.create_default_context(cafile=str(files.chain)), server, files.chain)


class RawWebSocket:
    """A client that does with frames what the adapter never does."""

    def __init__(self, client: Client, protocol: ClientProtocol) -> None:
        self.client = client
        self.protocol = protocol
        self.frames: list[Frame] = []

    @classmethod
    async def connect(cls, address: str, **headers: str) -> "RawWebSocket":
        """Shake hands; ``protocol.state`` says whether that went well."""
        authority = address.partition("/")[0]
        raw = cls(await Client.connect(authority), ClientProtocol(parse_uri(f"ws://{address}"), max_size=None))
        request = raw.protocol.connect()
        request.headers.update(headers)
        raw.protocol.send_request(request)
        await raw.flush()
        while raw.protocol.state is State.CONNECTING and raw.protocol.handshake_exc is None:
            await raw.receive()
        return raw

    async def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                await self.client.send(data)

    async def receive(self) -> bool:
        """Read once; return whether there was anything."""
        data = await self.client.loop.sock_recv(self.client.sock, 1 << 16)
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        for event in self.protocol.events_received():
            if isinstance(event, Frame):
                self.frames.append(event)
            else:
                assert isinstance(event, Response)
        return bool(data)

    async def next_frame(self) -> Frame:
        while not self.frames:
            assert await self.receive(), "the stream ended"
        return self.frames.pop(0)

    async def close_code(self) -> int | None:
        """Read to the end; return the code of the closing frame."""
        with suppress(ConnectionResetError):
            while await self.receive():
                pass
        return None if self.protocol.close_rcvd is None else self.protocol.close_rcvd.code

    async def send(self, *frames: Frame) -> None:
        data = b"".join(frame.serialize(mask=True) for frame in frames)
        await self.client.send(data)


@asynccontextmanager
async def reverse_proxy(prefix: str, behind: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that passes requests below ``prefix`` on, without it; yields its address and the paths asked for."""
    asked: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, rest = head.split(b" ", 2)
        asked.append(path.decode())
        if not path.startswith(prefix.encode() + b"/"):
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        host, _, port = behind.rpartition(":")
        upstream, to_upstream = await asyncio.open_connection(host, int(port))
        to_upstream.write(b" ".join((method, path[len(prefix) :], rest)))
        await asyncio.gather(pump(reader, to_upstream), pump(upstream, writer))

    server: Any = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
