"""Punctures between nodes in memory: what each end says, what passes, how it ends."""

import pytest

from ockam_ref.events import LinkClosed
from ockam_ref.links.udp_endpoint import EndpointState
from ockam_ref.observations import MessageDropped, PunctureClosed, PunctureNegotiated, PunctureOpened, PunctureSilent
from ockam_ref.puncture.limits import OPEN_TIMEOUT_S
from ockam_ref.puncture.puncture import (
    DEAD_AFTER_S,
    HEARTBEAT_S,
    MAX_WAITING_BYTES,
    MAX_WAITING_MESSAGES,
    Closed,
    Open,
)
from ockam_ref.wire.address import UDP, Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.puncture_message import PuncturePayload, PunctureSignal
from ockam_ref.wire.transport_message import TransportMessage
from tests.unit.nodes import observed, payloads
from tests.unit.puncture.scene import APP, SERVICE, Host, Scene

PING, PONG = PunctureSignal


def blocked(_: str, __: TransportMessage) -> bool:
    return False


def only_rendezvous(target: str, _: TransportMessage) -> bool:
    return target == SERVICE


def remote_of(host: Host, hop: Address) -> Address:
    return host.node.addresses_of(hop)[1]


def rules(host: Host) -> list[str]:
    return [dropped.rule for dropped in observed(host, MessageDropped)]


def endpoints(host: Host) -> int:
    return sum(isinstance(host.node.state_of(address), EndpointState) for address in host.node.addresses())


def reason(host: Host) -> str:
    (closed,) = observed(host, PunctureClosed)
    return closed.reason


@pytest.mark.spec("PUN-20", "PUN-21", "PUN-22", "PUN-23", "PUN-30", "PUN-31", "PUN-32", "PUN-33")
def test_what_both_ends_say_until_it_is_open() -> None:
    scene = Scene()
    hop = scene.ask()
    wi, wr = remote_of(scene.a, hop), remote_of(scene.b, scene.other())
    assert scene.b.said() == [((), PING), ((wi,), PONG), ((wi,), PING)]
    assert scene.a.said() == [((wr,), PING), ((wr,), PONG)]
    for host, target, remote in ((scene.a, "0.0.0.0:40001", wi), (scene.b, "0.0.0.0:40000", wr)):
        ours = [(to, message) for to, message in host.sent if to != SERVICE]
        assert {to for to, _ in ours} == {target}
        assert {message.return_route for _, message in ours} == {(remote,)}
        (opened,) = observed(host, PunctureOpened)
        (negotiated,) = observed(host, PunctureNegotiated)
        assert opened.peer == negotiated.peer == target
        assert opened.worker == negotiated.worker


@pytest.mark.spec("PUN-36", "PUN-37")
def test_payloads_cross_both_ways() -> None:
    scene = Scene()
    hop = scene.ask()
    scene.say(hop, b"hello")
    assert payloads(scene.a.delivered) == [b"hello"]
    assert scene.a.delivered[0].return_route == (hop, local("echo"))
    _, message = scene.a.sent[-1]
    assert message.onward_route == (remote_of(scene.b, scene.other()),)
    assert message.return_route == ()
    assert scene.a.said()[-1][1] == PuncturePayload((local("echo"),), (APP,), b"hello")
    scene.a.send(APP, LocalMessage((hop, local("app")), (APP,), b"no such consumer"))
    scene.network.run()
    assert rules(scene.b) == ["unknown-address"]
    scene.a.send(APP, LocalMessage((hop, scene.listener), (APP,), b"no consumer"))
    scene.network.run()
    assert rules(scene.b)[1:] == ["outgoing:flow-control"]


