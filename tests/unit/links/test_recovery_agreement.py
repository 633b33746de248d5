"""How two ends agree on recovery, and that nobody else is disturbed by it."""

import pytest

from ockam_ref.links.recovery import (
    Deliver,
    Due,
    Failed,
    Left,
    MessageGiven,
    PacketsReceived,
    Refused,
    Transmit,
    Waiting,
    WakeAt,
)
from ockam_ref.links.recovery_agreement import (
    IDLE_S,
    MARKER,
    MAX_CANDIDATES,
    OFFER_AGAIN_S,
    OFFER_INTERVAL_S,
    OFFER_S,
    Agreed,
    Agreement,
    AgreementEffect,
    AgreementEffects,
    AgreementEvent,
    AgreementState,
    Ended,
    HeartbeatReceived,
    Offering,
    Plain,
    Recovering,
    SendHeartbeat,
    SendPlain,
    is_marked,
    receive,
    start,
)
from ockam_ref.links.recovery_packets import encode_gone, piece_head
from ockam_ref.links.recovery_sender import MAX_WAITING_BYTES
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH

NOW = 10.0
ASKS = Agreement(bytes(32), offers=True)
ANSWERS = Agreement(b"\x01" * 32, offers=False)


class Pair:
    """Two machines whose words reach each other at once; what else they say is kept."""

    def __init__(self, one: Agreement = ASKS, two: Agreement = ANSWERS) -> None:
        self.states: list[AgreementState] = [start(one), start(two)]
        self.said: tuple[list[AgreementEffect], list[AgreementEffect]] = ([], [])
        self.now = NOW

    def tell(self, side: int, event: AgreementEvent) -> AgreementEffects:
        self.states[side], effects = receive(self.states[side], event)
        self.said[side].extend(effects)
        for effect in effects:
            if isinstance(effect, SendHeartbeat):
                self.tell(1 - side, HeartbeatReceived(effect.return_route, self.now))
            elif isinstance(effect, Transmit):
                self.tell(1 - side, PacketsReceived(effect.packets, self.now))
        return effects

    def give(self, side: int, message: bytes) -> AgreementEffects:
        return self.tell(side, MessageGiven((message,), self.now))

    def delivered(self, side: int) -> list[bytes]:
        return [bytes(m) for effect in self.said[side] if isinstance(effect, Deliver) for m in effect.messages]

    def refused(self, side: int) -> list[str]:
        return [effect.rule for effect in self.said[side] if isinstance(effect, Refused)]


@pytest.mark.spec("RCV-21", "RCV-22")
def test_an_offer_and_its_answer_and_what_waited() -> None:
    state, effects = receive(start(ASKS), MessageGiven((b"hello",), NOW))
    assert isinstance(state, Offering)
    offer = effects[0]
    assert isinstance(offer, SendHeartbeat)
    assert effects[1:] == (WakeAt(NOW + OFFER_INTERVAL_S), Waiting(5))
    assert offer.return_route[0] == MARKER
    assert is_marked(offer.return_route)
    assert len(offer.return_route[1].value) == 8

    other, (answer,) = receive(start(ANSWERS), HeartbeatReceived(offer.return_route, NOW))
    assert isinstance(answer, SendHeartbeat)
    assert isinstance(other, Plain)
    assert answer.return_route[0] == MARKER
    assert answer.return_route[2] == offer.return_route[1]

    state, effects = receive(state, HeartbeatReceived(answer.return_route, NOW + 0.03))
    assert isinstance(state, Recovering)
    ours, theirs = (int.from_bytes(hop.value, "big") for hop in (offer.return_route[1], answer.return_route[1]))
    assert state.connection.sender.connection == ours ^ theirs
    assert effects[0] == Agreed(agreed=True)
    assert Waiting(0) in effects

    packets = next(effect.packets for effect in effects if isinstance(effect, Transmit))
    other, effects = receive(other, PacketsReceived(packets, NOW))
    assert isinstance(other, Recovering)
    assert effects[:2] == (Agreed(agreed=True), Deliver((memoryview(b"hello"),)))


@pytest.mark.spec("RCV-21")
def test_both_may_offer_and_both_directions_are_carried() -> None:
    pair = Pair(ASKS, Agreement(b"\x02" * 32, offers=True))
    pair.give(0, b"one")
    pair.give(1, b"two")
    assert (pair.delivered(1), pair.delivered(0)) == ([b"one"], [b"two"])
    one, two = pair.states
    assert isinstance(one, Recovering)
    assert isinstance(two, Recovering)
    assert one.connection.sender.connection == two.connection.sender.connection


