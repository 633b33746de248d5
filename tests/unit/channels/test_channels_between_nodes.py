"""Channels between whole nodes: routes, flow controls, tunnels, what arrives in one read."""

from dataclasses import replace

import pytest

from ockam_ref.channels import listener
from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.channels.trust import TrustIdentifier
from ockam_ref.errors import ErrorCode
from ockam_ref.events import BytesReceived
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.links.node_link import LinkState
from ockam_ref.machine import Mailbox
from ockam_ref.observations import ChannelClosed, ChannelOpened, HandshakeFailed
from ockam_ref.relays.remote import RemoteRelay
from ockam_ref.relays.service import RelayService
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.testing.spent_states import refuse_repeated_nonces
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage, channel_local_info
from ockam_ref.wire.transport_message import TransportMessage, decode_transport_message, encode_transport_message
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from tests.unit.channels.ends import ALICE, BOB, LISTENER, World, observed, rules

HELLO = b"hello"


def frames(world: World, sender: str) -> list[TransportMessage]:
    """The messages that one node put on the wire, without the version byte."""
    seen = [data for name, _, data in world.net.bytes_seen if name == sender]
    return [decode_transport_message(data[4:]) for data in seen if data != b"\x01"]


def say(host: MemoryHost, source: Address, *route: Address, text: bytes = HELLO) -> None:
    host.send(source, LocalMessage(route, (source,), text))
    host.network.run()


# ---- the handshake on the wire


@pytest.mark.spec("CH-2", "CH-3", "CH-4", "CH-5", "CH-17")
def test_the_routes_of_the_three_messages_on_the_wire() -> None:
    world = World()
    opened = world.open()
    (accepted,) = observed(world.bob, ChannelOpened)
    assert (opened.peer, accepted.peer) == (BOB.identifier.value, ALICE.identifier.value)
    first, third = frames(world, "alice")
    (second,) = frames(world, "bob")
    a, b = opened.worker, accepted.worker
    assert (first.onward_route, first.return_route, len(first.payload)) == ((LISTENER,), (a,), 32)
    assert (second.onward_route, second.return_route, len(second.payload)) == ((a,), (b,), 419)
    assert (third.onward_route, third.return_route, len(third.payload)) == ((b,), (a,), 387)


@pytest.mark.spec("CH-2")
def test_every_channel_has_addresses_of_its_own() -> None:
    world = World()
    for _ in range(3):
        world.open()
    for host in (world.alice, world.bob):
        addresses = [host.node.addresses_of(one.worker) for one in observed(host, ChannelOpened)]
        assert len({address for each in addresses for address in each}) == 9
        assert all(len(address.value) == 32 for each in addresses for address in each)


@pytest.mark.spec("CH-7")
def test_a_responder_that_refuses_keeps_silent() -> None:
    world = World(trust=TrustIdentifier(BOB.identifier.value))
    opened = world.open()  # Alice cannot know that Bob refused her
    assert len(observed(world.bob, HandshakeFailed)) == 1
    assert len(frames(world, "bob")) == 1
    say(world.alice, world.app_a, opened.encryptor, local("app-b"))
    assert world.bob.delivered == []
    assert rules(world.bob) == ["unknown-address"]


@pytest.mark.spec("CH-14")
def test_silence_ends_with_the_deadline() -> None:
    world = World()
    worker = world.ask(route=(world.hop, local("nobody")))
    world.net.advance(119.0)
    assert worker in world.alice.node
    world.net.advance(1.0)
    assert worker not in world.alice.node
    (failed,) = observed(world.alice, HandshakeFailed)
    assert (failed.worker, failed.initiator) == (worker, True)
    assert world.alice.timers == {}


@pytest.mark.spec("CH-14", "CH-15")
def test_an_open_channel_has_no_deadline() -> None:
    world = World()
    world.open()
    world.net.advance(1000.0)
    assert not observed(world.alice, HandshakeFailed) + observed(world.bob, HandshakeFailed)
    assert (world.alice.timers, world.bob.timers) == ({}, {})


def payload_of(body: bytes) -> bytes:
    return bytes(decode_transport_message(body).payload)


