"""One source of datagrams: messages enter the node, the rest is recorded, silence and stops end it."""

from dataclasses import replace

import pytest

from ockam_ref.effects import Effects, Forward, Own, SetTimer, StopWorker, Tell
from ockam_ref.events import ChildSettled, ChildWaits, DatagramsReceived, StopRequested, TimerFired
from ockam_ref.links import recovery_agreement
from ockam_ref.links.node_link import MAX_ROUTES_LENGTH
from ockam_ref.links.reassembly import MAX_WAITING_BYTES, Reassembly
from ockam_ref.links.recovery_agreement import Agreement
from ockam_ref.links.udp_source import (
    SOURCE_IDLE_S,
    UNTOLD_BYTES,
    Ended,
    SourceState,
    UdpSource,
    UdpSourceState,
    receive,
    start,
)
from ockam_ref.machine import LinkId, Mailbox, Now
from ockam_ref.observations import MessageDropped
from ockam_ref.routing.access_control import DENY_ALL
from ockam_ref.wire.address import UDP, Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import TransportMessage, encode_transport_message
from ockam_ref.wire.udp_datagram import Slice, cut_message, encode_slice
from tests.unit.nodes import NOW, fresh, received, reported, route, rules

LINK = LinkId(3)
PEER = "127.0.0.1:4000"
HOP = Address(UDP, PEER.encode())
ME, ENDPOINT, RECEIVER = local("source"), local("sender"), local("receiver")
CONFIG = UdpSource(ME, ENDPOINT, RECEIVER, LINK, PEER, (ENDPOINT, HOP))
SECRET = bytes(range(32))
NEW = SourceState(CONFIG, Reassembly(), recovery_agreement.start(Agreement(SECRET, offers=False)), NOW.monotonic)


def after(seconds: float) -> Now:
    return Now(NOW.monotonic + seconds, NOW.unix)


def arrive(*datagrams: bytes, state: SourceState = NEW, at: Now = NOW) -> tuple[SourceState, Effects]:
    found, effects = receive(state, DatagramsReceived(LINK, PEER, datagrams, at))
    assert isinstance(found, SourceState)
    return found, effects


def datagrams_of(onward: str, back: str = "", payload: bytes = b"hi", number: int = 7) -> tuple[bytes, ...]:
    message = TransportMessage(route(onward), route(back), payload, "{}")
    return cut_message(number, encode_transport_message(message))


@pytest.mark.spec("UDP-21")
def test_it_takes_the_datagrams_of_its_source() -> None:
    worker = start(CONFIG, fresh(secrets=(SECRET,)))
    assert worker.mailboxes == (Mailbox(ME, DENY_ALL, DENY_ALL),)
    assert worker.state == NEW
    assert worker.effects == (Own(LINK, PEER), SetTimer("idle", NOW.monotonic + SOURCE_IDLE_S))


@pytest.mark.spec("UDP-23")
def test_a_message_enters_with_the_way_back_in_front() -> None:
    state, effects = arrive(*datagrams_of("echo x", "app"))
    expected = LocalMessage(route("echo x"), (ENDPOINT, HOP, local("app")), b"hi", (), "{}")
    assert effects == (Forward(RECEIVER, expected),)
    assert state.reassembly.waiting == 0


@pytest.mark.spec("UDP-25")
def test_a_message_that_goes_nowhere_is_swallowed() -> None:
    _, effects = arrive(*datagrams_of("", "app"), *datagrams_of("next", number=8))
    assert [effect.message.onward_route for effect in effects if isinstance(effect, Forward)] == [route("next")]
    assert len(effects) == 1


@pytest.mark.spec("UDP-4", "UDP-26")
def test_what_cannot_be_used_is_a_recorded_drop_and_the_rest_goes_on() -> None:
    no_message = encode_slice(Slice(9, 0, 1, b"\xff"))
    long = TransportMessage((Address(0, bytes(MAX_ROUTES_LENGTH)),), (), b"", "{}")
    _, effects = arrive(
        b"",
        b"\x00recovery",
        b"\xa1",
        b"\x85\x01",
        no_message,
        *cut_message(10, encode_transport_message(long)),
        *datagrams_of("next", number=11),
    )
    assert rules(effects) == ["unknown-datagram", "undecodable-message", "too-long", "undecodable-datagram"]
    assert all(
        dropped.source == RECEIVER and dropped.return_route == (ENDPOINT, HOP)
        for dropped in reported(effects, MessageDropped)
    )
    assert [effect.message.onward_route for effect in effects if isinstance(effect, Forward)] == [route("next")]


@pytest.mark.spec("UDP-27")
def test_the_endpoint_learns_what_unfinished_messages_cost() -> None:
    datagrams = datagrams_of("echo", payload=bytes(400_000))
    few = UNTOLD_BYTES // 600
    state, effects = arrive(*datagrams[:few])
    assert (state.told, effects) == (0, ())
    state, effects = arrive(*datagrams[few : 3 * few], state=state)
    assert effects == (Tell(ENDPOINT, ChildWaits(ME, state.told, NOW)),)
    assert state.told == 2 * state.reassembly.waiting
    state, effects = arrive(*datagrams[3 * few : 3 * few + 1], state=state)
    assert effects == ()
    nearly = replace(state, told=MAX_WAITING_BYTES, reassembly=replace(state.reassembly, waiting=MAX_WAITING_BYTES))
    assert arrive(datagrams[-1], state=nearly)[0].told == MAX_WAITING_BYTES


@pytest.mark.spec("UDP-27")
def test_the_timer_lowers_what_was_told() -> None:
    state, _ = arrive(*datagrams_of("echo", payload=bytes(400_000))[:-1])
    late = after(SOURCE_IDLE_S / 2)
    again = SetTimer("idle", NOW.monotonic + SOURCE_IDLE_S)
    same, effects = receive(state, TimerFired("idle", late))
    assert isinstance(same, SourceState)
    assert effects == (again, Tell(ENDPOINT, ChildWaits(ME, state.reassembly.waiting, late)))
    assert same.told == state.reassembly.waiting
    nothing = replace(state, reassembly=Reassembly())
    assert receive(nothing, TimerFired("idle", late)) == (
        replace(nothing, told=0),
        (again, Tell(ENDPOINT, ChildWaits(ME, 0, late))),
    )
    assert receive(NEW, TimerFired("idle", late)) == (NEW, (again,))


@pytest.mark.spec("UDP-27")
def test_a_silent_source_is_forgotten() -> None:
    state, _ = arrive(*datagrams_of("echo"), at=after(30))
    kept, _ = receive(state, TimerFired("idle", after(SOURCE_IDLE_S)))
    assert isinstance(kept, SourceState)
    end = after(30 + SOURCE_IDLE_S)
    ended, effects = receive(kept, TimerFired("idle", end))
    assert ended == Ended()
    assert effects == (Tell(ENDPOINT, ChildSettled(ME, end)), StopWorker(ME, f"{PEER} is silent"))


@pytest.mark.spec("UDP-27")
def test_a_stopped_source_tells_its_endpoint() -> None:
    assert receive(NEW, StopRequested("enough", NOW)) == (Ended(), (Tell(ENDPOINT, ChildSettled(ME, NOW)),))


def test_other_events_change_nothing() -> None:
    states: tuple[UdpSourceState, ...] = (NEW, Ended())
    for state in states:
        assert receive(state, received("source x")) == (state, ())
