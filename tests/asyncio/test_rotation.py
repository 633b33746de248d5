"""Keys are replaced while channels and portals are open: what is open goes on, what is stolen is worth nothing."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.presented import TIDIED_EVERY
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.observations import HandshakeFailed

Run = Callable[[Coroutine[Any, Any, None]], None]


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):  # the node ends before its clients
        while data := await reader.read(1024):
            writer.write(data.upper())
            await writer.drain()
    writer.close()


async def until_known(node: Node, identity: LocalIdentity) -> None:
    async with asyncio.timeout(5):
        while node.known_identity(identity.identifier) != identity.identity:  # noqa: ASYNC110  # a table tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.spec("ID-21", "ID-26", "ID-37")
def test_both_ends_of_a_portal_rotate(run: Run) -> None:
    async def main() -> None:
        server = await asyncio.start_server(upper, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with (
            server,
            await Home.open_in_memory() as near_home,
            await Home.open_in_memory() as far_home,
            Node.create() as near,
            Node.create() as far,
        ):
            me, they = [await home.identities.open(create=True) for home in (near_home, far_home)]
            listener = await far.tcp_listen("127.0.0.1:0")
            channels = await far.create_secure_channel_listener(
                they, "api", consumer_of=[listener], trust=me.identifier
            )
            await far.create_outlet("outlet", f"{host}:{port}", consumer_of=[channels])
            connection = await near.tcp_connect(listener.address)
            channel = await near.create_secure_channel(me, (connection, "api"), trust=they.identifier)
            inlet = await near.create_inlet("127.0.0.1:0", (channel, "outlet"))
            reader, writer = await asyncio.open_connection(*inlet.address.split(":"))

            async def say(text: bytes) -> bytes:
                writer.write(text)
                return await reader.readexactly(len(text))

            assert await say(b"before") == b"BEFORE"
            for number in range(3):
                rotated = await near_home.identities.rotate()
                near.replace_identity(rotated)
                await until_known(far, rotated)
                changed = await far_home.identities.rotate()
                far.replace_identity(changed)
                await until_known(near, changed)
                assert await say(b"rotated %d" % number) == b"ROTATED %d" % number
            assert channel.peer == they.identifier

            # the identity as it was opens channels with its newest keys
            again = await near.create_secure_channel(me, (connection, "api"), trust=they.identifier)
            await again.close()
            # whoever has the old keys is refused by those who know the new ones
            seen = far.observe()
            async with Node.create() as thief:
                stolen = await thief.tcp_connect(listener.address)
                await thief.create_secure_channel(me, (stolen, "api"))  # the third message is the last of the handshake
                async with asyncio.timeout(5):
                    async for observation in seen:
                        if isinstance(observation, HandshakeFailed):
                            assert "older than the one known" in observation.reason
                            break
            writer.close()
            await writer.wait_closed()

    run(main())


def test_what_has_ended_is_forgotten(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            mine, other = node.create_identity(), node.create_identity()
            assert node.presented_identities() == []
            kept = await node.create_secure_channel_listener(mine, "kept")
            for _ in range(TIDIED_EVERY):
                async with await node.create_secure_channel_listener(other, "passing"):
                    assert other in node.presented_identities()
            assert node.presented_identities() == [mine]
            node.replace_identity(other)  # nothing presents it: nothing to do
            assert node.presented_identities() == [mine]
            await kept.close()
            assert node.presented_identities() == []

    run(main())
