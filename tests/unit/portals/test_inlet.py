"""The inlet, and its connections before bytes flow."""

import pytest

from ockam_ref.effects import (
    AddConsumerOfProducer,
    CancelTimer,
    CloseLink,
    Effects,
    Forward,
    Own,
    Report,
    SetTimer,
    StartReading,
    StartWorker,
    StopWorker,
    Watch,
)
from ockam_ref.events import (
    AddressGone,
    BytesReceived,
    LinkAccepted,
    LinkClosed,
    LinkFinished,
    PauseChanged,
    RouteChanged,
    StopRequested,
    TimerFired,
)
from ockam_ref.machine import LinkId, Mailbox
from ockam_ref.observations import ConnectionClosed, ConnectionOpened, MessageDropped
from ockam_ref.portals import inlet
from ockam_ref.portals.inlet import LATE_PONG_S, PONG_TIMEOUT_S, Inlet, InletConnection
from ockam_ref.routing.access_control import DENY_ALL
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage, channel_local_info
from tests.unit.channels.ends import ALICE, BOB, NOW, End, at, fresh, messages, only, reports
from tests.unit.portals.ends import (
    AT_I,
    CLIENT,
    DISCONNECT,
    INLET,
    OUTLET,
    PING,
    PONG,
    TO_O,
    WAY,
    message,
    payload,
    running_inlet,
    start_inlet_connection,
)

BOB_INFO = (channel_local_info(BOB.identifier.value),)


def start_inlet(**settings: object) -> End:
    return End(inlet.INLET, Inlet(WAY, **settings), fresh(INLET))  # type: ignore[arg-type]


def accept(end: End, link: int = 5) -> Effects:
    return end.step(LinkAccepted(LinkId(link), INLET, NOW))


def ended(end: End, effects: Effects, reason: str, *, answered: bool = True) -> None:
    """The connection has ended before it opened: the client is closed, nothing is sent."""
    (closed,) = reports(effects, ConnectionClosed)
    assert reason in closed.reason
    assert closed == ConnectionClosed(AT_I, INLET, "inlet", closed.reason, 0, 0, False, answered)
    assert only(effects, CloseLink) == [CloseLink(CLIENT, closed.reason)]
    assert not messages(effects)
    assert end.state_name in {"Ended", "HungUp"}


# ---- the inlet


@pytest.mark.spec("PT-1")
def test_nobody_can_send_to_an_inlet() -> None:
    end = start_inlet()
    assert end.mailboxes == (Mailbox(INLET, DENY_ALL),)
    assert end.first_effects == ()
    assert end.step(StopRequested("enough", NOW)) == ()


@pytest.mark.spec("PT-1")
def test_a_connection_for_each_client() -> None:
    end = start_inlet(pong_timeout_s=3.0)
    for link in (5, 6):
        assert accept(end, link) == (StartWorker(InletConnection(LinkId(link), INLET, Inlet(WAY, None, 3.0))),)


@pytest.mark.spec("PT-29")
def test_while_it_is_paused_clients_are_closed_at_once() -> None:
    end = start_inlet(paused=True)
    close, told = accept(end)
    assert isinstance(close, CloseLink)
    assert close.link == LinkId(5)
    assert told == Report(ConnectionClosed(INLET, INLET, "inlet", close.reason, 0, 0, False, True))
    end.step(PauseChanged(False, NOW))
    assert len(only(accept(end), StartWorker)) == 1
    end.step(PauseChanged(True, NOW))
    assert len(only(accept(end), CloseLink)) == 1


@pytest.mark.spec("PT-29")
def test_another_way_is_for_new_connections() -> None:
    end = start_inlet()
    way, peer = (local("other hop"), OUTLET), bytes(32)
    end.step(RouteChanged(way, peer, NOW))
    assert accept(end) == (StartWorker(InletConnection(LinkId(5), INLET, Inlet(way, peer))),)
    end.step(RouteChanged((), None, NOW))
    assert len(only(accept(end), CloseLink)) == 1
    end.step(RouteChanged(way, None, NOW))
    assert len(only(accept(end), StartWorker)) == 1


# ---- the opening of a connection


