"""A bound UDP socket: what leaves, who is heard, who is forgotten."""

from dataclasses import replace

import pytest

from ockam_ref.effects import (
    AddConsumer,
    AddProducer,
    CloseLink,
    Own,
    Report,
    SendDatagrams,
    StartReading,
    StartWorker,
    StopWorker,
    Tell,
)
from ockam_ref.events import (
    BytesReceived,
    ChildSettled,
    ChildWaits,
    DatagramsReceived,
    LinkClosed,
    MessageReceived,
    StopRequested,
)
from ockam_ref.links import udp_endpoint
from ockam_ref.links.udp_endpoint import (
    MAX_SOURCES,
    MAX_TOTAL_WAITING_BYTES,
    Ended,
    EndpointState,
    Source,
    UdpEndpoint,
    receive,
    start,
)
from ockam_ref.links.udp_source import SOURCE_IDLE_S, UdpSource
from ockam_ref.machine import Fresh, LinkId, Mailbox
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import TCP, UDP, Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH, TransportMessage, encode_transport_message
from ockam_ref.wire.udp_datagram import cut_message
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import NOW, received, reported, route, rules

LINK = LinkId(3)
PEER, OTHER = "127.0.0.1:4000", "127.0.0.1:4001"
HOP = Address(UDP, PEER.encode())
SENDER, RECEIVER = local("sender"), local("receiver")
OPEN = EndpointState(LINK, None, SENDER, RECEIVER, 0xFFFF)
FIXED = replace(OPEN, peer=PEER)
CHILD = local("receiver.127.0.0.1:4000")


def leaving(onward: Route, payload: bytes = b"hi", back: str = "app") -> MessageReceived:
    message = LocalMessage((SENDER, *onward), route(back), payload, (LocalInfo("secret", b"x"),))
    return MessageReceived(SENDER, local("app"), message, NOW)


def arriving(source: str = PEER) -> DatagramsReceived:
    return DatagramsReceived(LINK, source, (b"\x85", b"\x85"), NOW)


@pytest.mark.spec("UDP-20", "UDP-22")
def test_a_bind() -> None:
    """Facts 02 section 1.7: the receiver is the producer, the sender its other name."""
    fresh = Fresh((SENDER, RECEIVER), ("drawn",), (b"\x12\x34" + bytes(30),), (), NOW)
    worker = start(UdpEndpoint(LINK, PEER, "C", ("X",)), fresh)
    assert worker.mailboxes == (
        Mailbox(SENDER, ALLOW_ALL, DENY_ALL, terminal=True),
        Mailbox(RECEIVER, DENY_ALL, AllowConsumers("C", None)),
    )
    assert worker.state == EndpointState(LINK, PEER, SENDER, RECEIVER, 0x1234)
    assert worker.effects == (
        Own(LINK),
        AddProducer(RECEIVER, "C", None, (SENDER,)),
        AddConsumer(SENDER, "X"),
        StartReading(LINK),
    )
    assert start(UdpEndpoint(LINK), fresh).mailboxes[1].outgoing == AllowConsumers("drawn", None)


# ---- sending


@pytest.mark.spec("UDP-2", "UDP-22", "UDP-24")
def test_without_a_peer_the_next_hop_is_the_target_and_is_not_sent() -> None:
    state, (sent,) = receive(OPEN, leaving((HOP, local("echo"))))
    body = encode_transport_message(TransportMessage(route("echo"), route("app"), b"hi"))
    assert sent == SendDatagrams(LINK, PEER, cut_message(0xFFFF, body))
    assert state == replace(OPEN, number=0)


@pytest.mark.spec("UDP-22", "UDP-24")
def test_with_a_peer_all_goes_to_it() -> None:
    state, (sent,) = receive(FIXED, leaving((local("echo"),)))
    body = encode_transport_message(TransportMessage(route("echo"), route("app"), b"hi"))
    assert sent == SendDatagrams(LINK, PEER, cut_message(0xFFFF, body))
    assert state == replace(FIXED, number=0)


