"""The worked portal exchange (facts 05 section 4), message by message and byte by byte.

The frames of the table have three elements; nodes of today write a fourth, the text ``{}`` (facts 05 section 4.2).
"""

from collections import deque

import pytest

from ockam_ref.effects import CloseLink, HostEffects, OpenLink, SendBytes, StartReading
from ockam_ref.events import (
    BytesReceived,
    LinkAccepted,
    LinkClosed,
    LinkFinished,
    LinkOpened,
    MessageReceived,
    TimerFired,
    WorkerEvent,
)
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.node_link import NodeLink
from ockam_ref.machine import AnyMachine, LinkId, Machine, Now
from ockam_ref.node import Node
from ockam_ref.portals.inlet import Inlet
from ockam_ref.portals.outlet import Outlet
from ockam_ref.registry import MACHINES
from ockam_ref.wire.address import local
from ockam_ref.wire.route import Route

NOW = Now(0.0, 1_700_000_000)
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
I_VALUE, O_VALUE = b"\xa1" * 16, b"\xb1" * 16
AT_I, AT_O, OUTLET = local("a1" * 16), local("b1" * 16), local("outlet")

A1, B1 = "61" + "3161" * 15 + "31", "62" + "3162" * 15 + "31"
FRAMES = {
    "ping": f"0000003283818200466f75746c65748182005820{A1}4100",
    "pong": f"0000004d838182005820{A1}818200 5820{B1}4101",
    "request": f"000000608381820058 20{B1}818200 5820{A1}540312474554202f20485454502f312e300d0a0d0a",
    "answer": (
        f"0000007783818200 5820{A1}818200 5820{B1}582a0328485454502f312e3020323030204f4b0d0a"
        "436f6e74656e742d4c656e6774683a20320d0a0d0a6f6b"
    ),
    "disconnect": f"0000004d83818200 5820{A1}818200 5820{B1}4102",
}


def frame(name: str) -> bytes:
    """The frame as the table has it."""
    return bytes.fromhex(FRAMES[name])


def frame_of_today(name: str) -> bytes:
    body = frame(name)[4:]
    body = b"\x84" + body[1:] + b"\x62{}"
    return len(body).to_bytes(4, "big") + body


class Entropy:
    """What was put in comes out first, then a count."""

    def __init__(self) -> None:
        self.next: deque[bytes] = deque()
        self.count = 0

    def __call__(self, length: int) -> bytes:
        if self.next:
            return self.next.popleft()
        self.count += 1
        return self.count.to_bytes(length, "big")


def sent(effects: HostEffects, link: LinkId) -> bytes:
    return b"".join(b"".join(one.chunks) for one in effects if isinstance(one, SendBytes) and one.link == link)


@pytest.mark.spec("PT-10")
def test_the_lengths_of_the_table() -> None:
    assert [len(frame(name)) for name in FRAMES] == [54, 81, 100, 123, 81]
    assert frame_of_today("ping").hex() == (
        "0000003584818200466f75746c65748182005820"
        "6131613161316131613161316131613161316131613161316131613161316131"
        "4100627b7d"
    )


@pytest.mark.spec("PT-1", "PT-2", "PT-10", "PT-18")
def test_the_inlet_against_the_bytes_of_a_peer() -> None:
    entropy = Entropy()
    node = Node(entropy=entropy)
    link, client = node.new_link(), node.new_link()
    at, effects = node.start(NodeLink(link), NOW)
    assert sent(effects, link) == b"\x01"
    inlet, _ = node.start(Inlet((at, OUTLET)), NOW)
    entropy.next.append(I_VALUE)

    effects = node.receive(LinkAccepted(client, inlet, NOW))
    assert sent(effects, link) == frame_of_today("ping")
    assert StartReading(client) not in effects
    effects = node.receive(BytesReceived(link, b"\x01" + frame("pong"), NOW))
    assert (sent(effects, link), StartReading(client) in effects) == (b"", True)
    effects = node.receive(BytesReceived(client, REQUEST, NOW))
    assert sent(effects, link) == frame_of_today("request")
    effects = node.receive(BytesReceived(link, frame_of_today("answer"), NOW))
    assert (sent(effects, client), sent(effects, link)) == (ANSWER, b"")
    effects = node.receive(BytesReceived(link, frame("disconnect"), NOW))
    assert sent(effects, link) == b""
    assert [one.link for one in effects if isinstance(one, CloseLink)] == [client]


