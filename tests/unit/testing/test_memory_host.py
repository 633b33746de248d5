"""The host in memory: what tests rely on when they put nodes together."""

from collections.abc import Iterable

import pytest

from ockam_ref.effects import (
    CancelTimer,
    CloseLink,
    Effect,
    Effects,
    FinishSending,
    OpenLink,
    Own,
    ReportDrained,
    SendBytes,
    SetTimer,
    StartReading,
    StopReading,
)
from ockam_ref.events import (
    BytesReceived,
    LinkAccepted,
    LinkClosed,
    LinkDrained,
    LinkFailed,
    LinkFinished,
    LinkOpened,
    PauseChanged,
    TimerFired,
)
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import LinkId, Mailbox
from ockam_ref.node import Node
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.registry import MACHINES
from ockam_ref.testing.memory_host import MemoryNetwork, Socket
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import PUPPETS, Puppet, links, payloads

A, ECHO = local("a"), local("echo")


class World:
    """Two joined nodes; the server answers, the client has an application."""

    def __init__(self, seed: int = 0) -> None:
        self.net = MemoryNetwork(seed)
        self.client, self.server = self.net.host("client"), self.net.host("server")
        self.listener = self.server.start(LinkListener("S"))
        self.server.start(Echo(ECHO, ("S",)))
        self.hop = self.net.connect(self.client, self.server, self.listener)
        self.app = self.client.start(Application((Mailbox(local("app")),)))
        self.client.node.flow_controls.add_consumer_of_producer(self.app, self.hop)

    def ask(self, payload: bytes = b"hello") -> list[bytes]:
        self.client.send(self.app, LocalMessage((self.hop, ECHO), (self.app,), payload))
        self.net.run()
        return payloads(self.client.delivered)


class Puppets:
    """One host whose only worker does what a test says."""

    def __init__(self, *effects: Effect) -> None:
        self.net = MemoryNetwork()
        self.host = self.net.host("host")
        self.host.node = Node(entropy=bytes, machines={**MACHINES, **PUPPETS})
        self.puppet = Puppet(A, answers={})
        self.host.start(self.puppet)
        self.do(*effects)

    def do(self, *effects: Effect) -> None:
        self.on(PauseChanged, *effects)
        self.host.tell(A, PauseChanged(True, self.net.now))

    def on(self, event: type, *effects: Effect) -> None:
        assert isinstance(self.puppet.answers, dict)
        self.puppet.answers[event] = effects

    def seen(self, kind: type) -> list[object]:
        return self.puppet.events(kind)


LINK = LinkId(77)


# ---- nodes joined by links


@pytest.mark.spec("NODE-70")
def test_the_same_seed_gives_the_same_bytes() -> None:
    def run_of(seed: int) -> tuple[list[Address], list[tuple[str, str, bytes]]]:
        world = World(seed)
        world.ask()
        return world.server.node.addresses(), world.net.bytes_seen

    assert run_of(1) == run_of(1)
    assert run_of(1) != run_of(2)


@pytest.mark.spec("NODE-70")
def test_bytes_go_both_ways_and_are_on_record() -> None:
    world = World()
    assert world.ask(b"hello") == [b"hello"]
    directions = [(source, destination) for source, destination, _ in world.net.bytes_seen]
    assert directions == [("server", "client"), ("client", "server"), ("client", "server"), ("server", "client")]
    assert [data for _, _, data in world.net.bytes_seen[:2]] == [b"\x01", b"\x01"]


@pytest.mark.spec("NODE-70")
def test_a_tampered_chunk_arrives_tampered() -> None:
    world = World()
    world.net.tamper = lambda data: data.replace(b"hello", b"HELLO")
    assert world.ask(b"hello") == [b"HELLO"]
    assert b"HELLO" in world.net.bytes_seen[2][2]


