"""One connection to another node: bytes to messages and back, what ends it and what does not."""

from dataclasses import replace

import pytest

from ockam_ref.effects import (
    AddConsumer,
    AddProducer,
    CloseLink,
    Effects,
    Forward,
    Own,
    Report,
    SendBytes,
    SetTimer,
    StartReading,
    StopWorker,
    Tell,
    TellBeyond,
    WatchTerminal,
)
from ockam_ref.events import (
    AddressGone,
    BytesReceived,
    HopReady,
    LinkClosed,
    LinkFinished,
    MtuChanged,
    StopRequested,
    TimerFired,
)
from ockam_ref.links.form import Fault, Form
from ockam_ref.links.framing import AwaitingFrame, AwaitingVersion
from ockam_ref.links.node_link import MAX_ROUTES_LENGTH, Ended, LinkState, NodeLink, NodeLinkState, receive, start
from ockam_ref.machine import LinkId, Mailbox, Now
from ockam_ref.observations import LinkLost, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, DENY_ALL, AllowConsumers
from ockam_ref.wire.address import TCP, Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage
from ockam_ref.wire.transport_message import (
    MAX_MESSAGE_LENGTH,
    TransportMessage,
    decode_transport_message,
    encode_transport_message,
)
from tests.unit.nodes import NOW, framed, fresh, received, reported, route, rules

LINK = LinkId(5)
SENDER, RECEIVER = local("sender"), local("receiver")
OPEN = LinkState(LINK, SENDER, RECEIVER, AwaitingFrame())
NEW = LinkState(LINK, SENDER, RECEIVER, AwaitingVersion())

TOO_LONG = (MAX_MESSAGE_LENGTH + 1).to_bytes(4, "big")


def message(onward: str, back: str = "", payload: bytes = b"payload", context: str | None = "{}") -> TransportMessage:
    return TransportMessage(route(onward), route(back), payload, context)


def arrive(data: bytes, state: LinkState = OPEN) -> tuple[NodeLinkState, Effects]:
    return receive(state, BytesReceived(LINK, data, NOW))


def forwarded(effects: Effects) -> list[LocalMessage]:
    return [effect.message for effect in effects if isinstance(effect, Forward)]


# ---- the beginning


@pytest.mark.spec("LINK-1", "LINK-20", "RT-32")
def test_an_outgoing_connection() -> None:
    worker = start(
        NodeLink(LINK, flow_control_id="C", consumer_of=("X", "Y")),
        fresh("sender", "receiver", flow_control_ids=("drawn",)),
    )
    assert worker.mailboxes == (
        Mailbox(SENDER, ALLOW_ALL, DENY_ALL, terminal=True),
        Mailbox(RECEIVER, DENY_ALL, AllowConsumers("C", None)),
    )
    assert worker.state == NEW
    assert worker.effects == (
        Own(LINK),
        AddProducer(RECEIVER, "C", None, (SENDER,)),
        AddConsumer(SENDER, "X"),
        AddConsumer(SENDER, "Y"),
        SendBytes(LINK, (b"\x01",)),
        StartReading(LINK),
    )


@pytest.mark.spec("LINK-20", "RT-36")
def test_an_accepted_connection_has_a_flow_control_of_its_own() -> None:
    worker = start(NodeLink(LINK, spawner_id="S"), fresh("sender", "receiver", flow_control_ids=("drawn",)))
    assert worker.mailboxes[1] == Mailbox(RECEIVER, DENY_ALL, AllowConsumers("drawn", "S"))
    assert AddProducer(RECEIVER, "drawn", "S", (SENDER,)) in worker.effects


# ---- receiving


@pytest.mark.spec("LINK-21", "RT-40")
def test_a_message_enters_with_our_sender_in_front_of_the_way_back() -> None:
    state, effects = arrive(b"\x01" + framed(message("echo x", "app", b"hi", "trace")), NEW)
    expected = LocalMessage(route("echo x"), route("sender app"), b"hi", (), "trace")
    assert effects == (Forward(RECEIVER, expected), WatchTerminal(local("echo")))
    assert state == replace(OPEN, next_hop=local("echo"))


@pytest.mark.spec("LINK-21")
def test_a_typed_hop_is_a_hop_like_any_other() -> None:
    typed = (Address(TCP, b"127.0.0.1:4000"),)
    _, effects = arrive(framed(TransportMessage(typed, typed, b"")))
    (entered,) = forwarded(effects)
    assert (entered.onward_route, entered.return_route) == (typed, (SENDER, *typed))


@pytest.mark.spec("LINK-1", "LINK-3")
def test_messages_may_come_in_any_pieces() -> None:
    data = b"\x01" + framed(message("one")) + framed(message("two"))
    state: NodeLinkState = NEW
    entered: list[LocalMessage] = []
    for byte in data:
        assert isinstance(state, LinkState)
        state, effects = arrive(bytes((byte,)), state)
        entered += forwarded(effects)
    assert [one.onward_route for one in entered] == [route("one"), route("two")]


