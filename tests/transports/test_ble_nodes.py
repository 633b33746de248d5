"""Nodes over Bluetooth LE: channels, portals and return routes, in one process and in two."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from bumble.transport.tcp_server import open_tcp_server_transport_with_socket

from ockam_ref.asyncio import Node, Routed
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.wire.address import Address
from ockam_transports import ble
from ockam_transports.plugins import find_plugin
from ockam_transports.virtual_radio import NAME, Controller, Radio, bleak_on, silence, virtual_radio
from tests.transports.conftest import Run

BIG = 60_000
"""Bytes of a payload that fits a message between our own ends."""


@asynccontextmanager
async def nodes(*, mtu: int = 517, transport: str = "ble") -> AsyncIterator[tuple[Radio, Node, Node]]:
    """Two nodes on one air: the first has the peripheral, the second the central."""
    async with virtual_radio(mtu=mtu) as (radio, make):
        plugin = replace(find_plugin(transport), create=partial(make, compat=transport == "ble-compat"))
        async with Node.create(transports=[plugin]) as peripheral, Node.create(transports=[plugin]) as central:
            yield radio, peripheral, central


@pytest.mark.spec("BLE-31", "BLE-41")
@pytest.mark.parametrize("mtu", [23, 247, 517])
def test_messages_and_a_channel(run: Run, mtu: int) -> None:
    async def main() -> None:
        async with nodes(mtu=mtu) as (_, far, near):
            listener = await far.listen("ble", f"{NAME}@virtual:0")
            await far.start_echo("echo", consumer_of=[listener])
            channels = await far.create_secure_channel_listener(
                far.create_identity(), "channels", consumer_of=[listener]
            )
            await far.start_echo("private", consumer_of=[channels])
            connection = await near.connect("ble", NAME)
            big = os.urandom(BIG if mtu > 23 else 5_000)
            for payload in (b"", b"\x00" * 8, big):
                reply = await near.send_and_receive([connection, "echo"], payload)
                assert reply.payload == payload
            channel = await near.create_secure_channel(near.create_identity(), [connection, "channels"])
            assert (await near.send_and_receive([channel, "private"], big)).payload == big
            assert not near.drops
            assert not far.drops

    run(main())


@pytest.mark.spec("BLE-22")
def test_a_message_that_is_too_long_is_a_recorded_drop(run: Run) -> None:
    async def main() -> None:
        async with nodes() as (_, far, near):
            listener = await far.listen("ble", f"{NAME}@virtual:0")
            await far.start_echo("echo", consumer_of=[listener])
            connection = await near.connect("ble", NAME)
            await near.send([connection, "echo"], bytes(2_097_152))
            assert near.drops[-1].rule == "too-long"
            assert "2097152" in near.drops[-1].detail
            assert (await near.send_and_receive([connection, "echo"], b"and on")).payload == b"and on"

    run(main())


@pytest.mark.spec("BLE-44", "BLE-46")
def test_a_portal(run: Run) -> None:
    async def main() -> None:
        async with nodes() as (_, far, near):
            server = await asyncio.start_server(send_back, "127.0.0.1", 0)
            async with server:
                host, port = server.sockets[0].getsockname()[:2]
                listener = await far.listen("ble", f"{NAME}@virtual:0")
                channels = await far.create_secure_channel_listener(
                    far.create_identity(), "channels", consumer_of=[listener]
                )
                await far.create_outlet("outlet", f"{host}:{port}", consumer_of=[channels])
                connection = await near.connect("ble", NAME)
                channel = await near.create_secure_channel(near.create_identity(), [connection, "channels"])
                inlet = await near.create_inlet("127.0.0.1:0", [channel, "outlet"])
                host, _, port = inlet.address.rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                sent = os.urandom(65_536)
                writer.write(sent)
                writer.write_eof()
                assert await reader.read(-1) == sent
                writer.close()
                await writer.wait_closed()

    run(main())


async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(10_000):
        writer.write(data)
    writer.close()


@pytest.mark.spec("BLE-51")
def test_a_connection_that_is_lost_is_told_and_made_again(run: Run) -> None:
    async def main() -> None:
        async with nodes() as (radio, far, near):
            listener = await far.listen("ble", f"{NAME}@virtual:0")
            await far.start_echo("echo", consumer_of=[listener])
            for _ in range(3):
                connection = await near.connect("ble", NAME)
                assert (await near.send_and_receive([connection, "echo"], b"x")).payload == b"x"
                await near.send([connection, "echo"], bytes(BIG))
                radio.cut()
                await connection.wait_closed()
                with pytest.raises(OckamError):
                    await near.send([connection, "echo"], b"late")

    run(main())


# ---- compat


@pytest.mark.spec("BLE-5", "BLE-32")
def test_return_routes_of_2022(run: Run) -> None:
    async def main() -> None:
        async with nodes(transport="ble-compat") as (_, far, near):
            listener = await far.listen("ble-compat", f"{NAME}@virtual:0")
            seen: list[Routed] = []

            async def answer(message: Routed) -> None:
                seen.append(message)
                await message.reply(b"pong")

            await far.start_worker("service", answer, consumer_of=[listener])
            connection = await near.connect("ble-compat", NAME)
            reply = await near.send_and_receive([connection, "service"], b"ping")
            assert str(seen[0].return_route[0]) == "4#ble_client_addr"
            assert str(reply.return_route[0]) == f"4#{NAME}"
            again = await near.send_and_receive(
                [f"4#{NAME}", "service"], b"\x00" * 900
            )  # the hop of 2022 leads there too
            assert again.payload == b"pong"
            await near.send([connection, "service"], bytes(1024))
            assert near.drops[-1].rule == "too-long"

    run(main())


@pytest.mark.spec("BLE-5")
def test_one_connection_a_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with nodes(transport="ble-compat") as (_, far, near):
            await far.listen("ble-compat", f"{NAME}@virtual:0")
            await far.listen("ble-compat", f"{NAME}b@virtual:1")
            await near.connect("ble-compat", f"{NAME}b")
            taken = Address(4, f"{NAME}b".encode())
            monkeypatch.setattr("ockam_ref.asyncio.reaching._link_alias", lambda *_: taken)
            with pytest.raises(OckamError) as caught:
                await near.connect("ble-compat", NAME)
            assert caught.value.code is ErrorCode.ADDRESS_TAKEN
            assert len(near._driver._links) == 1

    run(main())


# ---- two processes

CHILD = f"""
import asyncio, sys
from ockam_ref.asyncio import Node

