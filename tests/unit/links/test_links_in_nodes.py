"""Listeners and connections inside nodes: flow controls, neighbours, what a stopped one leaves alone."""

import pytest

from ockam_ref.effects import CloseLink, SendBytes, StartReading
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import BytesReceived, LinkAccepted, LinkClosed, LinkFinished
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.node_link import LinkState, NodeLink
from ockam_ref.machine import LinkId, Mailbox
from ockam_ref.node import Node
from ockam_ref.observations import LinkLost
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import TransportMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import NOW, framed, links, names, observed, payloads, route


class Pair:
    """Two nodes with one connection; the server has an echo for its clients, the client an application."""

    def __init__(self) -> None:
        self.net = MemoryNetwork(3)
        self.client, self.server = self.net.host("client"), self.net.host("server")
        self.listener = self.server.start(LinkListener("S"))
        self.server.start(Echo(local("echo"), ("S",)))
        self.hop = self.net.connect(self.client, self.server, self.listener)
        self.app = self.client.start(Application((Mailbox(local("app")),)))
        self.allow(self.hop)

    def allow(self, hop: Address) -> None:
        self.client.node.flow_controls.add_consumer_of_producer(self.app, hop)

    def ask(self, hop: Address, payload: bytes) -> list[bytes]:
        """Send to the server's echo; return all answers so far."""
        self.client.send(self.app, LocalMessage((hop, local("echo")), (self.app,), payload))
        self.net.run()
        return payloads(self.client.delivered)

    def server_hop(self, number: int = 0) -> Address:
        return links(self.server.node)[number]


def link_of(host: MemoryHost, hop: Address) -> LinkId:
    state = host.node.state_of(hop)
    assert isinstance(state, LinkState)
    return state.link


@pytest.mark.spec("LINK-30")
def test_an_accepted_link_becomes_a_connection() -> None:
    node = Node(entropy=names("listener", "sender", "receiver", "P"))
    listener, _ = node.start(LinkListener("S"), NOW)
    link = node.new_link()
    assert node.receive(LinkAccepted(link, listener, NOW)) == [SendBytes(link, (b"\x01",)), StartReading(link)]
    assert node.addresses_of(local("sender")) == (local("sender"), local("receiver"))
    registry = node.flow_controls
    assert registry.spawners == {listener: "S"}
    assert registry.find_producer(local("sender")) == ("P", "S")


@pytest.mark.spec("LINK-30")
def test_nobody_sends_to_a_listener() -> None:
    pair = Pair()
    pair.server.send(local("echo"), LocalMessage((pair.listener,), (), b""))
    assert [dropped.rule for dropped in pair.server.node.drops] == ["incoming:deny-all"]


@pytest.mark.spec("RT-36")
def test_connections_of_one_listener_share_the_spawner_only() -> None:
    pair = Pair()
    other = pair.net.connect(pair.client, pair.server, pair.listener)
    one, two = (pair.server.node.flow_controls.find_producer(pair.server_hop(number)) for number in (0, 1))
    assert one is not None
    assert two is not None
    assert one.spawner_id == two.spawner_id == "S"
    assert one.flow_control_id != two.flow_control_id
    assert pair.client.node.flow_controls.find_producer(other) != pair.client.node.flow_controls.find_producer(pair.hop)


@pytest.mark.spec("LINK-31")
def test_a_stopped_listener_leaves_its_connections_alone() -> None:
    pair = Pair()
    pair.server.stop(pair.listener)
    assert pair.ask(pair.hop, b"still here") == [b"still here"]
    assert pair.server.node.receive(LinkAccepted(LinkId(99), pair.listener, NOW)) == [
        CloseLink(LinkId(99), "the listener is gone")
    ]


@pytest.mark.spec("LINK-32")
def test_a_stopped_connection_takes_nothing_and_disturbs_no_other() -> None:
    pair = Pair()
    other = pair.net.connect(pair.client, pair.server, pair.listener)
    pair.allow(other)
    pair.client.stop(pair.hop)
    pair.net.run()
    with pytest.raises(MisuseError) as caught:
        pair.ask(pair.hop, b"lost")
    assert caught.value.code is ErrorCode.UNKNOWN_ADDRESS
    assert pair.ask(other, b"fine") == [b"fine"]
    (lost,) = observed(pair.server, LinkLost)
    assert lost.reason == "the peer closed the connection"
    assert observed(pair.client, LinkLost) == []
    assert len(links(pair.server.node)) == 1