@pytest.mark.spec("CH-18")
def test_messages_1_and_3_twice() -> None:
    world = World()
    world.net.tamper_frame = lambda _, __, body: [body] * (2 if len(payload_of(body)) in (32, 387) else 1)
    opened = world.open()
    world.net.tamper_frame = None
    assert len(observed(world.bob, ChannelOpened)) == 1
    assert rules(world.alice) == [ErrorCode.NONCE_REJECTED]  # the other responder's message 2
    assert rules(world.bob) == [ErrorCode.NONCE_REJECTED]  # the second message 3
    world.net.advance(61.0)
    assert len(observed(world.bob, HandshakeFailed)) == 1  # the responder that nobody answered
    world.bob.node.flow_controls.add_consumer(local("app-b"), "CHANNELS")
    say(world.alice, world.app_a, opened.encryptor, local("app-b"))
    assert [message.payload for message in world.bob.delivered] == [HELLO]


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.spec("CH-19")
def test_what_comes_right_behind_message_3_in_one_read_is_not_lost() -> None:
    """The initiator may send as soon as message 3 is on its way, and TCP glues what is sent at once."""
    world = World()
    world.bob.node.flow_controls.add_consumer(local("app-b"), "CHANNELS")
    ((_, far),) = world.alice.peers.values()
    held: list[bytes] = []

    def hold(sender: str, _: str, body: bytes) -> list[bytes]:
        if sender == "bob" or len(payload_of(body)) == 32:
            return [body]
        held.append(framed(body))
        return []

    world.net.tamper_frame = hold
    opened = world.open()
    texts = [b"%d" % number for number in range(100)]
    for text in texts:
        say(world.alice, world.app_a, opened.encryptor, local("app-b"), text=text)
    assert (len(held), observed(world.bob, ChannelOpened)) == (101, [])
    world.bob.feed(BytesReceived(far, b"".join(held), world.net.now))
    assert ([message.payload for message in world.bob.delivered], rules(world.bob)) == (texts, [])


@pytest.mark.spec("CH-12", "CH-18")
def test_data_that_overtakes_message_3_is_lost_and_the_handshake_is_not() -> None:
    world = World()
    world.bob.node.flow_controls.add_consumer(local("app-b"), "CHANNELS")
    held: list[bytes] = []

    def overtake(sender: str, _: str, body: bytes) -> list[bytes]:
        if sender == "alice" and len(payload_of(body)) == 387:
            held.append(body)
            return []
        return [body, held.pop()] if held else [body]

    world.net.tamper_frame = overtake
    opened = world.open()
    for text in (b"lost", b"delivered"):
        say(world.alice, world.app_a, opened.encryptor, local("app-b"), text=text)
    assert [message.payload for message in world.bob.delivered] == [b"delivered"]


# ---- from end to end


@pytest.mark.spec("CH-20", "CH-21", "CH-22", "CH-27")
def test_a_request_and_its_answer() -> None:
    with refuse_repeated_nonces():
        world = World()
        opened = world.open()
        (accepted,) = observed(world.bob, ChannelOpened)
        world.bob.node.flow_controls.add_consumer(local("app-b"), "CHANNELS")
        world.alice.node.flow_controls.add_consumer(local("app-a"), "FLOW-0")
        say(world.alice, world.app_a, opened.encryptor, local("app-b"))
        (request,) = world.bob.delivered
        assert request.return_route == (accepted.encryptor, local("app-a"))
        assert request.local_info == (channel_local_info(ALICE.identifier.value),)
        world.bob.send(world.app_b, LocalMessage(request.return_route, (world.app_b,), b"answer"))
        world.net.run()
        (answer,) = world.alice.delivered
        assert answer.payload == b"answer"
        assert answer.return_route == (opened.encryptor, local("app-b"))
        assert answer.local_info == (channel_local_info(BOB.identifier.value),)
        outer = (*frames(world, "alice")[2:], *frames(world, "bob")[1:])
        assert [frame.return_route for frame in outer] == [(), ()]
        assert world.alice.node.peer_of((opened.encryptor, local("app-b"))) == BOB.identifier.value
        assert world.bob.node.peer_of((accepted.encryptor,)) == ALICE.identifier.value


