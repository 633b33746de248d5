"""Routes at each hop, Alice to Bob through a hub: the tables of facts 05 section 6.4, traced on whole nodes."""

from hashlib import sha256

import pytest

from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.identities.local import LocalIdentity, create_local_identity
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import Mailbox
from ockam_ref.observations import ChannelOpened, RelayReady
from ockam_ref.portals.inlet import Inlet
from ockam_ref.portals.outlet import Outlet
from ockam_ref.relays.relay import Relaying
from ockam_ref.relays.remote import RemoteRelay
from ockam_ref.relays.service import RelayService
from ockam_ref.testing.memory_host import MemoryNetwork, Socket
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from tests.unit.nodes import Carried, Delivery, TracedHost, carried, observed, route

F = local("forward_to_bob")


def identity(name: str) -> LocalIdentity:
    signing_seed, static_secret = (sha256(f"{name} {key}".encode()).digest() for key in ("signing", "static"))
    return create_local_identity(signing_seed, static_secret, 1_700_000_000)


class World:
    """Alice, a hub, Bob with a relay on the hub; addresses have the names of the tables."""

    def __init__(self) -> None:
        self.net = MemoryNetwork()
        self.hub = TracedHost(self.net, "hub", "h_lst", "hb", "hb_rx", "P_bob", "unused", "ha", "ha_rx", "P_alice")
        self.bob = TracedHost(self.net, "bob", "bt", "bt_rx", "C_bob", "r", "r_int", "bd", "bd_int", "be", "P_ch", "O")
        self.alice = TracedHost(self.net, "alice", "at", "at_rx", "C_alice", "ad", "ad_int", "ae", "inlet", "I")
        self.hub.start(LinkListener("S"))
        self.hub.start(
            RelayService(
                local("forwarding_service"), (local("static_forwarding_service"),), "forward_to_", ("S",), ("S",)
            )
        )
        self.net.connect(self.bob, self.hub, local("h_lst"))
        self.forget()

    def forget(self) -> None:
        for host in (self.alice, self.hub, self.bob):
            host.trace.clear()
        self.net.bytes_seen.clear()

    def register(self) -> None:
        self.bob.start(RemoteRelay(route("bt static_forwarding_service"), "bob"))
        self.net.run()

    def open_channel(self) -> None:
        self.bob.start(SecureChannelListener(local("L"), identity("bob"), "CHANNELS", consumer_of=("C_bob",)))
        self.net.connect(self.alice, self.hub, local("h_lst"))
        self.forget()
        self.alice.start(SecureChannel(identity("alice"), route("at forward_to_bob L"), "F"))
        self.net.run()


@pytest.mark.spec("RL-14", "RL-3", "RL-4")
def test_registration() -> None:
    world = World()
    world.register()
    assert world.bob.trace == [
        Delivery(route("bt static_forwarding_service"), route("r")),
        Delivery(route("r"), route("bt forward_to_bob")),
    ]
    assert world.hub.trace == [
        Delivery(route("static_forwarding_service"), route("hb r")),
        Delivery(route("hb r"), route("forward_to_bob")),
    ]
    assert carried(world.net) == [
        Carried("bob", "hub", route("static_forwarding_service"), route("r")),
        Carried("hub", "bob", route("r"), route("forward_to_bob")),
    ]
    assert observed(world.bob, RelayReady) == [RelayReady(local("r"), F, route("bt forward_to_bob"))]
    state = world.hub.node.state_of(F)
    assert isinstance(state, Relaying)
    assert state.route == route("hb")


@pytest.mark.spec("RL-14", "RL-11", "RL-12")
def test_handshake() -> None:
    world = World()
    world.register()
    world.open_channel()
    assert carried(world.net) == [
        Carried("alice", "hub", route("forward_to_bob L"), route("ad")),  # M1
        Carried("hub", "bob", route("L"), route("ha ad")),
        Carried("bob", "hub", route("ha ad"), route("bd")),  # M2
        Carried("hub", "alice", route("ad"), route("hb bd")),
        Carried("alice", "hub", route("hb bd"), route("ad")),  # M3
        Carried("hub", "bob", route("bd"), route("ha ad")),
    ]
    assert world.alice.trace == [
        Delivery(route("at forward_to_bob L"), route("ad")),
        Delivery(route("ad"), route("at hb bd")),
        Delivery(route("at hb bd"), route("ad")),
    ]
    assert world.hub.trace == [
        Delivery(route("forward_to_bob L"), route("ha ad")),  # at the relay
        Delivery(route("hb L"), route("ha ad")),  # after the relay
        Delivery(route("ha ad"), route("hb bd")),
        Delivery(route("hb bd"), route("ha ad")),
    ]
    assert world.bob.trace == [
        Delivery(route("L"), route("bt ha ad")),
        Delivery(route("bd"), route("bt ha ad")),  # the listener has named the responder
        Delivery(route("bt ha ad"), route("bd")),
        Delivery(route("bd"), route("bt ha ad")),
    ]
    assert len(observed(world.alice, ChannelOpened)) == len(observed(world.bob, ChannelOpened)) == 1


@pytest.mark.spec("RL-14", "RL-12")
def test_a_portal_inside_the_channel() -> None:
    world = World()
    world.register()
    world.open_channel()
    world.bob.start(Outlet(local("outlet"), "target:80", ("CHANNELS",)))
    world.bob.targets["target:80"] = target = Socket()
    world.alice.start(Inlet(route("ae outlet"), world.alice.node.peer_of(route("ae"))))
    world.forget()
    client = world.alice.connect_client(local("inlet"))
    world.alice.write(client, b"hello")
    world.net.run()
    world.bob.write(target, b"world")
    world.net.run()
    assert (bytes(target.received), bytes(client.received)) == (b"hello", b"world")
    # every packet, whatever is in it, goes past the relay with the same routes
    assert set(carried(world.net)) == {
        Carried("alice", "hub", route("hb bd"), ()),
        Carried("hub", "bob", route("bd"), route("ha")),
        Carried("bob", "hub", route("ha ad"), ()),
        Carried("hub", "alice", route("ad"), route("hb")),
    }
    # inside: Ping, Pong, and Payload each way
    assert world.alice.trace[0] == Delivery(route("ae outlet"), route("I"))
    assert Delivery(route("outlet"), route("be I")) in world.bob.trace
    assert Delivery(route("be I"), route("O")) in world.bob.trace
    assert Delivery(route("I"), route("ae O")) in world.alice.trace
    assert Delivery(route("ae O"), route("I")) in world.alice.trace
    assert Delivery(route("O"), route("be I")) in world.bob.trace


@pytest.mark.spec("RL-14", "RL-47")
def test_a_hub_that_leaves_the_owners_address_in_front() -> None:
    """The column of the Elixir hub: its relay stores the whole way, and the client takes its address off."""
    world = World()
    world.register()
    world.bob.start(Application((Mailbox(local("L")),), ("C_bob",)))
    at_hub = world.hub.start(Application((Mailbox(local("elixir relay")),)))
    world.hub.send(at_hub, LocalMessage(route("hb r L"), route("ha ad"), b"M1"))
    world.net.run()
    assert world.bob.trace[-2:] == [
        Delivery(route("r L"), route("bt ha ad")),
        Delivery(route("L"), route("bt ha ad")),
    ]
    assert [bytes(message.payload) for message in world.bob.delivered] == [b"M1"]
