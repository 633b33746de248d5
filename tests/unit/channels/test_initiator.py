import pytest

from ockam_ref.channels.initiator import HANDSHAKE_TIMEOUT_S
from ockam_ref.channels.trust import TrustIdentifier, TrustIdentifiers
from ockam_ref.effects import (
    AddConsumerOfProducer,
    AddProducer,
    CancelTimer,
    ComparePeer,
    Effects,
    Forward,
    NamePeer,
    Report,
    SetTimer,
    StopWorker,
    Watch,
)
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import AddressGone, PeerCompared, StopRequested, TimerFired
from ockam_ref.observations import ChannelOpened, HandshakeFailed, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, AllowConsumers
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from tests.unit.channels.ends import (
    A_ENCRYPTOR,
    A_HOP,
    A_INTERNAL,
    A_REMOTE,
    ALICE,
    B_HOP,
    B_REMOTE,
    BOB,
    LISTENER,
    NOW,
    End,
    Pair,
    at,
    messages,
    only,
    reports,
    start_initiator,
    to_initiator,
)


def failed(end: End, effects: Effects, reason: str) -> None:
    """The end is gone, says why, and sent nothing."""
    assert end.state_name == "Closed"
    (told,) = reports(effects, HandshakeFailed)
    assert reason in told.reason
    assert (told.worker, told.initiator) == (A_REMOTE, True)
    assert effects[-1] == StopWorker(A_REMOTE, told.reason)
    assert not messages(effects)


@pytest.mark.spec("CH-3", "CH-4", "CH-14", "CH-27", "CH-30")
def test_what_a_start_asks_for() -> None:
    end = start_initiator()
    consumer, producer, timer, watch, message = end.first_effects
    assert consumer == AddConsumerOfProducer(A_REMOTE, A_HOP)
    assert producer == AddProducer(A_INTERNAL, "A-FLOW", None, (A_ENCRYPTOR,))
    assert timer == SetTimer("handshake", NOW.monotonic + HANDSHAKE_TIMEOUT_S)
    assert watch == Watch(A_HOP)
    assert isinstance(message, Forward)
    assert message.source == A_REMOTE
    assert message.message._replace(payload=b"") == LocalMessage((A_HOP, LISTENER), (A_REMOTE,), b"")
    assert len(message.message.payload) == 32
    assert HANDSHAKE_TIMEOUT_S == 120
    assert [mailbox.outgoing for mailbox in end.mailboxes] == [ALLOW_ALL, AllowConsumers("A-FLOW", None), ALLOW_ALL]


@pytest.mark.spec("CH-35")
def test_a_channel_needs_a_route() -> None:
    with pytest.raises(MisuseError) as refused:
        start_initiator(route=())
    assert refused.value.code == ErrorCode.INCOMPLETE_ROUTE


@pytest.mark.spec("CH-5", "CH-6", "CH-17")
def test_message_3_waits_for_the_comparison() -> None:
    pair = Pair(start_initiator(trust=TrustIdentifier(BOB.identifier.value)))
    (compare,) = pair.a.take(pair.message_2())
    assert isinstance(compare, ComparePeer)
    assert compare.identity.identifier == BOB.identifier
    assert len(pair.a.sent()) == 1

    third, *told = pair.a.step(PeerCompared(None, NOW))
    assert isinstance(third, Forward)
    assert third.source == A_REMOTE
    assert third.message._replace(payload=b"") == LocalMessage((A_HOP, B_REMOTE), (A_REMOTE,), b"")
    assert told == [
        CancelTimer("handshake"),
        NamePeer(A_ENCRYPTOR, BOB.identifier.value),
        Watch(A_HOP, B_REMOTE),
        Report(ChannelOpened(A_REMOTE, A_ENCRYPTOR, BOB.identifier.value, initiator=True)),
    ]
    assert pair.a.state.remote_route == (A_HOP, B_REMOTE)


@pytest.mark.spec("CH-6", "CH-7", "CH-9")
def test_no_message_3_when_the_history_is_refused() -> None:
    pair = Pair()
    pair.a.take(pair.message_2())
    failed(pair.a, pair.a.step(PeerCompared("the change history is older", NOW)), "older")