@pytest.mark.spec("CH-27", "CH-28")
@pytest.mark.parametrize("consumer_of", ["TCP", "FLOW-0", None])
def test_a_worker_that_is_no_consumer_of_the_listener_gets_nothing(consumer_of: str | None) -> None:
    world = World()
    opened = world.open()
    if consumer_of:
        world.bob.node.flow_controls.add_consumer(local("app-b"), consumer_of)
    say(world.alice, world.app_a, opened.encryptor, local("app-b"))
    assert world.bob.delivered == []
    assert rules(world.bob) == ["outgoing:flow-control"]


@pytest.mark.spec("CH-27", "CH-28")
def test_the_flow_control_of_an_initiated_channel() -> None:
    world = World()
    world.open()
    (accepted,) = observed(world.bob, ChannelOpened)
    say(world.bob, world.app_b, accepted.encryptor, local("app-a"))
    assert world.alice.delivered == []
    world.alice.node.flow_controls.add_consumer(local("app-a"), "FLOW-0")
    say(world.bob, world.app_b, accepted.encryptor, local("app-a"))
    assert len(world.alice.delivered) == 1


@pytest.mark.spec("CH-27")
def test_a_responder_takes_the_flow_controls_that_its_listener_has_at_that_moment() -> None:
    world = World()
    world.open()
    world.bob.node.flow_controls.add_consumer(LISTENER, "LATER")
    world.open()
    first, second = (one.worker for one in observed(world.bob, ChannelOpened))
    assert world.bob.node.flow_controls.ids_of_consumer(first) == ("TCP",)
    assert world.bob.node.flow_controls.ids_of_consumer(second) == ("LATER", "TCP")


@pytest.mark.spec("CH-13", "CH-36")
def test_garbage_of_every_length_from_the_wire_at_every_address() -> None:
    world = World()
    opened = world.open()
    (accepted,) = observed(world.bob, ChannelOpened)
    world.bob.node.flow_controls.add_consumer(local("app-b"), "CHANNELS")
    ((_, far),) = world.alice.peers.values()
    half_open = world.ask(own=BOB)
    world.net.run()
    addresses = {
        address for worker in world.bob.node.addresses() for address in world.bob.node.addresses_of(worker)
    } - {accepted.worker}
    for length in range(65):
        for address in (*addresses, accepted.worker):
            message = TransportMessage((address,), (local("x"),), b"\xa5" * length)
            world.bob.feed(BytesReceived(far, framed(encode_transport_message(message)), world.net.now))
    world.net.run()
    assert half_open in world.alice.node
    assert {"outgoing:flow-control", ErrorCode.TRUNCATED, ErrorCode.NONCE_REJECTED} <= set(rules(world.bob))
    assert world.bob.delivered == []
    say(world.alice, world.app_a, opened.encryptor, local("app-b"))
    assert [message.payload for message in world.bob.delivered] == [HELLO]


@pytest.mark.spec("CH-36")
def test_only_the_remote_address_is_reachable_from_outside() -> None:
    world = World()
    world.open()
    (accepted,) = observed(world.bob, ChannelOpened)
    remote, internal, encryptor = world.bob.node.addresses_of(accepted.worker)
    assert (remote, encryptor) == (accepted.worker, accepted.encryptor)
    for address in (internal, encryptor):
        say(world.alice, world.app_a, world.hop, address)
    assert rules(world.bob) == ["outgoing:flow-control"] * 2


# ---- the end


@pytest.mark.spec("CH-29")
@pytest.mark.parametrize("address", [0, 1, 2])
def test_stopping_any_address_ends_both_ends_with_one_close(address: int) -> None:
    world = World()
    opened = world.open()
    (accepted,) = observed(world.bob, ChannelOpened)
    before = len(frames(world, "alice"))
    world.alice.stop(world.alice.node.addresses_of(opened.worker)[address], "enough")
    world.net.run()
    assert len(frames(world, "alice")) == before + 1
    assert len(frames(world, "bob")) == 1  # message 2 and nothing since
    assert opened.worker not in world.alice.node
    assert accepted.worker not in world.bob.node
    assert [one.reason for one in observed(world.bob, ChannelClosed)] == ["the peer closed the channel"]
    assert world.alice.node.peer_of((opened.encryptor,)) is None


