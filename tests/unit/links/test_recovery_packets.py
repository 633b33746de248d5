"""The packets of recovery: what they look like, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.links.recovery_packets import (
    ACKNOWLEDGEMENT,
    GONE,
    MAX_ACK_RANGES,
    MAX_COUNT,
    PIECE,
    PIECE_HURRY,
    Acknowledgement,
    connection_of,
    decode_acknowledgement,
    encode_acknowledgement,
    encode_gone,
    is_recovery_packet,
    piece_head,
    read_piece_head,
)

NUMBER = 0x0102030405060708


@pytest.mark.spec("RCV-2", "RCV-3")
def test_a_piece_byte_by_byte() -> None:
    packet = piece_head(PIECE, NUMBER, 9, 1175) + b"piece"
    assert packet.hex() == "40" + "0102030405060708" + "0000000000000009" + "0000000000000497" + b"piece".hex()
    assert read_piece_head(packet) == (PIECE, NUMBER, 9, 1175)
    assert connection_of(packet) == NUMBER


@pytest.mark.spec("RCV-4")
def test_an_acknowledgement_byte_by_byte() -> None:
    acknowledgement = Acknowledgement(NUMBER, 0x800000, 5000, ((2, 4), (5, 11)))
    packet = encode_acknowledgement(acknowledgement)
    assert packet.hex() == ("4201020304050607080000000000800000000000000000000a00001388000000060000000100000002")
    assert decode_acknowledgement(packet) == acknowledgement
    assert decode_acknowledgement(memoryview(packet)) == acknowledgement


@pytest.mark.spec("RCV-5")
def test_the_end_byte_by_byte() -> None:
    assert encode_gone(NUMBER).hex() == "43" + "0102030405060708"


@pytest.mark.spec("RCV-2")
def test_no_packet_looks_like_a_datagram_of_others() -> None:
    for kind in (PIECE, PIECE_HURRY, ACKNOWLEDGEMENT, GONE):
        assert kind >> 5 == 2  # a CBOR byte string
        assert is_recovery_packet(bytes((kind,)))
    assert not any(is_recovery_packet(bytes((first,))) for first in range(256) if not 0x40 <= first <= 0x43)
    assert not is_recovery_packet(b"")
    assert connection_of(b"\x43" + bytes(7)) is None


@pytest.mark.spec("RCV-4")
def test_the_newest_ranges_are_sent() -> None:
    ranges = tuple((3 * place, 3 * place + 2) for place in range(MAX_ACK_RANGES + 9))
    packet = encode_acknowledgement(Acknowledgement(1, 2, MAX_COUNT + 5, ranges))
    decoded = decode_acknowledgement(packet)
    assert decoded == Acknowledgement(1, 2, MAX_COUNT, ranges[-MAX_ACK_RANGES:])


@pytest.mark.spec("RCV-4")
@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (((0, 1), (5, MAX_COUNT + 9)), ((9, MAX_COUNT + 9),)),
        (((0, 1), (MAX_COUNT + 5, MAX_COUNT + 9)), ((MAX_COUNT + 5, MAX_COUNT + 9),)),
        (((0, MAX_COUNT + 2), (MAX_COUNT + 5, MAX_COUNT + 9)), ((2, MAX_COUNT + 2), (MAX_COUNT + 5, MAX_COUNT + 9))),
    ],
)
def test_a_count_that_is_too_long_ends_the_list(
    ranges: tuple[tuple[int, int], ...], expected: tuple[tuple[int, int], ...]
) -> None:
    assert decode_acknowledgement(encode_acknowledgement(Acknowledgement(1, 2, 3, ranges))).ranges == expected


def counts(*numbers: int, largest: int = 10) -> bytes:
    head = encode_acknowledgement(Acknowledgement(1, 2, 3, ((largest, largest + 1),)))[:-4]
    return head + b"".join(number.to_bytes(4, "big") for number in numbers)


@pytest.mark.spec("RCV-20")
@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (b"\x42", ErrorCode.TRUNCATED),
        (counts(), ErrorCode.TRUNCATED),
        (counts(1, 1), ErrorCode.TRUNCATED),
        (counts(1)[:-1], ErrorCode.TRUNCATED),
        (counts(0), ErrorCode.OUT_OF_RANGE),
        (counts(1, 0, 1), ErrorCode.OUT_OF_RANGE),
        (counts(12), ErrorCode.OUT_OF_RANGE),
        (counts(*[1] * (2 * MAX_ACK_RANGES + 1), largest=1000), ErrorCode.TOO_LONG),
    ],
)
def test_what_cannot_be_is_refused(packet: bytes, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_acknowledgement(packet)
    assert caught.value.code is code


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**40),
    st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000)), min_size=1, max_size=MAX_ACK_RANGES),
    st.integers(0, 2**32),
)
def test_round_trip(connection: int, limit: int, gaps: list[tuple[int, int]], start: int) -> None:
    ranges = []
    for missing, received in gaps:
        ranges.append((start + missing, start + missing + received))
        start += missing + received
    acknowledgement = Acknowledgement(connection, limit, 17, tuple(ranges))
    assert decode_acknowledgement(encode_acknowledgement(acknowledgement)) == acknowledgement


@given(st.binary(max_size=600))
def test_a_decoder_takes_any_bytes(data: bytes) -> None:
    try:
        decoded = decode_acknowledgement(data)
    except DecodeError:
        return
    assert all(0 <= first < stop for first, stop in decoded.ranges)