@pytest.mark.spec("RCV-24")
def test_among_several_offers_the_right_one_is_found() -> None:
    pair = Pair()
    for number in (1, 2):
        pair.tell(1, HeartbeatReceived((MARKER, Address(0, number.to_bytes(8, "big"))), NOW))
    pair.give(0, b"hello")
    assert pair.delivered(1) == [b"hello"]


@pytest.mark.spec("RCV-23")
def test_without_an_answer_what_waits_leaves_as_it_always_did() -> None:
    state: AgreementState = start(ASKS)
    state, _ = receive(state, MessageGiven((b"one",), NOW))
    state, effects = receive(state, MessageGiven((b"two",), NOW + 0.1))
    assert effects == (Waiting(6),)
    offers, now = 1, NOW
    while isinstance(state, Offering):
        now = min(state.offer_at, state.until)
        assert receive(state, Due(now - 0.01))[1] == (WakeAt(state.offer_at),)
        state, effects = receive(state, Due(now))
        offers += sum(isinstance(effect, SendHeartbeat) for effect in effects)
    assert now == NOW + OFFER_S
    assert offers in {5, 6}  # the last one falls together with the end
    assert effects == (SendPlain((b"one",)), SendPlain((b"two",)), Waiting(0), Agreed(agreed=False))
    state, effects = receive(state, MessageGiven((b"three",), now + 1))
    assert effects == (SendPlain((b"three",)),)
    assert receive(state, Due(now + 2)) == (state, ())
    state, (offer, plain) = receive(state, MessageGiven((b"four",), now + OFFER_AGAIN_S))
    assert isinstance(offer, SendHeartbeat)
    assert plain == SendPlain((b"four",))


@pytest.mark.spec("RCV-22")
def test_an_end_that_does_not_offer_sends_as_it_always_did() -> None:
    state, effects = receive(start(ANSWERS), MessageGiven((b"hello",), NOW))
    assert effects == (SendPlain((b"hello",)),)
    assert state == start(ANSWERS)


@pytest.mark.spec("RCV-24")
def test_forged_offers_cost_nothing_and_a_forged_answer_does_nothing() -> None:
    state: AgreementState = start(ANSWERS)
    for number in range(100):
        state, effects = receive(state, HeartbeatReceived((MARKER, Address(0, number.to_bytes(8, "big"))), NOW))
        assert len(effects) == 1
    assert isinstance(state, Plain)
    assert len(state.numbers.candidates) == MAX_CANDIDATES
    forged = (MARKER, Address(0, bytes(8)), Address(0, bytes(8)))
    assert receive(state, HeartbeatReceived(forged, NOW)) == (state, ())


@pytest.mark.spec("RCV-24")
@pytest.mark.parametrize(
    "route",
    [
        (MARKER,),
        (MARKER, local("short")),
        (MARKER, Address(1, bytes(8))),
        (MARKER, *(Address(0, bytes(8)),) * 3),
        (local("elsewhere"), Address(0, bytes(8))),
    ],
)
def test_what_is_no_offer_is_a_recorded_drop(route: tuple[Address, ...]) -> None:
    state = start(ANSWERS)
    after, (refused,) = receive(state, HeartbeatReceived(route, NOW))
    assert after is state
    assert isinstance(refused, Refused)
    assert refused.rule == "recovery-offer"
    assert not is_marked(())


@pytest.mark.spec("RCV-20", "RCV-25")
def test_packets_of_an_unknown_connection_are_dropped_and_their_sender_is_told() -> None:
    state = start(ANSWERS)
    packet = piece_head(0x40, 99, 0, 0) + b"x"
    after, effects = receive(state, PacketsReceived((packet, packet), NOW))
    assert after is state
    assert [type(effect) for effect in effects] == [Refused, Transmit]
    assert effects[1] == Transmit((encode_gone(99),))
    for quiet in (encode_gone(99), b"\x42" + bytes(40), b"\x40"):
        assert [type(effect) for effect in receive(state, PacketsReceived((quiet,), NOW))[1]] == [Refused]


