"""Routes of unlike hops with a Rust node on the way, or at the end; one channel, and a portal inside it."""

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustIdentifier
from ockam_ref.identities.identifier import parse_identifier
from ockam_ref.portals.connection import PORTABLE_PAYLOAD_BYTES
from ockam_ref.wire.address import UDP, Address
from tests.interop.harness import ANY_PORT, Program
from tests.interop.traffic import Target

pytestmark = [pytest.mark.interop, pytest.mark.spec("RX-15")]

RESPONDER = "forward_to_responder"
"""The worker of the Rust program that passes messages on."""

SIZES = (0, 1, 492, 494, 1000, 5000, 40_000)
LIMIT_S = 30


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LIMIT_S):
            await main()

    asyncio.run(bounded())


@asynccontextmanager
async def far_end(target: Target) -> AsyncIterator[tuple[str, Node]]:
    """Our node at the end of a route, reached by a last hop over WebSocket; and our node in front of it."""
    async with Node.create() as bob, Node.create() as gateway:
        listener = await bob.listen("ws", ANY_PORT)
        identity = bob.create_identity()
        channels = await bob.create_secure_channel_listener(identity, "api", consumer_of=(listener,))
        await bob.start_echo(consumer_of=(channels,))
        await bob.create_outlet(
            "outlet", target.address, consumer_of=(channels,), max_payload_bytes=PORTABLE_PAYLOAD_BYTES
        )
        yield listener.address, gateway


async def use(alice: Node, way: tuple[Any, ...], *, echo: str, expect: str | None = None, portal: bool = True) -> None:
    """Open one channel along the way, send messages of many sizes, and fetch a page."""
    trust = TRUST_EVERYONE if expect is None else TrustIdentifier(parse_identifier(expect).value)
    channel = await alice.create_secure_channel(alice.create_identity(), (*way, "api"), trust=trust)
    for size in SIZES:
        body = bytes(number % 251 for number in range(size))
        assert (await alice.send_and_receive((channel, echo), body, timeout=10)).payload == body
    if portal:
        inlet = await alice.create_inlet("127.0.0.1:0", (channel, "outlet"), max_payload_bytes=PORTABLE_PAYLOAD_BYTES)
        assert await asyncio.to_thread(page_at, inlet.address) == (200, "target")


def page_at(address: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_rust_node_passes_on_from_tcp_to_udp(rust: Program, target: Target) -> None:
    async def main() -> None:
        async with far_end(target) as (address, gateway), Node.create() as alice:
            bound = await gateway.udp_bind()
            onward = await gateway.connect("ws", address)
            await gateway.start_hop(consumer_of=(bound, onward))
            rust_node = rust.start("udp-middle", "--listen", ANY_PORT, "--udp", bound.address)
            first = await alice.connect("tcp", rust_node.ready()["listen"])
            await use(alice, (first, RESPONDER, "hop", onward), echo="echo")

    run(main)


def test_a_rust_node_passes_on_from_udp_to_tcp(rust: Program, target: Target) -> None:
    async def main() -> None:
        async with far_end(target) as (address, gateway), Node.create() as alice:
            listener = await gateway.listen("tcp", ANY_PORT)
            onward = await gateway.connect("ws", address)
            await gateway.start_hop(consumer_of=(listener, onward))
            rust_node = rust.start("udp-middle", "--bind", ANY_PORT, "--connect", listener.address)
            first = await alice.udp_bind(peer=rust_node.ready()["listen"])
            await use(alice, (first, RESPONDER, "hop", onward), echo="echo")

    run(main)


@asynccontextmanager
async def near_end() -> AsyncIterator[tuple[Node, Any, Node]]:
    """Our first node, its hop over WebSocket, and our node behind that."""
    async with Node.create() as alice, Node.create() as gateway:
        listener = await gateway.listen("ws", ANY_PORT)
        await gateway.start_hop(consumer_of=(listener,))
        yield alice, await alice.connect("ws", listener.address), gateway


def test_a_rust_node_is_the_end_over_udp(rust: Program) -> None:
    async def main() -> None:
        async with near_end() as (alice, first, gateway):
            ready = rust.start("udp-node", "--bind", ANY_PORT).ready()
            onward = await gateway.udp_bind()
            gateway.add_consumer("hop", onward)
            last = Address(UDP, ready["listen"].encode())
            way = (first, "hop", onward, last)
            await use(alice, way, echo="echo_bytes", expect=ready["identifier"], portal=False)

    run(main)


def test_a_rust_node_is_the_end_over_tcp(rust: Program, target: Target) -> None:
    async def main() -> None:
        async with near_end() as (alice, first, gateway), Node.create() as middle:
            ready = rust.start("node", "--listen", ANY_PORT, "--outlet", target.address).ready()
            bound = await middle.udp_bind(recovery=True)
            onward = await gateway.udp_bind(peer=bound.address, recovery=True)
            gateway.add_consumer("hop", onward)
            last = await middle.connect("tcp", ready["listen"])
            await middle.start_hop(consumer_of=(bound, last))
            await use(alice, (first, "hop", onward, "hop", last), echo="echo_bytes", expect=ready["identifier"])

    run(main)
