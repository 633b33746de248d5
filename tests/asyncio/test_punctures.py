"""Rendezvous, negotiation and punctures on loopback sockets."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from ockam_ref.asyncio import Node, Puncture
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.observations import PunctureClosed, PunctureOpened
from ockam_ref.wire.address import UDP, Address
from ockam_ref.wire.rendezvous_message import decode_rendezvous_response
from tests.asyncio.conftest import exchange, serve_echo, serving

Run = Callable[[Coroutine[Any, Any, None]], None]


class Trio:
    """A rendezvous node; Alice, connected over TCP to Bob, who lets her puncture."""

    async def __aenter__(self) -> Self:
        self.server, self.alice, self.bob = Node.create(), Node.create(), Node.create()
        self.rendezvous = await self.server.start_rendezvous("127.0.0.1:0")
        self.listener = await self.bob.tcp_listen("127.0.0.1:0")
        self.punctures = await self.bob.start_puncture_listener(
            rendezvous=self.rendezvous.address, consumer_of=(self.listener,)
        )
        await self.bob.start_echo(consumer_of=(self.punctures,))
        self.hop = await self.alice.tcp_connect(self.listener.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in (self.alice, self.bob, self.server):
            await node.close()

    async def puncture(self) -> Puncture:
        puncture = await self.alice.puncture((self.hop, "udp"), rendezvous=self.rendezvous.address)
        await puncture.wait_open()
        return puncture


@pytest.mark.spec("PUN-50", "PUN-51")
def test_messages_cross_a_puncture(run: Run) -> None:
    async def main() -> None:
        async with Trio() as trio:
            puncture = await trio.puncture()
            await puncture.wait_open()  # at once
            assert puncture.is_open
            await trio.hop.close()
            for size in (0, 1, 493, 986, 16_384):
                data = bytes(byte % 256 for byte in range(size))
                reply = await trio.alice.send_and_receive((puncture, "echo"), data, timeout=5)
                assert reply.payload == data
                assert reply.return_route[0] == puncture.hop
            await puncture.close()
            assert puncture.closed
            assert not puncture.is_open

    run(main())


@pytest.mark.spec("PUN-51")
def test_a_portal_in_a_channel_over_a_puncture(run: Run) -> None:
    async def main() -> None:
        async with Trio() as trio, serving(serve_echo) as target:
            puncture = await trio.puncture()
            identity = trio.bob.create_identity()
            channels = await trio.bob.create_secure_channel_listener(identity, "api", consumer_of=(trio.punctures,))
            await trio.bob.create_outlet("outlet", target.address, consumer_of=(channels,))
            channel = await trio.alice.create_secure_channel(
                trio.alice.create_identity(), (puncture, "api"), trust=identity.identifier
            )
            inlet = await trio.alice.create_inlet("127.0.0.1:0", (channel, "outlet"))
            request = bytes(range(256)) * 64
            assert await exchange(inlet.address, request) == request

    run(main())


@pytest.mark.spec("PUN-52")
def test_a_puncture_that_bob_ends(run: Run) -> None:
    async def main() -> None:
        async with Trio() as trio:
            observations = trio.bob.observe()
            puncture = await trio.puncture()
            opened = await anext(one async for one in observations if isinstance(one, PunctureOpened))
            trio.bob._driver.stop(opened.worker, "enough")
            closed = await anext(one async for one in observations if isinstance(one, PunctureClosed))
            assert closed.reason == "enough"
            assert await puncture.wait_closed() == "no answer from the other end for 10 s"
            with pytest.raises(OckamError) as caught:
                await puncture.wait_open()
            assert caught.value.code is ErrorCode.CLOSED

    run(main())


@pytest.mark.spec("PUN-51", "PUN-52")
def test_what_a_caller_is_told(run: Run) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            silent = f"127.0.0.1:{nobody.getsockname()[1]}"
            async with Trio() as trio:
                puncture = trio.alice.puncture
                for reason, code, make in (
                    ("which this node does not have", ErrorCode.UNKNOWN_ADDRESS, puncture("x", rendezvous=silent)),
                    ("no answer from the rendezvous", ErrorCode.TIMEOUT, puncture(trio.hop, rendezvous=silent)),
                    (
                        "did not answer in time",
                        ErrorCode.TIMEOUT,
                        puncture((trio.hop, "nobody"), rendezvous=trio.rendezvous.address, timeout=0.05),
                    ),
                    (
                        "no socket: cannot bind UDP 203.0.113.1:0",
                        ErrorCode.REFUSED,
                        puncture((trio.hop, "udp"), rendezvous=silent, bind="203.0.113.1:0"),
                    ),
                ):
                    with pytest.raises(OckamError, match=reason) as caught:
                        await make
                    assert caught.value.code is code
                with pytest.raises(OckamError):
                    await puncture((trio.hop, "udp"), rendezvous="no port")

    run(main())


@pytest.mark.spec("PUN-34")
def test_nothing_comes_through(run: Run) -> None:
    """Bob's rendezvous lies about Bob: Alice's pings go nowhere."""

    async def main() -> None:
        async with Trio() as trio, Node.create() as liar:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
                nobody.bind(("127.0.0.1", 0))
                wrong = f"127.0.0.1:{nobody.getsockname()[1]}"
                bind = await liar.udp_bind("127.0.0.1:0")

                async def lie(message: Any) -> None:
                    await message.reply(b"\x82\x01\x81" + bytes((0x60 + len(wrong),)) + wrong.encode())

                await liar.start_worker("rendezvous", lie, consumer_of=(bind,))
                await trio.bob.start_puncture_listener(
                    rendezvous=bind.address, address="udp2", consumer_of=(trio.listener,)
                )
                puncture = await trio.alice.puncture((trio.hop, "udp2"), rendezvous=trio.rendezvous.address)
                assert puncture.peer == wrong
                with pytest.raises(OckamError) as caught:
                    await puncture.wait_open(timeout=0.1)
                assert caught.value.code is ErrorCode.TIMEOUT
                assert not puncture.is_open

    run(main())


@pytest.mark.spec("PUN-50")
def test_a_rendezvous_service(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as server, Node.create() as client:
            service = await server.start_rendezvous("127.0.0.1:0")
            bind = await client.udp_bind("127.0.0.1:0")
            hop = Address(UDP, service.address.encode())
            reply = await client.send_and_receive((bind, hop, "rendezvous"), b"\x82\x01\x80", timeout=5)
            assert getattr(decode_rendezvous_response(reply.payload), "address", None) == bind.address
            with pytest.raises(OckamError):
                await client.start_rendezvous(service.address)
            with pytest.raises(OckamError):
                await server.start_rendezvous("127.0.0.1:0")  # the worker's address is taken
            await service.close()
            again = await server.start_rendezvous(service.address)
            assert again.address == service.address

    run(main())


def test_a_node_that_closes_while_it_negotiates(run: Run) -> None:
    async def main() -> None:
        async with Trio() as trio:
            asking = asyncio.ensure_future(trio.alice.puncture((trio.hop, "udp"), rendezvous=trio.rendezvous.address))
            await asyncio.sleep(0)
            await trio.alice.close()
            with pytest.raises(OckamError):
                await asking
            cancelled = asyncio.ensure_future(trio.bob.puncture(trio.punctures, rendezvous=trio.rendezvous.address))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.wait((cancelled,))

    run(main())
