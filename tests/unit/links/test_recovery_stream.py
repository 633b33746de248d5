"""The stream of a sender: messages in, blocks, packets out."""

from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.links.recovery_packets import PIECE, PIECE_HEAD_BYTES, read_piece_head
from ockam_ref.links.recovery_stream import BLOCK_BYTES, MAX_LOOSE_BLOCKS, Blocks, appended, cut, trimmed


def stream_of(messages: list[bytes]) -> tuple[Blocks, bytes]:
    blocks: Blocks = ()
    end = 0
    for message in messages:
        blocks, end = appended(blocks, end, (message[:1], memoryview(message)[1:]))
    whole = b"".join(len(message).to_bytes(4, "big") + message for message in messages)
    assert end == len(whole)
    return blocks, whole


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=30), st.integers(1, 60), st.data())
def test_packets_have_the_bytes_of_the_stream(messages: list[bytes], piece: int, data: st.DataObject) -> None:
    blocks, whole = stream_of(messages)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    packets = cut(blocks, (start, end), piece, 7, 100)
    assert len(packets) == -(-(end - start) // piece)
    at = start
    for number, packet in enumerate(packets, 100):
        assert read_piece_head(packet) == (PIECE, 7, number, at)
        assert packet[PIECE_HEAD_BYTES:] == whole[at : min(at + piece, end)]
        at += piece


def test_blocks_that_are_done_are_let_go() -> None:
    blocks, _ = stream_of([bytes(6), bytes(16), bytes(26)])
    assert [start for start, _ in blocks] == [0, 10, 30]
    assert trimmed(blocks, 9) is blocks
    assert trimmed(blocks, 10) == blocks[1:]
    assert trimmed(blocks, 59) == blocks[2:]
    assert trimmed(blocks, 60) == ()


def test_many_small_messages_are_few_blocks() -> None:
    blocks, whole = stream_of([bytes((number % 251,)) * 1000 for number in range(10 * MAX_LOOSE_BLOCKS)])
    assert len(blocks) < MAX_LOOSE_BLOCKS + len(whole) // BLOCK_BYTES
    assert b"".join(data for _, data in blocks) == whole
    assert all(start == sum(len(data) for _, data in blocks[:place]) for place, (start, _) in enumerate(blocks))


def test_long_blocks_are_not_copied_again() -> None:
    blocks, _ = stream_of([bytes(BLOCK_BYTES) for _ in range(MAX_LOOSE_BLOCKS - 1)])
    more, _ = appended(blocks, blocks[-1][0] + len(blocks[-1][1]), (bytes(BLOCK_BYTES),))
    assert all(before is after for before, after in zip(blocks, more, strict=False))
