"""A running connection, at both sides."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ockam_ref.channels.continuity import with_one_more_gap
from ockam_ref.effects import (
    CancelTimer,
    CloseLink,
    Effects,
    FinishSending,
    Forward,
    Report,
    ReportDrained,
    SendBytes,
    SetTimer,
    StartReading,
    StopReading,
    StopWorker,
)
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.events import AddressGone, LinkDrained, PauseChanged, StopRequested, TimerFired
from ockam_ref.observations import ConnectionClosed, MessageDropped
from ockam_ref.portals.connection import (
    HALF_CLOSE_LINGER_S,
    MAX_MARKS_TO_ANSWER,
    MAX_PAYLOAD_BYTES,
    PORTABLE_PAYLOAD_BYTES,
    Running,
)
from ockam_ref.portals.credit import MARK_EVERY_BYTES, WINDOW_BYTES
from ockam_ref.portals.inlet import Inlet, start_inlet
from ockam_ref.portals.outlet import Outlet, start_outlet
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalInfo, LocalMessage, channel_local_info
from ockam_ref.wire.route import Route
from tests.unit.channels.ends import ALICE, BOB, NOW, End, at, fresh, messages, only, reports
from tests.unit.portals.ends import (
    AT_I,
    AT_O,
    BROKEN_OFF,
    CLIENT,
    DISCONNECT,
    END_OF_STREAM,
    INLET,
    OUTLET,
    PING,
    PONG,
    TARGET,
    TO_I,
    TO_O,
    drained,
    finish,
    message,
    payload,
    read,
    reset,
    running_inlet,
    running_outlet,
    start_inlet_connection,
    written,
)

ALICE_INFO = (channel_local_info(ALICE.identifier.value),)
BOB_INFO = (channel_local_info(BOB.identifier.value),)


class Side:
    """One side of a connection, for tests that hold for both."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_inlet = name == "inlet"
        self.begin: Callable[..., End] = running_inlet if self.is_inlet else running_outlet
        self.own: Address = AT_I if self.is_inlet else AT_O
        self.portal = INLET if self.is_inlet else OUTLET
        self.link = CLIENT if self.is_inlet else TARGET
        self.way: Route = TO_O if self.is_inlet else TO_I

    def said(self, content: bytes) -> Forward:
        return Forward(self.own, LocalMessage(self.way, (self.own,), content))

    def broke_off(self) -> list[LocalMessage]:
        """What says that the stream was cut."""
        return [self.said(BROKEN_OFF).message, self.said(DISCONNECT).message]

    def arriving(self, content: bytes, *, info: tuple[LocalInfo, ...] = (), extra: Route = ()) -> LocalMessage:
        return message(self.own, content, info=info, extra=extra)

    def take(self, end: End, content: bytes, *, info: tuple[LocalInfo, ...] = ()) -> Effects:
        return end.take(self.arriving(content, info=info))


@pytest.fixture(params=["inlet", "outlet"])
def side(request: pytest.FixtureRequest) -> Side:
    return Side(request.param)


def closed(effects: Effects) -> ConnectionClosed:
    (one,) = reports(effects, ConnectionClosed)
    return one


# ---- bytes to the other end