@pytest.mark.spec("CH-30")
def test_the_end_of_a_link_ends_what_goes_through_it() -> None:
    world = World()
    opened, asked = world.open(), world.ask(route=(world.hop, local("nobody")))
    world.alice.stop(world.hop)
    world.net.run()
    assert opened.worker not in world.alice.node
    assert asked not in world.alice.node
    assert "way to the peer" in observed(world.alice, ChannelClosed)[0].reason
    assert "way to the responder" in observed(world.alice, HandshakeFailed)[0].reason
    assert len(observed(world.bob, ChannelClosed)) == 1


@pytest.mark.spec("CH-24", "CH-30")
def test_the_responder_follows_to_another_connection_and_watches_each_once() -> None:
    """Alice's side is moved by hand, from one connection to the other and back."""
    world = World()
    world.bob.node.flow_controls.add_consumer(local("app-b"), "CHANNELS")
    second_hop = world.net.connect(world.alice, world.bob, world.tcp)
    hops = [world.hop, second_hop]
    opened = world.open()
    (accepted,) = observed(world.bob, ChannelOpened)
    for number in range(20):
        record = world.alice.node._mailboxes[opened.worker][1]
        record.state = replace(record.state, remote_route=(hops[number % 2], accepted.worker))
        say(world.alice, world.app_a, opened.encryptor, local("app-b"))
    assert len(world.bob.delivered) == 20
    assert len(world.bob.node._watches._watching[world.bob.node._mailboxes[accepted.worker][1]]) == 2
    world.alice.stop(world.hop)  # not the one in use
    world.net.run()
    assert accepted.worker in world.bob.node
    world.alice.stop(second_hop)
    world.net.run()
    assert accepted.worker not in world.bob.node


# ---- tunnels


@pytest.mark.spec("CH-32")
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_channels_in_channels(depth: int) -> None:
    """Each inner listener is a consumer of the listener around it."""
    world = World()
    opened = [world.open()]
    for level in range(1, depth):
        name, outer = local(f"listener {level}"), "CHANNELS" if level == 1 else f"CHANNELS {level - 1}"
        world.bob.start(SecureChannelListener(name, BOB, f"CHANNELS {level}", consumer_of=(outer,)))
        opened.append(world.open(route=(opened[-1].encryptor, name)))
    accepted = observed(world.bob, ChannelOpened)
    assert len(accepted) == depth
    innermost = "CHANNELS" if depth == 1 else f"CHANNELS {depth - 1}"
    world.bob.start(Echo(local("echo"), (innermost,)))
    world.alice.node.flow_controls.add_consumer(world.app_a, f"FLOW-{depth - 1}")
    before = len(frames(world, "alice"))
    say(world.alice, world.app_a, opened[-1].encryptor, local("echo"))
    (answer,) = world.alice.delivered
    assert (answer.payload, answer.return_route) == (HELLO, (opened[-1].encryptor, local("echo")))
    assert len(frames(world, "alice")) == before + 1
    assert len(frames(world, "alice")[-1].payload) > len(HELLO) + 24 * depth
    # The end of the outermost channel is the end of all.
    world.alice.stop(opened[0].worker)
    world.net.run()
    assert not [one for one in opened if one.worker in world.alice.node]
    assert not [one for one in accepted if one.worker in world.bob.node]


@pytest.mark.spec("CH-24", "CH-32")
def test_a_channel_within_one_node() -> None:
    net = MemoryNetwork()
    host = net.host("alone")
    host.start(SecureChannelListener(LISTENER, BOB, "CHANNELS"))
    app = host.start(Application((Mailbox(local("app")),)))
    host.start(Echo(local("echo"), ("CHANNELS",)))
    host.start(SecureChannel(ALICE, (LISTENER,), "FLOW"))
    host.node.flow_controls.add_consumer(app, "FLOW")
    net.run()
    opened, accepted = observed(host, ChannelOpened)
    assert (accepted.initiator, opened.initiator) == (False, True)
    for _ in range(3):
        say(host, app, opened.encryptor, local("echo"))
    assert [message.payload for message in host.delivered] == [HELLO] * 3


