"""Attackers at a hub: they squat, steal, flood and look alike, and owners that lose what gave them their name."""

import pytest

from ockam_ref.effects import Guard
from ockam_ref.machine import Mailbox
from ockam_ref.observations import RelayFailed, RelayRemoved
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.policies.subjects import Vouched
from ockam_ref.relays.names import MAX_NAMES_PER_OWNER, RESERVED_S, Holding
from ockam_ref.relays.refusal import MAX_REASON_CHARACTERS, encode_refusal, read_refusal
from ockam_ref.relays.relay import Relay, start
from ockam_ref.relays.remote import Gone, Registering, receive
from ockam_ref.relays.service import RelayService, Serving, control_for
from ockam_ref.routing.access_control import ALLOW_ALL, AllowByPolicy
from ockam_ref.testing.memory_host import MemoryNetwork
from ockam_ref.wire.address import local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalMessage, channel_local_info
from ockam_ref.workers.application import Application
from tests.unit.nodes import fresh, observed, received, reported, route

ALICE, MALLORY, AUTHORITY = b"a" * 32, b"m" * 32, b"t" * 32
SERVICE = local("forwarding_service")


class Hub:
    """A hub; owners are workers of its own whose messages come, as it seems, through secure channels."""

    def __init__(self, policy: str | None = None, authority: bytes | None = None) -> None:
        self.net = MemoryNetwork(5)
        self.host = self.net.host("hub")
        rule = None if policy is None else parse_policy(policy)
        self.host.start(RelayService(SERVICE, (), "forward_to_", policy=rule, authority=authority))

    def owner(self, name: str, identity: bytes | None) -> "Owner":
        return Owner(self, name, identity)

    def vouch(self, subject: bytes, *, lives: int = 3600, **attributes: str) -> None:
        pairs = tuple(sorted((key.replace("_", "-").encode(), value.encode()) for key, value in attributes.items()))
        now = self.net.now.unix
        self.host.node.attributes.store(subject, AUTHORITY, Vouched(pairs, now, now + lives))

    def rules(self) -> list[str]:
        return [dropped.rule for dropped in self.host.node.drops]

    def state(self) -> Serving:
        state = self.host.node.state_of(SERVICE)
        assert isinstance(state, Serving)
        return state


class Owner:
    def __init__(self, hub: Hub, name: str, identity: bytes | None) -> None:
        self.hub = hub
        self.me = hub.host.start(Application((Mailbox(local(name)),)))
        self.info = () if identity is None else (channel_local_info(identity),)

    def register(self, name: str) -> None:
        message = LocalMessage((SERVICE,), (self.me,), encode_body(name), self.info)
        self.hub.host.send(self.me, message)
        self.hub.net.run()

    def got(self) -> list[LocalMessage]:
        return [message for message in self.hub.host.delivered if message.onward_route == (self.me,)]

    def names(self) -> list[str]:
        """The names that were confirmed."""
        return [str(message.return_route[-1])[2:] for message in self.got() if message.return_route[-1] != SERVICE]

    def refusals(self) -> list[str | None]:
        return [read_refusal(message.payload) for message in self.got() if message.return_route[-1] == SERVICE]

    def leave(self) -> None:
        self.hub.host.stop(self.me)
        self.hub.net.run()


# ---- stealing


@pytest.mark.spec("RL-5")
@pytest.mark.parametrize("thief", [MALLORY, None])
def test_nobody_steals_the_name_of_an_identity(thief: bytes | None) -> None:
    hub = Hub()
    alice, mallory = hub.owner("alice", ALICE), hub.owner("mallory", thief)
    alice.register("bob")
    mallory.register("bob")
    assert (alice.names(), mallory.names()) == (["forward_to_bob"], [])
    assert mallory.refusals() == ["the name belongs to another identity"]
    assert hub.rules() == ["name-taken"]
    again = hub.owner("alice at another place", ALICE)
    again.register("bob")
    assert again.names() == ["forward_to_bob"]
    assert hub.state().relays == 1


