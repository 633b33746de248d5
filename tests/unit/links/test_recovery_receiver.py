"""The receiving half: pieces in any order, batches of any kind, and what it may cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.links.form import Broken
from ockam_ref.links.recovery_packets import (
    MAX_ACK_RANGES,
    PIECE,
    PIECE_HEAD_BYTES,
    PIECE_HURRY,
    decode_acknowledgement,
    encode_gone,
    piece_head,
)
from ockam_ref.links.recovery_receiver import (
    MAX_GAPS,
    PACKETS_PER_ACK,
    WINDOW_BYTES,
    Receiver,
    acknowledge_now,
    sort_packets,
    take,
)
from ockam_ref.links.rtt import MAX_ACK_DELAY_S

NUMBER = 77
NOW = 50.0
NEW = Receiver(NUMBER)


def piece(number: int, offset: int, data: bytes, kind: int = PIECE) -> bytes:
    return piece_head(kind, NUMBER, number, offset) + data


def arrive(receiver: Receiver, *packets: bytes, now: float = NOW) -> tuple[Receiver, list[bytes]]:
    rows, hurry, others = sort_packets(packets, NUMBER)
    assert not others
    receiver, messages = take(receiver, rows, now, hurry=hurry)
    return receiver, [bytes(message) for message in messages]


def stream_of(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


@pytest.mark.spec("RCV-6")
def test_packets_in_a_row_are_one_row() -> None:
    packets = [piece(5, 100, b"abc"), piece(6, 103, b"de"), piece(8, 105, b"f"), piece(9, 200, b"g", PIECE_HURRY)]
    rows, hurry, others = sort_packets(packets, NUMBER)
    assert [(row.first, row.stop, row.start, b"".join(row.parts)) for row in rows] == [
        (5, 7, 100, b"abcde"),
        (8, 9, 105, b"f"),
        (9, 10, 200, b"g"),
    ]
    assert hurry
    assert others == []


@pytest.mark.spec("RCV-20")
def test_everything_else_is_left_to_others() -> None:
    strange = [b"\x40", piece(0, 0, b""), piece_head(PIECE, 78, 0, 0) + b"x", encode_gone(NUMBER), b"\x44" + bytes(30)]
    assert sort_packets(strange, NUMBER) == ([], False, strange)
    assert sort_packets([strange[3] + bytes(40)], NUMBER).others == [strange[3] + bytes(40)]


@pytest.mark.spec("RCV-1", "RCV-6")
def test_messages_are_delivered_in_order_whatever_comes_first() -> None:
    stream = stream_of(b"one", b"two", b"three")
    receiver, messages = arrive(NEW, piece(1, 7, stream[7:16]), piece(2, 16, stream[16:]))
    assert messages == []
    assert receiver.held == len(stream) - 7
    receiver, messages = arrive(receiver, piece(0, 0, stream[:7]))
    assert messages == [b"one", b"two", b"three"]
    assert (receiver.offset, receiver.held, receiver.ranges) == (len(stream), 0, ((0, 3),))


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Messages, and packets with their stream: some pieces twice, with other borders, in any order."""
    messages = draw(st.lists(st.binary(max_size=50), min_size=1, max_size=8))
    stream = stream_of(*messages)
    packets: list[tuple[int, bytes]] = []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 30))
        packets += [(at, stream[at : at + size]) for at in range(0, len(stream), size)]
    numbered = [piece(number, at, data) for number, (at, data) in enumerate(packets)]
    return messages, draw(st.permutations(numbered))


@pytest.mark.spec("RCV-1", "RCV-6")
@given(shuffled(), st.data())
def test_any_order_and_any_batches_give_the_same(case: tuple[list[bytes], list[bytes]], data: st.DataObject) -> None:
    """The rows are the fast way; one packet at a time is the plain one."""
    messages, packets = case
    singly, one_by_one = NEW, []
    for packet in packets:
        singly, delivered = arrive(singly, packet)
        one_by_one += delivered
    batched, in_batches = NEW, []
    while packets:
        count = data.draw(st.integers(1, len(packets)))
        batched, delivered = arrive(batched, *packets[:count])
        in_batches += delivered
        packets = packets[count:]
    assert one_by_one == in_batches == messages
    assert (singly.ranges, singly.offset, singly.islands) == (batched.ranges, batched.offset, batched.islands)
    assert singly.islands == ()


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(1, 20)), max_size=40))
def test_islands_hold_what_came_and_no_byte_twice(pieces: list[tuple[int, int]]) -> None:
    stream = (10_000).to_bytes(4, "big") + bytes(range(100)) * 2
    receiver = NEW
    for number, (start, length) in enumerate(pieces):
        receiver, _ = arrive(receiver, piece(number, 1 + start, stream[1 + start : 1 + start + length]))
    came = {place for start, length in pieces for place in range(1 + start, 1 + start + length)}
    held = {place for start, stop, _ in receiver.islands for place in range(start, stop)}
    assert held == came
    assert receiver.held == len(came)
    for start, stop, chunks in receiver.islands:
        assert b"".join(chunks) == stream[start:stop]
    assert all(
        before[1] < after[0] or before[1] == after[0]
        for before, after in zip(receiver.islands, receiver.islands[1:], strict=False)
    )


