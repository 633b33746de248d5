"""Steady links between nodes in memory: what passes, over which path, and how they end."""

import pytest

from ockam_ref.effects import Forward
from ockam_ref.errors import MisuseError
from ockam_ref.events import AddressGone, MessageReceived, TimerFired
from ockam_ref.links import recovery
from ockam_ref.links.recovery import MIN_PACKET_BYTES
from ockam_ref.links.recovery_packets import encode_gone
from ockam_ref.observations import MessageDropped, SteadyLinkClosed, SteadyLinkMoved
from ockam_ref.steady import initiator, link, listener, responder
from ockam_ref.steady.initiator import ASK_AGAIN_S, Leading, Opening, SteadyLink
from ockam_ref.steady.link import IDLE_S, KEEP_ALIVE_S, Running
from ockam_ref.steady.listener import MAX_LINKS, Listening
from ockam_ref.steady.responder import Following, SteadyResponder
from ockam_ref.testing.memory_host import MemoryHost
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.steady_message import Carried, Here, Move, Open, encode_steady_message
from tests.unit.nodes import observed
from tests.unit.steady.scene import APP, ECHO, STEADY, Scene


def rules(host: MemoryHost) -> list[str]:
    return [dropped.rule for dropped in observed(host, MessageDropped)]


def reason(host: MemoryHost) -> str:
    (closed,) = observed(host, SteadyLinkClosed)
    return closed.reason


def leading(scene: Scene, hop: Address) -> Leading:
    state = scene.a.node.state_of(hop)
    assert isinstance(state, Leading)
    return state


def following(scene: Scene) -> Following:
    state = scene.b.node.state_of(scene.responder())
    assert isinstance(state, Following)
    return state


@pytest.mark.spec("STEADY-1", "STEADY-10", "STEADY-20")
def test_messages_cross_a_link_as_a_transport_would_carry_them() -> None:
    scene = Scene()
    hop = scene.link()
    assert observed(scene.a, SteadyLinkMoved) == [SteadyLinkMoved(hop, 0, (scene.first,))]
    for number in range(100):
        scene.say(hop, b"%d" % number)
    for _ in range(100):
        scene.network.advance(0.01)
    assert scene.heard() == [b"%d" % number for number in range(100)]
    assert scene.a.delivered[0].return_route == (hop, ECHO)
    scene.say(hop, bytes(2_000_000))
    for _ in range(100):
        scene.network.advance(0.01)
    assert scene.heard()[-1] == bytes(2_000_000)


@pytest.mark.spec("STEADY-21")
def test_what_comes_through_reaches_consumers_only() -> None:
    scene = Scene()
    scene.say(scene.link(), b"", STEADY)
    assert rules(scene.b) == ["outgoing:flow-control"]


@pytest.mark.spec("STEADY-30", "STEADY-31")
def test_a_path_that_is_offered_is_used_once_it_answers() -> None:
    scene = Scene()
    hop = scene.link()
    scene.move(hop, scene.second)
    assert observed(scene.a, SteadyLinkMoved)[1:] == [SteadyLinkMoved(hop, 1, (scene.second,))]
    assert leading(scene, hop).inner.path == (scene.second, scene.responder())
    assert following(scene).inner.epoch == 1
    scene.cut(scene.first)
    scene.say(hop, b"over the second")
    assert scene.heard() == [b"over the second"]


@pytest.mark.spec("STEADY-30", "STEADY-32")
def test_what_a_dead_path_has_swallowed_arrives_over_another() -> None:
    scene = Scene()
    hop = scene.link()
    scene.say(hop, b"0")
    scene.cut(scene.first)
    for number in range(1, 50):
        scene.say(hop, b"%d" % number)
    assert scene.heard() == [b"0"]
    scene.move(hop, scene.second)
    for _ in range(100):
        scene.network.advance(0.05)
    assert scene.heard() == [b"%d" % number for number in range(50)]


@pytest.mark.spec("STEADY-31")
def test_a_path_that_does_not_answer_is_asked_again() -> None:
    scene = Scene()
    hop = scene.link()
    scene.cut(scene.second)
    scene.move(hop, scene.second)
    scene.network.advance(ASK_AGAIN_S)
    assert leading(scene, hop).offered is not None
    scene.say(hop, b"still over the first")
    assert scene.heard() == [b"still over the first"]
    scene.move(hop, scene.first)
    state = leading(scene, hop)
    assert state.offered is None
    assert state.inner.epoch == 2
    assert len(observed(scene.a, SteadyLinkMoved)) == 2