@pytest.mark.parametrize(
    "body",
    [
        "83808040",
        "84808040f6",
        "84808040627b7d",
        "858080406001",
        "9f808040ff",
        "83808040ffff",
    ],
)
@pytest.mark.spec("LINK-8")
def test_a_heartbeat_is_swallowed(body: str) -> None:
    state, effects = arrive(framed(bytes.fromhex(body)) + framed(message("next")))
    assert [one.onward_route for one in forwarded(effects)] == [route("next")]
    assert isinstance(state, LinkState)


@pytest.mark.parametrize(
    "body",
    [
        "83818200466563686f65728080",
        "838182004661626364656680f6",
        "ff",
        "",
        "828080",
        "83808060",
        "83818219010041618040",
        "8380805f4161ff",
        "84808040f7",
        "84808040a0",
        "8480804001",
        "8381820061618040",
        "8381808040",
        "838181008040",
        "c083808040",
        "8480804062c328",
    ],
)
@pytest.mark.spec("LINK-9")
def test_what_is_no_message_ends_the_connection(body: str) -> None:
    data = framed(message("before")) + framed(bytes.fromhex(body)) + framed(message("after"))
    state, effects = arrive(data)
    assert [one.onward_route for one in forwarded(effects)] == [route("before")]
    ((lost),) = reported(effects, LinkLost)
    assert "cannot be read" in lost.reason
    assert effects[1:] == (CloseLink(LINK, lost.reason), Report(lost), StopWorker(SENDER, lost.reason))
    assert state == Ended()


@pytest.mark.parametrize("first", [b"\x00", b"\x02", b"\x04\x01\x00\x00\x00"])
@pytest.mark.spec("LINK-2")
def test_another_version_ends_the_connection(first: bytes) -> None:
    state, effects = arrive(first + framed(message("echo")), NEW)
    assert [type(effect) for effect in effects] == [CloseLink, Report, StopWorker]
    assert state == Ended()


@pytest.mark.spec("LINK-4", "LINK-5")
def test_too_long_a_frame_ends_the_connection_after_those_before_it() -> None:
    state, effects = arrive(framed(message("good")) + TOO_LONG)
    assert [type(effect) for effect in effects] == [Forward, CloseLink, Report, StopWorker]
    assert state == Ended()


@pytest.mark.spec("LINK-10")
def test_more_hops_than_we_take_is_a_drop_and_the_connection_stays() -> None:
    hops = (local("h"),)
    data = b"".join(
        framed(TransportMessage(onward, back, b"", "{}"))
        for onward, back in ((hops, hops * 256), (hops * 256, ()), (hops * 255, hops * 255), (route("next"), ()))
    )
    state, effects = arrive(data)
    assert rules(effects) == ["route-too-long", "route-too-long"]
    assert [len(one.onward_route) for one in forwarded(effects)] == [255, 1]
    assert [len(one.return_route) for one in forwarded(effects)] == [256, 1]
    assert state == replace(OPEN, next_hop=local("next"))


@pytest.mark.spec("LINK-10")
def test_a_message_with_little_payload_and_long_routes_is_a_drop_and_the_connection_stays() -> None:
    around = len(encode_transport_message(TransportMessage((Address(0, bytes(300)),), (), b"", "{}"))) - 300
    fits, too_long = (
        TransportMessage((Address(0, bytes(MAX_ROUTES_LENGTH - around + more)),), (), b"", "{}") for more in (0, 1)
    )
    assert len(encode_transport_message(fits)) == MAX_ROUTES_LENGTH
    state, effects = arrive(framed(fits) + framed(too_long) + framed(message("next", payload=bytes(MAX_ROUTES_LENGTH))))
    assert len(forwarded(effects)) == 2
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.rule, dropped.source) == ("too-long", RECEIVER)
    assert state == replace(OPEN, next_hop=local("next"))


# ---- hops that go away


@pytest.mark.spec("LINK-34")
def test_each_change_of_the_next_hop_is_watched() -> None:
    data = b"".join(framed(message(name)) for name in ("a x", "a y", "b x", "b x"))
    state, effects = arrive(data)
    assert [effect for effect in effects if isinstance(effect, WatchTerminal)] == [
        WatchTerminal(local("a")),
        WatchTerminal(local("b")),
    ]
    _, again = arrive(framed(message("b z")), state if isinstance(state, LinkState) else OPEN)
    assert not [effect for effect in again if isinstance(effect, WatchTerminal)]


