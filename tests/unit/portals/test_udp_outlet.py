"""The outlet for datagrams and its sessions, event by event."""

from collections.abc import Callable

import pytest

from ockam_ref.effects import (
    AddConsumer,
    CloseLink,
    Forward,
    OpenLink,
    SetTimer,
    StartReading,
    StartWorker,
    StopWorker,
    Tell,
    Watch,
)
from ockam_ref.events import (
    AddressGone,
    BytesReceived,
    ChildSettled,
    LinkClosed,
    LinkFailed,
    LinkOpened,
    StopRequested,
)
from ockam_ref.observations import ConnectionClosed, ConnectionOpened
from ockam_ref.portals import udp_outlet
from ockam_ref.portals.connection import Ended
from ockam_ref.portals.udp_outlet import MAX_WAITING_BYTES, MAX_WAITING_DATAGRAMS, UdpOutlet, UdpOutletSession
from ockam_ref.portals.udp_session import CHECK_EVERY_S, MAX_DATAGRAM_BYTES, MAX_SESSIONS
from ockam_ref.routing.access_control import AllowSources
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import channel_local_info
from tests.unit.channels.ends import ALICE, BOB, NOW, End, fresh, messages, only, reports
from tests.unit.nodes import rules
from tests.unit.portals.ends import DISCONNECT, OUTLET, PING, PONG, TARGET, TO_I, message, payload
from tests.unit.portals.udp_ends import KEY, answers, carrying_outlet, check, said, start_udp_outlet, to_target

BACK = (local("b.hop"), local("U"))


def start_outlet() -> End:
    return End(udp_outlet.OUTLET, UdpOutlet(OUTLET, "target:53", ("FLOW",)), fresh())


def begin(end: End, data: bytes = b"x", *, back: tuple[Address, ...] = BACK, peer: bytes | None = None) -> Address:
    """A datagram of a new session; return the session's name."""
    info = () if peer is None else (channel_local_info(peer),)
    (started,) = only(end.take(message(OUTLET, payload(data), back=back, info=info)), StartWorker)
    config: UdpOutletSession = started.config
    assert (config.remote_route, config.peer) == (back, peer)
    assert started.first_message is not None
    assert started.first_message.payload == payload(data)
    return config.address


# ---- the outlet


@pytest.mark.spec("DP-6", "DP-16")
def test_a_payload_begins_a_session_if_there_is_none() -> None:
    end = start_outlet()
    assert end.first_effects == (AddConsumer(OUTLET, "FLOW"),)
    key = begin(end)
    (passed,) = end.take(message(OUTLET, payload(b"second"), back=BACK, extra=(local("more"),)))
    assert isinstance(passed, Forward)
    assert (passed.source, passed.message.onward_route, passed.message.return_route) == (OUTLET, (key,), BACK)
    end.step(ChildSettled(key, NOW))
    assert begin(end) == key


@pytest.mark.spec("DP-7", "DP-13")
def test_every_identity_and_every_source_has_a_session_of_its_own() -> None:
    end = start_outlet()
    backs = (BACK, (local("U"),), (local("b.hop"), local("W")), (local("b.hop"), Address(1, b"U")))
    keys = {
        begin(end, back=back, peer=peer)
        for back in (backs[0], backs[2], backs[3])
        for peer in (None, ALICE.identifier.value, BOB.identifier.value)
    }
    assert len(keys) == 9
    assert end.take(message(OUTLET, payload(b"x"), back=backs[1]))[0].message.onward_route[0] in keys  # type: ignore[union-attr]


@pytest.mark.spec("DP-10")
def test_the_sessions_of_an_outlet_are_bounded() -> None:
    end = start_outlet()
    keys = [begin(end, back=(local("b.hop"), local(f"U{number}"))) for number in range(MAX_SESSIONS)]
    assert rules(end.take(message(OUTLET, payload(b"x"), back=BACK))) == ["session-limit"]
    end.step(ChildSettled(keys[0], NOW))
    begin(end)


