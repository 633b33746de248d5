"""Microseconds that the core of a hub needs, without any sockets: messages, registrations, links that come and go.

Run ``python -m tests.benchmarks.bench_node``; nothing here is a test.
"""

import os
import time
from collections.abc import Callable

from ockam_ref.effects import SendBytes
from ockam_ref.events import BytesReceived, LinkAccepted, LinkClosed
from ockam_ref.links.framing import AwaitingVersion, FramingState, receive
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import LinkId, Now
from ockam_ref.node import Node
from ockam_ref.relays.service import RelayService
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import TransportMessage, decode_transport_message, encode_transport_message
from ockam_ref.workers.echo import Echo

NOW = Now(0.0, 1_700_000_000)
ROUNDS, COUNT = 5, 4000
AT_ALICE, AT_BOB = local("a" * 32), local("b" * 32)


def frame(onward: Route, back: Route, payload: bytes) -> bytes:
    body = encode_transport_message(TransportMessage(onward, back, payload))
    return len(body).to_bytes(4, "big") + body


def microseconds(call: Callable[[], object], count: int = COUNT) -> float:
    """Return the best of a few rounds, for one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, time.perf_counter() - begin)
    return best / count * 1e6


class Hub:
    """A hub with a relay to Bob and a client Alice; she has sent her first message through it."""

    def __init__(self, *, other_links: int = 0) -> None:
        self.node = Node(entropy=os.urandom)
        self.listener, _ = self.node.start(LinkListener("S"), NOW)
        self.node.start(RelayService(local("service"), (), "forward_to_", ("S",), ("S",)), NOW)
        self.node.start(Echo(local("echo"), ("S",)), NOW)
        self.others = [self.accept() for _ in range(other_links)]
        self.bob, self.alice = self.accept(), self.accept()
        self.feed(self.bob, frame((local("service"),), (AT_BOB,), encode_body("bob")))
        (first,) = self.feed(self.alice, frame((local("forward_to_bob"), AT_BOB), (AT_ALICE,), b""))
        alice_hop = decode_transport_message(b"".join(first.chunks)[4:]).return_route[0]
        (answer,) = self.feed(self.bob, frame((alice_hop, AT_ALICE), (AT_BOB,), b""))
        self.bob_hop: Address = decode_transport_message(b"".join(answer.chunks)[4:]).return_route[0]

    def accept(self) -> LinkId:
        link = self.node.new_link()
        self.node.receive(LinkAccepted(link, self.listener, NOW))
        self.node.receive(BytesReceived(link, b"\x01", NOW))
        return link

    def feed(self, link: LinkId, data: bytes) -> list[SendBytes]:
        return [one for one in self.node.receive(BytesReceived(link, data, NOW)) if isinstance(one, SendBytes)]

    def per_message(self, link: LinkId, data: bytes, in_one_read: int) -> float:
        event = BytesReceived(link, data * in_one_read, NOW)
        return microseconds(lambda: self.node.receive(event), COUNT // in_one_read) / in_one_read


def messages() -> None:
    hub = Hub()
    rows = {
        "link to link, 64 bytes": frame((hub.bob_hop, AT_BOB), (), bytes(64)),
        "link to link, 48 KiB": frame((hub.bob_hop, AT_BOB), (), bytes(49_152)),
        "link to relay to link, 64 bytes": frame((local("forward_to_bob"), AT_BOB), (AT_ALICE,), bytes(64)),
        "echo, 64 bytes": frame((local("echo"),), (AT_ALICE,), bytes(64)),
        "refused by flow control": frame((hub.listener,), (AT_ALICE,), bytes(64)),
    }
    for name, data in rows.items():
        one, many = (hub.per_message(hub.alice, data, in_one_read) for in_one_read in (1, 16))
        print(f"{name:<44}{one:8.2f} us{many:8.2f} us with 16 in one read")


def registrations() -> None:
    hub = Hub()
    data = frame((local("service"),), (AT_BOB,), encode_body("carol"))
    print(f"{'registration that replaces a relay':<44}{hub.per_message(hub.bob, data, 1):8.2f} us")


def links_that_go(count: int) -> None:
    """Close links one after the other, each with a relay of its own that its neighbour has used."""
    hub = Hub(other_links=count)
    for number, link in enumerate(hub.others):
        hub.feed(link, frame((local("service"),), (AT_BOB,), encode_body(f"n{number}")))
    for number, link in enumerate(hub.others):
        hub.feed(link, frame((local(f"forward_to_n{(number + 1) % count}"), AT_BOB), (AT_ALICE,), b""))
    begin = time.perf_counter()
    for link in hub.others:
        hub.node.receive(LinkClosed(link, "reset", NOW))
    print(f"{f'end of one of {count} links and its relay':<44}{(time.perf_counter() - begin) / count * 1e6:8.2f} us")


def dripping(length: int) -> None:
    """A frame of that length, every byte in a read of its own."""
    state: FramingState = AwaitingVersion()
    begin = time.perf_counter()
    for byte in (b"\x01", *(bytes((one,)) for one in length.to_bytes(4, "big")), *[b"x"] * length):
        state, _ = receive(state, byte)
    print(f"{f'byte of a frame of {length} that drips in':<44}{(time.perf_counter() - begin) / length * 1e6:8.2f} us")


def main() -> None:
    """Print one line for each figure."""
    messages()
    registrations()
    for count in (100, 1000, 4000):
        links_that_go(count)
    for length in (10_000, 1_000_000):
        dripping(length)


if __name__ == "__main__":
    main()