@pytest.mark.spec("PT-11", "PT-12")
@pytest.mark.parametrize("size", [1, 2, 127, 128, 49_151, 49_152, 49_153, 131_072, MAX_PAYLOAD_BYTES])
def test_what_is_read_at_once_is_one_payload(side: Side, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    for chunk in (data, memoryview(data)):
        assert read(side.begin(), chunk) == (side.said(payload(data)),)  # type: ignore[arg-type]


@pytest.mark.spec("PT-11", "PT-12")
def test_a_larger_read_is_cut(side: Side) -> None:
    pieces = [bytes([number]) * MAX_PAYLOAD_BYTES for number in range(WINDOW_BYTES // MAX_PAYLOAD_BYTES)] + [b"rest"]
    data = b"".join(pieces)
    end = side.begin(agreed=True)
    assert read(end, data) == (*map(side.said, map(payload, pieces)), side.said(PING), StopReading(side.link))
    assert (end.state.received, end.state.credit.outstanding) == (len(data), len(data))


@pytest.mark.spec("PT-80")
@pytest.mark.parametrize("limit", [1, 7, PORTABLE_PAYLOAD_BYTES])
def test_a_portal_may_have_a_smaller_limit(side: Side, limit: int) -> None:
    pieces = [bytes([number]) * limit for number in range(3)] + [b"r"]
    assert read(side.begin(max_payload_bytes=limit), b"".join(pieces)) == (*map(side.said, map(payload, pieces)),)


@pytest.mark.spec("PT-80")
@pytest.mark.parametrize("limit", [-1, 0, MAX_PAYLOAD_BYTES + 1])
def test_a_limit_out_of_its_bounds_is_misuse(limit: int) -> None:
    for start in (
        lambda: start_inlet(Inlet((), max_payload_bytes=limit), fresh(INLET)),
        lambda: start_outlet(Outlet(OUTLET, "target:80", max_payload_bytes=limit), fresh()),
    ):
        with pytest.raises(MisuseError, match=f"1 to {MAX_PAYLOAD_BYTES} bytes") as caught:
            start()
        assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.spec("PT-11")
def test_an_empty_read_sends_nothing(side: Side) -> None:
    """An empty Payload would say that the stream has ended."""
    end = side.begin(agreed=True)
    before = end.state
    assert read(end, b"") == ()
    assert end.state == before


# ---- bytes to the socket


@pytest.mark.spec("PT-11", "PT-12", "PT-37")
def test_payloads_are_written_in_order_whatever_their_size(side: Side) -> None:
    end = side.begin()
    sizes = [1, 0, 49_151, 49_152, 49_153, 131_072, 1024 * 1024]
    for number, size in enumerate(sizes):
        data = bytes([number]) * size
        effects = side.take(end, payload(data))
        assert effects == ((SendBytes(side.link, (data,)),) if size else ())
    assert (end.state.sent, end.state.received) == (sum(sizes), 0)
    assert closed(side.take(end, DISCONNECT)).sent == sum(sizes)


@pytest.mark.spec("PT-13")
def test_payloads_with_nothing_a_zero_or_a_counter_behind_the_data(side: Side) -> None:
    end = side.begin()
    contents = [
        payload(b"a"),
        payload(b"b") + b"\x00",
        payload(b"c", 0),
        payload(b"d"),
        payload(b"e", 1),
        payload(b"", 2),
    ]
    assert b"".join(written(side.take(end, content)) for content in contents) == b"abcde"
    assert end.state.last_counter == 2


@pytest.mark.spec("PT-13")
def test_the_counter_begins_anew_after_65535(side: Side) -> None:
    end = side.begin()
    end.state = replace(end.state, last_counter=65534)
    assert written(side.take(end, payload(b"a", 65535))) == b"a"
    assert written(side.take(end, payload(b"b", 0))) == b"b"


@pytest.mark.spec("PT-13", "PT-38", "PT-39")
@pytest.mark.parametrize(
    ("counters", "wrong"),
    [((), 1), ((), 65534), ((), 65535), ((0,), 0), ((0,), 2), ((0, 1, 2), 2), ((0,), 65534), ((0,), 65535)],
)
def test_a_wrong_counter_ends_it_and_nothing_is_written(side: Side, counters: tuple[int, ...], wrong: int) -> None:
    end = side.begin()
    for counter in counters:
        assert written(side.take(end, payload(b"x", counter))) == b"x"
    effects = side.take(end, payload(b"y", wrong))
    assert messages(effects) == side.broke_off()
    assert [close.broken for close in only(effects, CloseLink)] == [True]
    assert not written(effects)
    assert f"packet {wrong} came" in closed(effects).reason


@pytest.mark.spec("PT-14")
def test_what_a_running_connection_ignores(side: Side) -> None:
    end = side.begin(agreed=True)
    side.take(end, payload(b"x"))
    before = end.state
    for arriving, rule in (
        (side.arriving(b""), "bad-portal-message"),
        (side.arriving(b"\x04"), "bad-portal-message"),
        (side.arriving(b"\x09"), "bad-portal-message"),
        (side.arriving(b"\x03\x05hell"), "bad-portal-message"),
        (side.arriving(b"\x03" + b"\xff" * 10), "bad-portal-message"),
        (side.arriving(payload(b"x"), extra=(local("more"),)), "unknown-route"),
    ):
        (effect,) = end.take(arriving)
        assert isinstance(effect, Report)
        assert isinstance(effect.observation, MessageDropped)
        assert effect.observation.rule == rule
        assert end.state is before
    for _ in range(3):
        assert side.take(end, PONG) == ()
    assert end.step(PauseChanged(True, NOW)) == end.step(TimerFired("linger", NOW)) == ()
    assert end.step(AddressGone(local("another"), NOW)) == ()
    assert written(side.take(end, payload(b"y"))) == b"y"


@pytest.mark.spec("PT-15")
@pytest.mark.parametrize(
    ("peer", "info", "others"),
    [
        (None, (), (ALICE_INFO,)),
        (ALICE.identifier.value, ALICE_INFO, ((), BOB_INFO)),
    ],
)
def test_a_connection_belongs_to_one_identity(
    side: Side, peer: bytes | None, info: tuple[LocalInfo, ...], others: tuple[tuple[LocalInfo, ...], ...]
) -> None:
    end = side.begin(peer=peer, info=info)
    before = end.state
    for other in others:
        for content in (payload(b"x"), DISCONNECT, PING, PONG):
            (dropped,) = reports(side.take(end, content, info=other), MessageDropped)
            assert dropped.rule == "identifier-changed"
            assert end.state is before
    (dropped,) = reports(
        side.take(end, DISCONNECT, info=(LocalInfo("SECURE_CHANNEL_IDENTIFIER", b"made by a worker"),)), MessageDropped
    )
    assert dropped.rule == "bad-portal-message"
    assert written(side.take(end, payload(b"x"), info=info)) == b"x"


# ---- gaps of the channel


@pytest.mark.spec("PT-16", "PT-38", "PT-39")
@pytest.mark.parametrize("content", [payload(b"x"), END_OF_STREAM, BROKEN_OFF, PING, PONG])
def test_a_gap_ends_the_connection_before_anything_is_written(side: Side, content: bytes) -> None:
    end = side.begin(peer=ALICE.identifier.value, info=ALICE_INFO)
    side.take(end, payload(b"before"), info=ALICE_INFO)
    effects = side.take(end, content, info=with_one_more_gap(ALICE_INFO))
    assert (written(effects), only(effects, FinishSending)) == (b"", [])
    assert "lost or reordered" in closed(effects).reason
    assert messages(effects) == side.broke_off()
    assert [close.broken for close in only(effects, CloseLink)] == [True]


@pytest.mark.spec("PT-16", "PT-18", "PT-38")
def test_a_disconnect_behind_a_gap_is_not_answered(side: Side) -> None:
    end = side.begin(peer=ALICE.identifier.value, info=ALICE_INFO)
    effects = side.take(end, DISCONNECT, info=with_one_more_gap(ALICE_INFO))
    assert messages(effects) == []
    assert [close.broken for close in only(effects, CloseLink)] == [True]
    assert "lost or reordered" in closed(effects).reason


@pytest.mark.spec("PT-16")
def test_gaps_before_the_connection_do_not_count() -> None:
    info = with_one_more_gap(ALICE_INFO)
    end = running_inlet(peer=ALICE.identifier.value, info=info)
    assert written(end.take(message(AT_I, payload(b"x"), info=info))) == b"x"
    end = running_outlet(peer=ALICE.identifier.value, gaps=1)
    assert written(end.take(message(AT_O, payload(b"x"), info=info))) == b"x"


@pytest.mark.spec("PT-15", "PT-16")
def test_a_gap_in_the_channel_of_somebody_else_changes_nothing(side: Side) -> None:
    end = side.begin(peer=ALICE.identifier.value, info=ALICE_INFO)
    (dropped,) = reports(side.take(end, payload(b"x"), info=with_one_more_gap(BOB_INFO)), MessageDropped)
    assert dropped.rule == "identifier-changed"


# ---- the end


@pytest.mark.spec("PT-18", "PT-37")
def test_disconnect_closes_and_is_not_answered(side: Side) -> None:
    end = side.begin()
    read(end, b"to the other end")
    side.take(end, payload(b"here"))
    effects = [effect for effect in side.take(end, DISCONNECT) if effect.__class__.__name__ != "Tell"]
    reason = "the other end closed the connection"
    told = ConnectionClosed(side.own, side.portal, side.name, reason, 4, 16, True, True)
    assert effects == [CloseLink(side.link, reason, broken=False), Report(told), StopWorker(side.own, reason)]
    assert side.take(end, payload(b"too late")) == side.take(end, DISCONNECT) == ()


@pytest.mark.spec("PT-19", "PT-39")
@pytest.mark.parametrize("agreed", [False, True])
def test_a_reset_is_told_to_the_other_end(side: Side, *, agreed: bool) -> None:
    end = side.begin(agreed=agreed)
    effects = reset(end)
    assert messages(effects) == side.broke_off()
    assert not only(effects, CloseLink)
    assert closed(effects).reason == "reset by peer"
    assert only(effects, StopWorker)


@pytest.mark.spec("PT-32", "PT-39")
def test_without_handshake_one_message_says_that_the_stream_was_cut() -> None:
    """The peer's outlet may connect to its target anew for whatever follows."""
    assert [said.payload for said in messages(reset(start_inlet_connection(skip_handshake=True)))] == [BROKEN_OFF]


@pytest.mark.spec("PT-38", "PT-39")
@pytest.mark.parametrize("finished", [None, "local", "remote"])
def test_the_other_end_broke_off(side: Side, finished: str | None) -> None:
    """Nothing else tells a stream that was cut from one that came to its end."""
    end = side.begin(agreed=True)
    side.take(end, payload(b"a part"))
    if finished == "local":
        finish(end)
    elif finished == "remote":
        side.take(end, END_OF_STREAM)
    effects = side.take(end, BROKEN_OFF)
    assert messages(effects) == []
    assert [close.broken for close in only(effects, CloseLink)] == [True]
    assert not only(effects, FinishSending)
    assert closed(effects).reason == "the other end broke off"
    assert side.take(end, DISCONNECT) == ()


@pytest.mark.spec("PT-13", "PT-39")
def test_the_counter_of_the_cut_may_be_due_to_a_peer_that_counts(side: Side) -> None:
    end = side.begin()
    end.state = replace(end.state, last_counter=65533)
    assert written(side.take(end, payload(b"a", 65534))) == b"a"


@pytest.mark.spec("PT-38")
def test_an_orderly_end_is_no_reset(side: Side) -> None:
    """The ends after which nothing is missing."""
    both_finished = side.begin(agreed=True)
    finish(both_finished)
    for effects in (side.take(side.begin(), DISCONNECT), side.take(both_finished, END_OF_STREAM)):
        assert [close.broken for close in only(effects, CloseLink)] == [False]


@pytest.mark.spec("PT-23", "PT-38")
def test_the_end_of_the_way_resets_the_socket(side: Side) -> None:
    end = side.begin()
    effects = end.step(AddressGone(side.way[0], NOW))
    assert not messages(effects)
    assert [close.broken for close in only(effects, CloseLink)] == [True]
    assert "the way to the other end" in closed(effects).reason


@pytest.mark.spec("PT-24", "PT-38", "PT-39")
def test_a_stop_tells_both_sides(side: Side) -> None:
    end = side.begin()
    effects = end.step(StopRequested("enough", NOW))
    assert messages(effects) == side.broke_off()
    assert only(effects, CloseLink) == [CloseLink(side.link, "enough", broken=True)]
    assert not only(effects, StopWorker)


# ---- end of file, with a peer that knows no half-close


@pytest.mark.spec("PT-19")
def test_the_target_has_finished() -> None:
    end = running_outlet()
    read(end, b"all of it")
    effects = finish(end)
    assert messages(effects) == [LocalMessage(TO_I, (AT_O,), DISCONNECT)]
    assert [close.broken for close in only(effects, CloseLink)] == [False]
    assert "the target closed" in closed(effects).reason


@pytest.mark.spec("PT-20")
def test_the_client_has_finished_and_the_answer_still_comes() -> None:
    end = running_inlet()
    assert HALF_CLOSE_LINGER_S == 2
    assert finish(end) == (SetTimer("linger", NOW.monotonic + HALF_CLOSE_LINGER_S),)
    first = end.take(message(AT_I, payload(b"late ")), now=at(NOW, 1.5))
    timer = end.step(TimerFired("linger", at(NOW, 2.0)))
    assert timer == (SetTimer("linger", NOW.monotonic + 1.5 + HALF_CLOSE_LINGER_S),)
    second = end.take(message(AT_I, payload(b"answer")), now=at(NOW, 3.0))
    assert written(first) + written(second) == b"late answer"
    assert only(end.step(TimerFired("linger", at(NOW, 3.5))), SetTimer)
    effects = end.step(TimerFired("linger", at(NOW, 5.0)))
    assert messages(effects) == [LocalMessage(TO_O, (AT_I,), DISCONNECT)]
    assert "the client closed" in closed(effects).reason
    assert only(effects, CloseLink)


@pytest.mark.spec("PT-20")
def test_an_empty_payload_of_such_a_peer_is_nothing(side: Side) -> None:
    end = side.begin()
    assert side.take(end, END_OF_STREAM) == ()
    assert written(side.take(end, payload(b"x"))) == b"x"


# ---- end of file, between our own ends


@pytest.mark.spec("PT-21")
def test_half_close_from_this_side(side: Side) -> None:
    end = side.begin(agreed=True)
    assert finish(end) == (side.said(END_OF_STREAM),)
    assert written(side.take(end, payload(b"answer"))) == b"answer"
    effects = side.take(end, END_OF_STREAM)
    assert not messages(effects)
    assert only(effects, CloseLink)
    assert closed(effects).reason == "both sides have finished"


@pytest.mark.spec("PT-21")
def test_half_close_from_the_other_side(side: Side) -> None:
    end = side.begin(agreed=True)
    assert side.take(end, END_OF_STREAM) == (FinishSending(side.link),)
    assert side.take(end, payload(b"after the end")) == side.take(end, END_OF_STREAM) == ()
    assert read(end, b"answer") == (side.said(payload(b"answer")),)
    effects = finish(end)
    assert messages(effects) == [side.said(END_OF_STREAM).message]
    assert only(effects, CloseLink)
    assert closed(effects).reason == "both sides have finished"


@pytest.mark.spec("PT-22")
def test_a_client_that_finishes_before_the_outlet_has_announced_itself() -> None:
    """The announcement follows Pong, but not always in the same read."""
    end = running_inlet()
    read(end, b"all of it")
    finish(end)
    effects = end.take(message(AT_I, PONG))
    assert [said.payload for said in messages(effects)] == [PONG, END_OF_STREAM]
    assert CancelTimer("linger") in effects
    assert end.step(TimerFired("linger", at(NOW, 5))) == ()
    assert only(end.take(message(AT_I, END_OF_STREAM)), CloseLink)


# ---- credit


ANNOUNCED = LocalMessage(TO_O, (AT_I,), PONG)


@pytest.mark.spec("PT-25")
def test_the_announcements() -> None:
    inlet, outlet = running_inlet(), running_outlet()
    assert inlet.take(message(AT_I, PONG)) == inlet.take(message(AT_I, PONG)) == ()
    assert outlet.take(message(AT_O, PONG)) == ()
    assert (inlet.state.credit.agreed, inlet.state.owes_announcement) == (True, True)
    assert (outlet.state.credit.agreed, outlet.state.owes_announcement) == (True, False)


@pytest.mark.spec("PT-25")
def test_the_answer_to_the_announcement_goes_behind_the_first_bytes_of_the_client() -> None:
    end = running_inlet(owes_announcement=True)
    assert messages(read(end, b"request")) == [LocalMessage(TO_O, (AT_I,), payload(b"request")), ANNOUNCED]
    assert messages(read(end, b"more")) == [LocalMessage(TO_O, (AT_I,), payload(b"more"))]
    assert ANNOUNCED not in messages((*end.take(message(AT_I, payload(b"x"))), *finish(end)))


@pytest.mark.spec("PT-25", "PT-26")
def test_the_answer_to_the_announcement_goes_before_the_first_mark() -> None:
    end = running_inlet(owes_announcement=True)
    effects = read(end, bytes(MARK_EVERY_BYTES))
    assert [said.payload for said in messages(effects)][-2:] == [PONG, PING]


@pytest.mark.spec("PT-25")
def test_the_answer_to_the_announcement_goes_with_the_first_bytes_of_the_target() -> None:
    end = running_inlet(owes_announcement=True)
    effects = end.take(message(AT_I, payload(b"220 ready")))
    assert (written(effects), messages(effects)) == (b"220 ready", [ANNOUNCED])
    assert messages(end.take(message(AT_I, payload(b"more")))) == []
    assert ANNOUNCED not in messages((*read(end, b"x"), *finish(end)))


@pytest.mark.spec("PT-21", "PT-25")
def test_the_answer_to_the_announcement_goes_before_the_end_of_the_stream() -> None:
    end = running_inlet(owes_announcement=True)
    effects = finish(end)
    assert messages(effects) == [ANNOUNCED, LocalMessage(TO_O, (AT_I,), END_OF_STREAM)]
    assert messages(end.take(message(AT_I, payload(b"answer")))) == []
    assert closed(end.take(message(AT_I, END_OF_STREAM))).reason == "both sides have finished"


@pytest.mark.spec("PT-25", "PT-27")
def test_other_messages_do_not_bring_the_answer_to_the_announcement() -> None:
    end = running_inlet(owes_announcement=True)
    for content in (PING, PONG, b"\x09"):
        assert messages(end.take(message(AT_I, content))) == []
    assert messages(drained(end)) == [ANNOUNCED]  # this one answers the mark
    assert end.state.owes_announcement


@pytest.mark.spec("PT-25")
def test_an_outlet_announces_itself_once() -> None:
    end = running_outlet(agreed=True)
    assert messages(read(end, b"answer")) == [LocalMessage(TO_I, (AT_O,), payload(b"answer"))]
    assert messages(end.take(message(AT_O, payload(b"request")))) == []


@pytest.mark.spec("PT-26")
def test_marks_and_the_window(side: Side) -> None:
    end = side.begin(agreed=True)
    size = MARK_EVERY_BYTES // 2
    marks, sent = 0, 0
    while True:
        effects = read(end, bytes(size))
        sent += size
        marks += messages(effects).count(side.said(PING).message)
        if only(effects, StopReading):
            break
    assert (sent, marks) == (WINDOW_BYTES, 4)
    resumed = [bool(only(side.take(end, PONG), StartReading)) for _ in range(6)]
    assert resumed == [False, True, False, False, False, False]
    assert end.state.credit.outstanding == 0


@pytest.mark.spec("PT-25")
def test_a_peer_that_announces_nothing_is_never_limited(side: Side) -> None:
    end = side.begin()
    data = bytes(MAX_PAYLOAD_BYTES)
    for _ in range(2 * WINDOW_BYTES // MAX_PAYLOAD_BYTES):
        assert read(end, data) == (side.said(payload(data)),)


@pytest.mark.spec("PT-27")
def test_a_mark_is_answered_when_everything_before_it_has_left(side: Side) -> None:
    end = side.begin()
    side.take(end, payload(b"x"))
    for _ in range(2):
        assert side.take(end, PING) == (ReportDrained(side.link),)
    assert drained(end) == (side.said(PONG),) * 2
    assert drained(end) == ()


@pytest.mark.spec("PT-27")
def test_the_marks_that_wait_are_bounded(side: Side) -> None:
    end = side.begin()
    for _ in range(MAX_MARKS_TO_ANSWER):
        assert side.take(end, PING)
    for _ in range(100):
        assert side.take(end, PING) == ()
    assert len(end.step(LinkDrained(side.link, NOW))) == MAX_MARKS_TO_ANSWER
    assert side.take(end, PING)


@pytest.mark.spec("PT-21", "PT-26")
def test_a_pong_does_not_read_from_a_client_that_has_finished() -> None:
    end = running_inlet(agreed=True)
    for _ in range(4):
        read(end, bytes(MARK_EVERY_BYTES))
    finish(end)
    for _ in range(4):
        assert not only(end.take(message(AT_I, PONG)), StartReading)


@pytest.mark.spec("PT-17")
def test_connections_share_nothing(side: Side) -> None:
    one, other = side.begin(), side.begin(agreed=True)
    side.take(one, payload(b"x", 0))
    assert isinstance(other.state, Running)
    assert (other.state.last_counter, one.state.credit.agreed) == (65535, False)
    side.take(one, DISCONNECT)
    assert written(side.take(other, payload(b"y", 0))) == b"y"
