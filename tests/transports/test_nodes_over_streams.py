"""Two nodes over Unix sockets and WebSocket: a secure channel, a portal inside, and messages that are none."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ockam_ref.asyncio import Node, NodeConnection, NodeListener
from ockam_ref.errors import OckamError
from ockam_ref.portals.connection import MAX_PAYLOAD_BYTES, PORTABLE_PAYLOAD_BYTES
from ockam_ref.wire.address import local
from ockam_ref.wire.bare_transport_message import decode_bare_transport_message, encode_bare_transport_message
from ockam_ref.wire.transport_message import TransportMessage
from tests.transports.conftest import Client, Run

HELLO = encode_bare_transport_message(TransportMessage((local("echo"),), (local("app"),), b"\x05hello"))
BULK = 3 * MAX_PAYLOAD_BYTES + 1234


@pytest.fixture(params=["uds", "ws", "ws with a path"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Transport and address."""
    return {
        "uds": ("uds", str(tmp_path / "node.sock")),
        "ws": ("ws", "127.0.0.1:0"),
        "ws with a path": ("ws", "127.0.0.1:0/nodes/one"),
    }[request.param]


@asynccontextmanager
async def joined(where: tuple[str, str]) -> AsyncIterator[tuple[Node, Node, NodeListener, NodeConnection]]:
    async with Node.create() as server, Node.create() as client:
        listener = await server.listen(*where)
        yield server, client, listener, await client.connect(where[0], listener.address)


@asynccontextmanager
async def echo_server() -> AsyncIterator[str]:
    """A server that sends back all that it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.spec("UDS-1", "UDS-2", "WS-1", "PT-80")
def test_a_portal_in_a_secure_channel(run: Run, where: tuple[str, str]) -> None:
    limit = PORTABLE_PAYLOAD_BYTES if where[0] == "uds" else MAX_PAYLOAD_BYTES

    async def main() -> None:
        async with echo_server() as target, joined(where) as (server, client, listener, connection):
            channels = await server.create_secure_channel_listener(
                server.create_identity(), "channels", consumer_of=[listener]
            )
            await server.create_outlet("outlet", target, consumer_of=[channels], max_payload_bytes=limit)
            channel = await client.create_secure_channel(client.create_identity(), [connection, "channels"])
            inlet = await client.create_inlet("127.0.0.1:0", [channel, "outlet"], max_payload_bytes=limit)
            through = await Client.connect(inlet.address)
            sent = os.urandom(BULK)
            _, back = await asyncio.gather(through.send(sent), through.read(len(sent)))
            assert back == sent
            through.finish()
            assert await through.read_all() == b""
            through.close()
            assert not server.drops
            assert not client.drops

    run(main())


@pytest.mark.spec("UDS-2", "WS-2")
def test_a_message_that_is_too_long_is_a_recorded_drop(run: Run, where: tuple[str, str]) -> None:
    async def main() -> None:
        async with joined(where) as (server, client, listener, connection):
            await server.start_echo("echo", consumer_of=[listener])
            limit = 65_535 if where[0] == "uds" else 16_777_216
            await client.send([connection, "echo"], bytes(limit))
            assert [drop.rule for drop in client.drops] == ["too-long"]
            assert f"{limit} is the limit" in client.drops[0].detail
            longest = bytes(limit - 100)
            assert (await client.send_and_receive([connection, "echo"], longest)).body(bytes) == longest

    run(main())


@pytest.mark.spec("UDS-4")
def test_frames_that_are_no_messages_end_nothing(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Node.create() as node:
            listener = await node.listen("uds", str(tmp_path / "node.sock"))
            await node.start_echo("echo", consumer_of=[listener])
            client = await Client.connect(listener.address)
            for body in (b"", b"\x03\x00\x00\x00", b"\x01\x01\x00\x04ech", HELLO):
                await client.send(len(body).to_bytes(2, "big") + body)
            length = int.from_bytes(await client.read(2), "big")
            answer = decode_bare_transport_message(await client.read(length))
            assert answer.onward_route == (local("app"),)
            assert answer.payload == b"\x05hello"
            assert [drop.rule for drop in node.drops] == ["undecodable"] * 3
            await client.send(b"\xff\xffbut the rest never comes")
            client.finish()
            assert await client.read_all() == b""
            client.close()

    run(main())


def test_a_server_that_is_gone_is_told(run: Run, where: tuple[str, str]) -> None:
    async def main() -> None:
        async with joined(where) as (server, client, listener, connection):
            await server.close()
            assert await connection.wait_closed()
            with pytest.raises(OckamError):
                await client.send([connection, "echo"], "nobody carries this")
            with pytest.raises(OckamError, match="cannot connect"):
                await client.connect(where[0], listener.address)

    run(main())
