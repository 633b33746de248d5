"""BARE (checklist lines 9 to 12)."""

from collections.abc import Callable
from typing import Any

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire import bare
from ockam_ref.wire.cursor import Cursor

UINTS = [
    (0, "00"),
    (1, "01"),
    (127, "7f"),
    (128, "8001"),
    (255, "ff01"),
    (275, "9302"),
    (300, "ac02"),
    (16383, "ff7f"),
    (16384, "808001"),
    (49152, "808003"),
    (65535, "ffff03"),
    (65536, "808004"),
    (2097151, "ffff7f"),
    (2097152, "80808001"),
    (2**32 - 1, "ffffffff0f"),
    (2**32, "8080808010"),
    (2**48, "80808080808040"),
    (0xABCDEF123456789A, "9af1d9a2a3e2fbe6ab01"),
    (2**64 - 1, "ffffffffffffffffff01"),
]


@pytest.mark.spec("WIRE-30", "WIRE-31")
@pytest.mark.parametrize(("n", "encoded"), UINTS)
def test_uint_table(n: int, encoded: str) -> None:
    """Checklist lines 9 and 10."""
    assert bare.encode_uint(n).hex() == encoded
    cursor = Cursor(bytes.fromhex(encoded))
    assert bare.read_uint(cursor) == n
    cursor.end()


@pytest.mark.spec("WIRE-30")
@pytest.mark.parametrize(("encoded", "n"), [("8000", 0), ("ff00", 127), ("808000", 0), ("80808080808080808001", 2**63)])
def test_longer_forms_are_accepted(encoded: str, n: int) -> None:
    assert bare.read_uint(Cursor(bytes.fromhex(encoded))) == n


@pytest.mark.spec("WIRE-30")
@pytest.mark.parametrize("tenth", ["02", "03", "ff", "81", "00"])
def test_a_tenth_byte_must_be_one(tenth: str) -> None:
    with pytest.raises(DecodeError) as caught:
        bare.read_uint(Cursor(bytes.fromhex("ff" * 9 + tenth)))
    assert (caught.value.code, caught.value.offset) == (ErrorCode.OUT_OF_RANGE, 9)


@pytest.mark.spec("WIRE-30")
@pytest.mark.parametrize("encoded", ["", "80", "ffff", "80" * 9])
def test_a_uint_cut_short(encoded: str) -> None:
    with pytest.raises(DecodeError) as caught:
        bare.read_uint(Cursor(bytes.fromhex(encoded)))
    assert caught.value.code is ErrorCode.TRUNCATED


@pytest.mark.spec("WIRE-31")
def test_the_struct_of_the_table() -> None:
    """Checklist lines 10 and 11: one struct with a field of each kind."""
    encoded = b"".join(
        (
            bare.encode_u8(1),
            bare.encode_u16(0x0203),
            bare.encode_u32(0x04050607),
            bare.encode_u64(0x08090A0B0C0D0E0F),
            bare.encode_i16(-2),
            bare.encode_bool(True),
            bare.encode_optional(None, bare.encode_u8),
            bare.encode_optional(7, bare.encode_u8),
            bare.encode_uint(2) + bare.encode_u16(1) + bare.encode_u16(256),
            bare.encode_string("hi"),
        )
    )
    assert encoded.hex() == "010302070605040f0e0d0c0b0a0908feff010001070201000001026869"
    cursor = Cursor(encoded)
    assert bare.read_u8(cursor) == 1
    assert bare.read_u16(cursor) == 0x0203
    assert bare.read_u32(cursor) == 0x04050607
    assert bare.read_u64(cursor) == 0x08090A0B0C0D0E0F
    assert bare.read_i16(cursor) == -2
    assert bare.read_bool(cursor) is True
    assert bare.read_optional(cursor, bare.read_u8) is None
    assert bare.read_optional(cursor, bare.read_u8) == 7
    assert [bare.read_u16(cursor) for _ in range(bare.read_uint(cursor))] == [1, 256]
    assert bare.read_string(cursor) == "hi"
    cursor.end()


@pytest.mark.spec("WIRE-32")
def test_lenient_booleans_and_optionals() -> None:
    assert bare.read_bool(Cursor(b"\x00")) is False
    assert bare.read_bool(Cursor(b"\x7f")) is True
    assert bare.encode_bool(False) == b"\x00"
    assert bare.read_optional(Cursor(b"\x02\x09"), bare.read_u8) == 9


@pytest.mark.spec("WIRE-32")
@pytest.mark.parametrize(
    ("text", "encoded"),
    [("Hello", "0548656c6c6f"), ("", "00"), ("hé", "0368c3a9"), ("a" * 128, "8001" + "61" * 128)],
)
def test_strings(text: str, encoded: str) -> None:
    assert bare.encode_string(text).hex() == encoded
    assert bare.read_string(Cursor(bytes.fromhex(encoded))) == text


def test_data_is_a_copy_or_a_view() -> None:
    encoded = bare.encode_data(memoryview(b"\x01\x02\x03"))
    assert encoded.hex() == "03010203"
    assert bare.read_data(Cursor(encoded)) == b"\x01\x02\x03"
    assert bare.read_data_view(Cursor(encoded)).obj is encoded


@pytest.mark.spec("WIRE-1", "WIRE-2")
@pytest.mark.parametrize(
    ("reader", "encoded", "code"),
    [
        (bare.read_string, "02ff61", ErrorCode.BAD_TEXT),
        (bare.read_string, "0261", ErrorCode.TRUNCATED),
        (bare.read_data, "ffffffffffffffffff01", ErrorCode.TRUNCATED),
        (bare.read_u16, "00", ErrorCode.TRUNCATED),
        (bare.read_u64, "00000000000000", ErrorCode.TRUNCATED),
        (bare.read_bool, "", ErrorCode.TRUNCATED),
    ],
)
def test_what_is_refused(reader: Callable[[Cursor], Any], encoded: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        reader(Cursor(bytes.fromhex(encoded)))
    assert caught.value.code is code


@pytest.mark.spec("WIRE-5")
@pytest.mark.parametrize(
    ("encoder", "value", "code"),
    [
        (bare.encode_uint, -1, ErrorCode.OUT_OF_RANGE),
        (bare.encode_uint, 2**64, ErrorCode.OUT_OF_RANGE),
        (bare.encode_u8, 256, ErrorCode.OUT_OF_RANGE),
        (bare.encode_u16, -1, ErrorCode.OUT_OF_RANGE),
        (bare.encode_i16, 2**15, ErrorCode.OUT_OF_RANGE),
        (bare.encode_string, "\udc80", ErrorCode.BAD_TEXT),
    ],
)
def test_values_without_a_form_are_misuse(encoder: Callable[[Any], bytes], value: Any, code: ErrorCode) -> None:
    with pytest.raises(MisuseError) as caught:
        encoder(value)
    assert caught.value.code is code