@pytest.mark.spec("RL-5")
def test_a_random_name_cannot_be_stolen_either() -> None:
    """It is known to all who use it."""
    hub = Hub()
    alice, mallory = hub.owner("alice", ALICE), hub.owner("mallory", MALLORY)
    alice.register("register")
    (name,) = alice.names()
    mallory.register(name.removeprefix("forward_to_"))
    assert (mallory.names(), hub.rules()) == ([], ["name-taken"])


@pytest.mark.spec("RL-5")
def test_two_registrations_at_once_have_one_winner() -> None:
    """The second is read before the first one's relay has said that it lives."""
    hub = Hub()
    alice, mallory = hub.owner("alice", ALICE), hub.owner("mallory", MALLORY)
    node = hub.host.node
    original = node._run
    node._run = list  # type: ignore[method-assign]  # both wait in the queue
    for owner in (alice, mallory):
        hub.host.send(owner.me, LocalMessage((SERVICE,), (owner.me,), encode_body("bob"), owner.info))
    node._run = original  # type: ignore[method-assign]
    alice.register("other")
    assert (alice.names(), mallory.names()) == (["forward_to_bob", "forward_to_other"], [])


@pytest.mark.spec("RL-9")
def test_a_name_waits_for_its_owner() -> None:
    hub = Hub()
    alice, mallory = hub.owner("alice", ALICE), hub.owner("mallory", MALLORY)
    alice.register("bob")
    alice.leave()
    assert hub.state().relays == 0
    mallory.register("bob")
    assert hub.rules() == ["name-taken"]
    back = hub.owner("alice again", ALICE)
    back.register("bob")
    assert back.names() == ["forward_to_bob"]
    back.leave()
    hub.net.advance(RESERVED_S)
    mallory.register("bob")
    assert mallory.names() == ["forward_to_bob"]


# ---- squatting


@pytest.mark.spec("RL-15")
def test_with_an_authority_a_name_is_for_whom_it_names() -> None:
    hub = Hub(authority=AUTHORITY)
    hub.vouch(ALICE, ockam_relay="bob")
    hub.vouch(MALLORY, ockam_relay="mallory")
    alice, mallory, stranger = hub.owner("a", ALICE), hub.owner("m", MALLORY), hub.owner("s", b"s" * 32)
    nobody = hub.owner("n", None)
    for owner in (mallory, stranger, nobody):
        owner.register("bob")
        assert owner.refusals() == ["the rules of this hub do not give it to you"]
        owner.register("register")
    alice.register("register")
    alice.register("*")
    alice.register("bob")
    assert alice.names() == ["forward_to_bob"]
    assert [owner.names() for owner in (mallory, stranger, nobody)] == [[], [], []]
    assert set(hub.rules()) == {"any-of"}
    mallory.register("mallory")
    assert mallory.names() == ["forward_to_mallory"]


@pytest.mark.spec("RL-15")
def test_an_authority_can_allow_every_name() -> None:
    hub = Hub(authority=AUTHORITY)
    hub.vouch(ALICE, ockam_relay="*")
    alice = hub.owner("alice", ALICE)
    for name in ("bob", "register", "*"):
        alice.register(name)
    assert alice.names()[::2] == ["forward_to_bob", "forward_to_*"]
    assert len(alice.names()) == 3


@pytest.mark.spec("RL-16")
def test_a_policy_knows_the_name() -> None:
    hub = Hub('(or (= subject.role "admin") (= relay.name subject.team))', AUTHORITY)
    hub.vouch(ALICE, role="worker", team="bob")
    alice, mallory = hub.owner("alice", ALICE), hub.owner("mallory", MALLORY)
    for owner in (alice, mallory):
        owner.register("bob")
        owner.register("other")
    assert (alice.names(), mallory.names()) == (["forward_to_bob"], [])
    assert hub.rules() == ["policy"] * 3
    hub.vouch(ALICE, role="admin")
    alice.register("register")
    assert len(alice.names()) == 2


@pytest.mark.spec("RL-16")
def test_a_policy_may_be_that_of_a_resource() -> None:
    service = Resource("forwarding_service", ResourceType.RELAY)
    config = RelayService(SERVICE, policy=service, authority=AUTHORITY)
    assert control_for(config, "bob") == AllowByPolicy(service, AUTHORITY, (("relay.name", "bob"),))


