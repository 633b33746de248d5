"""Recovery in the UDP endpoint and its sources: who carries what, in two nodes whose datagrams are carried by hand."""

import random
from collections import deque
from dataclasses import replace

import pytest

from ockam_ref.effects import Backlog, Effects, Forward, SendDatagrams, SetTimer, StartWorker, Tell
from ockam_ref.events import (
    ChildSettled,
    DatagramsReceived,
    MessageHanded,
    MessageReceived,
    RecoveryAgreed,
    StopRequested,
    TimerFired,
)
from ockam_ref.links import udp_endpoint, udp_source
from ockam_ref.links.recovery_agreement import MARKER, Offering, Recovering
from ockam_ref.links.recovery_packets import encode_gone, is_recovery_packet
from ockam_ref.links.udp_endpoint import EndpointState, UdpEndpointState, is_canonical
from ockam_ref.links.udp_source import SourceState, UdpSource
from ockam_ref.machine import Fresh, LinkId, Now
from ockam_ref.observations import MessageDropped
from ockam_ref.wire.address import UDP, Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import TransportMessage, encode_transport_message
from tests.unit.nodes import NOW, fresh, reported, rules

LINK = LinkId(3)
PEER = "127.0.0.1:4000"
HOP = Address(UDP, PEER.encode())
SENDER, RECEIVER = local("sender"), local("receiver")
CHILD = local("receiver.127.0.0.1:4000")
OPEN = EndpointState(LINK, None, SENDER, RECEIVER, 7, recovery=True)


def leaving(hop: Address = HOP, payload: bytes = b"hi") -> MessageReceived:
    return MessageReceived(SENDER, local("app"), LocalMessage((SENDER, hop, local("echo")), (), payload), NOW)