@pytest.mark.spec("PT-3", "PT-4", "PT-10", "PT-19", "PT-25")
def test_the_outlet_against_the_bytes_of_a_peer() -> None:
    entropy = Entropy()
    node = Node(entropy=entropy)
    link = node.new_link()
    listener, _ = node.start(LinkListener("TCP"), NOW)
    node.start(Outlet(OUTLET, "target:80", ("TCP",)), NOW)
    assert sent(node.receive(LinkAccepted(link, listener, NOW)), link) == b"\x01"

    entropy.next.append(O_VALUE)
    effects = node.receive(BytesReceived(link, b"\x01" + frame("ping"), NOW))
    (wanted,) = (one for one in effects if isinstance(one, OpenLink))
    assert (wanted.target, sent(effects, link)) == ("target:80", b"")
    effects = node.receive(LinkOpened(wanted.link, NOW))
    assert sent(effects, link) == frame_of_today("pong") * 2  # the second announces credit, the peer ignores it
    effects = node.receive(BytesReceived(link, frame("request"), NOW))
    assert (sent(effects, wanted.link), sent(effects, link)) == (REQUEST, b"")
    effects = node.receive(BytesReceived(wanted.link, ANSWER, NOW))
    assert sent(effects, link) == frame_of_today("answer")
    effects = node.receive(LinkFinished(wanted.link, NOW))
    assert sent(effects, link) == frame_of_today("disconnect")
    assert [one.link for one in effects if isinstance(one, CloseLink)] == [wanted.link]


# ---- all on one node

Seen = tuple[Route, Route, str]


def traced(machine: AnyMachine, seen: list[Seen]) -> AnyMachine:
    """The same machine, with a note of each message that it receives."""

    def receive(state: object, event: WorkerEvent) -> object:
        if isinstance(event, MessageReceived):
            message = event.message
            seen.append((message.onward_route, message.return_route, bytes(message.payload).hex()))
        return machine.receive(state, event)

    return Machine(machine.name, machine.start, receive, machine.needs)  # type: ignore[arg-type]


@pytest.mark.spec("PT-13", "PT-19", "PT-39")
@pytest.mark.parametrize("side", ["inlet", "outlet"])
def test_a_stream_that_was_cut(side: str) -> None:
    """In the peer's bytes: an empty Payload with a counter that is not due, which ends a connection of the peer."""
    entropy = Entropy()
    node = Node(entropy=entropy)
    link, client = node.new_link(), node.new_link()
    if side == "inlet":
        at, _ = node.start(NodeLink(link), NOW)
        inlet, _ = node.start(Inlet((at, OUTLET)), NOW)
        entropy.next.append(I_VALUE)
        node.receive(LinkAccepted(client, inlet, NOW))
        node.receive(BytesReceived(link, b"\x01" + frame("pong"), NOW))
        effects = node.receive(LinkClosed(client, "reset", NOW))
        route = f"838182005820{B1}8182005820{A1}"
    else:
        listener, _ = node.start(LinkListener("TCP"), NOW)
        node.start(Outlet(OUTLET, "target:80", ("TCP",)), NOW)
        node.receive(LinkAccepted(link, listener, NOW))
        entropy.next.append(O_VALUE)
        effects = node.receive(BytesReceived(link, b"\x01" + frame("ping"), NOW))
        (wanted,) = (one for one in effects if isinstance(one, OpenLink))
        node.receive(LinkOpened(wanted.link, NOW))
        effects = node.receive(LinkClosed(wanted.link, "reset", NOW))
        route = f"838182005820{A1}8182005820{B1}"
    bodies = [b"\x84" + bytes.fromhex(route)[1:] + bytes.fromhex(end) + b"\x62{}" for end in ("45030001feff", "4102")]
    assert sent(effects, link) == b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


