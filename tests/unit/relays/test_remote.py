"""The client of a relay service: its registration, what passes through it, its end."""

import pytest

from ockam_ref.effects import (
    AddConsumerOfProducer,
    CancelTimer,
    Forward,
    JoinProducer,
    Report,
    SetTimer,
    StopWorker,
    Watch,
)
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import AddressGone, StopRequested, TimerFired
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.machine import Mailbox
from ockam_ref.node import Node
from ockam_ref.observations import MessageDropped, RelayFailed, RelayReady
from ockam_ref.relays.names import MAX_NAME_BYTES
from ockam_ref.relays.remote import (
    CONFIRMATION_TIMEOUT_S,
    Gone,
    Registered,
    Registering,
    RemoteRelay,
    receive,
    start,
)
from ockam_ref.relays.service import RelayService
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowAsProducer
from ockam_ref.testing.memory_host import MemoryNetwork
from ockam_ref.wire.address import TCP, Address, local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import NOW, fresh, links, names, observed, payloads, received, reported, route, rules

R, INTERNAL, BT = local("r"), local("internal"), local("bt")
STATIC = Registering(R, INTERNAL, "bob", BT)
EPHEMERAL = Registering(R, INTERNAL, None, BT)
REGISTERED = Registered(R, INTERNAL, BT)


# ---- the registration


@pytest.mark.spec("RL-40", "RL-44", "RL-46")
def test_a_static_registration() -> None:
    worker = start(RemoteRelay(route("bt static_forwarding_service"), "bob", 5.0), fresh("r", "internal"))
    assert worker.mailboxes == (Mailbox(R, ALLOW_ALL, ALLOW_ALL), Mailbox(INTERNAL, DENY_ALL, AllowAsProducer()))
    assert worker.state == STATIC
    assert worker.effects == (
        AddConsumerOfProducer(R, BT),
        JoinProducer(INTERNAL, BT),
        SetTimer("confirmation", NOW.monotonic + 5.0),
        Watch(BT),
        Forward(R, LocalMessage(route("bt static_forwarding_service"), (R,), bytes.fromhex("03626f62"))),
    )


@pytest.mark.spec("RL-40", "RL-45")
def test_an_ephemeral_registration() -> None:
    worker = start(RemoteRelay(route("bt forwarding_service")), fresh("r", "internal"))
    assert worker.state == EPHEMERAL
    sent = LocalMessage(route("bt forwarding_service"), (R,), bytes.fromhex("087265676973746572"))
    assert worker.effects[-1] == Forward(R, sent)
    assert worker.effects[2] == SetTimer("confirmation", NOW.monotonic + CONFIRMATION_TIMEOUT_S)
    assert CONFIRMATION_TIMEOUT_S == 30.0


@pytest.mark.parametrize("name", ["", "register", "a#b", "b" * (MAX_NAME_BYTES + 1)])
@pytest.mark.spec("RL-41")
def test_a_name_that_no_relay_can_have_is_misuse(name: str) -> None:
    with pytest.raises(MisuseError) as caught:
        start(RemoteRelay(route("bt service"), name), fresh("r", "internal"))
    assert caught.value.code is ErrorCode.BAD_NAME


@pytest.mark.spec("RL-41")
def test_a_name_that_is_no_unicode_is_misuse() -> None:
    with pytest.raises(MisuseError):
        start(RemoteRelay(route("bt service"), "\ud800"), fresh("r", "internal"))


@pytest.mark.spec("RL-41")
def test_a_route_to_nowhere_is_misuse() -> None:
    with pytest.raises(MisuseError) as caught:
        start(RemoteRelay((), "bob"), fresh("r", "internal"))
    assert caught.value.code is ErrorCode.INCOMPLETE_ROUTE


# ---- the confirmation


@pytest.mark.parametrize("text", ["bob", "forward_to_bob", "any_prefix.bob"])
@pytest.mark.spec("RL-42")
def test_a_confirmation_with_or_without_prefix(text: str) -> None:
    event = received("r", "bt forward_to_bob", encode_body(text))
    state, effects = receive(STATIC, event)
    assert state == REGISTERED
    assert effects == (
        CancelTimer("confirmation"),
        Report(RelayReady(R, local("forward_to_bob"), route("bt forward_to_bob"))),
    )