@pytest.mark.spec("CH-6", "CH-7", "CH-10")
def test_no_message_3_to_whom_the_policy_refuses() -> None:
    for trust in (TrustIdentifier(ALICE.identifier.value), TrustIdentifiers(frozenset())):
        pair = Pair(start_initiator(trust=trust))
        failed(pair.a, pair.a.take(pair.message_2()), "trust policy")


@pytest.mark.spec("CH-5")
def test_message_2_must_say_where_to_answer() -> None:
    pair = Pair()
    failed(pair.a, pair.a.take(pair.message_2()._replace(return_route=())), "return route")


@pytest.mark.spec("CH-14")
def test_the_deadline_ends_it_and_a_late_message_2_does_nothing() -> None:
    pair = Pair(start_initiator(timeout_s=5.0))
    assert SetTimer("handshake", NOW.monotonic + 5.0) in pair.a.first_effects
    late = pair.message_2()
    failed(pair.a, pair.a.step(TimerFired("handshake", at(NOW, 5))), "in time")
    assert pair.a.take(late) == ()


@pytest.mark.spec("CH-30")
def test_the_end_of_the_first_hop_ends_it() -> None:
    end = start_initiator()
    assert end.step(AddressGone(local("another"), NOW)) == ()
    failed(end, end.step(AddressGone(A_HOP, NOW)), "way to the responder")


def test_a_stop_ends_it_in_either_state() -> None:
    waiting, comparing = Pair(), Pair()
    comparing.a.take(comparing.message_2())
    for end in (waiting.a, comparing.a):
        effects = end.step(StopRequested("enough", NOW))
        assert effects == (Report(HandshakeFailed(A_REMOTE, "enough", initiator=True)),)
        assert end.state_name == "Closed"


@pytest.mark.spec("CH-12")
def test_messages_before_the_channel_is_open_are_recorded_drops() -> None:
    waiting, comparing = Pair(), Pair()
    comparing.a.take(comparing.message_2())
    too_early = LocalMessage((A_ENCRYPTOR, local("app")), (), b"hello")
    for end in (waiting.a, comparing.a):
        before = end.state
        (dropped,) = reports(end.take(too_early, source=local("app-a")), MessageDropped)
        assert dropped.rule == "channel-not-open"
        assert end.state is before
    (dropped,) = reports(comparing.a.take(LocalMessage((A_REMOTE,), (B_HOP,), bytes(96))), MessageDropped)
    assert dropped.rule == "channel-not-open"


def test_events_of_others_change_nothing() -> None:
    waiting, comparing = Pair(), Pair()
    comparing.a.take(comparing.message_2())
    assert waiting.a.step(PeerCompared(None, NOW)) == ()
    assert comparing.a.step(TimerFired("handshake", NOW)) == ()
    assert (waiting.a.state_name, comparing.a.state_name) == ("AwaitingMessage2", "ComparingPeer")


@pytest.mark.spec("CH-12", "CH-13")
def test_a_forged_message_2_changes_nothing_and_the_genuine_one_still_works() -> None:
    pair = Pair()
    genuine = pair.message_2()
    assert isinstance(genuine.payload, bytes)
    for position in range(0, len(genuine.payload), 7):
        forged = bytearray(genuine.payload)
        forged[position] ^= 0x10
        before = pair.a.state
        (dropped,) = reports(pair.a.take(genuine._replace(payload=bytes(forged))), MessageDropped)
        assert dropped.rule == ErrorCode.AUTHENTICATION_FAILED
        assert pair.a.state is before
    assert len(only(pair.a.take(genuine), ComparePeer)) == 1


@pytest.mark.spec("CH-12", "CH-13")
def test_a_changed_message_1_makes_a_message_2_that_does_not_decrypt() -> None:
    pair = Pair()
    first = pair.message_1()
    changed = bytearray(first.payload)
    changed[3] ^= 1
    (answer,) = messages(pair.b.take(first._replace(payload=bytes(changed))))
    (dropped,) = reports(pair.a.take(to_initiator(answer)), MessageDropped)
    assert dropped.rule == ErrorCode.AUTHENTICATION_FAILED
    assert pair.a.state_name == "AwaitingMessage2"
    other = Pair(pair.a)
    assert len(only(pair.a.take(other.message_2()), ComparePeer)) == 1
