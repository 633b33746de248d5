"""The inlet for datagrams and its sessions, event by event."""

import pytest

from ockam_ref.effects import AddConsumerOfProducer, Own, SetTimer, StartReading, StartWorker, StopWorker, Tell, Watch
from ockam_ref.events import (
    AddressGone,
    ChildSettled,
    DatagramsReceived,
    LinkClosed,
    PauseChanged,
    RouteChanged,
    StopRequested,
)
from ockam_ref.observations import ConnectionClosed, ConnectionOpened, LinkLost
from ockam_ref.portals import udp_inlet
from ockam_ref.portals.connection import Ended
from ockam_ref.portals.udp_inlet import MAX_PINGS, UdpInlet, UdpInletSession
from ockam_ref.portals.udp_session import CHECK_EVERY_S, MAX_DATAGRAM_BYTES, MAX_SESSIONS
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import channel_local_info
from tests.unit.channels.ends import ALICE, BOB, NOW, End, fresh, messages, only, reports
from tests.unit.nodes import rules
from tests.unit.portals.ends import DISCONNECT, INLET, PING, PONG, WAY, message, payload
from tests.unit.portals.udp_ends import (
    AT_U,
    CLIENT,
    ENDPOINT,
    arrives,
    check,
    later,
    said,
    start_udp_inlet,
    to_source,
)


def start_inlet(**settings: object) -> End:
    config = UdpInlet(ENDPOINT, **{"route": WAY, **settings})  # type: ignore[arg-type]
    return End(udp_inlet.INLET, config, fresh(INLET))


def write(end: End, source: str, *datagrams: bytes) -> list[UdpInletSession]:
    """Sources write to the inlet; return the sessions that it starts."""
    effects = end.step(DatagramsReceived(ENDPOINT, source, datagrams, NOW))
    return [effect.config for effect in only(effects, StartWorker)]


# ---- the inlet


@pytest.mark.spec("DP-2", "DP-6")
def test_the_first_datagrams_of_a_source_begin_a_session() -> None:
    end = start_inlet()
    assert end.first_effects == (Own(ENDPOINT), StartReading(ENDPOINT))
    (session,) = write(end, CLIENT, b"one", b"two")
    assert (session.source, session.portal, session.datagrams) == (CLIENT, INLET, (b"one", b"two"))
    assert end.state.sessions == 1
    end.step(ChildSettled(AT_U, NOW))
    assert end.state.sessions == 0


@pytest.mark.spec("DP-10")
def test_the_sessions_of_an_inlet_are_bounded() -> None:
    end = start_inlet()
    for number in range(MAX_SESSIONS):
        assert write(end, f"127.0.0.1:{number}", b"x")
    effects = end.step(DatagramsReceived(ENDPOINT, "127.0.0.1:9999", (b"x",), NOW))
    assert (only(effects, StartWorker), rules(effects)) == ([], ["session-limit"])
    end.step(ChildSettled(AT_U, NOW))
    assert write(end, "127.0.0.1:9999", b"x")


@pytest.mark.spec("DP-18")
def test_without_a_way_there_are_no_sessions() -> None:
    end = start_inlet(route=())
    assert rules(end.step(DatagramsReceived(ENDPOINT, CLIENT, (b"x",), NOW))) == ["no-way"]
    end.step(RouteChanged(WAY, ALICE.identifier.value, NOW))
    (session,) = write(end, CLIENT, b"x")
    assert (session.inlet.route, session.inlet.peer) == (WAY, ALICE.identifier.value)
    end.step(PauseChanged(True, NOW))
    assert write(end, CLIENT, b"x") == []
    end.step(PauseChanged(False, NOW))
    assert write(end, CLIENT, b"x")


@pytest.mark.spec("DP-17")
def test_an_inlet_ends_with_its_endpoint() -> None:
    end = start_inlet()
    effects = end.step(LinkClosed(ENDPOINT, "no such interface", NOW))
    assert reports(effects, LinkLost) == [LinkLost(INLET, ENDPOINT, "no such interface")]
    assert only(effects, StopWorker) == [StopWorker(INLET, "no such interface")]
    assert end.step(StopRequested("enough", NOW)) == ()


# ---- a session


@pytest.mark.spec("DP-1", "DP-2", "DP-19")
def test_each_datagram_is_a_payload_to_the_outlet() -> None:
    end = start_udp_inlet(b"first", b"")
    effects = end.first_effects
    assert only(effects, Own) == [Own(ENDPOINT, CLIENT)]
    assert only(effects, AddConsumerOfProducer) == [AddConsumerOfProducer(AT_U, WAY[0])]
    assert only(effects, Watch) == [Watch(WAY[0]), Watch(INLET)]
    assert only(effects, SetTimer) == [SetTimer("check", NOW.monotonic + CHECK_EVERY_S)]
    assert reports(effects, ConnectionOpened)
    sent = [*messages(effects), *messages(arrives(end, b"third"))]
    assert [bytes(one.payload) for one in sent] == [payload(b"first"), payload(b""), payload(b"third")]
    assert {(one.onward_route, one.return_route) for one in sent} == {(WAY, (AT_U,))}


@pytest.mark.spec("DP-1", "DP-21")
def test_each_payload_is_a_datagram_to_the_source() -> None:
    end = start_udp_inlet(b"question")
    assert to_source(end.take(message(AT_U, payload(b"answer")))) == [b"answer"]
    assert to_source(end.take(message(AT_U, payload(b"")))) == [b""]
    (closed,) = reports(end.step(StopRequested("enough", NOW)), ConnectionClosed)
    assert (closed.sent, closed.received, closed.answered, closed.reason) == (6, 8, True, "enough")