@pytest.mark.spec("RL-17")
def test_an_owner_that_may_no_longer_loses_its_relay() -> None:
    hub = Hub(authority=AUTHORITY)
    hub.vouch(ALICE, ockam_relay="bob", lives=60)
    alice = hub.owner("alice", ALICE)
    alice.register("bob")
    assert local("forward_to_bob") in hub.host.node
    hub.net.advance(60)
    assert local("forward_to_bob") not in hub.host.node
    (removed,) = observed(hub.host, RelayRemoved)
    assert removed.reason == "the peer may not pass any more (any-of)"
    hub.vouch(ALICE, ockam_relay="*")
    alice.register("bob")
    hub.host.node.attributes.revoke(ALICE, AUTHORITY, hub.net.now.unix)
    hub.host.node.recheck(hub.net.now)
    assert local("forward_to_bob") not in hub.host.node


# ---- looking alike


@pytest.mark.spec("RL-6", "RL-15")
@pytest.mark.parametrize(
    "name", ["Bob", "BOB", "b\u043eb", "bob ", " bob", "bob\u200b", "bob\x00", "forward_to_bob", "bo\u0308b", "bob/"]
)
def test_names_that_look_alike_are_others_or_none(name: str) -> None:
    """Rights to a name are rights to its bytes."""
    hub = Hub(authority=AUTHORITY)
    hub.vouch(ALICE, ockam_relay="bob")
    hub.vouch(MALLORY, ockam_relay="*")
    alice, mallory = hub.owner("alice", ALICE), hub.owner("mallory", MALLORY)
    alice.register("bob")
    alice.register(name)
    mallory.register(name)
    assert alice.names() == ["forward_to_bob"]
    assert mallory.names() in ([], ["forward_to_" + name])


# ---- flooding


@pytest.mark.spec("RL-7")
@pytest.mark.parametrize("identity", [MALLORY, None])
def test_a_flood_of_one_owner_leaves_room_for_others(identity: bytes | None) -> None:
    hub = Hub()
    mallory, alice = hub.owner("mallory", identity), hub.owner("alice", ALICE)
    for number in range(MAX_NAMES_PER_OWNER + 10):
        mallory.register(f"m{number}")
    assert hub.state().relays == MAX_NAMES_PER_OWNER
    assert hub.rules() == ["name-limit"] * 10
    alice.register("bob")
    assert alice.names() == ["forward_to_bob"]


# ---- the parts by themselves


@pytest.mark.spec("RL-17")
def test_a_relay_sets_a_guard_where_there_is_a_rule() -> None:
    control = AllowByPolicy(parse_policy("a"), AUTHORITY)
    claim = Holding(ALICE, local("h"))
    config = Relay(SERVICE, local("n"), "", route("h r"), (), claim, control)
    assert start(config, fresh("unused")).effects[-1] == Guard(control, ALICE)
    open_to_all = Relay(SERVICE, local("n"), "", route("h r"), (), claim, ALLOW_ALL)
    assert not any(isinstance(effect, Guard) for effect in start(open_to_all, fresh("unused")).effects)


@pytest.mark.spec("RL-18")
def test_a_refusal_is_no_confirmation_to_anybody() -> None:
    payload = encode_refusal("bob")
    assert payload == b"\x00\x03bob"
    assert read_refusal(payload) == "bob"
    for other in (b"", b"\x00", b"\x03bob", b"\x00\x04bob", b"\xff", encode_body("forward_to_bob")):
        assert read_refusal(other) is None
    assert read_refusal(encode_refusal("\x1b[2J")) == "it does not say why"
    assert read_refusal(encode_refusal("long" * 1000)) == ("long" * 1000)[:MAX_REASON_CHARACTERS]


@pytest.mark.spec("RL-18")
def test_a_client_that_is_refused_says_so_at_once() -> None:
    state = Registering(local("r"), local("internal"), "bob", local("bt"))
    after, effects = receive(state, received("r", "bt service", encode_refusal("it is taken")))
    assert after == Gone()
    (failed,) = reported(effects, RelayFailed)
    assert failed.reason == "the hub refuses the name 'bob': it is taken"
    drawn = Registering(local("r"), local("internal"), None, local("bt"))
    after, effects = receive(drawn, received("r", "bt service", encode_refusal("it is taken")))
    assert after == Gone()