@pytest.mark.spec("PUN-30", "PUN-33")
def test_it_lives_by_pongs_alone() -> None:
    scene = Scene()
    hop = scene.ask()
    for _ in range(30):
        scene.network.advance(HEARTBEAT_S)
    assert isinstance(scene.a.node.state_of(hop), Open)
    assert len([one for one in scene.a.said() if one[1] is PING]) == 31
    scene.b.passes = lambda _, message: message.payload != b"\x82\x01\x80"  # no pongs; pings and payloads pass
    for seconds in range(1, 10):
        scene.network.advance(HEARTBEAT_S)
        scene.say(hop, b"%d" % seconds)
    assert len(scene.a.delivered) == 9
    assert isinstance(scene.a.node.state_of(hop), Open)
    scene.network.advance(HEARTBEAT_S)
    assert scene.a.node.state_of(hop) is None
    assert reason(scene.a) == f"no answer from the other end for {DEAD_AFTER_S:g} s"
    assert endpoints(scene.a) == 0
    for _ in range(11):
        scene.network.advance(HEARTBEAT_S)
    assert endpoints(scene.b) == 0
    assert scene.b.node.state_of(scene.listener) is not None


@pytest.mark.spec("PUN-40")
def test_silence_is_told_before_the_end() -> None:
    scene = Scene()
    hop = scene.ask()
    scene.b.passes = only_rendezvous
    for _ in range(2):
        scene.network.advance(HEARTBEAT_S)
    assert not observed(scene.a, PunctureSilent)
    for _ in range(5):
        scene.network.advance(HEARTBEAT_S)
    assert observed(scene.a, PunctureSilent) == [PunctureSilent(hop, "0.0.0.0:40001")]
    scene.b.passes = lambda *_: True
    scene.network.advance(HEARTBEAT_S)
    assert observed(scene.a, PunctureOpened) == [PunctureOpened(hop, "0.0.0.0:40001")] * 2
    assert isinstance(scene.a.node.state_of(hop), Open)


@pytest.mark.spec("PUN-31")
def test_the_responder_is_redirected_until_the_first_ping() -> None:
    scene = Scene()
    scene.a.passes = only_rendezvous
    hop = scene.ask()
    for _ in range(3):
        scene.network.advance(HEARTBEAT_S)
    assert [onward for onward, _ in scene.b.said()] == [()] * 4
    assert isinstance(scene.a.node.state_of(hop), Closed)
    assert not observed(scene.a, MessageDropped)
    scene.a.passes = lambda *_: True
    scene.network.advance(HEARTBEAT_S)
    assert isinstance(scene.a.node.state_of(hop), Open)
    state = scene.b.node.state_of(scene.other())
    assert isinstance(state, Open)


@pytest.mark.spec("PUN-34", "PUN-20", "PUN-39")
def test_a_puncture_that_never_opens_ends() -> None:
    scene = Scene()
    scene.a.passes = scene.b.passes = only_rendezvous
    hop = scene.ask()
    for _ in range(29):
        scene.network.advance(HEARTBEAT_S)
    assert isinstance(scene.a.node.state_of(hop), Closed)
    scene.network.advance(HEARTBEAT_S)
    for host in (scene.a, scene.b):
        assert reason(host).startswith(f"the other end did not answer within {OPEN_TIMEOUT_S:g} s")
        assert endpoints(host) == 0
    assert scene.network.endpoints.keys() == {SERVICE}


@pytest.mark.spec("PUN-35")
def test_what_is_sent_before_it_opens_waits() -> None:
    scene = Scene()
    scene.b.passes = only_rendezvous
    hop = scene.ask()
    for number in range(MAX_WAITING_MESSAGES + 2):
        scene.say(hop, b"%d" % number)
    assert rules(scene.a) == ["puncture-not-open"] * 2
    scene.b.passes = lambda *_: True
    scene.network.advance(HEARTBEAT_S)
    assert payloads(scene.a.delivered) == [b"%d" % number for number in range(MAX_WAITING_MESSAGES)]