@pytest.mark.spec("DP-4")
def test_a_payload_that_is_no_datagram_is_dropped() -> None:
    end = start_udp_inlet(b"x")
    longest = end.take(message(AT_U, payload(bytes(MAX_DATAGRAM_BYTES))))
    assert [len(one) for one in to_source(longest)] == [MAX_DATAGRAM_BYTES]
    effects = end.take(message(AT_U, payload(bytes(MAX_DATAGRAM_BYTES + 1))))
    assert (to_source(effects), rules(effects)) == ([], ["datagram-too-long"])
    assert to_source(end.take(message(AT_U, payload(b"next")))) == [b"next"]


@pytest.mark.spec("DP-5")
def test_what_is_no_message_of_a_session_is_dropped() -> None:
    end = start_udp_inlet(b"x")
    assert rules(end.take(message(AT_U, b""))) == ["bad-portal-message"]
    assert rules(end.take(message(AT_U, PING))) == ["not-a-datagram"]
    assert rules(end.take(message(AT_U, payload(b"x"), extra=(local("more"),)))) == ["unknown-route"]
    assert to_source(end.take(message(AT_U, payload(b"next")))) == [b"next"]


@pytest.mark.spec("DP-7")
def test_a_session_is_bound_to_an_identity() -> None:
    end = start_udp_inlet(b"x", peer=BOB.identifier.value)
    for info in ((), (channel_local_info(ALICE.identifier.value),)):
        effects = end.take(message(AT_U, payload(b"forged"), info=info))
        assert (to_source(effects), rules(effects)) == ([], ["identifier-changed"])
        assert rules(end.take(message(AT_U, DISCONNECT, info=info))) == ["identifier-changed"]
    right = (channel_local_info(BOB.identifier.value),)
    assert to_source(end.take(message(AT_U, payload(b"real"), info=right))) == [b"real"]
    plain = start_udp_inlet(b"x")
    assert rules(plain.take(message(AT_U, payload(b"forged"), info=right))) == ["identifier-changed"]


@pytest.mark.spec("DP-9", "DP-21")
def test_a_silent_session_ends_when_its_time_is_over() -> None:
    end = start_udp_inlet(b"x", idle_s=10.0)
    end.take(message(AT_U, payload(b"answer")))
    assert only(check(end, 9.9), SetTimer)
    arrives(end, b"again", after=9.9)
    end.take(message(AT_U, payload(b"answer")), now=later(9.95))
    assert only(check(end, 19.9), SetTimer)
    effects = check(end, 19.95)
    assert said(effects) == [DISCONNECT]
    assert only(effects, Tell) == [Tell(INLET, ChildSettled(AT_U, effects[1].event.now))]  # type: ignore[union-attr]
    (closed,) = reports(effects, ConnectionClosed)
    assert (closed.reason, closed.answered) == ("nothing came for 10 s", True)
    assert only(effects, StopWorker)
    assert isinstance(end.state, Ended)


@pytest.mark.spec("DP-15")
def test_an_outlet_that_is_not_heard_is_asked_and_given_up() -> None:
    end = start_udp_inlet(b"x")
    for number in range(MAX_PINGS):
        effects = check(end, 2.0 * number)
        assert said(effects) == [PING]
        assert messages(effects)[0].return_route == (AT_U,)
        assert only(effects, SetTimer)
        arrives(end, b"more", after=2.0 * number)
    (closed,) = reports(check(end, 2.0 * MAX_PINGS), ConnectionClosed)
    assert (closed.reason, closed.answered) == ("the outlet does not answer", False)


@pytest.mark.spec("DP-3", "DP-15")
@pytest.mark.parametrize("heard", [PONG, payload(b"answer")])
def test_any_answer_starts_the_count_of_pings_anew(heard: bytes) -> None:
    end = start_udp_inlet(b"x")
    for number in range(5 * MAX_PINGS):
        assert said(check(end, 2.0 * number)) == [PING]
        arrives(end, b"more", after=2.0 * number)
        if number % MAX_PINGS == MAX_PINGS - 2:
            end.take(message(AT_U, heard), now=later(2.0 * number))
            assert said(check(end, 2.0 * number)) == []
            arrives(end, b"more", after=2.0 * number)
    assert not isinstance(end.state, Ended)


@pytest.mark.spec("DP-12")
def test_disconnect_ends_a_session_and_is_not_answered() -> None:
    end = start_udp_inlet(b"x")
    effects = end.take(message(AT_U, DISCONNECT))
    assert said(effects) == []
    assert only(effects, StopWorker)
    assert arrives(end, b"late") == ()


@pytest.mark.spec("DP-12", "DP-17")
def test_what_else_ends_a_session() -> None:
    end = start_udp_inlet(b"x")
    assert end.step(AddressGone(local("elsewhere"), NOW)) == ()
    assert end.step(LinkClosed(ENDPOINT, "not mine", NOW)) == ()
    effects = end.step(AddressGone(WAY[0], NOW))
    assert (said(effects), len(only(effects, StopWorker))) == ([], 1)
    effects = start_udp_inlet(b"x").step(AddressGone(INLET, NOW))
    assert (said(effects), len(only(effects, StopWorker))) == ([DISCONNECT], 1)
    effects = start_udp_inlet(b"x").step(StopRequested("enough", NOW))
    assert (said(effects), len(only(effects, StopWorker))) == ([DISCONNECT], 0)