@pytest.mark.spec("LINK-34")
def test_a_hop_that_is_gone_is_told_by_a_heartbeat_with_its_address() -> None:
    state, (sent,) = receive(OPEN, AddressGone(local("gone"), NOW))
    assert isinstance(sent, SendBytes)
    assert b"".join(sent.chunks) == framed(TransportMessage((), (local("gone"),), b"", "{}"))
    assert state == OPEN


@pytest.mark.spec("LINK-8", "LINK-34")
def test_a_heartbeat_with_an_address_is_told_to_who_goes_over_it() -> None:
    state, effects = arrive(framed(message("", "gone and more")))
    assert effects == (TellBeyond(SENDER, local("gone")),)
    assert state == OPEN
    assert arrive(framed(message(""))) == (OPEN, ())


# ---- sending


@pytest.mark.spec("LINK-22", "RT-40")
def test_a_message_leaves_without_our_address_and_without_local_info() -> None:
    event = received("sender next more", "app", b"hi")
    event = event._replace(message=event.message._replace(local_info=(LocalInfo("secret", b"x"),)))
    state, (sent,) = receive(OPEN, event)
    assert isinstance(sent, SendBytes)
    assert sent.link == LINK
    assert b"".join(sent.chunks) == framed(message("next more", "app", b"hi"))
    assert state is OPEN


@pytest.mark.parametrize(("context", "written"), [(None, "{}"), ("", ""), ("anything", "anything")])
@pytest.mark.spec("LINK-22")
def test_a_tracing_context_passes_through(context: str | None, written: str) -> None:
    event = received("sender next")
    _, (sent,) = receive(OPEN, event._replace(message=event.message._replace(tracing_context=context)))
    assert isinstance(sent, SendBytes)
    assert b"".join(sent.chunks) == framed(message("next", "", b"", written))


@pytest.mark.spec("LINK-23")
def test_a_payload_is_not_copied_on_its_way_through() -> None:
    _, effects = arrive(framed(message("echo", payload=bytes(1000))))
    (entered,) = forwarded(effects)
    assert isinstance(entered.payload, memoryview)
    passed_on = received("sender next")._replace(message=entered._replace(onward_route=route("sender next")))
    _, (sent,) = receive(OPEN, passed_on)
    assert isinstance(sent, SendBytes)
    assert any(chunk is entered.payload for chunk in sent.chunks)


@pytest.mark.spec("LINK-24")
def test_the_longest_message_is_sent_and_one_byte_more_is_a_drop() -> None:
    around = len(encode_transport_message(message("next", payload=bytes(70_000)))) - 70_000
    state, (sent,) = receive(OPEN, received("sender next", payload=bytes(MAX_MESSAGE_LENGTH - around)))
    assert isinstance(sent, SendBytes)
    assert sum(map(len, sent.chunks)) == 4 + MAX_MESSAGE_LENGTH
    assert sent.chunks[0][:4] == MAX_MESSAGE_LENGTH.to_bytes(4, "big")
    state, effects = receive(OPEN, received("sender next", "back", bytes(MAX_MESSAGE_LENGTH - around + 1)))
    (dropped,) = reported(effects, MessageDropped)
    assert (dropped.rule, dropped.source) == ("too-long", SENDER)
    assert (dropped.onward_route, dropped.return_route) == (route("sender next"), route("back"))
    assert state is OPEN


@pytest.mark.spec("LINK-1")
def test_we_send_before_the_peer_has_said_its_version() -> None:
    state, (sent,) = receive(NEW, received("sender next"))
    assert isinstance(sent, SendBytes)
    assert state is NEW


# ---- the end


@pytest.mark.parametrize("state", [NEW, OPEN])
@pytest.mark.spec("LINK-11")
def test_the_end_of_the_stream_ends_the_connection(state: LinkState) -> None:
    ended, effects = receive(state, LinkFinished(LINK, NOW))
    reason = "the peer closed the connection"
    assert effects == (CloseLink(LINK, reason), Report(LinkLost(SENDER, LINK, reason)), StopWorker(SENDER, reason))
    assert ended == Ended()


@pytest.mark.spec("LINK-11")
def test_a_reset_ends_the_connection() -> None:
    ended, effects = receive(OPEN, LinkClosed(LINK, "reset by peer", NOW))
    assert effects == (
        Report(LinkLost(SENDER, LINK, "reset by peer")),
        StopWorker(SENDER, "reset by peer"),
    )
    assert ended == Ended()


@pytest.mark.spec("LINK-11")
def test_a_stopped_connection_is_closed() -> None:
    assert receive(OPEN, StopRequested("enough", NOW)) == (Ended(), (CloseLink(LINK, "enough"),))


@pytest.mark.spec("LINK-11")
def test_an_ended_connection_ignores_everything() -> None:
    for event in (received("sender x"), BytesReceived(LINK, b"x", NOW), LinkClosed(LINK, "r", NOW)):
        assert receive(Ended(), event) == (Ended(), ())


