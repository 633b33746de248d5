"""What two nodes make of the adapter: messages, a secure channel, and who may reach whom."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final, NamedTuple

import pytest

from ockam_ref.asyncio import Node, NodeConnection, NodeListener, Routed
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.testing.contract.rig import Rig
from ockam_ref.testing.contract.scene import Contract, Run
from ockam_ref.wire.body import Body

SIZES: Final = (0, 1, 100, 5_000, 60_000)
"""Bytes of the messages that go there and back."""


class Nodes(NamedTuple):
    """Two nodes; ``connection`` leads from ``client`` to ``server``."""

    server: Node
    client: Node
    listener: NodeListener
    connection: NodeConnection
    transport: str
    target: str


@asynccontextmanager
async def two_nodes(rig: Rig) -> AsyncIterator[Nodes]:
    """Join two nodes over the transport."""
    name, own = rig.plugin.name, (rig.plugin,)
    async with Node.create(transports=own) as server, Node.create(transports=own) as client:
        listener = await server.listen(name, rig.listen_at())
        target = rig.target_of(listener.address)
        connection = await client.connect(name, target)
        yield Nodes(server, client, listener, connection, name, target)


def between_nodes(test: Callable[[Any, Nodes], Awaitable[None]]) -> Callable[[Any, Run, Rig], None]:
    """Make a test method out of a coroutine that is given two joined nodes."""

    @wraps(test)
    def wrapped(self: object, run: Run, rig: Rig) -> None:
        async def main() -> None:
            async with two_nodes(rig) as nodes:
                await test(self, nodes)

        run(main(), rig.deadline_s)

    del wrapped.__wrapped__  # pytest would ask for the fixtures of the coroutine
    return wrapped


class NodesContract(Contract):
    """The tests of nodes; every contract of links has them."""

    @between_nodes
    async def test_messages_of_all_sizes_go_there_and_back(self, nodes: Nodes) -> None:
        await nodes.server.start_echo("echo", consumer_of=[nodes.listener])
        for size in SIZES:
            reply = await nodes.client.send_and_receive([nodes.connection, "echo"], bytes(size))
            assert reply.body(bytes) == bytes(size)

    @between_nodes
    async def test_a_secure_channel_crosses_it(self, nodes: Nodes) -> None:
        server, client = nodes.server, nodes.client
        channels = await server.create_secure_channel_listener(
            server.create_identity(), "api", consumer_of=[nodes.listener]
        )
        await server.start_echo("echo", consumer_of=[channels])
        channel = await client.create_secure_channel(client.create_identity(), [nodes.connection, "api"])
        for size in SIZES:
            assert (await client.send_and_receive([channel, "echo"], bytes(size))).body(bytes) == bytes(size)

    @between_nodes
    async def test_what_comes_in_by_a_listener_reaches_its_consumers_only(self, nodes: Nodes) -> None:
        server, client = nodes.server, nodes.client
        await server.start_echo("private")
        await server.start_echo("public", consumer_of=[nodes.listener])
        await client.send([nodes.connection, "private"], "let me in")
        await client.send_and_receive([nodes.connection, "public"], "a message behind it")
        assert [drop.onward_route[0].value for drop in server.drops] == [b"private"]
        server.add_consumer("private", nodes.listener)
        assert (await client.send_and_receive([nodes.connection, "private"], "again")).body(str) == "again"

    @between_nodes
    async def test_what_comes_back_by_a_connection_reaches_its_consumers_only(self, nodes: Nodes) -> None:
        """The side that was connected to is no more trusted than the one that connected."""
        server, client = nodes.server, nodes.client

        async def intrude(message: Routed) -> None:
            back = message.return_route[0]
            for target in ("private", "public"):
                await server.send([back, target], "let me in")
            await message.reply("done")

        reached: list[Body] = []
        await server.start_worker("intruder", intrude, consumer_of=[nodes.listener])
        for name, consumer_of in (("private", []), ("public", [nodes.connection])):
            await client.start_worker(name, _noting(reached, name), consumer_of=consumer_of)
        await client.send_and_receive([nodes.connection, "intruder"], "")
        assert [drop.onward_route[0].value for drop in client.drops] == [b"private"]
        assert reached == ["public"]

    @between_nodes
    async def test_the_end_of_a_node_ends_its_connections(self, nodes: Nodes) -> None:
        await nodes.server.close()
        assert await nodes.connection.wait_closed()

    @between_nodes
    async def test_a_connection_can_be_closed_and_made_again(self, nodes: Nodes) -> None:
        client = nodes.client
        await nodes.server.start_echo("echo", consumer_of=[nodes.listener])
        await nodes.connection.close()
        with pytest.raises(OckamError):
            await client.send([nodes.connection, "echo"], "nobody carries this")
        again = await client.connect(nodes.transport, nodes.target)
        assert (await client.send_and_receive([again, "echo"], "hello")).body(str) == "hello"

    def test_a_node_that_is_not_there_is_an_error_that_names_it(self, run: Run, rig: Rig) -> None:
        async def main() -> None:
            async with Node.create(transports=(rig.plugin,)) as node:
                listener = await node.listen(rig.plugin.name, rig.listen_at())
                target = rig.target_of(listener.address)
                await listener.close()
                with pytest.raises(OckamError) as caught:
                    await node.connect(rig.plugin.name, target)
                assert caught.value.code is ErrorCode.LINK_FAILED
                assert target in str(caught.value)
                assert rig.plugin.name in str(caught.value).lower()

        run(main(), rig.deadline_s)


def _noting(reached: list[Body], name: str) -> Callable[[Routed], Awaitable[None]]:
    async def note(_: Routed) -> None:
        reached.append(name)

    return note
