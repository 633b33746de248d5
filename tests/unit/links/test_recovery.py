"""The machine: what each event does, what is refused, how it ends."""

import pytest

from ockam_ref.links import recovery
from ockam_ref.links import recovery_sender as sending
from ockam_ref.links.recovery import (
    MIN_PACKET_BYTES,
    PACKET_BYTES,
    Deliver,
    Due,
    Ended,
    Failed,
    Left,
    MessageGiven,
    Open,
    PacketsReceived,
    PathChanged,
    Recovery,
    RecoveryEffects,
    RecoveryEvent,
    Refused,
    Transmit,
    Unknown,
    Waiting,
    WakeAt,
    receive,
)
from ockam_ref.links.recovery_packets import (
    ACKNOWLEDGEMENT,
    PIECE_HEAD_BYTES,
    PIECE_HURRY,
    Acknowledgement,
    encode_acknowledgement,
    encode_gone,
    read_piece_head,
)
from ockam_ref.links.recovery_receiver import WINDOW_BYTES
from ockam_ref.links.recovery_sender import (
    MAX_REMEMBERED_RUNS,
    MAX_WAITING_BYTES,
    PROBE_PACKETS,
    PROBES_BEFORE_SMALL,
    SMALL_PACKET_BYTES,
)
from ockam_ref.links.rtt import MAX_ACK_DELAY_S
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH

NUMBER = 77
PIECE_BYTES = PACKET_BYTES - PIECE_HEAD_BYTES
NOW = 10.0


def new(**options: float) -> Open:
    return recovery.start(Recovery(NUMBER, **options), NOW)  # type: ignore[arg-type]


def step(state: Open, event: RecoveryEvent) -> tuple[Open, RecoveryEffects]:
    after, effects = receive(state, event)
    assert isinstance(after, Open)
    return after, effects


def give(state: Open, message: bytes, now: float = NOW) -> tuple[Open, list[bytes]]:
    state, effects = step(state, MessageGiven((message,), now))
    return state, packets_of(effects)


def packets_of(effects: RecoveryEffects) -> list[bytes]:
    return [packet for effect in effects if isinstance(effect, Transmit) for packet in effect.packets]


def numbers_of(packets: list[bytes]) -> list[int]:
    return [read_piece_head(packet)[2] for packet in packets if packet[0] != ACKNOWLEDGEMENT]


def acknowledge(
    state: Open, *ranges: tuple[int, int], now: float, limit: int = 1 << 40
) -> tuple[Open, RecoveryEffects]:
    packet = encode_acknowledgement(Acknowledgement(NUMBER, limit, 0, ranges))
    return step(state, PacketsReceived((packet,), now))


def wake_of(effects: RecoveryEffects) -> float:
    return next(effect.at for effect in effects if isinstance(effect, WakeAt))


@pytest.mark.spec("RCV-1", "RCV-3", "RCV-8")
def test_a_short_message_leaves_at_once_and_is_waited_for() -> None:
    state, effects = step(new(), MessageGiven((b"he", b"llo"), NOW))
    (packet,) = packets_of(effects)
    assert packet[PIECE_HEAD_BYTES:] == b"\x00\x00\x00\x05hello"
    assert wake_of(effects) > NOW + 0.1
    assert not any(isinstance(effect, Waiting) for effect in effects)
    state, effects = acknowledge(state, (0, 1), now=NOW + 0.02)
    assert (state.sender.flight, state.sender.blocks, effects) == ((), (), ())


@pytest.mark.spec("RCV-1", "RCV-7")
def test_the_other_end_delivers_it_and_acknowledges_soon() -> None:
    _, (packet,) = give(new(), b"hello")
    other, effects = step(new(), PacketsReceived((packet,), NOW))
    assert effects == (Deliver((memoryview(b"hello"),)), WakeAt(NOW + MAX_ACK_DELAY_S))
    other, effects = step(other, Due(NOW + MAX_ACK_DELAY_S))
    (answer,) = packets_of(effects)
    assert answer[0] == ACKNOWLEDGEMENT
    assert step(other, Due(NOW + 1))[1] == ()