@pytest.mark.spec("CH-2", "CH-32")
def test_a_channel_through_a_node_between() -> None:
    net = MemoryNetwork()
    alice, middle, bob = net.host("alice"), net.host("middle"), net.host("bob")
    at_middle, at_bob = middle.start(LinkListener("M")), bob.start(LinkListener("B"))
    first = net.connect(alice, middle, at_middle)
    second = net.connect(middle, bob, at_bob)
    middle.node.flow_controls.add_consumer(second, "M")
    producer = middle.node.flow_controls.find_producer(second)
    assert producer
    for back in middle.node.addresses():
        middle.node.flow_controls.add_consumer(back, producer.flow_control_id)
    bob.start(SecureChannelListener(LISTENER, BOB, "CHANNELS", consumer_of=("B",)))
    bob.start(Echo(local("echo"), ("CHANNELS",)))
    app = alice.start(Application((Mailbox(local("app")),)))
    alice.start(SecureChannel(ALICE, (first, second, LISTENER), "FLOW"))
    alice.node.flow_controls.add_consumer(app, "FLOW")
    net.run()
    (opened,) = observed(alice, ChannelOpened)
    assert opened.peer == BOB.identifier.value
    say(alice, app, opened.encryptor, local("echo"))
    assert [message.payload for message in alice.delivered] == [HELLO]
    seen = b"".join(data for sender, receiver, data in net.bytes_seen if "middle" in (sender, receiver))
    assert HELLO not in seen
    assert BOB.identifier.value not in seen
    assert ALICE.identifier.value not in seen


@pytest.mark.spec("CH-30", "LINK-34")
@pytest.mark.parametrize("dead", ["initiator", "responder"])
def test_both_ends_of_a_channel_over_a_hub_learn_that_a_link_to_the_hub_has_died(dead: str) -> None:
    net = MemoryNetwork()
    alice, hub, bob = net.host("alice"), net.host("hub"), net.host("bob")
    at_hub = hub.start(LinkListener("HUB"))
    hub.start(RelayService(local("relays"), consumer_of=("HUB",), relay_consumer_of=("HUB",)))
    of_bob, of_alice = net.connect(bob, hub, at_hub), net.connect(alice, hub, at_hub)
    producer = bob.node.flow_controls.find_producer(of_bob)
    assert producer
    bob.start(SecureChannelListener(LISTENER, BOB, "CHANNELS", consumer_of=(producer.flow_control_id,)))
    bob.start(Echo(local("echo"), ("CHANNELS",)))
    bob.start(RemoteRelay((of_bob, local("relays")), "bob"))
    net.run()
    app = alice.start(Application((Mailbox(local("app")),)))
    for number in range(2):
        alice.start(SecureChannel(ALICE, (of_alice, local("bob"), LISTENER), f"FLOW {number}"))
        alice.node.flow_controls.add_consumer(app, f"FLOW {number}")
    net.run()
    for opened in observed(alice, ChannelOpened):
        say(alice, app, opened.encryptor, local("echo"))
    assert len(alice.delivered) == 2
    host, link = (alice, of_alice) if dead == "initiator" else (bob, of_bob)
    host.stop(link, "killed")
    net.run()
    other = bob if dead == "initiator" else alice
    assert [closed.reason for closed in observed(other, ChannelClosed)] == ["the way to the peer is gone"] * 2
    assert not alice.node._watches._at_place
    assert not bob.node._watches._at_place


@pytest.mark.spec("LINK-34")
def test_a_notice_of_something_else_ends_nothing() -> None:
    world = World()
    opened = world.open()
    hop_of_bob = next(a for a in world.bob.node.addresses() if isinstance(world.bob.node.state_of(a), LinkState))
    link = world.bob.node.state_of(hop_of_bob)
    assert isinstance(link, LinkState)
    (back,) = (other for host, other in (world.bob.peers[link.link],))
    body = encode_transport_message(TransportMessage((), (local("another"),), b""))
    world.alice.feed(BytesReceived(back, framed(body), world.net.now))
    world.net.run()
    assert opened.worker in world.alice.node


@pytest.mark.spec("CH-1")
def test_the_usual_limit_is_not_reached_by_a_hundred_channels() -> None:
    world = World()
    for _ in range(100):
        world.open()
    assert len(observed(world.bob, ChannelOpened)) == 100
    state = world.bob.node.state_of(LISTENER)
    assert isinstance(state, listener.Listening)
    assert state.half_open == ()