@pytest.mark.spec("DP-14")
def test_the_outlet_answers_ping_itself() -> None:
    end = start_outlet()
    (answer,) = messages(end.take(message(OUTLET, PING, back=BACK)))
    assert (answer.onward_route, answer.return_route, answer.payload) == (BACK, (), PONG)
    assert end.state.sessions == frozenset()


@pytest.mark.spec("DP-5", "DP-12")
def test_what_begins_no_session() -> None:
    end = start_outlet()
    assert rules(end.take(message(OUTLET, payload(b"x")))) == ["incomplete-route"]
    assert rules(end.take(message(OUTLET, b"\x09", back=BACK))) == ["bad-portal-message"]
    assert rules(end.take(message(OUTLET, PONG, back=BACK))) == ["not-a-datagram"]
    assert end.take(message(OUTLET, DISCONNECT, back=BACK)) == ()
    assert end.step(StopRequested("enough", NOW)) == ()
    assert end.state.sessions == frozenset()
    key = begin(end)
    (passed,) = messages(end.take(message(OUTLET, DISCONNECT, back=BACK)))
    assert (passed.onward_route, passed.payload) == ((key,), DISCONNECT)


# ---- a session


@pytest.mark.spec("DP-11", "DP-19")
def test_datagrams_wait_for_the_socket() -> None:
    end = start_udp_outlet()
    assert end.mailboxes[1] == (KEY, AllowSources(frozenset((OUTLET,))), end.mailboxes[1].outgoing, False)
    assert only(end.first_effects, Watch) == [Watch(TO_I[0]), Watch(OUTLET)]
    assert only(end.first_effects, OpenLink) == [OpenLink(TARGET, "target:53", "udp")]
    for data in (b"one", b"", b"three"):
        assert end.take(message(KEY, payload(data))) == ()
    assert end.step(BytesReceived(TARGET, b"too early", NOW)) == ()
    assert check(end, 100.0) == ()
    effects = end.step(LinkOpened(TARGET, NOW))
    assert isinstance(effects[0], StartReading)
    assert to_target(effects) == [b"one", b"", b"three"]
    assert only(effects, SetTimer) == [SetTimer("check", NOW.monotonic + CHECK_EVERY_S)]
    assert reports(effects, ConnectionOpened)
    assert end.step(LinkOpened(TARGET, NOW)) == ()