@pytest.mark.spec("RCV-9", "RCV-14")
def test_much_waits_for_window_and_pace_and_is_told() -> None:
    state, effects = step(new(), MessageGiven((bytes(1_000_000),), NOW))
    packets = packets_of(effects)
    assert 0 < len(packets) < 64
    assert all(len(packet) == PACKET_BYTES for packet in packets)
    sent = len(packets) * PIECE_BYTES
    assert effects[1] == Waiting(1_000_004 - sent)
    assert wake_of(effects) >= NOW + recovery.LEAST_WAKE_S
    later, effects = step(state, Due(wake_of(effects)))
    assert packets_of(effects)
    assert later.waiting < state.waiting


@pytest.mark.spec("RCV-8")
def test_the_sender_hurries_the_receiver_when_it_cannot_go_on() -> None:
    state, packets = give(new(), bytes(1_000_000))
    now = NOW
    while len(packets) < 32:
        now += 0.01
        state, effects = step(state, Due(now))
        packets += packets_of(effects)
    assert packets[-1][0] == PIECE_HURRY


@pytest.mark.spec("RCV-13")
def test_the_limit_of_the_receiver_is_kept() -> None:
    state = new()
    state = state._replace(sender=state.sender._replace(limit=2000))
    state, packets = give(state, bytes(10_000))
    assert sum(len(packet) - PIECE_HEAD_BYTES for packet in packets) == 2000
    state, effects = acknowledge(state, (0, 2), now=NOW + 0.1, limit=5000)
    more = packets_of(effects) + packets_of(step(state, Due(NOW + 0.2))[1])
    assert sum(len(packet) - PIECE_HEAD_BYTES for packet in more) == 3000
    state, _ = acknowledge(state, (0, 1), now=NOW + 0.2, limit=100)  # older news
    assert state.sender.limit == 5000
    state, _ = acknowledge(state, (0, 1), now=NOW + 0.2, limit=6000)
    assert state.sender.limit == 6000
    assert recovery.start(Recovery(1), NOW).sender.limit == WINDOW_BYTES


# ---- loss


def in_flight(count: int) -> Open:
    """Return a state with that many packets on their way, and nothing else to send."""
    state, packets = give(new(), bytes(count * PIECE_BYTES - 4))
    now = NOW
    while len(packets) < count:
        now += 0.001
        state, effects = step(state, Due(now))
        packets += packets_of(effects)
    return state


@pytest.mark.spec("RCV-10")
def test_what_three_later_packets_overtook_is_sent_again_with_a_new_number() -> None:
    state, effects = acknowledge(in_flight(10), (1, 4), now=NOW + 0.1)
    (packet,) = packets_of(effects)
    assert read_piece_head(packet)[2:] == (10, 0)
    assert state.sender.next_number == 11


@pytest.mark.spec("RCV-10")
def test_what_is_overtaken_for_longer_than_a_round_trip_is_sent_again() -> None:
    state, effects = acknowledge(in_flight(4), (1, 2), now=NOW + 0.1)
    assert packets_of(effects) == []
    assert state.sender.lost_at is not None
    at = state.sender.lost_at
    assert NOW + 0.1 < at < NOW + 0.2
    state, effects = step(state, Due(at))
    assert [read_piece_head(packet)[3] for packet in packets_of(effects)] == [0]
    assert state.sender.lost_at is None


@pytest.mark.spec("RCV-11")
def test_packets_that_come_late_after_all_teach_patience() -> None:
    state = in_flight(12)
    state = state._replace(sender=state.sender._replace(pace_at=NOW + 60))  # what is lost has to wait
    state, _ = acknowledge(state, (4, 12), now=NOW + 0.1)
    assert state.sender.again == ((0, 4 * PIECE_BYTES),)
    assert sum(run.stop - run.first for run in state.sender.remembered) == 4
    state, effects = acknowledge(state, (0, 2), (4, 12), now=NOW + 0.11)
    assert packets_of(effects) == []
    assert state.sender.again == ((2 * PIECE_BYTES, 4 * PIECE_BYTES),)
    assert state.sender.tolerance.packets == 12
    assert sum(run.stop - run.first for run in state.sender.remembered) == 2
    old, effects = acknowledge(state, (11, 12), now=NOW + 0.12)
    assert (old.sender.remembered, packets_of(effects)) == (state.sender.remembered, [])


