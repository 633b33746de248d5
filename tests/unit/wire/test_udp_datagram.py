"""Datagrams of the UDP transport: both generations, and cutting messages (checklist lines 18, 19 and 21; facts 08 section 2)."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.transport_message import MAX_MESSAGE_LENGTH
from ockam_ref.wire.udp_datagram import (
    MAX_DATAGRAM_LENGTH,
    MAX_SLICES,
    SLICE_LENGTH,
    AnySlice,
    LegacySlice,
    Slice,
    cut_message,
    decode_any_slice,
    decode_slice,
    encode_slice,
    slice_heads,
)


@pytest.mark.spec("UDP-1", "UDP-2")
def test_the_longest_head_and_slice_fill_the_peers_receive_buffer() -> None:
    """Checklist line 18, in both forms."""
    newest = encode_slice(Slice(0xFFFF, 0xFFFF, 0xFFFF, bytes(SLICE_LENGTH), version=255))
    assert newest[:15].hex() == "8518ff19ffff19ffff19ffff5901ed"
    older = encode_slice(LegacySlice(0xFFFF, 0xFFFF_FFFF, is_last=True, data=bytes(SLICE_LENGTH), version=255))
    assert older[:15].hex() == "8518ff19ffff1afffffffff55901ed"
    assert len(newest) == len(older) == MAX_DATAGRAM_LENGTH == 508


@pytest.mark.spec("UDP-3")
def test_the_older_form_of_a_message_of_1000_bytes() -> None:
    """Checklist line 19."""
    message = bytes(1000)
    datagrams = [
        encode_slice(LegacySlice(0xABCD, start, start == 986, message[start : start + 493])) for start in (0, 493, 986)
    ]
    assert [datagram[: len(datagram) - n].hex() for datagram, n in zip(datagrams, (493, 493, 14), strict=True)] == [
        "850119abcd00f45901ed",
        "850119abcd1901edf45901ed",
        "850119abcd1903daf54e",
    ]
    assert [len(datagram) for datagram in datagrams] == [503, 505, 24]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8501191df2000141ff", Slice(0x1DF2, 0, 1, b"\xff")),
        ("85010501024161", Slice(5, 1, 2, b"a")),
        ("8501181818ff18ff4161", Slice(24, 255, 255, b"a")),
        ("85011900051900011900025800", Slice(5, 1, 2, b"")),
        ("85181705000140", Slice(5, 0, 1, b"", version=23)),
        ("8518ff05000140", Slice(5, 0, 1, b"", version=255)),
        ("860105000140f6", Slice(5, 0, 1, b"")),
        ("9f0105000140ff", Slice(5, 0, 1, b"")),
        ("8501050001406162", Slice(5, 0, 1, b"")),
        ("850105000040", Slice(5, 0, 0, b"")),
        ("850105000141", None),
        ("8501050001", None),
        ("850105001a0001000040", None),
        ("8501051a00010000" + "0140", None),
        ("85011a00010000000140", None),
        ("850105000160", None),
        ("8501050001f6", None),
        ("85010500f640", None),
        ("85010500e040", None),
        ("85010500f740", None),
        ("8419010005000140", None),
        ("8520050001" + "40", None),
        ("", None),
        ("83818081", None),
        ("850105000158", None),
        ("85010500015f4161ff", None),
    ],
)
@pytest.mark.spec("UDP-1", "UDP-4")
def test_forms_of_the_newer_datagram(text: str, expected: Slice | None) -> None:
    data = bytes.fromhex(text)
    for decode in (decode_slice, decode_any_slice):
        if expected is None:
            with pytest.raises(DecodeError):
                decode(data)
        else:
            found = decode(data)
            assert type(found) is Slice
            assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("85010500f54161", LegacySlice(5, 0, is_last=True, data=b"a")),
        ("8501051a00010000f44161", LegacySlice(5, 65536, is_last=False, data=b"a")),
    ],
)
@pytest.mark.spec("UDP-3")
def test_a_boolean_tells_the_older_form(text: str, expected: LegacySlice) -> None:
    """Checklist line 21: a real boolean."""
    data = bytes.fromhex(text)
    for decode in (decode_slice, decode_any_slice):
        found = decode(data)
        assert type(found) is LegacySlice
        assert type(found.is_last) is bool
        assert found == expected
    assert encode_slice(expected) == data


@pytest.mark.parametrize(
    "piece",
    [
        Slice(65536, 0, 1, b"a"),
        Slice(-1, 0, 1, b"a"),
        Slice(0, 65536, 1, b"a"),
        Slice(0, 0, 65536, b"a"),
        Slice(0, 0, 1, b"a", version=256),
        LegacySlice(0, 2**32, is_last=True, data=b"a"),
    ],
)
@pytest.mark.spec("WIRE-5")
def test_numbers_out_of_range_are_not_written(piece: AnySlice) -> None:
    with pytest.raises(MisuseError) as caught:
        encode_slice(piece)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize("length", [1, 492, 493, 494, 985, 986, 987, 1256, 493 * 24, 493 * 256, 493 * 300 + 7])
@pytest.mark.spec("UDP-2")
def test_a_message_is_cut_into_as_few_slices_as_possible_and_none_is_empty(length: int) -> None:
    message = bytes(n % 251 for n in range(length))
    pieces = [decode_slice(datagram) for datagram in cut_message(0xFFFF, message)]
    total = (length + 492) // 493
    assert b"".join(piece.data for piece in pieces) == message
    assert [(piece.number, piece.offset) for piece in pieces] == [(0xFFFF, index) for index in range(total)]
    assert {piece.total for piece in pieces if isinstance(piece, Slice)} == {total}
    assert all(len(piece.data) == 493 for piece in pieces[:-1])
    assert 0 < len(pieces[-1].data) <= 493
    assert cut_message(0xFFFF, message) == tuple(map(encode_slice, pieces))


@pytest.mark.spec("UDP-2", "UDP-5")
def test_what_cannot_be_cut() -> None:
    assert len(cut_message(1, bytes(MAX_MESSAGE_LENGTH))) == 34_031
    for message, length in ((b"", 493), (bytes(MAX_MESSAGE_LENGTH + 1), 493), (bytes(MAX_SLICES + 1), 1)):
        with pytest.raises(MisuseError) as caught:
            cut_message(1, message, length)
        assert caught.value.code is ErrorCode.TOO_LONG


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 3), (22, 26), (250, 260), (256, 258), (300, 301), (5, 2)])
def test_heads_are_those_that_the_encoder_writes(start: int, stop: int) -> None:
    expected = [encode_slice(Slice(7, index, 400, bytes(9)))[:-9] for index in range(start, stop)]
    runs = list(slice_heads(7, start, stop, 400, 9))
    assert [head for run in runs for head in run] == expected
    assert all(len({*map(len, run)}) == 1 for run in runs)