async def main():
    async with Node() as node:
        listener = await node.listen("ble", "{NAME}@" + sys.argv[1])
        channels = await node.create_secure_channel_listener(node.create_identity(), "channels", consumer_of=[listener])
        await node.start_echo("echo", consumer_of=[channels])
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


@pytest.mark.spec("BLE-58")
def test_two_processes_and_a_controller_over_tcp(run: Run) -> None:
    """What the child is told is what a user writes for a controller of his own: ``usb:0`` in place of ``tcp-client:``."""

    async def main() -> None:
        radio = Radio()
        with silence(), socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            far: Any = await open_tcp_server_transport_with_socket(sock)
            Controller("far", host_source=far.source, host_sink=far.sink, link=radio)
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-W", "error", "-c", CHILD, f"tcp-client:127.0.0.1:{port}",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert child.stdout is not None
            assert child.stdin is not None
            try:
                assert await child.stdout.readline() == b"ready\n"
                await talk(radio)
            finally:
                child.stdin.close()
                _, errors = await child.communicate()
                far.server.close()
        assert (child.returncode, errors) == (0, b"")

    run(main())


async def talk(radio: Radio) -> None:
    scanner, client = bleak_on(radio)
    plugin = ble.make_plugin(scanner=scanner, client=client)
    async with Node.create(transports=[plugin]) as node:
        connection = await node.connect("ble", NAME)
        channel = await node.create_secure_channel(node.create_identity(), [connection, "channels"])
        for size in (1, 1000, 30_000):
            payload = os.urandom(size)
            assert (await node.send_and_receive([channel, "echo"], payload)).payload == payload
