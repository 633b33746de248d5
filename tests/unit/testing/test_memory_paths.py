"""Packets and datagrams of the host in memory: what may happen to them on their way, and when they arrive."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.effects import SendDatagrams, SetTimer
from ockam_ref.events import DatagramsReceived, PauseChanged, TimerFired
from ockam_ref.links.impairment import Impairment
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.packets import PACKET
from ockam_ref.machine import LinkId, Mailbox, Now
from ockam_ref.node import Node
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.registry import MACHINES
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import PUPPETS, Puppet, links, payloads

A, ECHO = local("a"), local("echo")

Datagrams: TypeAlias = tuple[MemoryNetwork, MemoryHost, Puppet, LinkId, list[DatagramsReceived]]


class World:
    """Two nodes joined by packets; the server answers, the client has an application."""

    def __init__(self, seed: int = 0, mtu: int | None = None) -> None:
        self.net = MemoryNetwork(seed)
        self.client, self.server = self.net.host("client"), self.net.host("server")
        listener = self.server.start(LinkListener("S", PACKET))
        self.server.start(Echo(ECHO, ("S",)))
        self.hop = self.net.connect_packets(self.client, self.server, listener, mtu=mtu)
        self.app = self.client.start(Application((Mailbox(local("app")),)))
        self.client.node.flow_controls.add_consumer_of_producer(self.app, self.hop)

    def ask(self, payload: bytes) -> None:
        self.client.send(self.app, LocalMessage((self.hop, ECHO), (self.app,), payload))

    def answers(self) -> list[bytes]:
        return payloads(self.client.delivered)

    def ask_many(self, count: int) -> list[bytes]:
        for number in range(count):
            self.ask(b"%03d" % number)
        self.net.run_for(10)
        return self.answers()


@pytest.mark.spec("NODE-73")
def test_without_an_impairment_packets_arrive_at_once_and_in_order() -> None:
    world = World()
    for word in (b"one", b"two"):
        world.ask(word)
    world.net.run()
    assert world.answers() == [b"one", b"two"]
    assert [(source, target) for source, target, _ in world.net.bytes_seen] == [("client", "server")] * 2 + [
        ("server", "client")
    ] * 2
    assert (world.net.paths.sent, world.net.paths.lost) == (4, 0)


@pytest.mark.spec("NODE-73")
def test_the_packets_of_a_link_are_tampered_with_one_by_one() -> None:
    world = World()
    world.net.tamper = lambda data: data.replace(b"hello", b"HELLO")
    world.ask(b"hello")
    world.net.run()
    assert world.answers() == [b"HELLO"]


@pytest.mark.spec("NODE-73")
def test_a_part_is_lost() -> None:
    world = World()
    world.net.impair(world.client, world.server, Impairment(loss=0.5), both_ways=False)
    answers = world.ask_many(400)
    assert 140 < len(answers) < 260
    assert world.net.paths.lost == 400 - len(answers)
    assert answers == sorted(answers)


@pytest.mark.spec("NODE-73")
def test_the_same_seed_loses_the_same() -> None:
    def lossy(seed: int) -> list[bytes]:
        world = World(seed)
        world.net.impair(world.client, world.server, Impairment(loss=0.3, duplication=0.3, jitter_s=0.1))
        return world.ask_many(50)

    assert lossy(1) == lossy(1)
    assert lossy(1) != lossy(2)


@pytest.mark.spec("NODE-73")
def test_paths_change_nobodys_addresses() -> None:
    quiet, noisy = World(7), World(7)
    noisy.net.impair(noisy.client, noisy.server, Impairment(loss=0.3))
    noisy.ask_many(20)
    quiet.ask_many(20)
    assert quiet.net.random.random() == noisy.net.random.random()


@pytest.mark.spec("NODE-73")
def test_packets_take_their_time() -> None:
    world = World()
    world.net.impair(world.client, world.server, Impairment(delay_s=0.25))
    world.ask(b"slow")
    world.net.run()
    world.net.run_for(0.49)
    assert world.answers() == []
    world.net.run_for(0.01)
    assert world.answers() == [b"slow"]
    assert world.net.now.monotonic == pytest.approx(0.5)


@pytest.mark.spec("NODE-73")
def test_some_overtake_others_and_some_come_twice() -> None:
    world = World()
    world.net.impair(world.client, world.server, Impairment(reorder=0.3, late_s=0.01, delay_s=0.01), both_ways=False)
    answers = world.ask_many(100)
    assert sorted(answers) == [b"%03d" % number for number in range(100)]
    assert answers != sorted(answers)
    twice = World()
    twice.net.impair(twice.client, twice.server, Impairment(duplication=1.0), both_ways=False)
    assert twice.ask_many(3) == [b"000", b"000", b"001", b"001", b"002", b"002"]


@pytest.mark.spec("NODE-73")
def test_the_path_has_an_mtu_of_its_own() -> None:
    world = World()
    world.net.impair(world.client, world.server, Impairment(mtu=200))
    world.ask(bytes(300))
    world.ask(bytes(10))
    world.net.run()
    assert world.answers() == [bytes(10)]


@pytest.mark.spec("NODE-73")
def test_a_bottleneck_makes_packets_wait_and_then_drops_them() -> None:
    world = World()
    slow = Impairment(rate=1000, queue_bytes=2000)
    world.net.impair(world.client, world.server, slow, both_ways=False)
    for _ in range(4):
        world.ask(bytes(1000))
    world.net.run_for(0.9)
    assert world.answers() == []
    world.net.run_for(60)
    assert world.answers() == [bytes(1000)] * 2
    assert world.net.paths.lost == 2


@pytest.mark.spec("NODE-73")
def test_a_link_states_its_mtu_at_both_ends() -> None:
    world = World(mtu=200)
    world.ask(bytes(300))
    world.ask(bytes(10))
    world.net.run()
    assert world.answers() == [bytes(10)]
    assert [drop.rule for drop in world.client.observations if isinstance(drop, MessageDropped)] == ["too-long"]
    (far,) = links(world.server.node)
    state = world.server.node.state_of(far)
    assert getattr(state, "mtu", None) == 200


@pytest.mark.spec("NODE-73")
def test_a_partition_cuts_and_heals() -> None:
    world = World()
    world.net.impair(world.client, world.server, Impairment(delay_s=0.1))
    world.ask(b"before")
    world.net.partition(world.client, world.server)
    world.ask(b"during")
    world.net.run_for(1)
    assert world.answers() == []
    assert (world.net.paths.sent, world.net.paths.lost) == (3, 2)  # one more was the answer to what had left before
    world.net.heal(world.client, world.server)
    world.ask(b"after")
    world.net.run_for(1)
    assert world.answers() == [b"after"]


@pytest.mark.spec("NODE-73")
def test_a_closed_packet_link_ends_at_the_other_node() -> None:
    world = World()
    world.client.stop(world.hop)
    world.net.run()
    assert links(world.server.node) == []
    assert len(world.server.observed(LinkLost)) == 1
    assert world.client.packet_links == set()


# ---- datagrams


def puppet_host(net: MemoryNetwork, name: str) -> tuple[MemoryHost, Puppet]:
    host = net.host(name)
    host.node = Node(entropy=bytes, machines={**MACHINES, **PUPPETS})
    puppet = Puppet(A, answers={})
    host.start(puppet)
    return host, puppet


def say(host: MemoryHost, puppet: Puppet, *effects: SendDatagrams | SetTimer) -> None:
    assert isinstance(puppet.answers, dict)
    puppet.answers[PauseChanged] = effects
    host.tell(A, PauseChanged(True, host.network.now))


@pytest.fixture
def datagrams() -> Datagrams:
    """A sender with an endpoint, and what a second host is told."""
    net = MemoryNetwork()
    sender, puppet = puppet_host(net, "sender")
    receiver, _ = puppet_host(net, "receiver")
    link = net.bind(sender, "10.0.0.1:1")
    net.bind(receiver, "10.0.0.2:2")
    told: list[DatagramsReceived] = []
    receiver.feed = lambda event: told.append(event) if isinstance(event, DatagramsReceived) else None  # type: ignore[method-assign]
    return net, sender, puppet, link, told


@pytest.mark.spec("NODE-73")
def test_datagrams_travel_one_by_one(datagrams: Datagrams) -> None:
    net, sender, puppet, link, told = datagrams
    say(sender, puppet, SendDatagrams(link, "10.0.0.2:2", (b"one", memoryview(b"two"))))
    say(sender, puppet, SendDatagrams(link, "10.0.0.9:9", (b"nobody there",)))
    net.run()
    assert [(event.source, event.datagrams) for event in told] == [("10.0.0.1:1", (b"one",)), ("10.0.0.1:1", (b"two",))]


@pytest.mark.spec("NODE-73")
def test_datagrams_get_lost_and_late(datagrams: Datagrams) -> None:
    net, sender, puppet, link, told = datagrams
    receiver = net.hosts[1]
    net.impair(sender, receiver, Impairment(delay_s=1.0, mtu=100))
    say(sender, puppet, SendDatagrams(link, "10.0.0.2:2", (bytes(101), bytes(100))))
    net.run_for(2)
    assert [(event.datagrams, event.now.monotonic) for event in told] == [((bytes(100),), 1.0)]


# ---- time


@pytest.mark.spec("NODE-74")
def test_run_for_goes_from_moment_to_moment() -> None:
    net = MemoryNetwork()
    host, puppet = puppet_host(net, "host")
    say(host, puppet, SetTimer("one", 1.5), SetTimer("two", 2.5), SetTimer("late", 9.0))
    net.run_for(3.25)
    fired = [(event.name, event.now) for event in puppet.events(TimerFired)]
    assert fired == [("one", Now(1.5, 1_700_000_001)), ("two", Now(2.5, 1_700_000_002))]
    assert net.now == Now(3.25, 1_700_000_003)


@pytest.mark.spec("NODE-73")
@given(
    loss=st.floats(0, 1),
    duplication=st.floats(0, 1),
    reorder=st.floats(0, 1),
    jitter=st.floats(0, 0.5),
    seed=st.integers(0, 2**32),
)
def test_every_packet_arrives_never_once_or_twice(
    loss: float, duplication: float, reorder: float, jitter: float, seed: int
) -> None:
    world = World(seed)
    bad = Impairment(loss=loss, duplication=duplication, reorder=reorder, jitter_s=jitter)
    world.net.impair(world.client, world.server, bad, both_ways=False)
    answers = world.ask_many(10)
    assert all(answers.count(answer) <= 2 for answer in answers)
    assert len(set(answers)) == 10 - world.net.paths.lost
    assert world.net.paths.next_arrival is None