@pytest.mark.spec("LINK-33")
def test_an_unknown_next_hop_is_a_silent_drop_and_the_connection_stays() -> None:
    pair = Pair()
    for onward in ("nobody", "nobody else"):
        pair.client.send(pair.app, LocalMessage((pair.hop, *route(onward)), (pair.app,), b""))
    pair.net.run()
    assert [dropped.rule for dropped in pair.server.node.drops] == ["unknown-address"] * 2
    assert pair.ask(pair.hop, b"fine") == [b"fine"]


@pytest.mark.spec("LINK-33", "RT-30")
def test_a_worker_that_was_not_opened_is_a_silent_drop_and_the_connection_stays() -> None:
    pair = Pair()
    pair.server.start(Echo(local("private")))
    pair.client.send(pair.app, LocalMessage((pair.hop, local("private")), (pair.app,), b""))
    pair.net.run()
    (dropped,) = pair.server.node.drops
    assert (dropped.rule, dropped.onward_route) == ("outgoing:flow-control", route("private"))
    assert dropped.return_route == (pair.server_hop(), pair.app)
    assert pair.ask(pair.hop, b"fine") == [b"fine"]


@pytest.mark.spec("LINK-33")
def test_a_message_that_ends_at_the_connection_is_a_heartbeat_for_the_peer() -> None:
    pair = Pair()
    pair.client.send(pair.app, LocalMessage((pair.hop,), (pair.app,), b"nowhere"))
    pair.net.run()
    assert list(pair.server.node.drops) == []
    assert pair.ask(pair.hop, b"fine") == [b"fine"]


@pytest.mark.parametrize("ending", [LinkFinished, LinkClosed])
@pytest.mark.spec("LINK-11")
def test_a_lost_connection_leaves_nothing_behind(ending: type[LinkFinished] | type[LinkClosed]) -> None:
    node = Node(entropy=names("sender", "receiver", "P"))
    link = node.new_link()
    hop, _ = node.start(NodeLink(link, consumer_of=("X",)), NOW)
    node.flow_controls.add_consumer(local("echo"), "P")
    event = LinkFinished(link, NOW) if ending is LinkFinished else LinkClosed(link, "reset", NOW)
    effects = node.receive(event)
    assert [effect for effect in effects if isinstance(effect, CloseLink)] == (
        [CloseLink(link, "the peer closed the connection")] if ending is LinkFinished else []
    )
    assert hop not in node
    registry = node.flow_controls
    assert (registry.consumers, registry.producers, registry.additional) == ({}, {}, {})
    assert node.receive(BytesReceived(link, b"\x01", NOW)) == []


@pytest.mark.spec("LINK-5")
def test_messages_before_a_bad_frame_are_answered_as_far_as_they_can() -> None:
    """They are delivered; the answers find the connection gone."""
    pair = Pair()
    link = link_of(pair.server, pair.server_hop())
    good = framed(TransportMessage(route("echo"), route("app"), b"good"))
    pair.server.feed(BytesReceived(link, good + framed(b"bad"), pair.net.now))
    assert [dropped.rule for dropped in pair.server.node.drops] == ["unknown-address"]
    pair.net.run()
    assert len(observed(pair.client, LinkLost)) == 1


@pytest.mark.spec("LINK-12")
def test_a_way_back_that_grows_too_long_harms_nobody_behind_us() -> None:
    """A stranger sends as many hops as we take; with ours in front the next node drops it and keeps our connection."""
    pair = Pair()
    link = link_of(pair.server, pair.server_hop())
    pair.server.node.flow_controls.add_consumer(pair.server_hop(), "S")
    full = TransportMessage((pair.server_hop(), local("echo")), (local("h"),) * 255, b"")
    pair.server.feed(BytesReceived(link, framed(full), pair.net.now))
    pair.net.run()
    assert [dropped.rule for dropped in pair.client.node.drops] == ["route-too-long"]
    assert pair.ask(pair.hop, b"fine") == [b"fine"]