# ---- other forms than frames


def cut_packet(count: int, data: bytes | memoryview) -> tuple[int, list[memoryview | Fault]]:
    """Count packets; take an empty one for a fault."""
    return count + 1, [memoryview(data) if data else Fault("empty", "a packet without bytes")]


def pack_packet(message: TransportMessage, mtu: int | None) -> list[tuple[bytes, ...]]:
    """Cut the encoding into packets of the size of the link."""
    data = encode_transport_message(message)
    size = mtu or len(data)
    return [(data[start : start + size],) for start in range(0, len(data), size)]


PACKETS = Form("test", (), 0, cut_packet, decode_transport_message, pack_packet, undecodable_ends=False)


@pytest.mark.spec("LINK-13")
def test_a_form_without_a_greeting_sends_none() -> None:
    worker = start(NodeLink(LINK, PACKETS, mtu=20), fresh("sender", "receiver", flow_control_ids=("F",)))
    assert not [effect for effect in worker.effects if isinstance(effect, SendBytes)]
    assert worker.effects[-1] == StartReading(LINK)


@pytest.mark.spec("LINK-13")
def test_a_message_leaves_in_packets_of_the_size_of_the_link() -> None:
    state: NodeLinkState = LinkState(LINK, SENDER, RECEIVER, 0, form=PACKETS, mtu=20)
    event = received("sender far", "back", bytes(60))
    _, effects = receive(state, event)
    sizes = [len(b"".join(effect.chunks)) for effect in effects if isinstance(effect, SendBytes)]
    assert set(sizes[:-1]) == {20}
    state, _ = receive(state, MtuChanged(LINK, 50, NOW))
    _, effects = receive(state, event)
    assert next(len(b"".join(effect.chunks)) for effect in effects if isinstance(effect, SendBytes)) == 50


@pytest.mark.spec("LINK-13", "LINK-14")
def test_faults_and_unreadable_bodies_are_drops_where_the_form_says_so() -> None:
    state: NodeLinkState = LinkState(LINK, SENDER, RECEIVER, 0, form=PACKETS)
    good = encode_transport_message(TransportMessage((local("here"),), (), b"x"))
    rules_seen = []
    for packet in (b"", b"\xff", good):
        state, effects = receive(state, BytesReceived(LINK, packet, NOW))
        rules_seen.append(rules(effects) or [type(effect).__name__ for effect in effects])
    assert rules_seen == [["empty"], ["undecodable"], ["Forward", "WatchTerminal"]]
    assert isinstance(state, LinkState)
    assert state.cutting == 3


@pytest.mark.spec("LINK-15")
def test_an_alias_stands_in_the_way_back_and_is_an_address_of_the_sender() -> None:
    alias = Address(4, b"ble_client_addr")
    config = NodeLink(LINK, alias=alias)
    worker = start(config, fresh("sender", "receiver", flow_control_ids=("F",)))
    assert [mailbox.address for mailbox in worker.mailboxes] == [SENDER, alias, RECEIVER]
    assert AddProducer(RECEIVER, "F", None, (SENDER, alias)) in worker.effects
    data = framed(TransportMessage((local("here"),), (local("there"),), b""))
    _, effects = receive(worker.state, BytesReceived(LINK, b"\x01" + data, NOW))
    (forward,) = [effect for effect in effects if isinstance(effect, Forward)]
    assert forward.message.return_route == (alias, local("there"))


@pytest.mark.spec("LINK-16")
def test_an_idle_link_is_closed_and_a_used_one_is_not() -> None:
    worker = start(
        NodeLink(LINK, idle_s=60, asked_by=local("asked")), fresh("sender", "receiver", flow_control_ids=("F",))
    )
    assert Tell(local("asked"), HopReady(LINK, SENDER, NOW)) in worker.effects
    assert SetTimer("idle", NOW.monotonic + 60) in worker.effects
    later = Now(NOW.monotonic + 60, NOW.unix + 60)
    state, effects = receive(worker.state, TimerFired("idle", later))
    assert effects == (SetTimer("idle", later.monotonic + 60),)
    for event in (
        received("sender far"),
        BytesReceived(LINK, b"\x01" + framed(TransportMessage((local("x"),), (), b"")), NOW),
    ):
        used, _ = receive(state, event)
        used, effects = receive(used, TimerFired("idle", later))
        assert effects == (SetTimer("idle", later.monotonic + 60),)
    ended, effects = receive(state, TimerFired("idle", later))
    assert ended == Ended()
    reason = "nothing has passed for 60 s"
    assert effects == (
        CloseLink(LINK, reason),
        Report(LinkLost(SENDER, LINK, reason)),
        StopWorker(SENDER, reason),
    )
    assert receive(OPEN, TimerFired("idle", later)) == (OPEN, ())