@pytest.mark.spec("RCV-25")
def test_a_peer_that_began_anew_is_noticed_and_agreed_with_again() -> None:
    pair = Pair()
    pair.give(0, b"one")
    pair.states[1] = start(Agreement(b"\x07" * 32, offers=False))  # restarted
    pair.give(0, b"two")  # comes to nothing, and says so
    assert any(isinstance(effect, Failed) for effect in pair.said[0])
    assert isinstance(pair.states[0], Plain)
    pair.give(0, b"three")
    assert pair.delivered(1) == [b"one", b"three"]


@pytest.mark.spec("RCV-25")
def test_a_restarted_peer_that_offers_replaces_the_connection() -> None:
    pair = Pair(ASKS, Agreement(b"\x02" * 32, offers=True))
    pair.give(0, b"one")
    old = pair.states[0]
    assert isinstance(old, Recovering)
    pair.states[1] = start(Agreement(b"\x03" * 32, offers=True))
    pair.give(1, b"two")
    assert pair.delivered(0) == [b"two"]
    new = pair.states[0]
    assert isinstance(new, Recovering)
    late = piece_head(0x40, old.connection.sender.connection, 0, 0) + b"\x00\x00\x00\x01x"
    delivered = pair.delivered(0)
    pair.states[0], effects = receive(new, PacketsReceived((late,), NOW))
    assert [type(effect) for effect in effects] == [Refused, Transmit]
    assert pair.delivered(0) == delivered
    spent = Address(0, new.numbers.spent[0].to_bytes(8, "big"))
    again, (answer,) = receive(new, HeartbeatReceived((MARKER, spent), NOW))  # an old offer that comes late
    assert (again, type(answer)) == (new, SendHeartbeat)
    repeated = (
        MARKER,
        Address(0, new.numbers.spent[-1].to_bytes(8, "big")),
        Address(0, new.numbers.ours.to_bytes(8, "big")),
    )
    assert receive(new, HeartbeatReceived(repeated, NOW)) == (new, ())
    assert "secret" not in repr(new.numbers)
    assert str(new.numbers.ours) not in repr(new.numbers)


@pytest.mark.spec("RCV-26")
def test_after_a_long_pause_an_offer_comes_first_and_nothing_is_lost() -> None:
    pair = Pair()
    pair.give(0, b"one")
    pair.now += 1
    pair.tell(0, Due(pair.now))
    pair.tell(1, Due(pair.now))
    pair.states[1] = start(Agreement(b"\x07" * 32, offers=False))  # forgot in the meantime
    pair.now += IDLE_S + 1
    pair.give(0, b"two")
    assert pair.delivered(1) == [b"one", b"two"]
    assert pair.refused(1) == []


def test_the_other_end_answers_over_the_connection_and_the_clock_goes_on() -> None:
    pair = Pair()
    pair.give(0, b"one")
    pair.give(1, b"two")
    pair.give(1, b"three")
    assert pair.delivered(0) == [b"two", b"three"]
    pair.tell(0, Due(pair.now + 0.01))
    assert isinstance(pair.states[0], Recovering)


@pytest.mark.spec("RCV-13")
def test_what_waits_for_an_answer_is_bounded() -> None:
    state: AgreementState = start(ASKS)
    rules: list[str] = []
    for _ in range(MAX_WAITING_BYTES // MAX_MESSAGE_LENGTH + 1):
        state, effects = receive(state, MessageGiven((bytes(MAX_MESSAGE_LENGTH),), NOW))
        rules += [effect.rule for effect in effects if isinstance(effect, Refused)]
    assert rules == ["recovery-full"]


@pytest.mark.spec("RCV-19")
def test_the_end() -> None:
    assert receive(start(ASKS), Left(NOW)) == (Ended(), ())
    offering, _ = receive(start(ASKS), MessageGiven((b"one",), NOW))
    assert receive(offering, Left(NOW)) == (Ended(), (Waiting(0),))
    pair = Pair()
    pair.give(0, b"one")
    pair.give(0, bytes(10_000_000))
    effects = pair.tell(0, Left(NOW))
    assert effects[-1] == Waiting(0)
    assert isinstance(pair.states[1], Plain)
    assert receive(Ended(), Due(NOW)) == (Ended(), ())
    quiet = Pair()
    quiet.give(0, b"one")
    assert [type(effect) for effect in quiet.tell(0, Left(NOW))] == [Transmit]


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(ASKS)
    assert repr(ASKS) == "Agreement(offers=True, packet=1200)"