@pytest.mark.parametrize(
    ("onward", "rule"),
    [
        ((), "no-udp-hop"),
        ((local("echo"),), "no-udp-hop"),
        ((Address(TCP, b"127.0.0.1:4000"),), "no-udp-hop"),
        ((Address(UDP, b"\xff:4000"),), "invalid-address"),
        ((Address(UDP, b"127.0.0.1:0"),), "invalid-address"),
        ((Address(UDP, b"127.0.0.1:+00"),), "invalid-address"),
        ((Address(UDP, b":"),), "invalid-address"),
        ((Address(UDP, b"0"),), "invalid-address"),
        ((Address(UDP, b""),), "invalid-address"),
    ],
)
@pytest.mark.spec("UDP-24")
def test_a_hop_that_is_no_target_is_a_recorded_drop_and_costs_no_number(onward: Route, rule: str) -> None:
    """Checklist line 23."""
    state, effects = receive(OPEN, leaving(onward))
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.rule, dropped.source, dropped.onward_route) == (rule, SENDER, (SENDER, *onward))
    assert state is OPEN


@pytest.mark.parametrize("text", ["4000", ":4000", "localhost:10", "[::1]:100", "anything:x"])
@pytest.mark.spec("UDP-24")
def test_the_adapter_reads_what_may_be_an_address(text: str) -> None:
    _, (sent,) = receive(OPEN, leaving((Address(UDP, text.encode()),)))
    assert isinstance(sent, SendDatagrams)
    assert sent.target == text


@pytest.mark.spec("UDP-5")
def test_the_longest_message_is_sent_and_one_byte_more_is_a_drop() -> None:
    around = len(encode_transport_message(TransportMessage(route("echo"), route("app"), bytes(70_000)))) - 70_000
    _, (sent,) = receive(FIXED, leaving((local("echo"),), bytes(MAX_MESSAGE_LENGTH - around)))
    assert isinstance(sent, SendDatagrams)
    assert len(sent.datagrams) == 34_031
    state, effects = receive(FIXED, leaving((local("echo"),), bytes(MAX_MESSAGE_LENGTH - around + 1)))
    assert rules(effects) == ["too-long"]
    assert state is FIXED


# ---- sources


@pytest.mark.spec("UDP-21", "UDP-23")
def test_a_new_source_gets_a_worker_and_its_datagrams() -> None:
    state, effects = receive(OPEN, arriving())
    config = UdpSource(CHILD, SENDER, RECEIVER, LINK, PEER, (SENDER, HOP))
    assert effects == (StartWorker(config), Tell(CHILD, arriving()))
    assert state == replace(OPEN, sources=(Source(CHILD),))


@pytest.mark.spec("UDP-23")
def test_with_a_peer_only_it_is_heard_and_the_way_back_is_shorter() -> None:
    """Checklist line 22."""
    state, effects = receive(FIXED, arriving(OTHER))
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.rule, dropped.return_route) == ("not-the-peer", (SENDER, Address(UDP, OTHER.encode())))
    assert state is FIXED
    _, effects = receive(FIXED, arriving())
    assert effects[0] == StartWorker(UdpSource(CHILD, SENDER, RECEIVER, LINK, PEER, (SENDER,)))


@pytest.mark.spec("UDP-27")
def test_the_source_that_is_known_for_longest_is_forgotten_for_a_new_one() -> None:
    full = replace(OPEN, sources=tuple(Source(local(f"{index}")) for index in range(MAX_SOURCES)))
    state, effects = receive(full, arriving())
    assert effects[0] == StopWorker(local("0"), "newer sources came")
    assert isinstance(state, EndpointState)
    assert state.sources == (*full.sources[1:], Source(CHILD))


@pytest.mark.spec("UDP-27")
def test_a_flood_of_new_sources_costs_no_peer_that_recovery_was_agreed_with() -> None:
    sources = tuple(Source(local(f"{index}")) for index in range(MAX_SOURCES))
    full = replace(OPEN, sources=sources, carriers=frozenset({local("0"), local("2")}))
    _, effects = receive(full, arriving())
    assert effects[0] == StopWorker(local("1"), "newer sources came")
    _, effects = receive(replace(full, carriers=frozenset(one.child for one in sources)), arriving())
    assert effects[0] == StopWorker(local("0"), "newer sources came")


@pytest.mark.spec("UDP-27")
def test_the_source_that_keeps_most_is_forgotten_when_all_keep_too_much() -> None:
    half = MAX_TOTAL_WAITING_BYTES // 2
    state = replace(OPEN, sources=(Source(local("a")), Source(local("b"))))
    more, effects = receive(state, ChildWaits(local("a"), half, NOW))
    assert effects == ()
    assert isinstance(more, EndpointState)
    assert more.sources == (Source(local("a"), half), Source(local("b")))
    less, effects = receive(more, ChildWaits(local("b"), half + 1, NOW))
    assert effects == (StopWorker(local("b"), "unfinished messages cost too much"),)
    assert less == replace(OPEN, sources=(Source(local("a"), half),))