@pytest.mark.spec("DP-11")
@pytest.mark.parametrize(("size", "fitting"), [(1, MAX_WAITING_DATAGRAMS), (60_000, MAX_WAITING_BYTES // 60_000)])
def test_what_waits_is_bounded(size: int, fitting: int) -> None:
    end = start_udp_outlet()
    dropped = [rules(end.take(message(KEY, payload(bytes(size))))) for _ in range(fitting + 2)]
    assert dropped == [[]] * fitting + [["too-much-waits"]] * 2
    assert len(to_target(end.step(LinkOpened(TARGET, NOW)))) == fitting


@pytest.mark.spec("DP-4")
def test_a_payload_that_is_no_datagram_is_dropped() -> None:
    end = start_udp_outlet()
    assert rules(end.take(message(KEY, payload(bytes(MAX_DATAGRAM_BYTES + 1))))) == ["datagram-too-long"]
    for size in (1500, 1501, 3):
        end.take(message(KEY, payload(bytes(size))))
    effects = end.step(LinkOpened(TARGET, NOW, 1500))
    assert [len(one) for one in to_target(effects)] == [1500, 3]
    assert rules(effects) == ["datagram-too-long"]
    assert rules(end.take(message(KEY, payload(bytes(1501))))) == ["datagram-too-long"]
    assert to_target(end.take(message(KEY, payload(b"next")))) == [b"next"]


@pytest.mark.spec("DP-1", "DP-21")
def test_datagrams_go_both_ways() -> None:
    end = carrying_outlet()
    assert to_target(end.take(message(KEY, payload(b"question", 7)))) == [b"question"]
    (answer,) = messages(answers(end, b"answer"))
    assert (answer.onward_route, answer.return_route, answer.payload) == (TO_I, (), payload(b"answer"))
    assert messages(answers(end, b""))[0].payload == payload(b"")
    (closed,) = reports(end.step(StopRequested("enough", NOW)), ConnectionClosed)
    assert (closed.sent, closed.received, closed.reason) == (8, 6, "enough")


@pytest.mark.spec("DP-8")
def test_answers_take_the_newest_way_back() -> None:
    end = carrying_outlet()
    assert only(end.take(message(KEY, payload(b"x"), back=TO_I)), Watch) == []
    other = (local("b.hop"), local("more"), local("I"))
    assert only(end.take(message(KEY, payload(b"x"), back=other)), Watch) == []
    assert messages(answers(end, b"answer"))[0].onward_route == other
    another = (local("c.hop"), local("I"))
    assert only(end.take(message(KEY, payload(b"x"), back=another)), Watch) == [Watch(local("c.hop"))]
    assert end.step(AddressGone(local("b.hop"), NOW)) == ()
    assert messages(answers(end, b"answer"))[0].onward_route == another
    assert said(end.step(AddressGone(local("c.hop"), NOW))) == []
    assert isinstance(end.state, Ended)


@pytest.mark.spec("DP-5", "DP-7")
def test_what_is_no_message_of_a_session_is_dropped() -> None:
    end = carrying_outlet(peer=ALICE.identifier.value)
    assert rules(end.take(message(KEY, payload(b"forged")))) == ["identifier-changed"]
    right = (channel_local_info(ALICE.identifier.value),)
    assert rules(end.take(message(KEY, PING, info=right))) == ["not-a-datagram"]
    assert to_target(end.take(message(KEY, payload(b"real"), info=right))) == [b"real"]


@pytest.mark.spec("DP-9")
def test_a_silent_session_ends_when_its_time_is_over() -> None:
    end = carrying_outlet(idle_s=10.0)
    assert only(check(end, 9.9), SetTimer)
    answers(end, b"x", after=9.9)
    assert only(check(end, 19.8), SetTimer)
    effects = check(end, 19.9)
    assert said(effects) == []
    assert [tell.event.child for tell in only(effects, Tell)] == [KEY]  # type: ignore[union-attr]
    assert only(effects, CloseLink)
    assert only(effects, StopWorker)
    assert reports(effects, ConnectionClosed)[0].reason == "nothing came for 10 s"


@pytest.mark.spec("DP-12")
def test_a_socket_that_cannot_be_had_or_is_lost_is_told() -> None:
    effects = start_udp_outlet().step(LinkFailed(TARGET, "no such name", NOW))
    assert (said(effects), only(effects, CloseLink)) == ([DISCONNECT], [])
    (closed,) = reports(effects, ConnectionClosed)
    assert (closed.opened, closed.reason) == (False, "the target could not be reached: no such name")
    end = carrying_outlet()
    assert end.step(LinkFailed(TARGET, "never asked", NOW)) == ()
    assert said(end.step(LinkClosed(TARGET, "network is down", NOW))) == [DISCONNECT]
    assert said(start_udp_outlet().step(LinkClosed(TARGET, "network is down", NOW))) == [DISCONNECT]
    assert answers(end, b"late") == ()


@pytest.mark.spec("DP-12", "DP-17")
@pytest.mark.parametrize("start", [start_udp_outlet, carrying_outlet])
def test_what_else_ends_a_session(start: Callable[[], End]) -> None:
    effects = start().take(message(KEY, DISCONNECT))
    assert (said(effects), len(only(effects, CloseLink)), len(only(effects, StopWorker))) == ([], 1, 1)
    effects = start().step(AddressGone(TO_I[0], NOW))
    assert (said(effects), len(only(effects, StopWorker))) == ([], 1)
    effects = start().step(AddressGone(OUTLET, NOW))
    assert (said(effects), len(only(effects, StopWorker))) == ([DISCONNECT], 1)
    effects = start().step(StopRequested("enough", NOW))
    assert (said(effects), len(only(effects, StopWorker))) == ([DISCONNECT], 0)