@pytest.mark.spec("STEADY-33")
def test_a_path_whose_way_back_was_made_anew() -> None:
    """The responder's hop is another although the epoch is the same."""
    scene = Scene()
    hop = scene.link()
    before = following(scene).inner.path
    move = encode_steady_message(Move(leading(scene, hop).inner.connection, 0, 1000))
    remote = leading(scene, hop).inner.end.remote
    scene.a.send(remote, LocalMessage((scene.second, STEADY), (remote,), move))
    scene.network.run()
    assert following(scene).inner.path != before
    scene.cut(scene.first)
    scene.a.send(remote, LocalMessage((scene.second, STEADY), (remote,), move))
    scene.network.run()
    older = encode_steady_message(Open(leading(scene, hop).inner.connection, 1000))
    scene.a.send(remote, LocalMessage((scene.second, STEADY), (remote,), older))
    scene.network.run()
    assert not rules(scene.b)
    assert following(scene).inner.recovery.sender.packet == 1000


@pytest.mark.spec("STEADY-11")
def test_a_node_that_is_not_there_yet() -> None:
    scene = Scene()
    scene.b.stop(STEADY)
    hop = scene.link()
    assert isinstance(scene.a.node.state_of(hop), Opening)
    scene.say(hop, b"too soon")
    assert rules(scene.a) == ["steady-link-not-open"]
    for _ in range(19):
        scene.network.advance(ASK_AGAIN_S)
    assert isinstance(scene.a.node.state_of(hop), Opening)
    scene.network.advance(ASK_AGAIN_S)
    assert reason(scene.a) == "the other node did not answer in time"


@pytest.mark.spec("STEADY-40")
@pytest.mark.parametrize("which", ["initiator", "responder", "listener"])
def test_an_end_that_stops_tells_the_other(which: str) -> None:
    scene = Scene()
    hop = scene.link()
    scene.say(hop, b"something")
    if which == "initiator":
        scene.a.stop(hop, "enough")
    else:
        scene.b.stop(scene.responder() if which == "responder" else STEADY, "enough")
    scene.network.run()
    assert {reason(scene.a), reason(scene.b)} == {"enough", "the peer does not know the connection any more"}
    if which == "listener":
        return
    listener = scene.b.node.state_of(STEADY)
    assert isinstance(listener, Listening)
    assert not listener.links
    assert not listener.asked


@pytest.mark.spec("STEADY-41")
def test_both_ends_give_up_a_silent_one() -> None:
    scene = Scene()
    hop = scene.link()
    for _ in range(30):
        scene.network.advance(KEEP_ALIVE_S)
    assert leading(scene, hop).offered is None
    assert following(scene).inner.epoch == 0
    scene.cut(scene.first)
    for _ in range(14):
        scene.network.advance(KEEP_ALIVE_S)
    for host in (scene.a, scene.b):
        assert reason(host) == f"the other node was silent for {IDLE_S:g} s"


@pytest.mark.spec("STEADY-42")
def test_a_link_that_is_unknown_to_a_node_that_came_back() -> None:
    scene = Scene()
    hop = scene.link()
    scene.b.peers, peers = {}, scene.b.peers  # its last words go nowhere
    scene.b.stop(scene.responder(), "crash")
    scene.network.run()
    scene.b.peers = peers
    scene.network.advance(KEEP_ALIVE_S)
    assert reason(scene.a) == "the peer does not know the connection any more"
    assert scene.a.node.state_of(hop) is None
    assert observed(scene.b, SteadyLinkClosed)[-1].reason == "the link that should go on is unknown here"


@pytest.mark.spec("STEADY-50")
def test_a_listener_has_a_limit() -> None:
    scene = Scene()
    for _ in range(MAX_LINKS + 1):
        scene.link()
    assert rules(scene.b) == ["steady-link-limit"]
    assert len(observed(scene.a, SteadyLinkMoved)) == MAX_LINKS


@pytest.mark.spec("STEADY-2", "STEADY-50")
def test_what_strangers_send_is_a_recorded_drop() -> None:
    scene = Scene()
    hop = scene.link()
    state = leading(scene, hop)
    remote, connection = state.inner.end.remote, state.inner.connection
    here = encode_steady_message(Here(connection + 1, 0))
    for payload in (b"", b"\x01", b"\x09", b"\x01\x02" + bytes(12), here):
        scene.a.send(APP, LocalMessage((remote,), (APP,), payload))
        scene.a.send(APP, LocalMessage((scene.first, scene.responder()), (APP,), payload))
        scene.a.send(APP, LocalMessage((scene.first, STEADY), (APP,), payload))
    scene.network.run()
    scene.b.send(ECHO, LocalMessage((STEADY,), (), encode_steady_message(Open(1, 1000))))
    assert rules(scene.a) == ["bad-steady-message"] * 5
    assert rules(scene.b) == ["bad-steady-message"] * 10 + ["incomplete-route"]
    stray = encode_steady_message(Carried(encode_gone(connection + 1)))
    scene.a.send(APP, LocalMessage((remote,), (APP,), stray))
    scene.a.send(APP, LocalMessage((remote,), (APP,), encode_steady_message(Here(connection, 7))))
    assert rules(scene.a)[5:] == ["unknown-connection"]
    scene.say(hop, b"all is well")
    assert scene.heard() == [b"all is well"]