def test_a_settled_source_is_forgotten() -> None:
    state = replace(OPEN, sources=(Source(local("a")), Source(local("b"))))
    assert receive(state, ChildSettled(local("a"), NOW)) == (replace(OPEN, sources=(Source(local("b")),)), ())


# ---- the end


@pytest.mark.spec("UDP-28")
def test_a_stopped_endpoint_closes_its_socket_and_stops_its_sources() -> None:
    state = replace(OPEN, sources=(Source(local("a")),))
    assert receive(state, StopRequested("enough", NOW)) == (
        Ended(),
        (StopWorker(local("a"), "enough"), CloseLink(LINK, "enough")),
    )


@pytest.mark.spec("UDP-28")
def test_a_socket_that_broke_is_reported() -> None:
    state = replace(OPEN, sources=(Source(local("a")),))
    ended, effects = receive(state, LinkClosed(LINK, "broken", NOW))
    assert ended == Ended()
    assert effects == (
        Report(LinkLost(SENDER, LINK, "broken")),
        StopWorker(local("a"), "broken"),
        StopWorker(SENDER, "broken"),
    )
    assert receive(Ended(), received("sender x")) == (Ended(), ())
    assert receive(OPEN, BytesReceived(LINK, b"x", NOW)) == (OPEN, ())


# ---- between nodes


class Ends:
    """Two nodes with a bind each."""

    def __init__(self) -> None:
        self.network = MemoryNetwork(1)
        self.alice = MemoryHost(self.network, "alice")
        self.bob = MemoryHost(self.network, "bob")
        self.network.hosts += [self.alice, self.bob]
        self.near = self.alice.start(UdpEndpoint(self.network.bind(self.alice, OTHER), flow_control_id="A"))
        self.far = self.bob.start(UdpEndpoint(self.network.bind(self.bob, PEER), flow_control_id="B"))
        self.bob.start(Echo(local("echo"), ("B",)))
        self.alice.start(Application((Mailbox(local("app")),), ("A",)))

    def ask(self, payload: bytes) -> None:
        onward = (self.near, HOP, local("echo"))
        self.alice.send(local("app"), LocalMessage(onward, (local("app"),), payload))
        self.network.run()


@pytest.mark.spec("UDP-20", "UDP-21", "UDP-23")
def test_a_message_and_its_answer_between_two_nodes() -> None:
    ends = Ends()
    for length in (5, 437, 930, 100_000):
        ends.ask(bytes(length))
    assert [len(message.payload) for message in ends.alice.delivered] == [5, 437, 930, 100_000]
    assert ends.alice.delivered[0].return_route == (ends.near, HOP, local("echo"))
    assert len(ends.bob.node.addresses()) == 3


@pytest.mark.spec("UDP-27", "UDP-28")
def test_a_silent_source_is_gone_and_comes_back() -> None:
    ends = Ends()
    ends.ask(b"1")
    state = ends.bob.node.state_of(ends.far)
    assert isinstance(state, EndpointState)
    assert len(state.sources) == 1
    ends.network.advance(SOURCE_IDLE_S + 1)
    assert ends.bob.node.state_of(ends.far) == replace(state, sources=())
    assert state.sources[0].child not in ends.bob.node
    ends.ask(b"2")
    assert [bytes(message.payload) for message in ends.alice.delivered] == [b"1", b"2"]
    ends.bob.stop(ends.far)
    assert ends.bob.node.addresses() == [local("echo")]
    ends.ask(b"3")
    assert len(ends.alice.delivered) == 2


@pytest.mark.spec("UDP-27")
def test_more_sources_than_are_remembered_are_all_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_endpoint, "MAX_SOURCES", 3)
    ends = Ends()
    ends.ask(b"1")
    body = encode_transport_message(TransportMessage(route("echo"), route("app"), b"x"))
    link = next(link for host, link in ends.network.endpoints.values() if host is ends.bob)
    for port in range(10):
        ends.bob.feed(DatagramsReceived(link, f"10.0.0.1:{port + 1}", cut_message(1, body), NOW))
        ends.network.run()
    assert len(ends.bob.node.addresses()) == 2 + 3
    ends.ask(b"2")
    assert [bytes(message.payload) for message in ends.alice.delivered] == [b"1", b"2"]
