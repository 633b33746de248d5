"""Portals for datagrams between whole nodes, with datagrams in memory on a clock that the tests move."""

import random

import pytest

from ockam_ref.events import BytesReceived, DatagramsReceived, LinkAccepted, LinkEvent, PauseChanged, RouteChanged
from ockam_ref.machine import LinkId
from ockam_ref.portals.udp_inlet import UdpInlet
from ockam_ref.portals.udp_outlet import UdpOutlet
from ockam_ref.testing.memory_host import MemoryHost, Socket
from ockam_ref.testing.spent_states import refuse_repeated_nonces
from ockam_ref.wire.address import local
from tests.unit.channels.ends import World, rules
from tests.unit.portals.ends import OUTLET, closed, reasons

IDLE_S = 60.0
SERVICE = "target:53"


class Clients(MemoryHost):
    """Programs that talk to the inlet from addresses of their own."""

    def __init__(self, world: "DatagramWorld") -> None:
        super().__init__(world.net, "clients")
        self.world = world
        self.got: list[tuple[str, bytes]] = []

    def write(self, address: str, *datagrams: bytes) -> None:  # type: ignore[override]
        """Send from an address to the inlet."""
        self.network.endpoints.setdefault(address, (self, self.node.new_link()))
        event = DatagramsReceived(self.world.endpoint, address, datagrams, self.network.now)
        self.world.alice.queue.append(event)
        self.network.run()

    def feed(self, event: LinkEvent | LinkAccepted) -> None:
        assert isinstance(event, DatagramsReceived)
        bound = (self, event.link)
        address = next(one for one, found in self.network.endpoints.items() if found == bound)
        self.got += [(address, bytes(datagram)) for datagram in event.datagrams]


class DatagramWorld(World):
    """Alice's inlet and Bob's outlet, by default in a channel."""

    def __init__(self, *, channel: bool = True, seed_number: int = 0) -> None:
        super().__init__(seed_number=seed_number)
        self.start_outlet()
        self.first_hop = self.open().encryptor if channel else self.hop
        route = (self.first_hop, OUTLET)
        self.endpoint = self.net.bind(self.alice, "inlet:53")
        self.inlet = self.alice.start(UdpInlet(self.endpoint, route, self.alice.node.peer_of(route), IDLE_S))
        self.clients = Clients(self)
        self.net.hosts.append(self.clients)
        self.bob.targets[SERVICE] = Socket()

    def start_outlet(self) -> None:
        self.outlet = self.bob.start(UdpOutlet(OUTLET, SERVICE, ("CHANNELS", "TCP"), idle_s=IDLE_S))

    def drop(self, share: float, seed_number: int = 0) -> None:
        """From now on every frame between the nodes is lost with that probability."""
        dice = random.Random(seed_number)
        self.net.tamper_frame = lambda _, __, body: [] if dice.random() < share else [body]

    @property
    def sockets(self) -> dict[LinkId, Socket]:
        """The sockets to the target that are open."""
        return {link: socket for link, socket in self.bob.sockets.items() if socket.open}

    def answer(self, link: LinkId, datagram: bytes) -> None:
        """The target answers one of the sockets."""
        self.bob.queue.append(BytesReceived(link, datagram, self.net.now))
        self.net.run()

    def sessions(self, host: MemoryHost) -> int:
        return sum("udp" in type(host.node.state_of(one)).__module__ for one in host.node.addresses()) - 1


@pytest.fixture(params=[True, False], ids=["channel", "plain"])
def world(request: pytest.FixtureRequest) -> DatagramWorld:
    return DatagramWorld(channel=request.param)


@pytest.mark.spec("DP-1", "DP-6", "DP-13")
def test_every_source_has_a_socket_and_answers_of_its_own(world: DatagramWorld) -> None:
    with refuse_repeated_nonces():
        for number in range(5):
            world.clients.write(f"client:{number}", b"question %d" % number)
        assert [bytes(socket.received) for socket in world.sockets.values()] == [b"question %d" % n for n in range(5)]
        for number, link in reversed(list(enumerate(world.sockets))):
            world.answer(link, b"answer %d" % number)
            world.answer(link, b"")
        expected = [(f"client:{n}", data) for n in (4, 3, 2, 1, 0) for data in (b"answer %d" % n, b"")]
        assert world.clients.got == expected
        world.clients.write("client:3", b"one", b"two")
        assert bytes(list(world.sockets.values())[3].received) == b"question 3onetwo"
        assert len(world.sockets) == 5
        assert rules(world.alice) == rules(world.bob) == []


@pytest.mark.spec("DP-9", "DP-21")
def test_silent_sessions_are_forgotten_at_both_ends(world: DatagramWorld) -> None:
    workers = len(world.alice.node.addresses()), len(world.bob.node.addresses())
    for number in range(200):
        world.clients.write(f"client:{number}", b"question")
    for link in list(world.sockets):
        world.answer(link, b"answer")
    assert (world.sessions(world.alice), world.sessions(world.bob)) == (200, 200)
    world.net.advance(IDLE_S / 2)
    world.clients.write("client:7", b"again")
    world.net.advance(IDLE_S / 2 + 2.0)
    assert (world.sessions(world.alice), world.sessions(world.bob), len(world.sockets)) == (1, 1, 1)
    world.net.advance(IDLE_S)
    assert (len(world.alice.node.addresses()), len(world.bob.node.addresses())) == workers
    assert (world.sockets, world.alice.timers, world.bob.timers) == ({}, {}, {})
    assert world.alice.node.state_of(world.inlet).sessions == 0  # type: ignore[attr-defined]
    assert world.bob.node.state_of(world.outlet).sessions == frozenset()  # type: ignore[attr-defined]
    assert {(one.sent, one.received) for one in closed(world.alice)} == {(6, 8), (6, 13)}
    world.clients.write("client:7", b"a new session")
    assert [bytes(socket.received) for socket in world.sockets.values()] == [b"a new session"]