@pytest.mark.spec("STEADY-22")
def test_what_waits_is_told_to_the_host() -> None:
    scene = Scene()
    hop = scene.link()
    scene.cut(scene.first)
    scene.a.send(APP, LocalMessage((hop, ECHO), (APP,), bytes(9_000_000)))
    assert scene.a.backlogs[hop] > 1_000_000
    scene.a.stop(hop)
    assert scene.a.backlogs[hop] == 0


@pytest.mark.spec("STEADY-20")
def test_messages_that_cannot_be_carried() -> None:
    scene = Scene()
    hop = scene.link()
    scene.say(hop, bytes(16_777_216))
    assert rules(scene.a) == ["too-long"]
    state = leading(scene, hop).inner
    _, effects = link.advance(state, recovery.MessageGiven((b"no message",), 0.0))
    for effect in effects:
        if isinstance(effect, Forward):
            scene.a.send(effect.source, effect.message)
    scene.network.run()
    assert rules(scene.b) == ["undecodable-message"]


def test_a_responder_to_which_nothing_came() -> None:
    scene = Scene()
    config = SteadyResponder(local("steady.x"), STEADY, 1, "links")
    scene.b.start(config)
    scene.b.send(ECHO, LocalMessage((local("steady.x"),), (ECHO,), b"\x09"))
    sender = scene.b.node.addresses_of(local("steady.x"))[1]
    scene.b.send(ECHO, LocalMessage((sender, ECHO), (ECHO,), b""))
    assert rules(scene.b) == ["bad-steady-message", "steady-link-not-open"]
    scene.network.advance(IDLE_S)
    assert reason(scene.b) == "nothing came"
    scene.b.start(SteadyResponder(local("steady.y"), STEADY, 2, "links"))
    scene.b.stop(local("steady.y"), "enough")
    assert observed(scene.b, SteadyLinkClosed)[-1].reason == "enough"


@pytest.mark.spec("STEADY-12")
def test_the_packets_that_an_initiator_may_ask_for() -> None:
    scene = Scene()
    scene.a.start(SteadyLink((scene.first, STEADY), "mine", packet=1))
    scene.network.run()
    assert following(scene).inner.recovery.sender.packet == MIN_PACKET_BYTES


def test_events_that_change_nothing() -> None:
    scene = Scene()
    scene.b.stop(STEADY)
    hop = scene.link()
    now = scene.network.now
    opening = scene.a.node.state_of(hop)
    assert isinstance(opening, Opening)
    for event in (AddressGone(hop, now), TimerFired("recovery", now)):
        assert initiator.receive(opening, event) == (opening, ())
    bad = MessageReceived(opening.end.remote, APP, LocalMessage((), (), b"\x09"), now)
    wrong = bad._replace(message=LocalMessage((), (APP,), encode_steady_message(Here(opening.connection + 1, 0))))
    for message in (bad, wrong):
        assert initiator.receive(opening, message)[0] == opening
    scene.a.stop(hop, "enough")
    assert reason(scene.a) == "enough"
    with pytest.raises(MisuseError):
        scene.a.start(SteadyLink((STEADY,), "mine"))
    scene = Scene()
    state = leading(scene, scene.link())
    for event in (AddressGone(hop, now), TimerFired("ask", now)):
        assert initiator.receive(state, event) == (state, ())
    other = following(scene)
    assert responder.receive(other, AddressGone(hop, now)) == (other, ())
    waiting = responder.Waiting(other.config, other.inner.end)
    assert responder.receive(waiting, AddressGone(hop, now)) == (waiting, ())
    for ended in (initiator.receive, responder.receive):
        assert ended(link.Ended(), AddressGone(hop, now)) == (link.Ended(), ())
    listening = scene.b.node.state_of(STEADY)
    assert isinstance(listening, Listening)
    assert listener.receive(listening, AddressGone(hop, now)) == (listening, ())
    broken = link.advance(state.inner, recovery.PacketsReceived((b"\x44" + bytes(9),), 0.0))
    assert isinstance(broken[0], Running)
