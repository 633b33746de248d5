"""UDP against the Rust implementation: sizes that two of its nodes lose, large messages, and crafted datagrams."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.errors import OckamError
from ockam_ref.links.reassembly import Reassembly, receive
from ockam_ref.wire.address import local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.transport_message import TransportMessage, encode_transport_message
from ockam_ref.wire.udp_datagram import cut_message
from tests.interop.harness import Implementation, Program, Udp, way_options
from tests.processes import REPOSITORY, ProcessError

pytestmark = pytest.mark.interop

SCRIPTS: Final = json.loads((REPOSITORY / "tests" / "vectors" / "udp_reassembly.json").read_text())["scripts"]
ATTEMPTS: Final = 10
"""A message of 1 MiB is 2,128 datagrams, of which the peer's socket loses some when it gets no processor for a while."""

ANSWER_S: Final = 5.0
ByName = Callable[[str], Implementation]


def text_for(length: int, worker: str, begin: str = "") -> str:
    """Return a text that makes the request a routing message of that length, with a reply address of 32 characters."""
    for count in range(length):
        text = begin + "x" * count
        message = TransportMessage((local(worker),), (local("a" * 32),), encode_body(text), "{}")
        if len(encode_transport_message(message)) == length:
            return text
    raise ValueError(length)


@pytest.mark.parametrize("length", [492, 493, 494, 985, 986, 987])
def test_messages_around_the_length_of_slices_reach_a_rust_node(length: int, rust: Program) -> None:
    """Its answer is five bytes longer, since it loses answers of 493 and 986 bytes itself."""
    address, text = rust.udp_responder()["listen"], text_for(length, "uppercase", "\u0149" * 5)

    async def ask() -> None:
        async with Node.create() as node:
            bind = await node.udp_bind()
            reply = await node.send_and_receive((bind, f"2#{address}", "uppercase"), text, timeout=ANSWER_S)
            assert reply.body(str) == text.upper()

    asyncio.run(ask())


@pytest.mark.parametrize("length", [492, 493, 494, 985, 986, 987])
def test_messages_around_the_length_of_slices_come_from_a_rust_node(
    length: int, rust: Program, program: Program
) -> None:
    address, text = program.udp_responder()["listen"], text_for(length, "echo")
    echo = rust.start("echo", *way_options(Udp(address)), "--text", text, "--timeout", "5")
    assert echo.event("done")["text"] == text


@pytest.mark.parametrize("size", [16 * 1024, 1024 * 1024], ids=["16 KiB", "1 MiB"])
@pytest.mark.parametrize("channel", [False, True], ids=["plain", "channel"])
def test_large_messages_to_a_rust_node(size: int, channel: bool, rust: Program) -> None:  # noqa: FBT001
    responder = rust.udp_responder()

    async def ask() -> None:
        async with Node.create() as node:
            way: tuple[Any, ...] = (await node.udp_bind(), f"2#{responder['listen']}")
            if channel:
                way = (await node.create_secure_channel(node.create_identity(), (*way, "api")),)
            data = os.urandom(size)
            for _ in range(ATTEMPTS):
                try:
                    reply = await node.send_and_receive((*way, "echo_bytes"), data, timeout=1)
                except OckamError:
                    continue
                assert reply.body(bytes) == data
                return
            pytest.fail(f"{ATTEMPTS} messages of {size} bytes were lost")

    asyncio.run(ask())


@pytest.mark.parametrize("size", [16 * 1024, 1024 * 1024], ids=["16 KiB", "1 MiB"])
@pytest.mark.parametrize("channel", [False, True], ids=["plain", "channel"])
def test_large_messages_from_a_rust_node(size: int, channel: bool, rust: Program, program: Program) -> None:  # noqa: FBT001
    address = program.udp_responder()["listen"]
    options = ["--bytes", str(size), "--chunk", str(size), "--worker", "echo_bytes", "--timeout", "2"]
    for _ in range(ATTEMPTS):
        echo = rust.start("echo", *way_options(Udp(address)), *options, *(["--channel"] if channel else []))
        try:
            assert echo.event("done")["bytes"] == size
        except ProcessError:
            continue
        return
    pytest.fail(f"{ATTEMPTS} messages of {size} bytes were lost")


# ---- crafted datagrams


@contextmanager
def plain_socket() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(ANSWER_S)
        yield sock


def answers(sock: socket.socket) -> list[bytes]:
    """The messages that wait in the socket."""
    sock.setblocking(False)
    datagrams = []
    while True:
        try:
            datagrams.append(sock.recv(65_536))
        except BlockingIOError:
            break
    _, found = receive(Reassembly(), datagrams, 0.0)
    return [message for message in found if isinstance(message, bytes)]


@pytest.mark.parametrize("implementation_name", ["rust", "python"])
def test_crafted_datagrams(implementation_name: str, implementation: ByName) -> None:
    """The last question comes from another socket; when it is answered, all before it are."""
    host, _, port = implementation(implementation_name).udp_responder()["listen"].rpartition(":")
    there = (host, int(port))
    last = cut_message(1, encode_transport_message(TransportMessage((local("echo"),), (local("app"),), b"\x04last")))
    found, expected = {}, {}
    with ExitStack() as stack:  # a port that is used again would go on with the numbers of the one before
        for script in SCRIPTS:
            asking, ending = (stack.enter_context(plain_socket()) for _ in range(2))
            for datagram in script["datagrams"]:
                asking.sendto(bytes.fromhex(datagram), there)
            ending.sendto(last[0], there)
            ending.recv(65_536)
            found[script["name"]] = len(answers(asking))
            ours = len(script["messages"]) - script.get("swallowed", 0)
            expected[script["name"]] = ours if implementation_name == "python" else script["peer_answers"]
    assert found == expected
