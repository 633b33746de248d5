"""Cutting a byte stream into frames, for chosen streams; ``tests/properties`` has the others."""

import gc
import tracemalloc
from itertools import pairwise

import pytest

from ockam_ref.links.form import Broken
from ockam_ref.links.framing import MAX_WAITING_CHUNKS, AwaitingFrame, AwaitingVersion, FramingState, receive
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH
from tests.unit.nodes import framed


def feed(*reads: bytes) -> tuple[FramingState, list[bytes]]:
    """Feed a stream read by read; return the last state and all bodies."""
    state: FramingState = AwaitingVersion()
    bodies: list[bytes] = []
    for read in reads:
        state, frames = receive(state, read)
        bodies += map(bytes, frames)
    return state, bodies


def broken(*reads: bytes) -> str:
    state, _ = feed(*reads)
    assert isinstance(state, Broken)
    return state.reason


@pytest.mark.spec("LINK-1")
def test_frames_may_come_with_the_version_byte() -> None:
    assert feed(b"\x01" + framed(b"one") + framed(b"two")) == (AwaitingFrame(), [b"one", b"two"])


@pytest.mark.spec("LINK-1")
def test_nothing_is_nothing() -> None:
    assert feed(b"") == (AwaitingVersion(), [])
    assert feed(b"\x01", b"") == (AwaitingFrame(), [])


@pytest.mark.parametrize("first", [0, 2, 4, 255])
@pytest.mark.spec("LINK-2")
def test_any_other_version_breaks_the_stream(first: int) -> None:
    assert str(first) in broken(bytes((first,)) + framed(b"one"))


@pytest.mark.spec("LINK-2")
def test_the_version_byte_comes_once() -> None:
    assert feed(b"\x01\x01" + framed(b"x" * 7))[1] == []  # the second is the first byte of a length


@pytest.mark.spec("LINK-3")
def test_an_empty_frame_is_a_frame() -> None:
    assert feed(b"\x01" + framed(b"") + framed(b"x")) == (AwaitingFrame(), [b"", b"x"])


@pytest.mark.spec("LINK-3")
def test_the_length_has_its_most_significant_byte_first() -> None:
    assert feed(b"\x01\x00\x00\x01\x02" + b"x" * 0x102)[1] == [b"x" * 0x102]


@pytest.mark.spec("LINK-4")
def test_the_longest_frame_is_whole() -> None:
    head = b"\x01" + MAX_MESSAGE_LENGTH.to_bytes(4, "big")
    part = bytes(MAX_MESSAGE_LENGTH // 16)
    state, bodies = feed(head, *[part] * 15, part[:-1])
    assert isinstance(state, AwaitingFrame)
    assert (state.waiting, state.wanted, bodies) == (MAX_MESSAGE_LENGTH + 3, MAX_MESSAGE_LENGTH + 4, [])
    state, frames = receive(state, b"\xff" + framed(b"next"))
    assert [len(frame) for frame in frames] == [MAX_MESSAGE_LENGTH, 4]
    assert frames[0][-1] == 0xFF
    assert state == AwaitingFrame()


@pytest.mark.parametrize("length", [MAX_MESSAGE_LENGTH + 1, 0x0200_0000, 0xFFFF_FFFF])
@pytest.mark.spec("LINK-4")
def test_one_byte_more_is_refused_before_its_body_comes(length: int) -> None:
    reason = broken(b"\x01", length.to_bytes(4, "big"))
    assert str(length) in reason


@pytest.mark.spec("LINK-5")
def test_the_frames_before_a_broken_one_are_not_lost() -> None:
    too_long = (MAX_MESSAGE_LENGTH + 1).to_bytes(4, "big")
    state, bodies = feed(b"\x01" + framed(b"good") + too_long + b"rest")
    assert isinstance(state, Broken)
    assert bodies == [b"good"]


@pytest.mark.spec("LINK-5")
def test_nothing_after_a_broken_frame_is_looked_at() -> None:
    state, bodies = feed(b"\x02", b"\x01" + framed(b"good"))
    assert isinstance(state, Broken)
    assert bodies == []


@pytest.mark.spec("LINK-6")
def test_a_body_in_one_read_is_not_copied() -> None:
    data = b"\x01" + framed(b"body")
    _, (frame,) = receive(AwaitingVersion(), data)
    assert isinstance(frame, memoryview)
    assert frame.obj is data


@pytest.mark.spec("LINK-6")
def test_a_body_in_a_few_reads_is_joined_once() -> None:
    reads = [bytes((number,)) * 1000 for number in range(1, 9)]
    state: FramingState = AwaitingFrame()
    for read in (b"\x00\x00\x1f\x40", *reads[:-1]):
        state, _ = receive(state, read)
    assert isinstance(state, AwaitingFrame)
    assert [bytes(chunk) for chunk in state.chunks[1:]] == reads[:-1]
    assert all(chunk is read for chunk, read in zip(state.chunks[1:], reads, strict=False))
    _, (frame,) = receive(state, reads[-1])
    assert bytes(frame) == b"".join(reads)


def drip(length: int) -> tuple[AwaitingFrame, int]:
    """Feed all but the last byte of a frame, each alone; return the state and how many bytes were moved by glueing."""
    state, _ = receive(AwaitingVersion(), b"\x01" + length.to_bytes(4, "big"))
    moved = most = 0
    for number in range(length - 1):
        before, (state, frames) = state, receive(state, bytes((number % 251,)))
        assert frames == []
        assert isinstance(before, AwaitingFrame)
        assert isinstance(state, AwaitingFrame)
        if len(state.chunks) <= len(before.chunks):
            old = set(map(id, before.chunks))
            moved += sum(len(chunk) for chunk in state.chunks if id(chunk) not in old)
            assert all(len(left) >= 2 * len(right) for left, right in pairwise(state.chunks))
        most = max(most, len(state.chunks))
    assert most == MAX_WAITING_CHUNKS
    assert isinstance(state, AwaitingFrame)
    return state, moved


@pytest.mark.spec("LINK-7")
def test_a_frame_that_drips_in_costs_what_it_is_long() -> None:
    """Every byte alone: what is kept is what came, in few chunks, and nothing is copied over and over."""
    length = 50_000
    tracemalloc.start()
    try:
        state, moved = drip(length)
        gc.collect()  # empties the interpreter's own store of unused tuples
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, state.chunks)) == state.waiting == length + 3
    assert kept < 1.5 * length
    assert moved < 16 * length
    _, (frame,) = receive(state, b"\xff")
    assert bytes(frame) == bytes(number % 251 for number in range(length - 1)) + b"\xff"


@pytest.mark.spec("LINK-7")
def test_the_rest_of_a_large_read_is_let_go_when_chunks_are_glued() -> None:
    """The few bytes that wait must not hold the buffer of the frames before them for long."""
    big = bytes(100_000)
    state, _ = receive(AwaitingVersion(), b"\x01" + framed(big) + b"\x00\x00\xff\xff" + b"a")
    for _ in range(MAX_WAITING_CHUNKS):
        state, _ = receive(state, b"b")
    assert isinstance(state, AwaitingFrame)
    assert all(isinstance(chunk, bytes) for chunk in state.chunks)
    assert b"".join(state.chunks) == b"\x00\x00\xff\xffa" + b"b" * MAX_WAITING_CHUNKS