@pytest.mark.spec("RCV-11")
def test_old_news_measures_no_round_trip() -> None:
    state = in_flight(6)
    state, _ = acknowledge(state, (4, 5), now=NOW + 0.1)
    before = state.sender.rtt
    state, _ = acknowledge(state, (3, 4), now=NOW + 5.0)
    assert state.sender.rtt == before


@pytest.mark.spec("RCV-14")
def test_a_full_window_lets_nothing_leave() -> None:
    state, packets = give(new(), bytes(1_000_000))
    state = state._replace(sender=state.sender._replace(in_flight=1 << 30))
    _, effects = step(state, Due(NOW + 0.05))
    assert packets
    assert packets_of(effects) == []


@pytest.mark.spec("RCV-13")
def test_no_more_than_some_are_remembered() -> None:
    state, packets = give(new(), bytes(2_000_000))
    now, first = NOW, 0
    for _ in range(200):
        now += 0.05
        top = state.sender.next_number
        ranges = tuple((number, number + 1) for number in range(first, top, 2))[-60:]
        if not ranges:
            break
        first = top
        state, effects = acknowledge(state, *ranges, now=now)
        packets += packets_of(effects)
        state, effects = step(state, Due(now + 0.02))
        assert len(state.sender.remembered) <= MAX_REMEMBERED_RUNS
    assert len(state.sender.remembered) > 30


@pytest.mark.spec("RCV-12")
def test_silence_is_probed_with_the_oldest_packets_and_more_patience_each_time() -> None:
    state = in_flight(5)
    waits, now = [], NOW
    for _ in range(3):
        deadline = sending.next_deadline(state.sender)
        assert deadline is not None
        waits.append(deadline - now)
        now = deadline
        state, effects = step(state, Due(now))
        packets = packets_of(effects)
        assert 1 <= len(packets) <= PROBE_PACKETS
        assert packets[-1][0] == PIECE_HURRY
    assert waits[0] < waits[1] < waits[2]
    assert sum(run.stop - run.first for run in state.sender.flight) == 5
    state, _ = acknowledge(state, (0, 1), now=now + 0.01)  # a packet that a probe gave up lives: so does the path
    assert state.sender.probes == 0


@pytest.mark.spec("RCV-16")
def test_a_path_that_never_took_a_long_packet_gets_short_ones() -> None:
    state, _ = give(new(), b"short")
    state, _ = acknowledge(state, (0, 1), now=NOW)
    assert not state.sender.proven
    state, _ = give(state, bytes(2 * PIECE_BYTES - 4))
    while state.sender.probes <= PROBES_BEFORE_SMALL:
        deadline = sending.next_deadline(state.sender)
        assert deadline is not None
        state, effects = step(state, Due(deadline))
    assert max(len(packet) for packet in packets_of(effects)) == SMALL_PACKET_BYTES
    assert state.sender.packet == SMALL_PACKET_BYTES


@pytest.mark.spec("RCV-16")
def test_a_path_that_took_one_does_not() -> None:
    state, _ = acknowledge(in_flight(20), (0, 2), now=NOW + 0.1)
    assert state.sender.proven
    for _ in range(PROBES_BEFORE_SMALL + 2):
        deadline = sending.next_deadline(state.sender)
        assert deadline is not None
        state, _ = step(state, Due(deadline))
    assert state.sender.packet == PACKET_BYTES


@pytest.mark.spec("RCV-17")
def test_another_path_begins_anew_and_what_was_on_its_way_leaves_again() -> None:
    state, _ = acknowledge(in_flight(10), (0, 2), now=NOW + 0.02)
    state, effects = step(state, PathChanged(600, NOW + 0.03))
    packets = packets_of(effects)
    assert packets
    assert all(len(packet) <= 600 for packet in packets)
    assert read_piece_head(packets[0])[2:] == (10, 2 * PIECE_BYTES)
    assert not state.sender.rtt.measured
    assert state.sender.path.rates == ()
    state, _ = step(state, PathChanged(1, NOW + 0.03))
    assert state.sender.packet == MIN_PACKET_BYTES


# ---- the end