REQUEST_HEX = "0312474554202f20485454502f312e300d0a0d0a"
ANSWER_HEX = "0328485454502f312e3020323030204f4b0d0a436f6e74656e742d4c656e6774683a20320d0a0d0a6f6b"


@pytest.mark.spec("PT-1", "PT-4", "PT-10", "PT-21", "PT-25")
def test_everything_on_one_node() -> None:
    """The five rows of the table, with what our own ends say to each other besides."""
    seen: list[Seen] = []
    entropy = Entropy()
    node = Node(entropy=entropy, machines={kind: traced(machine, seen) for kind, machine in MACHINES.items()})
    client = node.new_link()
    node.start(Outlet(OUTLET, "target:80"), NOW)
    inlet, _ = node.start(Inlet((OUTLET,)), NOW)
    entropy.next.extend((I_VALUE, O_VALUE))
    effects = node.receive(LinkAccepted(client, inlet, NOW))
    (wanted,) = (one for one in effects if isinstance(one, OpenLink))
    node.receive(LinkOpened(wanted.link, NOW))
    node.receive(BytesReceived(client, REQUEST, NOW))
    node.receive(BytesReceived(wanted.link, ANSWER, NOW))
    node.receive(LinkFinished(wanted.link, NOW))
    node.receive(LinkFinished(client, NOW))
    assert seen == [
        ((OUTLET,), (AT_I,), "00"),
        ((AT_I,), (AT_O,), "01"),
        ((AT_I,), (AT_O,), "01"),  # the outlet announces credit
        ((AT_O,), (AT_I,), REQUEST_HEX),
        ((AT_O,), (AT_I,), "01"),  # so does the inlet
        ((AT_I,), (AT_O,), ANSWER_HEX),
        ((AT_I,), (AT_O,), "0300"),  # half-close, where a peer would say Disconnect
        ((AT_O,), (AT_I,), "0300"),
    ]


@pytest.mark.spec("PT-10", "PT-32", "PT-33")
def test_without_handshake_on_one_node() -> None:
    """As it was seen between two nodes of release 0.150.0 (facts 08 section 3.4)."""
    seen: list[Seen] = []
    entropy = Entropy()
    node = Node(entropy=entropy, machines={kind: traced(machine, seen) for kind, machine in MACHINES.items()})
    client = node.new_link()
    node.start(Outlet(OUTLET, "target:80", skip_handshake=True), NOW)
    inlet, _ = node.start(Inlet((OUTLET,), skip_handshake=True), NOW)
    entropy.next.extend((I_VALUE, O_VALUE))
    effects = node.receive(LinkAccepted(client, inlet, NOW))
    (wanted,) = (one for one in effects if isinstance(one, OpenLink))
    node.receive(BytesReceived(client, b"hello", NOW))
    assert sent(node.receive(LinkOpened(wanted.link, NOW)), wanted.link) == b"hello"
    assert sent(node.receive(BytesReceived(wanted.link, b"HELLO", NOW)), client) == b"HELLO"
    node.receive(LinkFinished(client, NOW))
    node.tell(AT_I, TimerFired("linger", Now(2.0, 1_700_000_002)))
    rows = [row for row in seen if row[0] in ((OUTLET,), (AT_I,))]
    assert rows == [
        ((OUTLET,), (AT_I,), "00"),
        ((OUTLET,), (AT_I,), "030568656c6c6f"),
        ((AT_I,), (AT_O,), "030548454c4c4f"),
        ((OUTLET,), (AT_I,), "02"),
    ]
    assert AT_O not in node