@pytest.mark.spec("PT-1", "PT-2", "PT-7", "PT-23", "PT-31")
def test_what_a_start_asks_for() -> None:
    end = start_inlet_connection()
    assert end.mailboxes == (Mailbox(AT_I),)
    assert end.first_effects == (
        Own(CLIENT),
        AddConsumerOfProducer(AT_I, WAY[0]),
        Watch(WAY[0]),
        Forward(AT_I, LocalMessage(WAY, (AT_I,), PING)),
        SetTimer("pong", NOW.monotonic + PONG_TIMEOUT_S),
    )
    assert (PONG_TIMEOUT_S, LATE_PONG_S) == (10, 30)


@pytest.mark.spec("PT-2")
def test_pong_begins_the_reading_and_shows_the_way() -> None:
    end = start_inlet_connection()
    assert end.take(message(AT_I, PONG, back=TO_O)) == (
        CancelTimer("pong"),
        StartReading(CLIENT),
        Report(ConnectionOpened(AT_I, INLET, "inlet")),
    )
    (sent,) = messages(end.step(BytesReceived(CLIENT, b"hi", NOW)))
    assert sent == LocalMessage(TO_O, (AT_I,), payload(b"hi"))


@pytest.mark.spec("PT-23")
def test_a_pong_by_another_way_is_watched_too() -> None:
    end = start_inlet_connection()
    other = local("other hop")
    assert Watch(other) in end.take(message(AT_I, PONG, back=(other, *TO_O)))
    assert end.step(AddressGone(WAY[0], NOW)) == ()
    assert only(end.step(AddressGone(other, NOW)), CloseLink)


@pytest.mark.spec("PT-9")
@pytest.mark.parametrize(
    ("arriving", "rule"),
    [
        (message(AT_I, PONG), "not-a-pong"),
        (message(AT_I, PING, back=TO_O), "not-a-pong"),
        (message(AT_I, payload(b"x"), back=TO_O), "not-a-pong"),
        (message(AT_I, b"", back=TO_O), "bad-portal-message"),
        (message(AT_I, b"\x04", back=TO_O), "bad-portal-message"),
        (message(AT_I, b"\x03\x05hell", back=TO_O), "bad-portal-message"),
        (message(AT_I, PONG, back=TO_O, extra=(local("x"),)), "unknown-route"),
        (message(AT_I, PONG, back=TO_O, info=BOB_INFO), "identifier-changed"),
    ],
)
def test_what_is_no_pong_is_a_recorded_drop(arriving: LocalMessage, rule: str) -> None:
    waiting, gone = start_inlet_connection(), start_inlet_connection()
    gone.step(LinkClosed(CLIENT, "reset", NOW))
    for end in (waiting, gone):
        before = end.state
        (dropped,) = reports(end.take(arriving), MessageDropped)
        assert dropped.rule == rule
        assert end.state is before
    assert only(waiting.take(message(AT_I, PONG + b"trailing", back=TO_O)), StartReading)


@pytest.mark.spec("PT-15")
def test_pong_must_come_from_the_peer_of_the_channel() -> None:
    end = start_inlet_connection(peer=BOB.identifier.value)
    for info in ((), (channel_local_info(ALICE.identifier.value),)):
        (dropped,) = reports(end.take(message(AT_I, PONG, back=TO_O, info=info)), MessageDropped)
        assert dropped.rule == "identifier-changed"
    assert only(end.take(message(AT_I, PONG, back=TO_O, info=BOB_INFO)), StartReading)


@pytest.mark.spec("PT-6")
def test_a_refused_target_closes_the_client() -> None:
    end = start_inlet_connection()
    effects = end.take(message(AT_I, DISCONNECT))
    ended(end, effects, "could not reach its target")
    assert effects[-1] == StopWorker(AT_I, only(effects, CloseLink)[0].reason)
    assert end.state_name == "Ended"


@pytest.mark.spec("PT-23")
def test_the_end_of_the_first_hop_closes_the_client() -> None:
    end = start_inlet_connection()
    assert end.step(AddressGone(local("another"), NOW)) == ()
    effects = end.step(AddressGone(WAY[0], NOW))
    ended(end, effects, "the way to the outlet", answered=False)
    assert isinstance(effects[-1], StopWorker)


@pytest.mark.spec("PT-24")
def test_a_stop_closes_the_client() -> None:
    end = start_inlet_connection()
    effects = end.step(StopRequested("enough", NOW))
    ended(end, effects, "enough")
    assert not only(effects, StopWorker)