@pytest.mark.spec("RCV-18")
def test_a_peer_that_says_nothing_for_long_is_given_up() -> None:
    state, _ = give(new(silence_s=5.0), b"hello")
    now, after, wakes = NOW, None, 0
    current: object = state
    while isinstance(current, Open):
        deadline = recovery._wanted(current.sender, current.receiver, current)
        assert deadline is not None
        now = deadline
        wakes += 1
        current, after = receive(current, Due(now))
    assert now == NOW + 5.0
    assert wakes < 20
    assert after is not None
    assert after[-2:] == (
        Transmit((encode_gone(NUMBER),)),
        Failed("the peer has said nothing for 5 s", 9),
    )


@pytest.mark.spec("RCV-18")
def test_a_pause_is_no_silence() -> None:
    state, _ = give(new(silence_s=5.0), b"hello")
    state, _ = acknowledge(state, (0, 1), now=NOW + 0.1)
    state, _ = give(state, b"again", now=NOW + 100)
    state, _ = step(state, Due(NOW + 101))
    assert isinstance(state, Open)


@pytest.mark.spec("RCV-5", "RCV-18")
def test_a_peer_that_knows_nothing_of_it_ends_it() -> None:
    state, _ = give(new(), b"hello")
    after, effects = receive(state, PacketsReceived((encode_gone(NUMBER),), NOW))
    assert isinstance(after, Ended)
    assert effects == (Failed("the peer does not know the connection any more", 9),)


@pytest.mark.spec("RCV-18")
def test_a_broken_stream_ends_it_after_the_messages_before() -> None:
    _, (good,) = give(new(), b"hello")
    packet = good[:PIECE_HEAD_BYTES] + good[PIECE_HEAD_BYTES:] + b"\xff\xff\xff\xff"
    after, effects = receive(new(), PacketsReceived((packet,), NOW))
    assert isinstance(after, Ended)
    assert effects[:2] == (Deliver((memoryview(b"hello"),)), Transmit((encode_gone(NUMBER),)))
    assert isinstance(effects[2], Failed)


@pytest.mark.spec("RCV-5", "RCV-19")
def test_who_leaves_says_so_and_is_deaf_afterwards() -> None:
    after, effects = receive(new(), Left(NOW))
    assert effects == (Transmit((encode_gone(NUMBER),)),)
    events: list[RecoveryEvent] = [
        MessageGiven((b"x",), NOW),
        PacketsReceived((encode_gone(NUMBER),), NOW),
        Due(NOW),
        PathChanged(100, NOW),
        Left(NOW),
    ]
    assert all(receive(after, event) == (after, ()) for event in events)


# ---- what is not taken


@pytest.mark.spec("RCV-13")
def test_a_message_that_is_too_long_or_one_too_many_is_refused() -> None:
    state = new()
    same, effects = step(state, MessageGiven((bytes(MAX_MESSAGE_LENGTH), b"x"), NOW))
    assert same is state
    assert [effect.rule for effect in effects if isinstance(effect, Refused)] == ["too-long"]
    rules = []
    for _ in range(MAX_WAITING_BYTES // MAX_MESSAGE_LENGTH + 1):
        state, effects = step(state, MessageGiven((bytes(MAX_MESSAGE_LENGTH),), NOW))
        rules += [effect.rule for effect in effects if isinstance(effect, Refused)]
    assert rules[:1] == ["recovery-full"]
    assert state.sender.kept <= MAX_WAITING_BYTES + 4


@pytest.mark.spec("RCV-20")
@pytest.mark.parametrize(
    "packet",
    [
        encode_acknowledgement(Acknowledgement(NUMBER, 0, 0, ((0, 1),)))[:-1],
        encode_acknowledgement(Acknowledgement(NUMBER, 0, 0, ((0, 99),))),
        b"\x40" + NUMBER.to_bytes(8, "big"),
        b"\x44" + NUMBER.to_bytes(8, "big") + bytes(30),
        encode_gone(NUMBER) + b"x",
    ],
)
def test_a_packet_that_makes_no_sense_is_a_recorded_drop(packet: bytes) -> None:
    state, _ = give(new(), b"hello")
    same, (refused,) = step(state, PacketsReceived((packet,), NOW))
    assert same is state
    assert isinstance(refused, Refused)
    assert refused.rule == "recovery-packet"


@pytest.mark.spec("RCV-20")
def test_packets_of_other_connections_are_handed_back() -> None:
    state = new()
    strange = (b"\x40", encode_gone(78))
    assert step(state, PacketsReceived(strange, NOW)) == (state, (Unknown(strange),))
