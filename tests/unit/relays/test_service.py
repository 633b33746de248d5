"""The relay service: which registrations it takes, on its own and inside a hub."""

import pytest

from ockam_ref.effects import AddConsumer, CheckAccess, Effects, IfTaken, StartWorker
from ockam_ref.events import AccessChecked, BytesReceived, ChildSettled, ChildStarted
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.node_link import LinkState
from ockam_ref.machine import Mailbox
from ockam_ref.node import Node
from ockam_ref.observations import MessageDropped, RelayRegistered, RelayRemoved
from ockam_ref.relays.names import MAX_NAME_BYTES, NO_NAMES, Holding, hold
from ockam_ref.relays.relay import Relay
from ockam_ref.relays.service import (
    MAX_FORWARD_ROUTE_BYTES,
    MAX_RELAYS,
    RelayService,
    Serving,
    receive,
    start,
)
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.nodes import NOW, fresh, links, observed, received, reported, route

CONFIG = RelayService(local("service"), route("alias"), "forward_to_", ("S",), ("T",))
SERVING = Serving(CONFIG)


def register(name: str | bytes, back: str = "hb r", state: Serving = SERVING) -> tuple[Serving, Effects]:
    """Hand in a registration; if the service asks whether it may be, nothing speaks against it."""
    payload = encode_body(name) if isinstance(name, str) else name
    after, effects = receive(state, received("service", back, payload))
    if isinstance(effects[0], CheckAccess):
        assert (after, len(effects), effects[0].control) == (state, 1, ALLOW_ALL)
        return receive(after, AccessChecked(None, effects[0].about, NOW))
    return after, effects


def refused(name: str | bytes, back: str = "hb r", state: Serving = SERVING) -> str:
    after, effects = register(name, back, state)
    (dropped,) = reported(effects, MessageDropped)
    assert len(effects) == 1
    assert after is state
    assert dropped.return_route == route(back)
    return dropped.rule


# ---- the machine


@pytest.mark.spec("RL-1", "RL-30")
def test_a_service_has_an_address_and_aliases() -> None:
    worker = start(CONFIG, fresh())
    assert worker.mailboxes == (
        Mailbox(local("service"), ALLOW_ALL, ALLOW_ALL),
        Mailbox(local("alias"), ALLOW_ALL, DENY_ALL),
    )
    assert worker.effects == (AddConsumer(local("service"), "S"), AddConsumer(local("alias"), "S"))


@pytest.mark.spec("RL-2", "RL-5")
def test_a_name_becomes_a_relay_of_that_name() -> None:
    claim = Holding(None, local("hb"))
    relay = Relay(local("service"), local("forward_to_bob"), "forward_to_", route("hb r"), ("T",), claim)
    state, effects = register("bob")
    assert effects == (StartWorker(relay, if_taken=IfTaken.REPLACE),)
    assert (state.config, state.relays) == (CONFIG, 0)


@pytest.mark.spec("RL-2")
def test_register_asks_for_a_random_name() -> None:
    payload = bytes.fromhex("087265676973746572")
    relay = Relay(local("service"), None, "forward_to_", route("hb r"), ("T",), Holding(None, local("hb")))
    assert register(payload) == (SERVING, (StartWorker(relay),))


@pytest.mark.spec("RL-1")
def test_bytes_after_the_name_are_ignored() -> None:
    _, (started,) = register(encode_body("bob") + b"more")
    assert isinstance(started, StartWorker)
    assert started.config.address == local("forward_to_bob")


@pytest.mark.parametrize("payload", [b"", b"\x05abc", b"\x02\xc3\x28", b"\xff" * 11])
@pytest.mark.spec("RL-6")
def test_what_is_no_text_is_a_drop(payload: bytes) -> None:
    assert refused(payload) == "bad-registration"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "#",
        "1#bob",
        "bob#",
        "b" * (MAX_NAME_BYTES + 1),
        "ä" * 128,
        " bob",
        "bob ",
        "b\u200bob",
        "bob\u202e",
        "bo\u00adb",
        "b\x1bob",
        "\x00",
        "bob\n",
    ],
)
@pytest.mark.spec("RL-6")
def test_bad_names_are_drops(name: str) -> None:
    assert refused(name) == "bad-name"


