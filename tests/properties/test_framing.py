"""Any stream, cut into any reads: the same frames, the same end, bounded memory, never an exception."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.effects import Effect, Effects, Forward, SendBytes, TellBeyond, WatchTerminal
from ockam_ref.events import BytesReceived, MessageReceived
from ockam_ref.links import node_link
from ockam_ref.links.form import Broken
from ockam_ref.links.framing import MAX_WAITING_CHUNKS, AwaitingFrame, AwaitingVersion, FramingState, receive
from ockam_ref.links.node_link import Ended, LinkState, NodeLinkState
from ockam_ref.machine import LinkId
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH
from tests.unit.nodes import NOW, framed

LINK, SENDER, RECEIVER = LinkId(1), local("sender"), local("receiver")

bodies = st.lists(st.binary(max_size=300), max_size=8)
too_long = st.integers(MAX_MESSAGE_LENGTH + 1, 2**32 - 1).map(lambda length: length.to_bytes(4, "big"))
tails = st.one_of(st.just(b""), st.binary(max_size=20), too_long)
versions = st.one_of(st.just(b"\x01"), st.just(b"\x01"), st.binary(max_size=1))
streams = st.builds(
    lambda version, frames, tail: version + b"".join(map(framed, frames)) + tail, versions, bodies, tails
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at the places, each taken modulo its length."""
    stops = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(stops)]


def run(reads: list[bytes]) -> tuple[FramingState, list[bytes]]:
    state: FramingState = AwaitingVersion()
    found: list[bytes] = []
    for read in reads:
        state, frames = receive(state, read)
        found += map(bytes, frames)
        if isinstance(state, AwaitingFrame):
            assert len(state.chunks) <= MAX_WAITING_CHUNKS
            assert sum(map(len, state.chunks)) == state.waiting < state.wanted
    return state, found


def normal(state: FramingState) -> FramingState:
    """Two states that wait for the same are the same, however their bytes came."""
    if isinstance(state, AwaitingFrame):
        return AwaitingFrame((b"".join(state.chunks),), state.waiting, state.wanted)
    return state


@given(data=streams, places=st.lists(st.integers(0, 5000), max_size=30))
@pytest.mark.spec("LINK-1", "LINK-5", "LINK-7")
def test_any_reads_give_the_same_frames(data: bytes, places: list[int]) -> None:
    at_once, found = run([data])
    in_pieces, found_in_pieces = run(cut(data, places))
    assert found_in_pieces == found
    assert normal(in_pieces) == normal(at_once)
    byte_by_byte, found_byte_by_byte = run([bytes((byte,)) for byte in data])
    assert found_byte_by_byte == found
    assert normal(byte_by_byte) == normal(at_once)


@given(frames=bodies, tail=tails, places=st.lists(st.integers(0, 5000), max_size=30))
@pytest.mark.spec("LINK-3", "LINK-4", "LINK-5")
def test_what_was_framed_comes_out(frames: list[bytes], tail: bytes, places: list[int]) -> None:
    data = b"\x01" + b"".join(map(framed, frames)) + tail
    state, found = run(cut(data, places))
    assert found[: len(frames)] == frames
    announced = int.from_bytes(tail[:4], "big") if len(tail) >= 4 else 0
    if announced > MAX_MESSAGE_LENGTH:
        assert isinstance(state, Broken)
        assert len(found) == len(frames)


@given(reads=st.lists(st.binary(max_size=100), max_size=20))
@pytest.mark.spec("LINK-7")
def test_garbage_is_never_an_exception(reads: list[bytes]) -> None:
    run(reads)


@given(sizes=st.lists(st.sampled_from([1, 1, 1, 2, 7, 64, 500, 4096]), min_size=100, max_size=300))
@pytest.mark.spec("LINK-7")
def test_reads_of_any_size_are_glued_together_again(sizes: list[int]) -> None:
    reads = [bytes((number % 256,)) * size for number, size in enumerate(sizes)]
    data = b"".join(reads)
    state, found = run([b"\x01" + len(data).to_bytes(4, "big"), *reads])
    assert found == [data]
    assert state == AwaitingFrame()


# ---- the machine around it


addresses = st.builds(Address, st.integers(0, 255), st.binary(max_size=40))
routes = st.lists(addresses, max_size=6).map(tuple)
messages = st.builds(
    LocalMessage, routes, routes, st.binary(max_size=200), st.just(()), st.none() | st.text(max_size=30)
)
OPEN = LinkState(LINK, SENDER, RECEIVER, AwaitingVersion())


def arrive(reads: list[bytes]) -> tuple[NodeLinkState, Effects]:
    state: NodeLinkState = OPEN
    effects: list[Effect] = []
    for read in reads:
        state, more = node_link.receive(state, BytesReceived(LINK, read, NOW))
        effects += more
    return state, tuple(effects)


@given(data=streams, places=st.lists(st.integers(0, 5000), max_size=30))
@pytest.mark.spec("LINK-1", "LINK-5", "LINK-9")
def test_any_reads_give_the_same_effects(data: bytes, places: list[int]) -> None:
    at_once, effects = arrive([data])
    in_pieces, effects_in_pieces = arrive(cut(data, places))
    assert effects_in_pieces == effects
    assert type(in_pieces) is type(at_once)


@given(sent=st.lists(messages, max_size=6), places=st.lists(st.integers(0, 5000), max_size=30))
@pytest.mark.spec("LINK-21", "LINK-22", "RT-40")
def test_what_one_end_sends_enters_at_the_other(sent: list[LocalMessage], places: list[int]) -> None:
    stream = b"\x01"
    for message in sent:
        destination = message.push_front_onward_route(SENDER)
        _, (written,) = node_link.receive(OPEN, MessageReceived(SENDER, SENDER, destination, NOW))
        assert isinstance(written, SendBytes)
        stream += b"".join(written.chunks)
    state, effects = arrive(cut(stream, places))
    assert isinstance(state, LinkState)
    entered = [effect.message for effect in effects if isinstance(effect, Forward)]
    assert all(isinstance(effect, Forward | WatchTerminal | TellBeyond) for effect in effects)
    expected = [
        message._replace(
            return_route=(SENDER, *message.return_route),
            tracing_context="{}" if message.tracing_context is None else message.tracing_context,
        )
        for message in sent
        if message.onward_route
    ]
    assert entered == expected


@given(body=st.binary(max_size=60))
@pytest.mark.spec("LINK-9")
def test_any_frame_is_a_message_or_the_end(body: bytes) -> None:
    state, effects = arrive([b"\x01" + framed(body) + framed(b"\x84\x80\x80\x40\x62{}")])
    if isinstance(state, Ended):
        assert len(effects) == 3
    else:
        assert len(effects) <= 1