@pytest.mark.parametrize("text", ["register", "FWD_0123456789abcdef", ""])
@pytest.mark.spec("RL-42")
def test_any_text_confirms_an_ephemeral_registration(text: str) -> None:
    state, effects = receive(EPHEMERAL, received("r", "bt FWD_0123456789abcdef", encode_body(text)))
    assert state == REGISTERED
    (ready,) = reported(effects, RelayReady)
    assert ready.remote_address == local("FWD_0123456789abcdef")


@pytest.mark.parametrize(
    ("back", "payload"),
    [
        ("bt forward_to_bob", encode_body("bo")),
        ("bt forward_to_bob", encode_body("bob_")),
        ("bt forward_to_bob", b""),
        ("bt forward_to_bob", b"\x05bob"),
        ("bt forward_to_bob", b"\x02\xc3\x28"),
        ("", encode_body("bob")),
    ],
)
@pytest.mark.spec("RL-43")
def test_another_confirmation_is_a_drop(back: str, payload: bytes) -> None:
    state, effects = receive(STATIC, received("r", back, payload))
    assert rules(effects) == ["bad-confirmation"]
    assert state is STATIC


@pytest.mark.spec("RL-43")
def test_a_relay_address_of_another_node_is_a_drop() -> None:
    event = received("r", "bt", encode_body("bob"))
    event = event._replace(message=event.message._replace(return_route=(BT, Address(TCP, b"hub:4000"))))
    state, effects = receive(STATIC, event)
    assert rules(effects) == ["bad-confirmation"]
    assert state is STATIC


@pytest.mark.spec("RL-43")
def test_a_second_confirmation_is_ignored() -> None:
    event = received("r", "bt other", encode_body("bob"))
    assert receive(REGISTERED, event) == (REGISTERED, ())


# ---- messages


@pytest.mark.parametrize("state", [STATIC, EPHEMERAL, REGISTERED])
@pytest.mark.spec("RL-47")
def test_a_message_with_our_address_in_front_is_passed_on(state: Registering | Registered) -> None:
    event = received("r L more", "bt ha ad", b"payload")
    same, effects = receive(state, event)
    assert effects == (Forward(INTERNAL, LocalMessage(route("L more"), route("bt ha ad"), b"payload")),)
    assert same is state


@pytest.mark.spec("RL-47")
def test_a_message_that_comes_back_to_us_is_a_drop() -> None:
    state, effects = receive(REGISTERED, received("r r L", "bt"))
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.rule, dropped.onward_route) == ("route-loop", route("r r L"))
    assert state is REGISTERED


# ---- the end


@pytest.mark.parametrize("event", [TimerFired("confirmation", NOW), AddressGone(BT, NOW)])
@pytest.mark.spec("RL-45", "RL-48")
def test_a_registration_fails(event: TimerFired | AddressGone) -> None:
    state, effects = receive(STATIC, event)
    (failed,) = reported(effects, RelayFailed)
    assert failed.worker == R
    assert effects == (Report(failed), StopWorker(R, failed.reason))
    assert state == Gone()


@pytest.mark.spec("RL-48")
def test_a_registered_client_fails_with_its_link_only() -> None:
    assert receive(REGISTERED, TimerFired("confirmation", NOW)) == (REGISTERED, ())
    state, effects = receive(REGISTERED, AddressGone(BT, NOW))
    (failed,) = reported(effects, RelayFailed)
    assert failed.reason == "the link to the hub is gone"
    assert state == Gone()


@pytest.mark.spec("RL-48")
def test_a_stopped_client() -> None:
    assert receive(STATIC, StopRequested("enough", NOW)) == (Gone(), (Report(RelayFailed(R, "enough")),))
    assert receive(REGISTERED, StopRequested("enough", NOW)) == (Gone(), ())
    assert receive(Gone(), received("r L", "bt")) == (Gone(), ())


# ---- inside nodes