@pytest.mark.spec("RCV-13")
def test_the_window_and_the_holes_are_bounded() -> None:
    receiver, _ = arrive(NEW, piece(0, WINDOW_BYTES - 1, b"ab"))
    assert receiver is NEW
    receiver, _ = arrive(NEW, piece(0, WINDOW_BYTES - 2, b"ab"))
    assert receiver.held == 2
    for number in range(MAX_GAPS + 5):
        receiver, _ = arrive(receiver, piece(number + 1, 10 + 2 * number, b"x"))
    assert len(receiver.islands) == MAX_GAPS
    assert len(receiver.ranges) <= MAX_ACK_RANGES
    receiver, _ = arrive(receiver, piece(9999, 0, bytes(10)))  # what fills the first hole is always taken
    assert receiver.offset == 11


def test_pieces_that_drip_are_glued() -> None:
    receiver = NEW
    for number in range(1000):
        receiver, _ = arrive(receiver, piece(number, 10 + number, bytes((number % 251,))))
    ((start, stop, chunks),) = receiver.islands
    assert (start, stop) == (10, 1010)
    assert len(chunks) <= 65
    assert b"".join(chunks) == bytes(number % 251 for number in range(1000))


@pytest.mark.spec("RCV-13")
def test_a_message_that_is_too_long_breaks_the_stream() -> None:
    receiver, messages = arrive(NEW, piece(0, 0, b"\x00\x00\x00\x01a" + b"\x01\x00\x00\x01"))
    assert messages == [b"a"]
    assert isinstance(receiver.framing, Broken)
    assert receiver.held == 0


@pytest.mark.spec("RCV-7")
def test_when_an_acknowledgement_is_due() -> None:
    stream = stream_of(bytes(1000))
    one, _ = arrive(NEW, piece(0, 0, stream[:10]))
    assert one.ack_at == NOW + MAX_ACK_DELAY_S
    two, _ = arrive(one, piece(1, 10, stream[10:20]), now=NOW + 0.001)
    assert two.ack_at == NOW + MAX_ACK_DELAY_S
    hurried, _ = arrive(one, piece(1, 10, stream[10:20], PIECE_HURRY), now=NOW + 0.001)
    hole, _ = arrive(one, piece(2, 20, stream[20:30]), now=NOW + 0.001)
    twice, _ = arrive(one, piece(0, 0, stream[:10]), now=NOW + 0.001)
    many, _ = arrive(
        NEW, *(piece(n, 10 * n, stream[10 * n : 10 * n + 10]) for n in range(PACKETS_PER_ACK)), now=NOW + 0.001
    )
    assert {receiver.ack_at for receiver in (hurried, hole, twice, many)} == {NOW + 0.001}


@pytest.mark.spec("RCV-4", "RCV-7", "RCV-13")
def test_an_acknowledgement_says_what_came_and_how_far_the_stream_may_go() -> None:
    receiver, _ = arrive(NEW, piece(0, 0, bytes(4)), piece(3, 40, b"x"), now=NOW)
    receiver, packet = acknowledge_now(receiver, NOW + 0.002)
    acknowledgement = decode_acknowledgement(packet)
    assert acknowledgement.ranges == ((0, 1), (3, 4))
    assert acknowledgement.limit == 4 + WINDOW_BYTES
    assert acknowledgement.delay_us == 2000
    assert (receiver.unanswered, receiver.ack_at) == (0, None)


@given(st.permutations(range(40)))
def test_packet_numbers_are_kept_as_ranges(order: list[int]) -> None:
    receiver = NEW
    seen: set[int] = set()
    for number in order:
        receiver, _ = arrive(receiver, piece(number, 0, b"\x00"))
        seen.add(number)
        assert {one for first, stop in receiver.ranges for one in range(first, stop)} == seen
        assert all(before[1] < after[0] for before, after in zip(receiver.ranges, receiver.ranges[1:], strict=False))


def test_heads_are_as_long_as_they_say() -> None:
    assert len(piece(0, 0, b"")) == PIECE_HEAD_BYTES
