import pytest

from ockam_ref.channels.responder import RESPONDER_TIMEOUT_S
from ockam_ref.channels.trust import TrustIdentifier
from ockam_ref.effects import (
    AddProducer,
    CancelTimer,
    ComparePeer,
    CopyConsumers,
    Effects,
    Follow,
    Forward,
    NamePeer,
    Report,
    SetTimer,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.errors import ErrorCode
from ockam_ref.events import AddressGone, ChildSettled, ChildStarted, PeerCompared, StopRequested, TimerFired
from ockam_ref.observations import ChannelOpened, HandshakeFailed, MessageDropped
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from tests.unit.channels.ends import (
    A_REMOTE,
    ALICE,
    B_ENCRYPTOR,
    B_HOP,
    B_INTERNAL,
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
    start_responder,
)

SETTLED = Tell(LISTENER, ChildSettled(B_REMOTE, NOW))


def failed(end: End, effects: Effects, reason: str) -> None:
    """The end is gone, says why, frees its place at the listener, and sent nothing."""
    assert end.state_name == "Closed"
    (told,) = reports(effects, HandshakeFailed)
    assert reason in told.reason
    assert (told.worker, told.initiator) == (B_REMOTE, False)
    (settled,) = only(effects, Tell)
    assert settled.address == LISTENER
    assert isinstance(settled.event, ChildSettled)
    assert effects[-1] == StopWorker(B_REMOTE, told.reason)
    assert not messages(effects)


@pytest.mark.spec("CH-15", "CH-16", "CH-27")
def test_what_a_start_asks_for() -> None:
    assert start_responder().first_effects == (
        Tell(LISTENER, ChildStarted(B_REMOTE, NOW)),
        Follow(LISTENER),
        CopyConsumers(LISTENER, B_REMOTE),
        AddProducer(B_INTERNAL, "B-FLOW", "SPAWNER", (B_ENCRYPTOR,)),
        SetTimer("handshake", NOW.monotonic + RESPONDER_TIMEOUT_S),
    )
    assert RESPONDER_TIMEOUT_S == 60


@pytest.mark.spec("CH-3", "CH-4", "CH-5", "CH-30")
def test_message_2_goes_back_where_message_1_came_from() -> None:
    pair = Pair()
    first = pair.message_1()
    watch, second = pair.b.take(first, source=LISTENER)
    assert watch == Watch(B_HOP)
    assert isinstance(second, Forward)
    assert second.source == B_REMOTE
    assert second.message._replace(payload=b"") == LocalMessage((B_HOP, A_REMOTE), (B_REMOTE,), b"")
    assert len(second.message.payload) == 419


@pytest.mark.spec("CH-2")
def test_message_1_may_carry_a_payload_and_more_hops() -> None:
    pair = Pair()
    first = pair.message_1()
    longer = first._replace(
        onward_route=(*first.onward_route, local("ignored")), payload=bytes(first.payload) + b"ignored"
    )
    assert len(messages(pair.b.take(longer, source=LISTENER))) == 1
    assert pair.b.state_name == "AwaitingMessage3"


@pytest.mark.spec("CH-5", "CH-17")
def test_the_channel_opens_after_the_comparison() -> None:
    pair = Pair(b=start_responder(trust=TrustIdentifier(ALICE.identifier.value)))
    third = pair.message_3()
    (compare,) = pair.b.take(third._replace(return_route=(local("elsewhere"),)), source=B_HOP)
    assert isinstance(compare, ComparePeer)
    assert compare.identity.identifier == ALICE.identifier
    assert pair.b.step(PeerCompared(None, NOW)) == (
        CancelTimer("handshake"),
        NamePeer(B_ENCRYPTOR, ALICE.identifier.value),
        Watch(B_HOP, A_REMOTE),
        Report(ChannelOpened(B_REMOTE, B_ENCRYPTOR, ALICE.identifier.value, initiator=False)),
        SETTLED,
    )
    assert pair.b.state.remote_route == (B_HOP, A_REMOTE)


@pytest.mark.spec("CH-7", "CH-10")
def test_an_initiator_that_the_policy_refuses() -> None:
    pair = Pair(b=start_responder(trust=TrustIdentifier(BOB.identifier.value)))
    failed(pair.b, pair.b.take(pair.message_3()), "trust policy")


@pytest.mark.spec("CH-7", "CH-9")
def test_a_history_that_the_node_refuses() -> None:
    pair = Pair()
    pair.b.take(pair.message_3())
    failed(pair.b, pair.b.step(PeerCompared("the change history conflicts", NOW)), "conflicts")


@pytest.mark.spec("CH-7", "CH-13")
@pytest.mark.parametrize("length", range(32))
def test_a_message_1_that_is_too_short_ends_it(length: int) -> None:
    end = start_responder()
    failed(end, end.take(LocalMessage((B_REMOTE,), (B_HOP, A_REMOTE), bytes(length))), "bytes are needed")


@pytest.mark.spec("CH-7")
def test_a_low_order_key_ends_it() -> None:
    end = start_responder()
    failed(end, end.take(LocalMessage((B_REMOTE,), (B_HOP, A_REMOTE), bytes(32))), "")


@pytest.mark.spec("CH-5")
def test_message_1_must_say_where_to_answer() -> None:
    pair = Pair()
    failed(pair.b, pair.b.take(pair.message_1()._replace(return_route=())), "return route")


def half_open(stage: int) -> End:
    pair = Pair()
    if stage >= 3:
        third = pair.message_3()
        if stage == 4:
            pair.b.take(third)
    return pair.b


@pytest.mark.spec("CH-15", "CH-16")
@pytest.mark.parametrize("stage", [1, 3, 4])
def test_the_deadline_of_every_half_open_state(stage: int) -> None:
    end = half_open(stage)
    failed(end, end.step(TimerFired("handshake", at(NOW, RESPONDER_TIMEOUT_S))), "in time")


@pytest.mark.spec("CH-30")
@pytest.mark.parametrize("stage", [3, 4])
def test_the_end_of_the_way_back_ends_it(stage: int) -> None:
    end = half_open(stage)
    failed(end, end.step(AddressGone(B_HOP, NOW)), "way to the initiator")


@pytest.mark.spec("CH-16")
@pytest.mark.parametrize("stage", [1, 3, 4])
def test_a_stop_frees_the_place(stage: int) -> None:
    end = half_open(stage)
    assert end.step(StopRequested("given up", NOW)) == (
        Report(HandshakeFailed(B_REMOTE, "given up", initiator=False)),
        SETTLED,
    )
    assert end.state_name == "Closed"


@pytest.mark.spec("CH-12", "CH-13", "CH-18")
def test_a_forged_message_3_changes_nothing_and_the_genuine_one_still_works() -> None:
    pair = Pair()
    genuine = pair.message_3()
    assert isinstance(genuine.payload, bytes)
    before = pair.b.state
    overtaking = bytes(pair.seal_at_a(b"data").payload)
    forgeries = [genuine.payload[:length] for length in (0, 1, 47, 48, 63, 64, 386)]
    forgeries += [genuine.payload + b"\x00", overtaking, bytes(387), bytes(pair.a.sent()[0].payload)]
    for position in range(0, len(genuine.payload), 7):
        forged = bytearray(genuine.payload)
        forged[position] ^= 0x80
        forgeries.append(bytes(forged))
    for forgery in forgeries:
        (dropped,) = reports(pair.b.take(genuine._replace(payload=forgery)), MessageDropped)
        assert dropped.rule in {ErrorCode.AUTHENTICATION_FAILED, ErrorCode.TRUNCATED}
        assert pair.b.state is before
    assert len(only(pair.b.take(genuine), ComparePeer)) == 1


@pytest.mark.spec("CH-12", "CH-36")
@pytest.mark.parametrize("address", [B_INTERNAL, B_ENCRYPTOR])
def test_only_the_remote_address_shakes_hands(address: Address) -> None:
    pair = Pair()
    first = pair.message_1()
    before = pair.b.state
    (dropped,) = reports(pair.b.take(first._replace(onward_route=(address,))), MessageDropped)
    assert dropped.rule == "channel-not-open"
    assert pair.b.state is before


def test_events_of_others_change_nothing() -> None:
    for stage in (1, 3):
        end = half_open(stage)
        before = end.state
        assert end.step(PeerCompared(None, NOW)) == ()
        assert end.state is before
