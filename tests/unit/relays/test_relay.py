"""One relay, stepped by hand: the routes it writes, the flow controls it opens, its end."""

import pytest

from ockam_ref.effects import AddConsumer, AddConsumerOfProducer, Forward, Report, StopWorker, Tell, Watch
from ockam_ref.events import AddressGone, ChildSettled, ChildStarted, StopRequested
from ockam_ref.machine import Mailbox
from ockam_ref.observations import MessageDropped, RelayRegistered, RelayRemoved
from ockam_ref.relays.relay import Ended, Relay, Relaying, receive, start
from ockam_ref.routing.access_control import ALLOW_ALL, AllowOnward
from ockam_ref.wire.address import local
from ockam_ref.wire.body import encode_body
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from tests.unit.nodes import NOW, fresh, received, reported, route

SERVICE, BOB = local("service"), local("forward_to_bob")
RELAYING = Relaying(SERVICE, BOB, route("hb"))
HERE = Relaying(SERVICE, BOB, ())


@pytest.mark.spec("RL-3", "RL-4", "RL-10", "RL-30")
def test_a_relay_confirms_from_its_own_address_with_its_full_name() -> None:
    worker = start(Relay(SERVICE, BOB, "forward_to_", route("hb r"), ("X",)), fresh("unused"))
    assert worker.mailboxes == (Mailbox(BOB, ALLOW_ALL, AllowOnward(frozenset(route("hb")))),)
    assert worker.state == RELAYING
    assert worker.effects == (
        Tell(SERVICE, ChildStarted(BOB, NOW)),
        AddConsumer(BOB, "X"),
        Forward(BOB, LocalMessage(route("hb r"), (BOB,), encode_body("forward_to_bob"))),
        Report(RelayRegistered(BOB, "forward_to_bob")),
        Watch(local("hb")),
    )


@pytest.mark.spec("RL-2", "RL-3")
def test_a_relay_without_a_name_has_a_random_one_after_the_prefix() -> None:
    worker = start(Relay(SERVICE, None, "forward_to_", route("hb r")), fresh("f" * 32))
    assert worker.mailboxes[0].address == local("forward_to_" + "f" * 32)
    assert worker.effects[1] == Forward(
        local("forward_to_" + "f" * 32),
        LocalMessage(route("hb r"), route("forward_to_" + "f" * 32), encode_body("forward_to_" + "f" * 32)),
    )


@pytest.mark.spec("RL-4", "RL-10")
def test_a_relay_for_an_owner_on_this_node_keeps_no_way() -> None:
    worker = start(Relay(SERVICE, BOB, "", route("r")), fresh("unused"))
    assert worker.mailboxes == (Mailbox(BOB, ALLOW_ALL, ALLOW_ALL),)
    assert worker.state == HERE
    assert worker.effects[-1] == Watch(local("r"))


@pytest.mark.spec("RL-11", "RL-12")
def test_a_message_takes_the_stored_way_and_nothing_else_changes() -> None:
    event = received("forward_to_bob L more", "ha ad", b"payload")
    event = event._replace(message=event.message._replace(local_info=(LocalInfo("k", b"v"),), tracing_context="t"))
    state, effects = receive(RELAYING, event)
    passed_on = LocalMessage(route("hb L more"), route("ha ad"), b"payload", (LocalInfo("k", b"v"),), "t")
    assert effects == (
        AddConsumerOfProducer(local("ha"), producer=local("hb")),
        AddConsumerOfProducer(local("hb"), producer=local("ha")),
        Forward(BOB, passed_on),
    )
    assert state is RELAYING


@pytest.mark.spec("RL-11")
def test_a_long_way_is_kept_but_for_its_last_hop() -> None:
    worker = start(Relay(SERVICE, BOB, "", route("h1 h2 h3 r")), fresh("unused"))
    _, effects = receive(worker.state, received("forward_to_bob L"))
    assert effects == (Forward(BOB, LocalMessage(route("h1 h2 h3 L"), (), b"")),)


@pytest.mark.spec("RL-12")
def test_a_message_without_a_way_back_opens_nothing() -> None:
    _, effects = receive(RELAYING, received("forward_to_bob L", ""))
    assert effects == (Forward(BOB, LocalMessage(route("hb L"), (), b"")),)


@pytest.mark.spec("RL-13")
def test_a_message_that_ends_at_a_relay_of_this_node_is_a_drop() -> None:
    state, effects = receive(HERE, received("forward_to_bob", "ha ad"))
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.rule, dropped.onward_route) == ("incomplete-route", route("forward_to_bob"))
    assert state is HERE


@pytest.mark.spec("RL-13")
def test_a_message_that_ends_at_a_relay_goes_to_the_link_of_its_owner() -> None:
    """There it is a heartbeat: the peer's hub does the same (facts 05 trap 13)."""
    _, effects = receive(RELAYING, received("forward_to_bob", ""))
    assert effects == (Forward(BOB, LocalMessage(route("hb"), (), b"")),)


@pytest.mark.spec("RL-20")
def test_a_relay_ends_with_the_link_of_its_owner() -> None:
    state, effects = receive(RELAYING, AddressGone(local("hb"), NOW))
    reason = "the link of its owner is gone"
    assert effects == (
        Tell(SERVICE, ChildSettled(BOB, NOW)),
        Report(RelayRemoved(BOB, "forward_to_bob", reason)),
        StopWorker(BOB, reason),
    )
    assert state == Ended()


@pytest.mark.spec("RL-21")
def test_a_stopped_relay_says_so() -> None:
    state, effects = receive(RELAYING, StopRequested("replaced", NOW))
    assert effects == (
        Tell(SERVICE, ChildSettled(BOB, NOW)),
        Report(RelayRemoved(BOB, "forward_to_bob", "replaced")),
    )
    assert state == Ended()
    assert receive(state, received("forward_to_bob L", "ha")) == (Ended(), ())
