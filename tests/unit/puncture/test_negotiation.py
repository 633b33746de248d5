"""Both roles of a negotiation, and the listener: what goes wrong, what is refused, what is bounded."""

import pytest

from ockam_ref.effects import AddConsumer, AddSpawner, StartWorker, StopWorker, Tell
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import AddressGone, ChildSettled, ChildStarted, LinkFailed, StopRequested, TimerFired
from ockam_ref.machine import Fresh, LinkId, Mailbox
from ockam_ref.observations import MessageDropped, PunctureClosed
from ockam_ref.puncture import initiator, listener, responder
from ockam_ref.puncture.initiator import AwaitingAcknowledge, Preparing, Puncture
from ockam_ref.puncture.limits import ACKNOWLEDGE_TIMEOUT_S, RENDEZVOUS_TIMEOUT_S
from ockam_ref.puncture.listener import MAX_PUNCTURES, MAX_WORKER_BYTES, Listening, PunctureListener
from ockam_ref.puncture.puncture import Ended
from ockam_ref.puncture.responder import PunctureResponder
from ockam_ref.routing.access_control import DENY_ALL, AllowIdentifiers
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_negotiation import Introduction, encode_introduction
from ockam_ref.wire.route import Route
from ockam_ref.wire.transport_message import TransportMessage
from tests.unit.nodes import NOW, observed, received, reported, route, rules
from tests.unit.puncture.scene import APP, RENDEZVOUS, SERVICE, Host, Scene

UDP_WORKER = local("udp")
ASKED = encode_introduction(Introduction("203.0.113.5:40000", b"wi"))
FRESH = Fresh(route("sender remote receiver questions bind"), ("bind flow", "flow"), (), (LinkId(7),), NOW)
CONFIG = PunctureListener(UDP_WORKER, RENDEZVOUS, "punctures", ("tcp",))
PUNCTURE = Puncture(route("hop udp"), RENDEZVOUS, "hole")


def silent(_: str, __: TransportMessage) -> bool:
    return False


def reason(host: Host) -> str:
    (closed,) = observed(host, PunctureClosed)
    return closed.reason


# ---- the initiator


@pytest.mark.spec("PUN-20")
@pytest.mark.parametrize(("to", "rendezvous"), [((), RENDEZVOUS), (route("hop udp"), ())])
def test_routes_must_not_be_empty(to: Route, rendezvous: Route) -> None:
    with pytest.raises(MisuseError) as caught:
        initiator.start(Puncture(to, rendezvous, "hole"), FRESH)
    assert caught.value.code is ErrorCode.INCOMPLETE_ROUTE


@pytest.mark.spec("PUN-13", "PUN-20")
def test_no_rendezvous_service() -> None:
    scene = Scene()
    scene.a.passes = silent
    scene.ask()
    assert [target for target, _ in scene.a.sent] == [SERVICE]
    for _ in range(6):
        scene.network.advance(0.5)
    assert reason(scene.a) == f"no answer from the rendezvous service within {RENDEZVOUS_TIMEOUT_S:g} s"
    assert len(scene.a.sent) == 6
    assert scene.network.endpoints.keys() == {SERVICE}


@pytest.mark.spec("PUN-21", "PUN-20")
def test_no_acknowledge() -> None:
    scene = Scene()
    scene.b.stop(scene.listener)
    hop = scene.ask()
    assert isinstance(scene.a.node.state_of(hop), AwaitingAcknowledge)
    scene.say(hop, b"too soon")
    assert [dropped.rule for dropped in observed(scene.a, MessageDropped)] == ["puncture-not-open"]
    scene.network.advance(ACKNOWLEDGE_TIMEOUT_S)
    assert reason(scene.a) == "the other node did not answer in time"
    assert scene.network.endpoints.keys() == {SERVICE}


def awaiting() -> AwaitingAcknowledge:
    worker = initiator.start(PUNCTURE, FRESH)
    assert isinstance(worker.state, Preparing)
    return AwaitingAcknowledge(worker.state.inner.end, PUNCTURE.route)


@pytest.mark.spec("PUN-24", "PUN-20")
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\x82\x00", "the other node's answer cannot be read"),
        (encode_introduction(Introduction("localhost:1", b"wr")), "the other node says it is at 'localhost:1'"),
    ],
)
def test_an_acknowledge_that_is_none(payload: bytes, said: str) -> None:
    state, effects = initiator.receive(awaiting(), received("questions", "hop", payload))
    assert state == Ended()
    assert effects[0] == StopWorker(local("bind"), effects[0].reason)  # type: ignore[union-attr]
    assert reported(effects, PunctureClosed)[0].reason.startswith(said)


@pytest.mark.spec("PUN-26", "PUN-39")
def test_what_ends_the_wait() -> None:
    for event, said in (
        (AddressGone(local("hop"), NOW), "the way to the other node is gone"),
        (AddressGone(local("bind"), NOW), "the socket is gone"),
        (StopRequested("enough", NOW), "enough"),
    ):
        state, effects = initiator.receive(awaiting(), event)
        assert state == Ended()
        assert [one.reason for one in reported(effects, PunctureClosed)] == [said]
        assert initiator.receive(state, event) == (state, ())
    state, effects = initiator.receive(awaiting(), TimerFired("rendezvous", NOW))
    assert (state, effects) == (awaiting(), ())