class World:
    """A hub and Bob's node; the client of the relay service runs at Bob's."""

    def __init__(self, *, with_service: bool = True) -> None:
        self.net = MemoryNetwork(6)
        self.hub, self.bob = self.net.host("hub"), self.net.host("bob")
        listener = self.hub.start(LinkListener("S"))
        if with_service:
            self.hub.start(RelayService(local("service"), (), "forward_to_", ("S",), ("S",)))
        self.bt = self.net.connect(self.bob, self.hub, listener)

    def relay(self, name: str | None = "bob") -> Address:
        client = self.bob.start(RemoteRelay((self.bt, local("service")), name))
        self.net.run()
        return client


@pytest.mark.spec("RL-42")
def test_ready() -> None:
    world = World()
    client = world.relay()
    assert observed(world.bob, RelayReady) == [
        RelayReady(client, local("forward_to_bob"), (world.bt, local("forward_to_bob")))
    ]
    world.net.advance(1000.0)
    assert observed(world.bob, RelayFailed) == []
    assert world.bob.timers == {}


@pytest.mark.spec("RL-45")
def test_a_hub_that_does_not_answer() -> None:
    world = World(with_service=False)
    client = world.relay()
    world.net.advance(CONFIRMATION_TIMEOUT_S - 0.1)
    assert observed(world.bob, RelayFailed) == []
    world.net.advance(0.2)
    (failed,) = observed(world.bob, RelayFailed)
    assert failed == RelayFailed(client, "the hub did not confirm the registration in time")
    assert client not in world.bob.node


@pytest.mark.spec("RL-48")
def test_the_end_of_the_link_is_the_end_of_the_client() -> None:
    world = World()
    client = world.relay()
    world.bob.stop(world.bt)
    world.net.run()
    assert observed(world.bob, RelayFailed) == [RelayFailed(client, "the link to the hub is gone")]
    assert client not in world.bob.node
    registry = world.bob.node.flow_controls
    assert (registry.consumers, registry.producers) == ({}, {})


@pytest.mark.spec("RL-46", "RT-37")
def test_what_comes_through_the_hub_reaches_consumers_of_the_link_only() -> None:
    """A hub that leaves our address in front must not get further than one that does not."""
    world = World()
    client = world.relay()
    at_hub = world.hub.start(Application((Mailbox(local("hub app")),)))
    (link,) = links(world.hub.node)
    producer = world.bob.node.flow_controls.find_producer(world.bt)
    assert producer is not None
    world.bob.start(Application((Mailbox(local("open")),), (producer.flow_control_id,)))
    world.bob.start(Application((Mailbox(local("closed")),)))
    for target in ("open", "closed"):
        world.hub.send(at_hub, LocalMessage((link, client, local(target)), (at_hub,), target.encode()))
    world.net.run()
    assert payloads(world.bob.delivered) == [b"open"]
    assert [dropped.rule for dropped in world.bob.node.drops] == ["outgoing:flow-control"]


@pytest.mark.spec("RL-46")
def test_a_hub_on_this_node_is_not_restricted() -> None:
    host = MemoryNetwork(7).host("alone")
    host.start(RelayService(local("service")))
    host.start(Echo(local("echo")))
    app = host.start(Application((Mailbox(local("app")),)))
    host.start(RemoteRelay((local("service"),), "me"))
    (ready,) = observed(host, RelayReady)
    assert ready.remote_address == local("me")
    host.send(app, LocalMessage((ready.remote_address, ready.worker, local("echo")), (app,), b"text"))
    assert payloads(host.delivered) == [b"text"]


@pytest.mark.spec("RL-46")
def test_both_addresses_join_the_flow_control_of_the_link() -> None:
    node = Node(entropy=names("r", "internal"))
    node.flow_controls.add_producer(local("rx"), "C", "S", (BT,))
    node.start(Application((Mailbox(BT),)), NOW)
    node.start(RemoteRelay((BT, local("service"))), NOW)
    assert node.flow_controls.consumers == {"C": {R}}
    assert node.flow_controls.producers[INTERNAL] == ("C", None)
    assert node.state_of(R) == EPHEMERAL
