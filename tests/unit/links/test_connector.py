"""Typed hops: who is connected to, once; what waits meanwhile; and who may ask for it."""

from typing import Any

import pytest

from ockam_ref.effects import (
    AddConsumerOfProducer,
    Backlog,
    Forward,
    IfTaken,
    OpenLink,
    Report,
    StartWorker,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import MisuseError
from ockam_ref.events import (
    AddressGone,
    ChildSettled,
    ChildStarted,
    HopReady,
    HopWanted,
    LinkFailed,
    LinkOpened,
    MessageReceived,
    PauseChanged,
    StopRequested,
)
from ockam_ref.links import datagram_connector, typed_hop
from ockam_ref.links.connector import IDLE_S, MAX_TYPED_HOPS, Connecting, Connector, receive, start
from ockam_ref.links.framing import FRAMED
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.node_link import NodeLink
from ockam_ref.links.typed_hop import MAX_WAITING_BYTES, MAX_WAITING_MESSAGES, Connected, Ended, Opening, TypedHop
from ockam_ref.machine import Fresh, LinkId, Mailbox, Worker
from ockam_ref.observations import HopReached, HopUnreachable, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, AllowResolution
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import TCP, UDP, Address, any_of_type, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from ockam_ref.workers.hop import Hop
from tests.unit.nodes import NOW, observed, route, rules

ANY = any_of_type(TCP)
BOB = Address(TCP, b"bob:1")
LINK, HOP = LinkId(5), local("hop")
CONFIG = Connector("tcp", TCP, FRAMED)
BOB_CONFIG = TypedHop(BOB, "tcp", FRAMED, IDLE_S)
OPENING = Opening(BOB_CONFIG, LINK)
CONNECTED = Connected(BOB_CONFIG, HOP)


def message(*onward: Address, back: str = "me", payload: bytes = b"x") -> LocalMessage:
    return LocalMessage(onward, route(back), payload)


def event(sent: LocalMessage) -> MessageReceived:
    return MessageReceived(sent.onward_route[0], local("me"), sent, NOW)


# ---- the connector


@pytest.mark.spec("HOP-1", "HOP-5")
def test_a_connector_has_the_address_of_all_its_transport() -> None:
    worker = start(CONFIG, Fresh((), (), (), (), NOW))
    assert worker == Worker((Mailbox(ANY, AllowResolution()),), Connecting(CONFIG))
    assert Address(1, b"") == ANY


@pytest.mark.spec("HOP-1", "HOP-2")
def test_an_address_that_nobody_has_gets_a_worker() -> None:
    sent = message(BOB, local("echo"))
    state, effects = receive(Connecting(CONFIG), event(sent))
    assert effects == (StartWorker(BOB_CONFIG, sent, IfTaken.REUSE),)
    assert receive(state, HopWanted(BOB, NOW)) == (state, (StartWorker(BOB_CONFIG, None, IfTaken.REUSE),))


@pytest.mark.spec("HOP-6")
def test_connections_are_counted_and_bounded() -> None:
    state = Connecting(CONFIG)
    for _ in range(MAX_TYPED_HOPS):
        state, _ = receive(state, ChildStarted(BOB, NOW))
    _, effects = receive(state, event(message(BOB)))
    assert rules(effects) == ["too-many-connections"]
    _, (refused,) = receive(state, HopWanted(BOB, NOW))
    assert refused == Report(HopUnreachable(BOB, f"{MAX_TYPED_HOPS} connections to other nodes are open already"))
    state, _ = receive(state, ChildSettled(BOB, NOW))
    _, (started,) = receive(state, event(message(BOB)))
    assert isinstance(started, StartWorker)
    assert receive(state, PauseChanged(True, NOW)) == (state, ())


# ---- one typed hop


@pytest.mark.spec("HOP-2")
def test_a_typed_hop_opens_its_link_at_once() -> None:
    worker = typed_hop.start(BOB_CONFIG, Fresh((), (), (), (LINK,), NOW))
    assert worker.mailboxes == (Mailbox(BOB, AllowResolution(), ALLOW_ALL, terminal=True),)
    assert worker.state == OPENING
    assert worker.effects == (Tell(ANY, ChildStarted(BOB, NOW)), OpenLink(LINK, "bob:1", "tcp"))


@pytest.mark.spec("HOP-2")
def test_bytes_that_are_no_text_are_shown_to_the_adapter_which_refuses_them() -> None:
    odd = TypedHop(Address(TCP, b"\xff:1"), "tcp", FRAMED)
    assert typed_hop.start(odd, Fresh((), (), (), (LINK,), NOW)).effects[1] == OpenLink(LINK, "\\xff:1", "tcp")


@pytest.mark.spec("HOP-2", "HOP-3")
def test_what_came_while_it_opened_goes_out_in_order() -> None:
    state: Any = OPENING
    first, second = message(BOB, local("a"), payload=b"1"), message(BOB, local("b"), back="", payload=b"22")
    state, effects = typed_hop.receive(state, event(first))
    assert effects == (Backlog(BOB, 1),)
    state, effects = typed_hop.receive(state, event(second))
    assert effects == (Backlog(BOB, 3),)
    state, (started,) = typed_hop.receive(state, LinkOpened(LINK, NOW, 20))
    assert started == StartWorker(NodeLink(LINK, FRAMED, mtu=20, asked_by=BOB, idle_s=IDLE_S))
    state, effects = typed_hop.receive(state, HopReady(LINK, HOP, NOW))
    assert state == CONNECTED
    assert effects == (
        Watch(HOP),
        Report(HopReached(BOB, HOP)),
        AddConsumerOfProducer(local("me"), producer=HOP),
        AddConsumerOfProducer(HOP, producer=local("me")),
        Forward(BOB, first.replace_front_onward_route(HOP)),
        Forward(BOB, second.replace_front_onward_route(HOP)),
        Backlog(BOB, 0),
    )


@pytest.mark.spec("HOP-3")
def test_nothing_waited() -> None:
    _, effects = typed_hop.receive(OPENING, HopReady(LINK, HOP, NOW))
    assert effects == (Watch(HOP), Report(HopReached(BOB, HOP)))


@pytest.mark.spec("HOP-6")
def test_what_waits_is_bounded() -> None:
    state: Any = OPENING
    for _ in range(MAX_WAITING_MESSAGES):
        state, effects = typed_hop.receive(state, event(message(BOB)))
        assert not rules(effects)
    full, effects = typed_hop.receive(state, event(message(BOB)))
    assert full == state
    assert rules(effects) == ["not-connected-yet"]
    _, effects = typed_hop.receive(OPENING, event(message(BOB, payload=bytes(MAX_WAITING_BYTES + 1))))
    assert rules(effects) == ["not-connected-yet"]


@pytest.mark.spec("HOP-4")
@pytest.mark.parametrize("end", [LinkFailed(LINK, "refused", NOW), StopRequested("refused", NOW)])
def test_a_node_that_cannot_be_reached_is_told_and_what_waits_is_dropped(end: Any) -> None:
    waiting, _ = typed_hop.receive(OPENING, event(message(BOB)))
    state, effects = typed_hop.receive(waiting, end)
    assert state == Ended()
    assert effects == (
        Report(HopUnreachable(BOB, "refused")),
        Report(MessageDropped("unreachable", "refused", BOB, (BOB,), route("me"))),
        Tell(ANY, ChildSettled(BOB, NOW)),
        Backlog(BOB, 0),
        StopWorker(BOB, "refused"),
    )


@pytest.mark.spec("HOP-4")
def test_a_lost_link_ends_the_typed_hop_so_that_the_next_message_connects_anew() -> None:
    state, effects = typed_hop.receive(CONNECTED, AddressGone(HOP, NOW))
    assert state == Ended()
    assert effects[-1] == StopWorker(BOB, "its link has ended")
    state, effects = typed_hop.receive(CONNECTED, StopRequested("enough", NOW))
    assert state == Ended()
    assert effects[0] == StopWorker(HOP, "enough")
    assert typed_hop.receive(CONNECTED, PauseChanged(True, NOW)) == (CONNECTED, ())
    assert typed_hop.receive(Ended(), AddressGone(HOP, NOW)) == (Ended(), ())


# ---- between nodes


class World:
    """Alice, a node in the middle, and Bob with an echo worker; nobody is connected yet."""

    def __init__(self) -> None:
        self.net = MemoryNetwork(7)
        self.alice, self.middle, self.bob = map(self.net.host, ("alice", "middle", "bob"))
        for host in (self.middle, self.bob):
            listener = host.start(LinkListener(f"SPAWNER {host.name}"))
            self.net.listening[f"{host.name}:1"] = host, listener
        self.bob.start(Echo(local("echo"), ("SPAWNER bob",)))
        self.alice.start(Application((Mailbox(local("app")),)))
        for host in (self.alice, self.middle):
            host.start(CONFIG)

    def ask(self, *hops: Address) -> int:
        """Send from Alice's application; return how many answers it has by now."""
        self.alice.send(local("app"), LocalMessage(hops, (local("app"),), b"hi"))
        self.net.run()
        return len(self.alice.delivered)

    def links(self, host: MemoryHost) -> int:
        return sum(isinstance(host.node.state_of(one), Connected) for one in host.node.addresses())


MIDDLE = Address(TCP, b"middle:1")


@pytest.mark.spec("HOP-1", "HOP-2", "HOP-3")
def test_a_first_hop_connects_once_and_the_answer_comes_back() -> None:
    world = World()
    assert [world.ask(BOB, local("echo")) for _ in range(3)] == [1, 2, 3]
    assert world.links(world.alice) == 1


@pytest.mark.spec("HOP-4")
def test_a_lost_connection_is_made_again_by_the_next_message() -> None:
    world = World()
    assert world.ask(BOB, local("echo")) == 1
    (reached,) = observed(world.alice, HopReached)
    world.alice.stop(reached.hop)
    world.net.run()
    assert BOB not in world.alice.node
    assert world.ask(BOB, local("echo")) == 2


@pytest.mark.spec("HOP-5")
def test_a_stranger_may_not_make_us_connect() -> None:
    world = World()
    assert world.ask(MIDDLE, BOB, local("echo")) == 0
    assert [drop.rule for drop in world.middle.node.drops] == ["outgoing:flow-control"]
    assert world.links(world.middle) == 0


@pytest.mark.spec("HOP-5")
@pytest.mark.parametrize("allowed", [ANY, BOB])
def test_a_later_hop_connects_where_the_middle_allows_it(allowed: Address) -> None:
    world = World()
    world.middle.node.flow_controls.add_consumer(allowed, "SPAWNER middle")
    assert [world.ask(MIDDLE, BOB, local("echo")) for _ in range(3)] == [1, 2, 3]
    assert world.links(world.middle) == 1


@pytest.mark.spec("HOP-5")
def test_what_is_allowed_is_no_more_than_that() -> None:
    world = World()
    world.middle.node.flow_controls.add_consumer(Address(TCP, b"other:1"), "SPAWNER middle")
    assert world.ask(MIDDLE, BOB, local("echo")) == 0


@pytest.mark.spec("HOP-5")
def test_a_worker_that_passes_messages_on_lends_nobody_its_own_right() -> None:
    world = World()
    world.middle.start(Hop(local("hop"), ("SPAWNER middle",)))
    assert world.ask(MIDDLE, local("hop"), BOB, local("echo")) == 0
    assert [drop.rule for drop in world.middle.node.drops] == ["incoming:typed-hop"]
    world.middle.node.flow_controls.add_consumer(ANY, "SPAWNER middle")
    assert world.ask(MIDDLE, local("hop"), BOB, local("echo")) == 1


@pytest.mark.spec("HOP-1")
def test_without_a_connector_a_typed_hop_is_an_unknown_address() -> None:
    world = World()
    udp = Address(UDP, b"bob:1")
    with pytest.raises(MisuseError, match="no worker of this node has the address"):
        world.ask(udp, local("echo"))
    world.middle.node.flow_controls.add_consumer(udp, "SPAWNER middle")
    assert world.ask(MIDDLE, udp, local("echo")) == 0
    assert [drop.rule for drop in world.middle.node.drops] == ["unknown-address"]


# ---- datagrams


@pytest.mark.spec("HOP-8")
def test_a_typed_hop_of_datagrams_goes_to_the_endpoint() -> None:
    config = datagram_connector.DatagramConnector(UDP, local("endpoint"))
    worker = datagram_connector.start(config, Fresh((), (), (), (), NOW))
    assert worker == Worker((Mailbox(any_of_type(UDP), AllowResolution()),), config)
    hop = Address(UDP, b"bob:1")
    sent = message(hop, local("echo"))
    _, effects = datagram_connector.receive(worker.state, event(sent))
    assert effects == (
        AddConsumerOfProducer(local("me"), producer=local("endpoint")),
        AddConsumerOfProducer(local("endpoint"), producer=local("me")),
        Forward(any_of_type(UDP), sent._replace(onward_route=(local("endpoint"), hop, local("echo")))),
    )
    _, effects = datagram_connector.receive(worker.state, event(message(hop, back="")))
    assert len(effects) == 1
    assert datagram_connector.receive(worker.state, PauseChanged(True, NOW)) == (config, ())
