"""Portals between whole nodes, with sockets in memory."""

import pytest

from ockam_ref.events import BytesReceived, PauseChanged, RouteChanged
from ockam_ref.portals.credit import WINDOW_BYTES
from ockam_ref.portals.inlet import Inlet
from ockam_ref.portals.outlet import Outlet
from ockam_ref.routing.access_control import AllowIdentifiers
from ockam_ref.testing.memory_host import MemoryHost, Socket
from ockam_ref.testing.spent_states import refuse_repeated_nonces
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import TransportMessage, decode_transport_message, encode_transport_message
from tests.unit.channels.ends import ALICE, BOB, rules
from tests.unit.portals.ends import (
    DISCONNECT,
    OUTLET,
    PING,
    PONG,
    HubWorld,
    PortalWorld,
    closed,
    opened,
    payload,
    reasons,
)

SIZES = [1, 49_151, 49_152, 49_153, 131_072, 1024 * 1024]


def bytes_of(size: int, salt: int) -> bytes:
    return bytes((number * 7 + salt) % 251 for number in range(251)) * (size // 251 + 1)


def pattern(size: int, salt: int) -> bytes:
    return bytes_of(size, salt)[:size]


def got(socket: Socket | None) -> bytes:
    assert socket
    return bytes(socket.received)


def were_cut(*sockets: Socket) -> list[bool]:
    return [socket.broken for socket in sockets]


def are_open(*sockets: Socket) -> list[bool]:
    return [socket.open for socket in sockets]


@pytest.fixture(params=[True, False], ids=["channel", "plain"])
def world(request: pytest.FixtureRequest) -> PortalWorld:
    return PortalWorld(channel=request.param)


@pytest.mark.spec("PT-2", "PT-4", "PT-12", "PT-37")
def test_bytes_arrive_unchanged_and_in_order_both_ways(world: PortalWorld) -> None:
    with refuse_repeated_nonces():
        client, target = world.connect()
        there, back = bytearray(), bytearray()
        for number, size in enumerate(SIZES):
            there += pattern(size, number)
            back += pattern(size, number + 100)
            world.alice.write(client, pattern(size, number))
            world.bob.write(target, pattern(size, number + 100))
        world.net.run()
        assert (got(target), got(client)) == (bytes(there), bytes(back))
        world.alice.finish(client)
        world.bob.finish(target)
        world.net.run()
        assert (client.open, target.open, client.finished, target.finished) == (False, False, False, True)
        assert were_cut(client, target) == [False, False]
        (at_alice,), (at_bob,) = closed(world.alice), closed(world.bob)
        assert (at_alice.received, at_alice.sent) == (len(there), len(back)) == (at_bob.sent, at_bob.received)
        assert (at_alice.reason, at_bob.reason) == ("both sides have finished",) * 2
        assert rules(world.alice) == rules(world.bob) == []


@pytest.mark.spec("PT-2")
def test_what_a_client_wrote_before_pong_is_not_lost(world: PortalWorld) -> None:
    target = world.bob.targets["target:80"] = Socket()
    client = world.alice.connect_client(world.inlet)
    world.alice.write(client, b"early")
    assert client.waiting
    world.net.run()
    assert got(target) == b"early"


@pytest.mark.spec("PT-21")
def test_a_request_that_ends_with_half_close_gets_its_answer(world: PortalWorld) -> None:
    client, target = world.connect()
    world.alice.write(client, b"request")
    world.alice.finish(client)
    world.net.run()
    assert (got(target), target.finished, target.open) == (b"request", True, True)
    world.net.advance(60.0)
    assert (client.open, target.open) == (True, True)
    world.bob.write(target, b"answer after a minute")
    world.bob.finish(target)
    world.net.run()
    assert (got(client), client.open, target.open) == (b"answer after a minute", False, False)
    assert were_cut(client, target) == [False, False]


@pytest.mark.spec("PT-6")
def test_a_refused_target_is_told_at_both_ends_at_once(world: PortalWorld) -> None:
    client = world.alice.connect_client(world.inlet)
    world.net.run()
    assert not client.open
    assert "could not reach its target" in reasons(world.alice)[0]
    assert "connection to target:80 refused" in reasons(world.bob)[0]
    assert not closed(world.alice)[0].opened
    client, target = world.connect()
    world.alice.write(client, b"now it works")
    world.net.run()
    assert got(target) == b"now it works"


@pytest.mark.spec("PT-7", "PT-31")
def test_an_outlet_that_cannot_be_reached_ends_with_the_deadline(world: PortalWorld) -> None:
    inlet = world.alice.start(Inlet((world.first_hop, local("nobody")), world.alice.node.peer_of((world.first_hop,))))
    client = world.alice.connect_client(inlet)
    world.net.advance(9.0)
    assert are_open(client) == [True]
    world.net.advance(1.0)
    assert are_open(client) == [False]
    assert "did not answer in time" in reasons(world.alice)[0]
    assert not closed(world.alice)[0].answered
    world.net.advance(30.0)
    assert not [one for one in world.alice.node.addresses() if one == closed(world.alice)[0].worker]


@pytest.mark.spec("PT-7", "PT-8")
@pytest.mark.parametrize("by", ["deadline", "client"])
def test_an_outlet_that_answers_too_late_lets_its_target_go(world: PortalWorld, by: str) -> None:
    held: list[bytes] = []

    def hold(sender: str, _: str, body: bytes) -> list[bytes]:
        if sender == "bob":
            held.append(body)
            return []
        return [body]

    world.net.tamper_frame = hold
    client, target = world.connect()
    if by == "client":
        world.alice.reset(client)
    else:
        world.net.advance(10.0)
    assert are_open(client, target) == [False, True]
    world.net.tamper_frame = None
    link = next(link for link, (_, far) in world.alice.peers.items() if far)
    for body in held:
        world.alice.feed(BytesReceived(link, len(body).to_bytes(4, "big") + body, world.net.now))
    world.net.run()
    assert are_open(target) == [False]
    assert reasons(world.bob) == ["the other end closed the connection"]


@pytest.mark.spec("PT-19", "PT-38", "PT-39")
@pytest.mark.parametrize("side", ["client", "target"])
def test_a_reset_resets_the_other_side(world: PortalWorld, side: str) -> None:
    """All that was read before is written; that more may be missing is told even before anything was said at all."""
    for part in (b"", b"a part"):
        client, target = world.connect()
        broken, other = (client, target) if side == "client" else (target, client)
        host = world.alice if side == "client" else world.bob
        host.write(broken, part)
        world.net.run()
        host.reset(broken)
        world.net.run()
        assert are_open(client, target) == [False, False]
        assert (got(other), other.broken, other.finished) == (part, True, False)
    assert sorted((*reasons(world.alice), *reasons(world.bob))) == [
        *("connection reset",) * 2,
        *("the other end broke off",) * 2,
    ]


@pytest.mark.spec("PT-38", "PT-39")
def test_a_reset_while_the_target_is_being_reached_or_the_answer_on_its_way(world: PortalWorld) -> None:
    """Nothing was carried: Disconnect in answer to the late Pong is enough."""
    target = world.bob.targets["target:80"] = Socket()
    client = world.alice.connect_client(world.inlet)
    world.alice.reset(client)
    world.net.run()
    assert are_open(client, target) == [False, False]
    assert were_cut(target) == [False]


@pytest.mark.spec("PT-19", "PT-21", "PT-25")
def test_a_target_that_finishes_before_anything_was_carried(world: PortalWorld) -> None:
    """It cannot know yet that the inlet is of our kind: the client gets an orderly end."""
    client, target = world.connect()
    world.bob.finish(target)
    world.net.run()
    assert are_open(client, target) == [False, False]
    assert were_cut(client, target) == [False, False]


@pytest.mark.spec("PT-25", "PT-26")
@pytest.mark.parametrize("side", ["client", "target"])
def test_whoever_speaks_first_both_ends_know_each_other(world: PortalWorld, side: str) -> None:
    client, target = world.connect()
    host, socket, other = (world.alice, client, target) if side == "client" else (world.bob, target, client)
    other.stalled = True
    chunk = bytes(WINDOW_BYTES // 16)
    host.write(socket, b"first")
    world.net.run()
    for _ in range(32):
        host.write(socket, chunk)
    world.net.run()
    assert WINDOW_BYTES <= len(got(other)) <= WINDOW_BYTES + len(chunk)
    assert not socket.reading


@pytest.mark.spec("PT-23", "PT-38")
@pytest.mark.parametrize("at", ["alice", "bob"])
def test_the_end_of_the_link_closes_both_sockets(world: PortalWorld, at: str) -> None:
    client, target = world.connect()
    if at == "alice":
        world.alice.stop(world.hop)
    else:
        world.bob.stop(hop_of(world.bob))
    world.net.run()
    assert are_open(client, target) == [False, False]
    assert were_cut(client, target) == [True, True]


def hop_of(bob: MemoryHost) -> Address:
    """The address of Bob's end of the link."""
    (address,) = (owner.address for owner in set(bob.node._owners.values()) if owner.machine.name == "node link")
    return address


@pytest.mark.spec("PT-24", "PT-38", "PT-39")
def test_stopping_inlet_and_outlet_leaves_connections_alone(world: PortalWorld) -> None:
    client, target = world.connect()
    world.alice.stop(world.inlet)
    world.bob.stop(world.outlet)
    world.alice.write(client, b"still here")
    world.net.run()
    assert got(target) == b"still here"
    later = world.alice.connect_client(world.inlet)
    assert not later.open
    world.alice.stop(opened(world.alice)[0].worker, "stopped by hand")
    world.net.run()
    assert are_open(client, target) == [False, False]
    assert were_cut(client, target) == [True, True]
    assert (reasons(world.alice), reasons(world.bob)) == (["stopped by hand"], ["the other end broke off"])


@pytest.mark.spec("PT-17")
def test_two_hundred_connections_are_independent(world: PortalWorld) -> None:
    pairs = []
    for number in range(200):
        client, target = world.connect()
        world.alice.write(client, b"request %d" % number)
        world.bob.write(target, b"answer %d" % number)
        pairs.append((client, target))
    world.net.run()
    for number, (client, target) in enumerate(pairs):
        assert (got(target), got(client)) == (b"request %d" % number, b"answer %d" % number)
    for client, _ in pairs[::2]:
        world.alice.reset(client)
    world.net.run()
    assert [target.open for _, target in pairs] == [False, True] * 100
    assert len({one.worker for one in opened(world.alice)}) == 200


@pytest.mark.spec("PT-28")
def test_a_stalled_target_stops_its_own_client_and_no_other(world: PortalWorld) -> None:
    stalled, busy = world.connect(), world.connect()
    stalled[1].stalled = True
    chunk = bytes(WINDOW_BYTES // 32)
    count = 3 * 32
    for _ in range(count):
        world.alice.write(stalled[0], chunk)
        world.alice.write(busy[0], chunk)
    world.net.run()
    assert len(got(busy[1])) == count * len(chunk)
    assert len(got(stalled[1])) == WINDOW_BYTES
    assert (stalled[0].reading, busy[0].reading) == (False, True)
    stalled[1].stalled = False
    world.net.run()
    assert len(got(stalled[1])) == count * len(chunk)


@pytest.mark.spec("PT-29")
def test_pausing_and_another_way(world: PortalWorld) -> None:
    first = world.connect()
    world.alice.tell(world.inlet, PauseChanged(True, world.net.now))
    client = world.alice.connect_client(world.inlet)
    world.net.run()
    assert not client.open
    world.bob.start(Outlet(local("other outlet"), "other:80", ("TCP", "CHANNELS")))
    other = world.bob.targets["other:80"] = Socket()
    peer = world.alice.node.peer_of((world.first_hop,))
    world.alice.tell(world.inlet, RouteChanged((world.first_hop, local("other outlet")), peer, world.net.now))
    world.alice.tell(world.inlet, PauseChanged(False, world.net.now))
    client = world.alice.connect_client(world.inlet)
    world.alice.write(client, b"to the other")
    world.alice.write(first[0], b"to the first")
    world.net.run()
    assert (got(first[1]), got(other)) == (b"to the first", b"to the other")


@pytest.mark.spec("PT-15", "PT-31")
def test_an_outlet_for_one_identity() -> None:
    for identity, works in ((ALICE, True), (BOB, False)):
        world = PortalWorld()
        control = AllowIdentifiers(frozenset((identity.identifier.value,)))
        world.bob.start(Outlet(local("guarded"), "target:80", ("CHANNELS",), control))
        world.bob.targets["target:80"] = Socket()
        inlet = world.alice.start(Inlet((world.first_hop, local("guarded")), BOB.identifier.value))
        client = world.alice.connect_client(inlet)
        world.net.run()
        assert client.reading is works
        assert rules(world.bob) == ([] if works else ["incoming:allow-identifiers"])


@pytest.mark.spec("PT-31")
def test_without_permission_a_ping_is_dropped_in_silence(world: PortalWorld) -> None:
    world.bob.start(Outlet(local("closed outlet"), "target:80"))
    world.bob.targets["target:80"] = Socket()
    inlet = world.alice.start(
        Inlet((world.first_hop, local("closed outlet")), world.alice.node.peer_of((world.first_hop,)))
    )
    client = world.alice.connect_client(inlet)
    before = len(world.net.bytes_seen)
    world.net.run()
    assert len(world.net.bytes_seen) == before  # the Ping went out when the client came; nothing since
    assert rules(world.bob) == ["outgoing:flow-control"]
    assert (client.open, client.reading) == (True, False)


@pytest.mark.spec("PT-15")
def test_a_message_from_outside_the_channel_is_not_taken() -> None:
    """A node on the way knows no address inside the channel; suppose that one leaked."""
    world = PortalWorld()
    client, target = world.connect()
    (at_alice,), (at_bob,) = opened(world.alice), opened(world.bob)
    producer = world.alice.node.flow_controls.find_producer(world.hop)
    assert producer
    world.alice.node.flow_controls.add_consumer(at_alice.worker, producer.flow_control_id)
    world.bob.node.flow_controls.add_consumer(at_bob.worker, "TCP")
    ((near, (_, far)),) = world.alice.peers.items()
    for content in (payload(b"forged"), DISCONNECT, PONG, PING):
        for host, link, address in ((world.alice, near, at_alice.worker), (world.bob, far, at_bob.worker)):
            body = encode_transport_message(TransportMessage((address,), (local("x"),), content))
            host.feed(BytesReceived(link, len(body).to_bytes(4, "big") + body, world.net.now))
    world.net.run()
    assert (got(client), got(target), client.open, target.open) == (b"", b"", True, True)
    assert rules(world.alice) == rules(world.bob) == ["identifier-changed"] * 4


@pytest.mark.spec("PT-3", "PT-14")
def test_a_ping_with_hops_behind_the_outlet() -> None:
    world = PortalWorld(channel=False)
    world.bob.targets["target:80"] = Socket()
    inlet = world.alice.start(Inlet((world.hop, OUTLET, OUTLET)))
    client = world.alice.connect_client(inlet)
    world.alice.write(client, b"hello")
    world.net.run()
    assert got(world.bob.targets["target:80"]) == b"hello"


# ---- without handshake


@pytest.mark.spec("PT-32", "PT-33")
@pytest.mark.parametrize("channel", [True, False])
def test_without_handshake(*, channel: bool) -> None:
    world = PortalWorld(channel=channel, skip_handshake=True)
    client, target = world.connect()
    world.alice.write(client, b"request")
    world.net.run()
    world.bob.write(target, b"answer")
    world.net.run()
    assert (got(target), got(client)) == (b"request", b"answer")
    other_client, other_target = world.connect()
    world.alice.write(other_client, b"second")
    world.net.run()
    assert (got(target), got(other_target)) == (b"request", b"second")
    world.bob.reset(target)
    world.net.run()
    assert (client.open, client.broken, other_client.open) == (False, True, True)
    world.alice.finish(other_client)
    world.net.run()
    world.net.advance(2.0)
    assert (other_target.open, other_target.broken) == (False, False)
    before = len(rules(world.bob))
    third_client, third_target = world.connect()
    world.alice.reset(third_client)
    world.net.run()
    assert (third_target.open, third_target.broken) == (False, True)
    assert len(rules(world.bob)) == before
    if not channel:
        seen = [decode_transport_message(data[4:]) for _, _, data in world.net.bytes_seen if data != b"\x01"]
        assert PONG not in [bytes(message.payload) for message in seen]
        assert {message.onward_route for message in seen[:2]} == {(OUTLET,)}


@pytest.mark.spec("PT-33")
def test_without_handshake_bytes_behind_the_end_reach_no_new_connection() -> None:
    """The target has closed while more was on its way."""
    world = PortalWorld(channel=False, skip_handshake=True)
    client, target = world.connect()
    world.alice.write(client, b"first")
    world.net.run()
    world.net.tamper_frame = lambda sender, _, body: [] if sender == "bob" else [body]  # Disconnect is slow to arrive
    world.bob.reset(target)
    fresh = world.bob.targets["target:80"] = Socket()
    world.alice.write(client, b"from the middle of a stream")
    world.net.run()
    world.net.tamper_frame = None
    assert (got(target), got(fresh)) == (b"first", b"")
    assert rules(world.bob) == ["unknown-address"]
    later, target = world.connect()
    world.alice.write(later, b"new")
    world.net.run()
    assert got(target) == b"new"


@pytest.mark.spec("PT-33")
def test_without_handshake_a_connection_has_no_address_of_its_own_for_others() -> None:
    world = PortalWorld(channel=False, skip_handshake=True)
    _, target = world.connect()
    (at_bob,) = opened(world.bob)
    world.alice.send(world.app_a, LocalMessage((world.hop, at_bob.worker), (world.app_a,), payload(b"forged")))
    world.net.run()
    assert got(target) == b""
    assert rules(world.bob) == ["outgoing:flow-control"]


@pytest.mark.spec("PT-33")
def test_without_handshake_a_slow_target() -> None:
    world = PortalWorld(channel=False, skip_handshake=True)
    world.bob.targets["target:80"] = Socket()
    ((_, (_, far)),) = world.alice.peers.items()
    messages = [PING, *(payload(b"%d," % number) for number in range(50))]
    frames = []
    for content in messages:
        body = encode_transport_message(TransportMessage((OUTLET, OUTLET), (local("I"),), content))
        frames.append(len(body).to_bytes(4, "big") + body)
    world.bob.feed(BytesReceived(far, b"".join(frames), world.net.now))
    assert len(world.bob.queue) == 1  # the target has not answered yet
    world.net.run()
    assert got(world.bob.targets["target:80"]) == b"".join(b"%d," % number for number in range(50))
    for content in (payload(b"more"), PING):
        body = encode_transport_message(TransportMessage((OUTLET,), (local("I"),), content))
        world.bob.feed(BytesReceived(far, len(body).to_bytes(4, "big") + body, world.net.now))
    assert got(world.bob.targets["target:80"]).endswith(b"49,more")


@pytest.mark.spec("PT-34")
def test_an_inlet_without_handshake_and_an_outlet_with() -> None:
    world = PortalWorld(channel=False)
    target = world.bob.targets["target:80"] = Socket()
    inlet = world.alice.start(Inlet((world.hop, OUTLET), skip_handshake=True))
    client = world.alice.connect_client(inlet)
    world.alice.write(client, b"lost")
    world.net.run()
    assert (client.open, target.open, got(target)) == (False, False, b"")
    assert "the same mode" in reasons(world.alice)[0]


@pytest.mark.spec("PT-7", "PT-34")
def test_an_inlet_with_handshake_and_an_outlet_without() -> None:
    world = PortalWorld(channel=False, skip_handshake=True)
    world.bob.targets["target:80"] = Socket()
    inlet = world.alice.start(Inlet((world.hop, OUTLET)))
    client = world.alice.connect_client(inlet)
    world.net.run()
    assert (client.open, client.reading) == (True, False)
    world.net.advance(10.0)
    assert not client.open


# ---- through a hub


@pytest.mark.spec("PT-12", "PT-21")
def test_through_a_relay_in_a_channel() -> None:
    world = HubWorld()
    client, target = world.connect()
    world.net.run()
    secret = b"nobody on the way can read this"
    world.alice.write(client, secret)
    world.bob.write(target, secret[::-1])
    world.net.run()
    assert (got(target), got(client)) == (secret, secret[::-1])
    seen = b"".join(data for _, _, data in world.net.bytes_seen)
    assert secret not in seen
    assert secret[::-1] not in seen
    assert not [one for one in world.hub.node.drops if one.rule != "flow-control"]


def test_the_host_of_these_tests_writes_whole_frames() -> None:
    """``tamper_frame`` relies on it."""
    world = PortalWorld()
    world.connect()
    for _, _, data in world.net.bytes_seen:
        assert data == b"\x01" or len(data) == 4 + int.from_bytes(data[:4], "big")