@pytest.mark.parametrize("name", ["b", "b" * MAX_NAME_BYTES, "ä" * 127, "with space", "Register"])
@pytest.mark.spec("RL-6")
def test_any_other_name_is_good(name: str) -> None:
    _, (started,) = register(name)
    assert isinstance(started, StartWorker)
    assert started.config.address == local("forward_to_" + name)


@pytest.mark.parametrize("name", ["bob", "register"])
@pytest.mark.spec("RL-6")
def test_a_registration_needs_a_way_back(name: str) -> None:
    assert refused(name, "") == "incomplete-route"


@pytest.mark.parametrize("name", ["bob", "register"])
@pytest.mark.spec("RL-7")
def test_the_way_to_an_owner_is_bounded(name: str) -> None:
    longest = " ".join(["h" * 32] * (MAX_FORWARD_ROUTE_BYTES // 32))
    assert isinstance(register(name, longest)[1][0], StartWorker)
    assert refused(name, longest + " r") == "route-too-long"


@pytest.mark.parametrize("name", ["bob", "register"])
@pytest.mark.spec("RL-7")
def test_the_relays_of_a_service_are_bounded(name: str) -> None:
    assert isinstance(register(name, state=Serving(CONFIG, MAX_RELAYS - 1))[1][0], StartWorker)
    assert refused(name, state=Serving(CONFIG, MAX_RELAYS)) == "relay-limit"


@pytest.mark.spec("RL-7")
def test_a_service_counts_its_relays() -> None:
    claim = Holding(None, local("hb"))
    state, effects = receive(SERVING, ChildStarted(local("forward_to_bob"), NOW, claim))
    assert (state, effects) == (Serving(CONFIG, 1, hold(NO_NAMES, local("forward_to_bob"), claim)), ())
    assert receive(state, ChildSettled(local("forward_to_bob"), NOW)) == (SERVING, ())


# ---- inside a hub


class Hub:
    """A hub, and clients that register by hand."""

    def __init__(self, prefix: str = "forward_to_") -> None:
        self.net = MemoryNetwork(4)
        self.host = self.net.host("hub")
        self.listener = self.host.start(LinkListener("S"))
        self.service = local("static_forwarding_service")
        self.host.start(RelayService(local("forwarding_service"), (self.service,), prefix, ("S",), ("S",)))

    def client(self, name: str) -> "Client":
        return Client(self, name)

    def state(self) -> Serving:
        state = self.host.node.state_of(self.service)
        assert isinstance(state, Serving)
        return state

    def rules(self) -> list[str]:
        return [dropped.rule for dropped in self.host.node.drops]


class Client:
    """A node with one connection to the hub and an application that the connection may reach."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub = hub
        self.host: MemoryHost = hub.net.host(name)
        self.hop = hub.net.connect(self.host, hub.host, hub.listener)
        self.at_hub = links(hub.host.node)[-1]
        self.me = self.host.start(Application((Mailbox(local("me")),)))
        self.host.node.flow_controls.add_consumer_of_producer(self.me, self.hop)

    def send(self, onward: str, payload: bytes = b"") -> None:
        self.host.send(self.me, LocalMessage((self.hop, *route(onward)), (self.me,), payload))
        self.hub.net.run()

    def register(self, name: str) -> None:
        self.send("static_forwarding_service", encode_body(name))

    def texts(self) -> list[bytes]:
        return [bytes(message.payload) for message in self.host.delivered]

    def ways_back(self) -> list[Route]:
        return [message.return_route for message in self.host.delivered]


@pytest.mark.spec("RL-3", "RL-11")
def test_a_message_to_a_relay_reaches_its_owners_node() -> None:
    hub = Hub()
    bob, alice = hub.client("bob"), hub.client("alice")
    bob.register("bob")
    assert (bob.texts(), bob.ways_back()) == ([encode_body("forward_to_bob")], [(bob.hop, local("forward_to_bob"))])
    alice.send("forward_to_bob me", b"hello")
    assert bob.texts()[1:] == [b"hello"]
    assert bob.ways_back()[1] == (bob.hop, alice.at_hub, alice.me)


@pytest.mark.spec("RL-2")
def test_random_names_differ() -> None:
    hub = Hub("")
    bob = hub.client("bob")
    bob.send("forwarding_service", bytes.fromhex("087265676973746572"))
    bob.send("static_forwarding_service", bytes.fromhex("087265676973746572"))
    one, two = (route_back[-1] for route_back in bob.ways_back())
    assert one != two
    for name, text in zip((one, two), bob.texts(), strict=True):
        assert text == b"\x20" + name.value
        assert bytes.fromhex(name.value.decode())
    alice = hub.client("alice")
    alice.send(f"{two.value.decode()} me", b"hello")
    assert bob.texts()[-1] == b"hello"


@pytest.mark.spec("RL-5")
def test_registering_again_replaces_the_way() -> None:
    hub = Hub()
    first, second, alice = hub.client("first"), hub.client("second"), hub.client("alice")
    first.register("bob")
    second.register("bob")
    assert second.texts() == [encode_body("forward_to_bob")]
    alice.send("forward_to_bob me", b"hello")
    assert (first.texts()[1:], second.texts()[1:]) == ([], [b"hello"])
    assert [
        (type(seen), seen.name) for seen in hub.host.observations if isinstance(seen, RelayRegistered | RelayRemoved)
    ] == [
        (RelayRegistered, "forward_to_bob"),
        (RelayRemoved, "forward_to_bob"),
        (RelayRegistered, "forward_to_bob"),
    ]
    assert hub.state().relays == 1
    first.host.stop(first.hop)  # the end of the first owner's link is nothing to the second's relay
    hub.net.run()
    alice.send("forward_to_bob me", b"again")
    assert second.texts()[2:] == [b"again"]


@pytest.mark.spec("RL-20")
def test_a_name_is_free_when_its_owners_link_dies() -> None:
    hub = Hub()
    bob, alice = hub.client("bob"), hub.client("alice")
    bob.register("bob")
    bob.register("other")
    bob.host.stop(bob.hop)
    hub.net.run()
    assert local("forward_to_bob") not in hub.host.node
    assert [seen.reason for seen in observed(hub.host, RelayRemoved)] == ["the link of its owner is gone"] * 2
    assert hub.state().relays == 0
    alice.send("forward_to_bob me", b"hello")
    assert hub.rules() == ["unknown-address"]
    again = hub.client("bob again")
    again.register("bob")
    alice.send("forward_to_bob me", b"hello")
    assert again.texts()[1:] == [b"hello"]


@pytest.mark.spec("RL-8")
def test_the_name_of_another_worker_cannot_be_taken() -> None:
    hub = Hub("")
    bob, alice = hub.client("bob"), hub.client("alice")
    hub.host.start(Echo(local("echo"), ("S",)))
    for name in ("echo", "static_forwarding_service", alice.at_hub.value.decode()):
        bob.register(name)
    assert bob.texts() == []
    assert hub.rules() == ["address-taken"] * 3
    assert hub.state().relays == 0
    alice.send("echo", b"still mine")
    assert alice.texts() == [b"still mine"]


@pytest.mark.spec("RL-7")
def test_a_hub_keeps_working_when_it_has_all_the_relays_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ockam_ref.relays.service.MAX_RELAYS", 3)
    hub = Hub()
    bob, mallory = hub.client("bob"), hub.client("mallory")
    bob.register("bob")
    for number in range(5):
        mallory.register(f"m{number}")
    assert hub.rules() == ["relay-limit"] * 3
    mallory.send("forward_to_bob me", b"hello")
    assert bob.texts()[1:] == [b"hello"]
    mallory.host.stop(mallory.hop)
    hub.net.run()
    bob.register("second")
    assert hub.state().relays == 2


@pytest.mark.spec("RL-12", "RT-38")
def test_a_relay_opens_the_two_links_to_each_other_and_to_nobody_else() -> None:
    hub = Hub()
    bob, alice, eve = hub.client("bob"), hub.client("alice"), hub.client("eve")
    bob.register("bob")
    consumers = hub.host.node.flow_controls.consumers
    assert set(consumers) == {"S"}
    alice.send("forward_to_bob me", b"hello")
    producers = {
        client.host.name: hub.host.node.flow_controls.find_producer(client.at_hub) for client in (bob, alice, eve)
    }
    ids = {name: producer.flow_control_id for name, producer in producers.items() if producer is not None}
    assert consumers == {"S": consumers["S"], ids["bob"]: {alice.at_hub}, ids["alice"]: {bob.at_hub}}
    assert local("forward_to_bob") in consumers["S"]
    # now they talk past the relay; eve does not
    alice.send(f"{bob.at_hub.value.decode()} me", b"direct")
    bob.send(f"{alice.at_hub.value.decode()} me", b"answer")
    eve.send(f"{bob.at_hub.value.decode()} me", b"intruder")
    bob.send(f"{eve.at_hub.value.decode()} me", b"unasked")
    assert (bob.texts()[1:], alice.texts(), eve.texts()) == ([b"hello", b"direct"], [b"answer"], [])
    assert hub.rules() == ["outgoing:flow-control"] * 2


@pytest.mark.spec("RL-12")
def test_what_a_relay_opened_is_closed_with_the_link() -> None:
    hub = Hub()
    bob, alice = hub.client("bob"), hub.client("alice")
    bob.register("bob")
    alice.send("forward_to_bob me", b"hello")
    bob.host.stop(bob.hop)
    hub.net.run()
    assert set(hub.host.node.flow_controls.consumers) == {"S"}


@pytest.mark.spec("RL-10")
def test_a_relay_sends_nowhere_but_to_its_owners_link() -> None:
    hub = Hub()
    bob, alice = hub.client("bob"), hub.client("alice")
    bob.register("bob")
    relay = local("forward_to_bob")
    hub.host.send(relay, LocalMessage((alice.at_hub, alice.me), (), b""))
    assert hub.rules() == ["outgoing:allow-onward"]


@pytest.mark.spec("RL-20")
def test_a_registration_whose_way_back_is_gone_leaves_no_relay() -> None:
    """The frame behind it breaks the connection before the service has read the registration."""
    hub = Hub()
    bob = hub.client("bob")
    state = hub.host.node.state_of(bob.at_hub)
    assert isinstance(state, LinkState)
    body = bytes.fromhex("848182005819") + b"static_forwarding_service" + bytes.fromhex("81820041724403626f62627b7d")
    data = len(body).to_bytes(4, "big") + body + b"\x00\x00\x00\x01\xff"
    hub.host.feed(BytesReceived(state.link, data, hub.net.now))
    assert [type(seen) for seen in hub.host.observations if isinstance(seen, RelayRegistered | RelayRemoved)] == [
        RelayRegistered,
        RelayRemoved,
    ]
    assert local("forward_to_bob") not in hub.host.node
    assert hub.state().relays == 0
    assert hub.rules() == ["unknown-address"]


@pytest.mark.spec("RL-4")
def test_an_owner_on_the_hub_itself() -> None:
    hub = Hub()
    alice = hub.client("alice")
    me = hub.host.start(Application((Mailbox(local("owner")),)))
    hub.host.send(me, LocalMessage((hub.service,), (me,), encode_body("here")))
    (confirmation,) = hub.host.delivered
    assert confirmation.return_route == route("forward_to_here")
    alice.send("forward_to_here owner", b"hello")
    assert bytes(hub.host.delivered[1].payload) == b"hello"
    hub.host.stop(me)
    assert local("forward_to_here") not in hub.host.node


def _no_entropy(size: int) -> bytes:
    raise AssertionError(size)


@pytest.mark.spec("RL-1")
def test_a_service_draws_nothing() -> None:
    address, _ = Node(entropy=_no_entropy).start(RelayService(Address(0, b"s")), NOW)
    assert address == local("s")