@pytest.mark.spec("PUN-35")
def test_not_too_many_bytes_wait() -> None:
    scene = Scene()
    scene.b.passes = only_rendezvous
    hop = scene.ask()
    scene.say(hop, bytes(MAX_WAITING_BYTES))
    scene.say(hop, b"!")
    assert rules(scene.a) == ["puncture-not-open"]


@pytest.mark.spec("PUN-35", "PUN-36")
def test_the_responder_sends_and_waits_too() -> None:
    scene = Scene()
    scene.a.passes = only_rendezvous
    scene.ask()
    scene.b.send(local("echo"), LocalMessage((scene.other(), APP), (local("echo"),), b"from b"))
    scene.a.passes = lambda *_: True
    scene.network.advance(HEARTBEAT_S)
    assert payloads(scene.a.delivered) == [b"from b"]


@pytest.mark.spec("PUN-32", "PUN-38")
def test_strangers_who_know_the_address() -> None:
    scene = Scene()
    hop = scene.ask()
    remote = remote_of(scene.a, hop)
    scene.a.send(APP, LocalMessage((remote,), (APP,), b"\x82\x00\x80"))
    scene.network.run()
    assert payloads(scene.a.delivered) == [b"\x82\x01\x80"]
    assert scene.a.delivered[0].return_route == (remote,)
    scene.a.send(APP, LocalMessage((remote,), (APP,), b"\x82\x03\x80"))
    scene.a.send(APP, LocalMessage((remote,), (APP,), bytes.fromhex("8202838080426162")))
    scene.network.run()
    assert rules(scene.a) == ["bad-puncture-message"] * 2
    assert isinstance(scene.a.node.state_of(hop), Open)


@pytest.mark.spec("PUN-39", "PUN-20")
def test_ends_that_are_stopped() -> None:
    scene = Scene()
    hop = scene.ask()
    scene.a.stop(hop, "enough")
    assert reason(scene.a) == "enough"
    scene.b.stop(scene.other(), "enough too")
    assert reason(scene.b) == "enough too"
    assert endpoints(scene.a) == endpoints(scene.b) == 0
    assert scene.network.endpoints.keys() == {SERVICE}


@pytest.mark.spec("PUN-39")
def test_a_socket_that_breaks() -> None:
    scene = Scene()
    scene.ask()
    host, link = scene.network.endpoints["0.0.0.0:40000"]
    host.feed(LinkClosed(link, "out of memory", scene.network.now))
    assert reason(scene.a) == "the socket is gone"


@pytest.mark.spec("PUN-26")
def test_the_side_channel_is_needed_for_the_negotiation_only() -> None:
    scene = Scene()
    hop = scene.ask()
    scene.a.stop(scene.hop)
    scene.network.run()
    scene.network.advance(HEARTBEAT_S)
    assert isinstance(scene.a.node.state_of(hop), Open)
    scene.say(hop, b"still")
    assert payloads(scene.a.delivered) == [b"still"]


@pytest.mark.spec("PUN-37")
def test_the_addresses_of_one_end() -> None:
    scene = Scene()
    hop = scene.ask()
    sender, remote, receiver, questions = scene.a.node.addresses_of(hop)
    controls = scene.a.node.flow_controls
    assert sender == hop
    producer = controls.find_producer(hop)
    assert producer is not None
    assert producer.flow_control_id == "hole"
    assert controls.find_producer(receiver) == producer
    bind = next(a for a in scene.a.node.addresses() if isinstance(scene.a.node.state_of(a), EndpointState))
    bound = controls.find_producer(bind)
    assert bound is not None
    assert bound.flow_control_id in controls.ids_of_consumer(remote)
    assert bound.flow_control_id in controls.ids_of_consumer(questions)


def test_the_peer_is_a_udp_hop() -> None:
    scene = Scene()
    state = scene.a.node.state_of(scene.ask())
    assert isinstance(state, Open)
    assert state.peer[1] == Address(UDP, b"0.0.0.0:40001")