@pytest.mark.spec("NODE-70")
def test_frames_may_be_changed_dropped_and_repeated_one_by_one() -> None:
    world = World()
    frames: list[tuple[str, str]] = []

    def tamper(sender: str, receiver: str, body: bytes) -> Iterable[bytes]:
        frames.append((sender, receiver))
        if b"lost" in body:
            return ()
        return (body, body) if sender == "client" else (body,)

    world.net.tamper_frame = tamper
    assert world.ask(b"lost") == []
    assert world.ask(b"twice") == [b"twice", b"twice"]
    assert frames == [("client", "server")] * 2 + [("server", "client")] * 2


@pytest.mark.spec("NODE-70")
def test_the_version_byte_is_no_frame() -> None:
    net = MemoryNetwork()
    client, server = net.host("client"), net.host("server")
    net.tamper_frame = lambda *_: ()
    listener = server.start(LinkListener("S"))
    net.connect(client, server, listener)
    assert [data for _, _, data in net.bytes_seen] == [b"\x01", b"\x01"]


@pytest.mark.spec("NODE-70")
def test_a_closed_link_ends_at_the_other_node_after_what_was_sent() -> None:
    world = World()
    (link,) = links(world.server.node)
    world.server.send(ECHO, LocalMessage((link, world.app), (ECHO,), b"last"))
    world.server.stop(link)
    world.net.run()
    assert payloads(world.client.delivered) == [b"last"]
    assert len(world.client.observed(LinkLost)) == 1
    assert world.client.observed(MessageDropped) == []
    assert world.hop not in world.client.node
    assert world.client.peers == world.server.peers == {}


@pytest.mark.spec("NODE-70")
def test_what_is_sent_into_a_gone_link_is_lost() -> None:
    world = World()
    world.client.peers.clear()
    assert world.ask() == []
    world.client.stop(world.hop)
    assert world.hop not in world.client.node


@pytest.mark.spec("NODE-70")
def test_an_end_that_is_gone_already_is_not_closed() -> None:
    world = World()
    world.server.peers.clear()
    world.client.stop(world.hop)
    world.net.run()
    assert len(links(world.server.node)) == 1


# ---- sockets of portals


@pytest.mark.spec("NODE-71")
def test_a_target_that_listens() -> None:
    host = Puppets()
    target = host.host.targets["target:80"] = Socket()
    host.do(OpenLink(LINK, "target:80"), SendBytes(LINK, (b"to ", b"the target")), StartReading(LINK))
    host.host.write(target, b"one")
    host.host.write(target, b"two")
    host.host.finish(target)
    host.net.run()
    assert bytes(target.received) == b"to the target"
    assert [type(event) for event in host.puppet.seen] == [
        *[PauseChanged] * 2,
        LinkOpened,
        *[BytesReceived] * 2,
        LinkFinished,
    ]
    host.do(FinishSending(LINK))
    assert (target.finished, target.open) == (True, True)
    host.do(CloseLink(LINK, "enough"))
    assert not target.open
    host.host.write(target, b"nobody reads this")
    host.net.run()
    assert len(host.seen(BytesReceived)) == 2


@pytest.mark.spec("NODE-71")
def test_a_target_gives_each_connection_a_socket_of_its_own() -> None:
    host = Puppets(OpenLink(LINK, "target:80"))
    first = host.host.targets["target:80"] = Socket()
    host.do(OpenLink(LINK, "target:80"), SendBytes(LINK, (b"one",)), OpenLink(LinkId(78), "target:80"))
    second = host.host.targets["target:80"]
    assert second is not None
    assert second is not first
    host.do(SendBytes(LinkId(78), (b"two",)))
    assert (bytes(first.received), bytes(second.received)) == (b"one", b"two")


@pytest.mark.parametrize("targets", [{}, {"target:80": None}])
@pytest.mark.spec("NODE-71")
def test_a_target_that_refuses(targets: dict[str, Socket | None]) -> None:
    host = Puppets()
    host.host.targets.update(targets)
    host.do(OpenLink(LINK, "target:80"))
    host.net.run()
    (failed,) = host.seen(LinkFailed)
    assert isinstance(failed, LinkFailed)
    assert "target:80" in failed.reason


