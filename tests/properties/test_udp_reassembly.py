"""Slices in any order, twice, cut into any batches, beside garbage: the same messages, bounded memory, no exception."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.links import reassembly
from ockam_ref.links.form import Fault
from ockam_ref.links.reassembly import WINDOW, Reassembly, Results, receive
from ockam_ref.links.unfinished import Unfinished
from ockam_ref.wire.udp_datagram import LegacySlice, Slice, cut_message, encode_slice

NUMBERS = st.integers(0, 0xFFFF)
CONTENT = st.binary(min_size=1, max_size=400)
PIECES = st.builds(
    Slice, st.integers(0, 8), st.integers(0, 5), st.integers(0, 5), st.binary(max_size=3), st.just(1)
) | st.builds(LegacySlice, st.integers(0, 8), st.integers(0, 6), st.booleans(), st.binary(max_size=3), st.just(1))
DATAGRAMS = st.lists(PIECES.map(encode_slice) | st.binary(max_size=12), max_size=60)


def in_batches(datagrams: Sequence[bytes], sizes: list[int], step: float = 0.0) -> tuple[Reassembly, Results]:
    state, found, now = Reassembly(), [], 0.0
    position = 0
    for size in (*sizes, len(datagrams)):
        state, results = receive(state, datagrams[position : position + size], now)
        found += results
        position += size
        now += step
    return state, found


def messages(results: Results) -> list[bytes]:
    return [result for result in results if isinstance(result, bytes)]


@pytest.mark.spec("UDP-10", "UDP-11", "UDP-12", "UDP-16")
@given(
    data=st.data(), first=NUMBERS, contents=st.lists(CONTENT, min_size=1, max_size=WINDOW), length=st.integers(1, 60)
)
def test_any_order_and_any_doubles_of_five_messages(
    data: st.DataObject, first: int, contents: list[bytes], length: int
) -> None:
    datagrams = [
        datagram
        for index, content in enumerate(contents)
        for datagram in cut_message((first + index) % 0x10000, content, length)
    ]
    again = data.draw(st.lists(st.sampled_from(datagrams), max_size=10))
    order = data.draw(st.permutations(datagrams + again))
    state, results = in_batches(order, data.draw(st.lists(st.integers(0, 30), max_size=10)))
    assert sorted(messages(results)) == sorted(contents)
    assert not [result for result in results if isinstance(result, Fault)]
    assert state.waiting == 0


@pytest.mark.spec("UDP-16")
@given(datagrams=DATAGRAMS, sizes=st.lists(st.integers(0, 20), max_size=10))
def test_batches_change_nothing(datagrams: list[bytes], sizes: list[int]) -> None:
    state, results = in_batches(datagrams, sizes)
    one_by_one, single = in_batches(datagrams, [1] * len(datagrams))
    assert one_by_one == state
    assert messages(single) == messages(results)


@pytest.mark.spec("UDP-13", "UDP-15")
@given(datagrams=DATAGRAMS, sizes=st.lists(st.integers(0, 20), max_size=10), step=st.sampled_from([0.0, 0.5, 3.0]))
def test_anything_leaves_a_state_that_is_bounded_and_works(
    datagrams: list[bytes], sizes: list[int], step: float
) -> None:
    state, results = in_batches(datagrams, sizes, step)
    assert len(state.places) in {0, WINDOW}
    unfinished = [place for place in state.places if isinstance(place, Unfinished)]
    assert state.waiting == sum(place.cost for place in unfinished)
    assert state.waiting <= reassembly.MAX_WAITING_BYTES
    for place in unfinished:
        kept = [data for block in place.blocks if block for data in block if data is not None]
        assert len(kept) == place.kept
        assert {len(data) for data in kept} <= {place.size}
        assert place.cost >= sum(map(len, kept)) + len(place.last or b"")
    later = 1e6
    _, results = receive(state, cut_message(40_000, b"whatever came before", 7), later)
    assert b"whatever came before" in results


@pytest.mark.spec("UDP-14")
@given(before=NUMBERS, after=NUMBERS, contents=st.lists(CONTENT, min_size=8, max_size=8))
def test_a_sender_that_restarts_anywhere_is_heard_after_a_silence_at_the_latest(
    before: int, after: int, contents: list[bytes]
) -> None:
    state = Reassembly()
    for index, content in enumerate(contents):
        state, _ = receive(state, cut_message((before + index) % 0x10000, content, 50), 0.0)
    now = reassembly.RESTART_SILENCE_S
    found: list[bytes] = []
    for index, content in enumerate(contents):
        state, results = receive(state, cut_message((after + index) % 0x10000, content, 50), now)
        found += messages(results)
    assert found == contents