@pytest.mark.spec("DP-3")
@pytest.mark.parametrize("seed_number", range(5))
def test_loss_ends_no_session_and_changes_no_datagram(world: DatagramWorld, seed_number: int) -> None:
    world.clients.write("client:1", b"first")
    world.drop(0.3, seed_number)
    (link,) = world.sockets
    for number in range(200):
        world.clients.write("client:1", b"<%d>" % number)
        world.answer(link, b"answer %d" % number)
        world.net.advance(0.5)
    arrived = bytes(world.sockets[link].received).removeprefix(b"first")
    sent = [b"<%d>" % number for number in range(200)]
    assert arrived == b"".join(one for one in sent if one in arrived)
    assert 100 < sum(one in arrived for one in sent) < 180
    answers = [data for _, data in world.clients.got]
    assert 100 < len(answers) < 180
    assert answers == [b"answer %d" % n for n in range(200) if b"answer %d" % n in answers]
    assert (list(world.sockets), closed(world.alice), closed(world.bob)) == ([link], [], [])


@pytest.mark.spec("DP-12", "DP-16", "DP-17")
def test_an_outlet_that_was_closed_and_opened_is_reached_again(world: DatagramWorld) -> None:
    world.clients.write("client:1", b"one")
    world.bob.stop(world.outlet)
    world.net.run()
    assert (reasons(world.bob), world.sockets) == (["the outlet is closed"], {})
    assert reasons(world.alice) == ["the outlet has ended the session"]
    world.clients.write("client:1", b"lost")
    assert world.sockets == {}
    world.start_outlet()
    world.clients.write("client:1", b"three")
    assert [bytes(socket.received) for socket in world.sockets.values()] == [b"three"]


@pytest.mark.spec("DP-16")
def test_an_outlet_that_has_forgotten_a_session_goes_on_with_the_next_datagram(world: DatagramWorld) -> None:
    world.clients.write("client:1", b"one")
    world.drop(1.0)
    world.bob.stop(world.outlet)
    world.net.run()
    world.net.tamper_frame = None
    world.start_outlet()
    assert world.sockets == {}
    world.clients.write("client:1", b"two")
    (link,) = world.sockets
    world.answer(link, b"answer")
    assert world.clients.got == [("client:1", b"answer")]
    assert closed(world.alice) == []


@pytest.mark.spec("DP-15")
def test_an_outlet_that_is_not_there_is_noticed_and_another_way_is_taken(world: DatagramWorld) -> None:
    way = (world.first_hop, local("nobody"))
    world.alice.tell(world.inlet, RouteChanged(way, world.alice.node.peer_of(way), world.net.now))
    world.clients.write("client:1", b"one")
    for _ in range(8):
        world.net.advance(2.0)
        assert closed(world.alice) == []
    right = (world.first_hop, OUTLET)
    world.alice.tell(world.inlet, RouteChanged(right, world.alice.node.peer_of(right), world.net.now))
    world.net.advance(2.0)
    assert [(one.reason, one.answered) for one in closed(world.alice)] == [("the outlet does not answer", False)]
    world.clients.write("client:1", b"two")
    assert [bytes(socket.received) for socket in world.sockets.values()] == [b"two"]


@pytest.mark.spec("DP-14", "DP-15")
def test_an_outlet_whose_target_never_answers_is_not_given_up(world: DatagramWorld) -> None:
    for number in range(100):
        world.clients.write("client:1", b"log line %d" % number)
        world.net.advance(2.0)
    assert (closed(world.alice), closed(world.bob)) == ([], [])
    assert bytes(next(iter(world.sockets.values())).received).endswith(b"log line 99")


@pytest.mark.spec("DP-12")
def test_a_target_that_cannot_be_had_costs_nothing(world: DatagramWorld) -> None:
    world.bob.targets[SERVICE] = None
    for number in range(3):
        world.clients.write("client:1", b"%d" % number)
    assert len(closed(world.alice)) == len(closed(world.bob)) == 3
    assert "could not be reached" in reasons(world.bob)[0]
    assert (world.sessions(world.alice), world.sessions(world.bob)) == (0, 0)
    world.bob.targets[SERVICE] = Socket()
    world.clients.write("client:1", b"now")
    assert [bytes(socket.received) for socket in world.sockets.values()] == [b"now"]


@pytest.mark.spec("DP-17")
def test_sessions_end_with_their_way_and_with_their_inlet(world: DatagramWorld) -> None:
    world.clients.write("client:1", b"x")
    world.alice.stop(world.inlet)
    world.net.run()
    assert (reasons(world.alice), reasons(world.bob)) == (
        ["the inlet is closed"],
        ["the inlet has ended the session"],
    )
    assert world.sockets == {}
    other = DatagramWorld()
    other.clients.write("client:1", b"x")
    other.alice.stop(other.first_hop)
    other.net.run()
    assert reasons(other.alice) == ["the way to the outlet is gone"]
    assert reasons(other.bob) == ["the way to the inlet is gone"]


@pytest.mark.spec("DP-18", "DP-19")
def test_what_is_not_permitted_reaches_nobody(world: DatagramWorld) -> None:
    world.bob.stop(world.outlet)
    world.bob.start(UdpOutlet(OUTLET, SERVICE))
    world.clients.write("client:1", b"x")
    assert world.sockets == {}
    assert len(rules(world.bob)) == 1
    world.alice.tell(world.inlet, PauseChanged(True, world.net.now))
    world.clients.write("client:2", b"x")
    assert rules(world.alice) == ["no-way"]