@pytest.mark.spec("PT-7", "PT-8")
def test_the_deadline_closes_the_client_and_a_late_pong_is_told() -> None:
    end = start_inlet_connection(pong_timeout_s=2.5)
    assert SetTimer("pong", NOW.monotonic + 2.5) in end.first_effects
    effects = end.step(TimerFired("pong", at(NOW, 3)))
    ended(end, effects, "did not answer in time", answered=False)
    assert SetTimer("pong", NOW.monotonic + 3 + LATE_PONG_S) in effects
    late(end)


def late(end: End) -> None:
    assert end.state_name == "HungUp"
    said, stop = end.take(message(AT_I, PONG, back=TO_O))
    assert said == Forward(AT_I, LocalMessage(TO_O, (AT_I,), DISCONNECT))
    assert stop == StopWorker(AT_I, "the client is gone")
    assert end.take(message(AT_I, PONG, back=TO_O)) == ()


@pytest.mark.spec("PT-8")
def test_a_client_that_hangs_up_before_pong() -> None:
    end = start_inlet_connection()
    effects = end.step(LinkClosed(CLIENT, "reset by peer", NOW))
    (closed,) = reports(effects, ConnectionClosed)
    assert (closed.reason, closed.opened) == ("reset by peer", False)
    assert effects == (SetTimer("pong", NOW.monotonic + LATE_PONG_S), Report(closed))
    late(end)


@pytest.mark.spec("PT-8")
@pytest.mark.parametrize(
    "event",
    [TimerFired("pong", NOW), AddressGone(WAY[0], NOW), None, StopRequested("enough", NOW)],
    ids=["time", "way gone", "disconnect", "stop"],
)
def test_the_wait_for_a_late_pong_ends(event: TimerFired | AddressGone | StopRequested | None) -> None:
    end = start_inlet_connection()
    end.step(LinkClosed(CLIENT, "reset", NOW))
    effects = end.step(event) if event else end.take(message(AT_I, DISCONNECT))
    assert end.state_name == "Ended"
    assert not messages(effects) + reports(effects, ConnectionClosed)
    assert len(only(effects, StopWorker)) == (0 if isinstance(event, StopRequested) else 1)


@pytest.mark.spec("PT-2")
def test_nothing_else_matters_before_pong() -> None:
    waiting, gone = start_inlet_connection(), start_inlet_connection()
    gone.step(LinkClosed(CLIENT, "reset", NOW))
    for end in (waiting, gone):
        assert end.step(LinkFinished(CLIENT, NOW)) == ()
        assert end.step(PauseChanged(True, NOW)) == ()
    assert not only(waiting.first_effects, StartReading)


# ---- without handshake


@pytest.mark.spec("PT-32")
def test_without_handshake_the_client_is_read_at_once() -> None:
    end = start_inlet_connection(skip_handshake=True)
    assert end.first_effects == (
        Own(CLIENT),
        AddConsumerOfProducer(AT_I, WAY[0]),
        Watch(WAY[0]),
        Forward(AT_I, LocalMessage(WAY, (AT_I,), PING)),
        StartReading(CLIENT),
        Report(ConnectionOpened(AT_I, INLET, "inlet")),
    )
    end.take(message(AT_I, payload(b"answer"), back=TO_O))
    sent = messages(end.step(BytesReceived(CLIENT, b"hi", NOW)))
    assert sent == [LocalMessage(WAY, (AT_I,), payload(b"hi"))]  # the answer's way back is never learned


@pytest.mark.spec("PT-34")
def test_an_outlet_that_shakes_hands_ends_a_connection_that_does_not() -> None:
    end = start_inlet_connection(skip_handshake=True)
    effects = end.take(message(AT_I, PONG, back=TO_O))
    assert messages(effects) == [LocalMessage(TO_O, (AT_I,), DISCONNECT)]
    (closed,) = reports(effects, ConnectionClosed)
    assert "the same mode" in closed.reason
    assert only(effects, CloseLink)
    end = start_inlet_connection(skip_handshake=True)
    assert end.take(message(AT_I, PONG)) == ()


@pytest.mark.spec("PT-16")
def test_the_gaps_that_count_are_those_since_pong() -> None:
    end = running_inlet()
    assert end.state.gaps == 0
    assert start_inlet_connection(skip_handshake=True).state.gaps is None