def endpoint(state: EndpointState, event: object) -> tuple[EndpointState, Effects]:
    after, effects = udp_endpoint.receive(state, event)  # type: ignore[arg-type]
    assert isinstance(after, EndpointState)
    return after, effects


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("127.0.0.1:4000", True),
        ("[::1]:4000", True),
        ("[fe80::1:2]:80", True),
        ("localhost:4000", False),
        ("127.0.0.1", False),
        ("4000", False),
        ("[::0001]:4000", False),
        ("::1:4000", False),
        ("127.0.0.1:+4000", False),
        ("127.0.0.1:04000", False),
        ("127.0.0.1:", False),
    ],
)
def test_what_is_written_as_a_source_is(target: str, expected: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert is_canonical(target) is expected


@pytest.mark.spec("RCV-22", "RCV-27")
def test_an_endpoint_that_offers_hands_messages_to_a_worker_for_their_target() -> None:
    state, effects = endpoint(OPEN, leaving())
    started, told = effects
    assert isinstance(started, StartWorker)
    assert started.config == UdpSource(CHILD, SENDER, RECEIVER, LINK, PEER, (SENDER, HOP), recovery=True)
    assert isinstance(told, Tell)
    assert isinstance(told.event, MessageHanded)
    assert b"".join(told.event.chunks) == encode_transport_message(TransportMessage((local("echo"),), (), b"hi"))
    state, effects = endpoint(state, leaving())
    assert [type(effect) for effect in effects] == [Tell]
    state, effects = endpoint(state, RecoveryAgreed(CHILD, agreed=False, now=NOW))
    assert state.carriers == {CHILD}
    state, _ = endpoint(state, ChildSettled(CHILD, NOW))
    assert (state.carriers, state.sources) == (frozenset(), ())
    assert endpoint(state, RecoveryAgreed(CHILD, agreed=True, now=NOW)) == (state, ())


@pytest.mark.spec("RCV-22")
def test_a_source_that_was_heard_first_is_no_second_worker() -> None:
    state, _ = endpoint(OPEN, DatagramsReceived(LINK, PEER, (b"x",), NOW))
    state, effects = endpoint(state, leaving())
    assert [type(effect) for effect in effects] == [Tell]
    assert len(state.sources) == 1


@pytest.mark.spec("RCV-27")
def test_a_name_is_no_source_and_its_messages_leave_as_they_always_did() -> None:
    _, (sent,) = endpoint(OPEN, leaving(Address(UDP, b"localhost:4000")))
    assert isinstance(sent, SendDatagrams)


@pytest.mark.spec("RCV-22")
def test_an_endpoint_that_does_not_offer_hands_over_what_was_agreed_only() -> None:
    quiet = replace(OPEN, recovery=False)
    quiet, effects = endpoint(quiet, DatagramsReceived(LINK, PEER, (b"x",), NOW))
    assert isinstance(effects[0], StartWorker)
    assert not effects[0].config.recovery
    assert isinstance(endpoint(quiet, leaving())[1][0], SendDatagrams)
    agreed, _ = endpoint(quiet, RecoveryAgreed(CHILD, agreed=True, now=NOW))
    assert isinstance(endpoint(agreed, leaving())[1][0], Tell)
    assert isinstance(endpoint(agreed, leaving(Address(UDP, b"127.0.0.1:9")))[1][0], SendDatagrams)
    ended, _ = endpoint(agreed, RecoveryAgreed(CHILD, agreed=False, now=NOW))
    assert ended == quiet


@pytest.mark.spec("RCV-23")
def test_what_is_handed_back_leaves_as_plain_datagrams() -> None:
    body = encode_transport_message(TransportMessage((local("echo"),), (), b"hi"))
    state, (sent,) = endpoint(OPEN, MessageHanded(CHILD, (body[:3], body[3:]), NOW))
    assert isinstance(sent, SendDatagrams)
    assert sent.target == PEER
    assert state.number == 8


# ---- two ends


class Ends:
    """Two sources that hear each other through a path that may lose; the endpoint's part is done by hand."""

    def __init__(self, loss: float = 0.0) -> None:
        self.random = random.Random(5)
        self.queue: deque[tuple[int, object]] = deque()
        self.loss = loss
        self.states: list[udp_source.UdpSourceState] = []
        self.delivered: tuple[list[LocalMessage], list[LocalMessage]] = ([], [])
        self.others: tuple[list[object], list[object]] = ([], [])
        self.timers: list[dict[str, float]] = [{}, {}]
        self.now = NOW
        self.endpoints: list[UdpEndpointState] = [replace(OPEN, recovery=side == 0) for side in (0, 1)]
        for side in (0, 1):
            config = UdpSource(CHILD, SENDER, RECEIVER, LINK, PEER, (SENDER, HOP), recovery=side == 0)
            worker = udp_source.start(config, fresh(secrets=(bytes((side,)) * 32,)))
            self.states.append(worker.state)

    def tell(self, side: int, event: object) -> None:
        self.queue.append((side, event))
        if len(self.queue) == 1:  # else a call further up works it off
            while self.queue:
                to, what = self.queue[0]
                self.states[to], effects = udp_source.receive(self.states[to], what)  # type: ignore[arg-type]
                self.carry_out(to, effects)
                self.queue.popleft()

    def carry_out(self, side: int, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, SendDatagrams):
                arriving = tuple(one for one in effect.datagrams if self.random.random() >= self.loss)
                self.tell(1 - side, DatagramsReceived(LINK, PEER, arriving, self.now))
            elif isinstance(effect, Tell):
                self.endpoints[side], said = udp_endpoint.receive(self.endpoints[side], effect.event)
                self.carry_out(side, said)
            elif isinstance(effect, Forward):
                self.delivered[side].append(effect.message)
            elif isinstance(effect, SetTimer):
                self.timers[side][effect.name] = effect.at
            else:
                self.others[side].append(effect)

    def give(self, side: int, payload: bytes) -> None:
        body = encode_transport_message(TransportMessage((local("echo"),), (local("app"),), payload))
        self.tell(side, MessageHanded(CHILD, (body,), self.now))

    def run(self, seconds: float) -> None:
        end = self.now.monotonic + seconds
        while True:
            due = [(at, side, name) for side in (0, 1) for name, at in self.timers[side].items() if at <= end]
            if not due:
                return
            at, side, name = min(due)
            del self.timers[side][name]
            self.now = Now(at, NOW.unix)
            self.tell(side, TimerFired(name, self.now))


@pytest.mark.spec("RCV-1", "RCV-22", "RCV-28")
def test_messages_cross_a_bad_path() -> None:
    ends = Ends(loss=0.1)
    payloads = [bytes((number,)) * 20_000 for number in range(30)]
    for payload in payloads:
        ends.give(0, payload)
        ends.give(1, payload)
    ends.run(20)
    for side in (0, 1):
        assert [message.payload for message in ends.delivered[side]][-20:] == payloads[-20:]
        assert {message.return_route for message in ends.delivered[side]} == {(SENDER, HOP, local("app"))}
    backlogs = [effect for effect in ends.others[0] if isinstance(effect, Backlog)]
    assert {(effect.sink, effect.through) for effect in backlogs} == {(CHILD, LINK)}
    assert backlogs[-1].waiting == 0


@pytest.mark.spec("RCV-23")
def test_a_peer_that_never_answers_gets_plain_datagrams_after_a_second() -> None:
    ends = Ends(loss=1.0)
    ends.give(0, b"hello")
    state = ends.states[0]
    assert isinstance(state, SourceState)
    assert isinstance(state.agreement, Offering)
    ends.loss = 0.0
    config = replace(OPEN, recovery=False)
    ends.states[1] = udp_source.Ended()
    ends.endpoints[1] = config
    ends.run(1.1)
    after = ends.states[0]
    assert isinstance(after, SourceState)
    assert not isinstance(after.agreement, Offering)


@pytest.mark.spec("RCV-21", "RCV-28")
def test_offers_are_heartbeats_and_other_heartbeats_are_swallowed() -> None:
    ends = Ends()
    ends.give(0, b"hello")
    assert [message.payload for message in ends.delivered[1]] == [b"hello"]
    for route in ((), (local("gone"),)):
        body = encode_transport_message(TransportMessage((), route, b""))
        before = ends.states[1]
        ends.tell(1, DatagramsReceived(LINK, PEER, udp_source_datagrams(body), ends.now))
        after = ends.states[1]
        assert isinstance(before, SourceState)
        assert isinstance(after, SourceState)
        assert before.agreement == after.agreement
    strange = encode_transport_message(TransportMessage((), (MARKER,), b""))
    ends.tell(1, DatagramsReceived(LINK, PEER, udp_source_datagrams(strange, 1001), ends.now))
    assert "recovery-offer" in rules(tuple(ends.others[1]))  # type: ignore[arg-type]


def udp_source_datagrams(body: bytes, number: int = 1000) -> tuple[bytes, ...]:
    _, (sent,) = endpoint(replace(OPEN, number=number), MessageHanded(CHILD, (body,), NOW))
    assert isinstance(sent, SendDatagrams)
    return tuple(bytes(datagram) for datagram in sent.datagrams)


@pytest.mark.spec("RCV-25", "RCV-28")
def test_what_recovery_cannot_do_is_on_record() -> None:
    ends = Ends()
    ends.give(0, b"hello")
    state = ends.states[0]
    assert isinstance(state, SourceState)
    assert isinstance(state.agreement, Recovering)
    number = state.agreement.connection.sender.connection
    ends.loss = 1.0
    ends.tell(0, DatagramsReceived(LINK, PEER, (encode_gone(number), b"\x40junk", b"\x00"), ends.now))
    effects = tuple(ends.others[0])
    assert set(rules(effects)) == {"recovery-failed", "unknown-datagram"}  # type: ignore[arg-type]
    assert any("ended" in dropped.detail for dropped in reported(effects, MessageDropped))  # type: ignore[arg-type]


@pytest.mark.spec("RCV-28")
def test_a_message_without_sense_inside_the_connection_is_a_recorded_drop() -> None:
    ends = Ends()
    ends.give(0, b"hello")
    ends.tell(0, MessageHanded(CHILD, (b"\xff",), ends.now))
    heartbeat = encode_transport_message(TransportMessage((), (), b""))
    ends.tell(0, MessageHanded(CHILD, (heartbeat,), ends.now))
    assert rules(tuple(ends.others[1])) == ["undecodable-message"]  # type: ignore[arg-type]
    assert len(ends.delivered[1]) == 1


@pytest.mark.spec("RCV-19")
def test_who_stops_tells_its_peer() -> None:
    ends = Ends()
    ends.give(0, b"hello")
    _, effects = udp_source.receive(ends.states[0], StopRequested("enough", ends.now))
    sent = next(effect for effect in effects if isinstance(effect, SendDatagrams))
    assert is_recovery_packet(sent.datagrams[0])
    assert isinstance(effects[-1], Tell)
    assert isinstance(
        udp_endpoint.start(
            udp_endpoint.UdpEndpoint(LINK, recovery=True), Fresh((SENDER, RECEIVER), ("C",), (bytes(32),), (), NOW)
        ).state,
        EndpointState,
    )