@pytest.mark.spec("PUN-26", "PUN-39")
def test_what_ends_the_preparation() -> None:
    preparing = initiator.start(PUNCTURE, FRESH).state
    for event, said in (
        (AddressGone(local("hop"), NOW), "the way to the other node is gone"),
        (LinkFailed(LinkId(7), "no more files", NOW), "no socket: no more files"),
        (StopRequested("enough", NOW), "enough"),
    ):
        state, effects = initiator.receive(preparing, event)
        assert state == Ended()
        assert [one.reason for one in reported(effects, PunctureClosed)] == [said]


# ---- the listener


@pytest.mark.spec("PUN-25")
def test_the_listener_of_a_node() -> None:
    only = AllowIdentifiers()
    worker = listener.start(PunctureListener(UDP_WORKER, RENDEZVOUS, "punctures", ("tcp",), only), FRESH)
    assert worker.mailboxes == (Mailbox(UDP_WORKER, only, DENY_ALL),)
    assert worker.effects == (AddConsumer(UDP_WORKER, "tcp"), AddSpawner(UDP_WORKER, "punctures"))
    with pytest.raises(MisuseError):
        listener.start(PunctureListener(UDP_WORKER, (), "punctures"), FRESH)


@pytest.mark.spec("PUN-22", "PUN-25")
def test_a_request_starts_a_responder() -> None:
    state, effects = listener.receive(Listening(CONFIG), received("udp", "hop questions", ASKED))
    config = PunctureResponder(
        UDP_WORKER,
        Introduction("203.0.113.5:40000", b"wi"),
        route("hop questions"),
        RENDEZVOUS,
        "0.0.0.0:0",
        "punctures",
    )
    assert state == Listening(CONFIG, asked=1)
    assert effects == (StartWorker(config), Tell(UDP_WORKER, ChildSettled(UDP_WORKER, NOW)))
    state, _ = listener.receive(state, ChildStarted(local("child"), NOW))
    state, _ = listener.receive(state, ChildSettled(UDP_WORKER, NOW))
    assert state == Listening(CONFIG, punctures=1)
    state, _ = listener.receive(state, ChildSettled(local("child"), NOW))
    assert state == Listening(CONFIG)
    assert listener.receive(state, StopRequested("", NOW)) == (state, ())


@pytest.mark.spec("PUN-24")
@pytest.mark.parametrize(
    ("payload", "back", "rule"),
    [
        (b"\x80", "hop", "bad-introduction"),
        (encode_introduction(Introduction("example.com:1", b"wi")), "hop", "bad-introduction"),
        (encode_introduction(Introduction("1.2.3.4:5", bytes(MAX_WORKER_BYTES + 1))), "hop", "bad-introduction"),
        (ASKED, "", "incomplete-route"),
    ],
)
def test_requests_that_are_refused(payload: bytes, back: str, rule: str) -> None:
    state, effects = listener.receive(Listening(CONFIG), received("udp", back, payload))
    assert state == Listening(CONFIG)
    assert rules(effects) == [rule]


@pytest.mark.spec("PUN-25")
@pytest.mark.parametrize("state", [Listening(CONFIG, MAX_PUNCTURES), Listening(CONFIG, MAX_PUNCTURES - 1, asked=1)])
def test_too_many_punctures(state: Listening) -> None:
    after, effects = listener.receive(state, received("udp", "hop", ASKED))
    assert after == state
    assert rules(effects) == ["puncture-limit"]


@pytest.mark.spec("PUN-25")
def test_a_listener_counts_its_punctures() -> None:
    scene = Scene()
    scene.ask()
    scene.ask()
    state = scene.b.node.state_of(scene.listener)
    assert isinstance(state, Listening)
    assert (state.punctures, state.asked) == (2, 0)
    scene.b.stop(scene.other())
    state = scene.b.node.state_of(scene.listener)
    assert isinstance(state, Listening)
    assert (state.punctures, state.asked) == (1, 0)


# ---- the responder


@pytest.mark.spec("PUN-22", "PUN-20")
def test_a_responder_without_rendezvous_answers_nothing() -> None:
    scene = Scene()
    scene.b.passes = silent
    scene.ask()
    assert not observed(scene.b, PunctureClosed)
    for _ in range(6):
        scene.network.advance(0.5)
    assert reason(scene.b).startswith("no answer from the rendezvous service")
    state = scene.b.node.state_of(scene.listener)
    assert isinstance(state, Listening)
    assert state.punctures == 0
    assert not observed(scene.a, PunctureClosed)


@pytest.mark.spec("PUN-39")
def test_a_responder_that_is_stopped_early() -> None:
    config = PunctureResponder(
        UDP_WORKER, Introduction("1.2.3.4:5", b"wi"), route("hop"), RENDEZVOUS, "0.0.0.0:0", "punctures"
    )
    worker = responder.start(config, FRESH)
    state, effects = responder.receive(worker.state, StopRequested("enough", NOW))
    assert state == Ended()
    assert [one.reason for one in reported(effects, PunctureClosed)] == ["enough"]
    assert Tell(UDP_WORKER, ChildSettled(local("sender"), NOW)) in effects
    assert responder.receive(state, StopRequested("enough", NOW)) == (state, ())


def test_late_messages_for_a_negotiation_are_ignored() -> None:
    scene = Scene()
    hop = scene.ask()
    questions = scene.a.node.addresses_of(hop)[3]
    scene.a.send(APP, LocalMessage((questions,), (APP,), b"\x82\x00\x80"))
    scene.network.run()
    assert not observed(scene.a, MessageDropped)
