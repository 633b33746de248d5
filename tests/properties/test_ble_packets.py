"""Any message, any size of packets, any loss: what comes out is what went in, or nothing, and the next one is whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.links.ble_packets import (
    BLE,
    BLE_COMPAT,
    HEADER_LENGTH,
    MAX_WAITING_PIECES,
    MIN_PIECE,
    Between,
    Inside,
    PacketState,
    fragment,
    receive,
)
from ockam_ref.links.form import Fault

sizes = st.integers(MIN_PIECE, 512)
messages = st.binary(min_size=1, max_size=2000)
short = st.binary(min_size=1, max_size=1024)
firsts = st.sampled_from([BLE.first, BLE_COMPAT.first])
eight = st.integers(0, 70_000).map(lambda value: value.to_bytes(8, "big"))


def run(packets: list[bytes], state: PacketState) -> tuple[PacketState, list[bytes | Fault]]:
    found: list[bytes | Fault] = []
    for packet in packets:
        state, more = receive(state, packet)
        found += [one if isinstance(one, Fault) else bytes(one) for one in more]
        if isinstance(state, Inside):
            assert len(state.pieces) <= MAX_WAITING_PIECES
            assert sum(map(len, state.pieces)) == state.waiting < state.length <= state.limit
    return state, found


def cut(message: bytes, size: int, *, compat: bool = False) -> list[bytes]:
    return list(map(bytes, fragment(message, size, compat=compat)))


@pytest.mark.spec("BLE-20", "BLE-21", "BLE-24")
@pytest.mark.parametrize("size", [*range(MIN_PIECE, 40), 128, 244, 511, 512])
def test_every_length_is_cut_without_a_piece_of_eight(size: int) -> None:
    for length in (*range(1, 4 * size + 20), 1023, 1024, 65_528, 65_536):
        packets = cut(bytes(length), size)
        assert packets[0] == length.to_bytes(8, "big")
        assert all(0 < len(packet) <= size and len(packet) != HEADER_LENGTH for packet in packets[1:])
        assert sum(map(len, packets[1:])) == length


@given(sent=st.lists(messages, max_size=5), size=sizes)
@pytest.mark.spec("BLE-20", "BLE-21", "BLE-25")
def test_what_went_in_comes_out(sent: list[bytes], size: int) -> None:
    state, found = run([packet for message in sent for packet in cut(message, size)], BLE.first)
    assert (state, found) == (BLE.first, sent)


@given(sent=st.lists(short, max_size=5), size=sizes)
@pytest.mark.spec("BLE-20", "BLE-21", "BLE-25")
def test_and_in_compat(sent: list[bytes], size: int) -> None:
    packets = [packet for message in sent for packet in cut(message, size, compat=True)]
    assert all(len(packet) <= 18 for packet in packets)
    assert run(packets, BLE_COMPAT.first) == (BLE_COMPAT.first, sent)


@given(sent=st.lists(short | st.integers(1, 60).map(bytes), max_size=6))
@pytest.mark.spec("BLE-29")
def test_a_sender_of_2022_that_takes_no_care_is_understood(sent: list[bytes]) -> None:
    """Pieces of 18 bytes and whatever is left: a message of zeros then ends in what looks like the length 0."""
    packets: list[bytes] = []
    for message in sent:
        packets.append(len(message).to_bytes(8, "big"))
        packets += [message[start : start + 18] for start in range(0, len(message), 18)]
    state, found = run(packets, BLE_COMPAT.first)
    assert found == sent
    assert not isinstance(state, Inside) or state.doubtful


@given(garbage=st.lists(st.binary(max_size=30) | eight, max_size=30), message=messages, size=sizes, first=firsts)
@pytest.mark.spec("BLE-26", "BLE-27")
def test_after_any_packets_the_next_message_is_whole(
    garbage: list[bytes], message: bytes, size: int, first: Between
) -> None:
    state, _ = run(garbage, first)
    message = message[: first.limit]
    state, found = run(cut(message, size), state)
    assert found[-1] == message
    assert state == first


@given(sent=st.lists(messages, min_size=1, max_size=8), size=sizes, lost=st.sets(st.integers(0, 200), max_size=6))
@pytest.mark.spec("BLE-26", "BLE-27")
def test_lost_packets_cost_their_messages_only(sent: list[bytes], size: int, lost: set[int]) -> None:
    """A message of which nothing was lost comes out; so does the end of one whose first packets were taken for others."""
    packets = [(number, packet) for number, message in enumerate(sent) for packet in cut(message, size)]
    hurt = {number for place, (number, _) in enumerate(packets) if place in lost}
    _, found = run([packet for place, (_, packet) in enumerate(packets) if place not in lost], BLE.first)
    whole = [message for number, message in enumerate(sent) if number not in hurt]
    rest = iter(found)
    assert all(message in rest for message in whole)