@pytest.mark.spec("NODE-71")
def test_nothing_is_read_before_reading_starts_and_after_it_stops() -> None:
    host = Puppets()
    host.on(LinkAccepted, *owning(host))
    client = host.host.connect_client(A)
    host.host.write(client, b"one")
    host.host.finish(client)
    host.net.run()
    assert host.seen(BytesReceived) == []
    link = next(iter(host.host.sockets))
    host.on(BytesReceived, StopReading(link))
    host.host.write(client, b"two")
    host.do(StartReading(link))
    host.net.run()
    assert [event.data for event in host.puppet.events(BytesReceived)] == [b"one"]
    assert host.seen(LinkFinished) == []
    host.on(BytesReceived)
    host.do(StartReading(link))
    host.net.run()
    assert [event.data for event in host.puppet.events(BytesReceived)] == [b"one", b"two"]
    assert len(host.seen(LinkFinished)) == 1


def owning(host: Puppets) -> Effects:
    """Own the link that the host makes next."""
    return (Own(LinkId(host.host.node.new_link() + 1)),)


@pytest.mark.spec("NODE-71")
def test_a_reset_client() -> None:
    host = Puppets()
    host.on(LinkAccepted, *owning(host))
    client = host.host.connect_client(A)
    host.host.reset(client)
    assert not client.open
    (closed,) = host.puppet.events(LinkClosed)
    assert closed.reason == "connection reset"


@pytest.mark.spec("NODE-71")
def test_a_stalled_socket_drains_later() -> None:
    host = Puppets()
    target = host.host.targets["target:80"] = Socket(stalled=True)
    host.do(OpenLink(LINK, "target:80"), ReportDrained(LINK))
    host.net.run()
    assert host.seen(LinkDrained) == []
    target.stalled = False
    host.net.run()
    host.net.run()
    assert len(host.seen(LinkDrained)) == 1


# ---- timers


@pytest.mark.spec("NODE-72")
def test_timers_fire_when_their_time_has_come() -> None:
    host = Puppets(SetTimer("soon", 1.0), SetTimer("late", 5.0), SetTimer("never", 9.0))
    host.do(CancelTimer("never"), SetTimer("late", 6.0))
    host.net.advance(0.5)
    assert host.seen(TimerFired) == []
    host.net.advance(0.5)
    assert [event.name for event in host.puppet.events(TimerFired)] == ["soon"]
    host.net.advance(100.0)
    assert [(event.name, event.now) for event in host.puppet.events(TimerFired)][1:] == [("late", host.net.now)]
    assert host.host.timers == {}
    assert host.net.now == (101.0, 1_700_000_100)


@pytest.mark.spec("NODE-72")
def test_a_timer_may_disarm_another_that_is_due() -> None:
    host = Puppets(SetTimer("one", 1.0), SetTimer("two", 1.0))
    host.on(TimerFired, CancelTimer("two"))
    host.net.advance(2.0)
    assert [event.name for event in host.puppet.events(TimerFired)] == ["one"]


def test_endpoints_that_a_node_asks_for() -> None:
    network = MemoryNetwork()
    host = network.host("a")
    numbers = [host.node.new_link() for _ in range(4)]
    assert network.bind_anywhere(host, numbers[0], "10.0.0.1:0") == LinkOpened(numbers[0], network.now)
    assert network.bind_anywhere(host, numbers[1], "10.0.0.1:0") == LinkOpened(numbers[1], network.now)
    assert list(network.endpoints) == ["10.0.0.1:40000", "10.0.0.1:40001"]
    taken = network.bind_anywhere(host, numbers[2], "10.0.0.1:40000")
    assert taken == LinkFailed(numbers[2], "10.0.0.1:40000 is taken", network.now)
    network.unbind(host, numbers[0])
    assert network.bind_anywhere(host, numbers[3], "10.0.0.1:40000") == LinkOpened(numbers[3], network.now)
