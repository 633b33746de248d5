"""The CBOR subset: what is written, and with which tolerance it is read (checklist lines 1 to 8)."""

from collections.abc import Callable
from typing import Any

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Cursor

Reader = Callable[[Cursor], Any]


def read(reader: Reader, text: str) -> Any:
    """Read one item that must fill the input."""
    cursor = Cursor(bytes.fromhex(text))
    value = reader(cursor)
    cursor.end()
    return value


def refusal(reader: Reader, text: str) -> tuple[ErrorCode, int]:
    """Return code and offset of the error."""
    with pytest.raises(DecodeError) as caught:
        reader(Cursor(bytes.fromhex(text)))
    return caught.value.code, caught.value.offset


HEADS = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (255, "18ff"),
    (256, "190100"),
    (65535, "19ffff"),
    (65536, "1a00010000"),
    (2**32 - 1, "1affffffff"),
    (2**32, "1b0000000100000000"),
    (2**64 - 1, "1bffffffffffffffff"),
]


@pytest.mark.spec("WIRE-13")
@pytest.mark.parametrize(("n", "expected"), HEADS)
def test_heads_are_shortest(n: int, expected: str) -> None:
    assert cbor.encode_uint(n).hex() == expected
    assert read(cbor.read_uint, expected) == n
    for major, head in (
        (0x40, cbor.bytes_head),
        (0x60, cbor.text_head),
        (0x80, cbor.array_head),
        (0xA0, cbor.map_head),
    ):
        encoded = head(n)
        assert encoded[0] == major | int(expected[:2], 16)
        assert encoded[1:].hex() == expected[2:]


@pytest.mark.spec("WIRE-5")
@pytest.mark.parametrize("n", [-1, 2**64])
def test_numbers_without_a_head_are_misuse(n: int) -> None:
    with pytest.raises(MisuseError) as caught:
        cbor.encode_uint(n)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.spec("WIRE-13")
def test_simple_items() -> None:
    assert cbor.encode_bool(True) + cbor.encode_bool(False) + cbor.NULL == bytes.fromhex("f5f4f6")
    assert cbor.encode_bytes(b"ab").hex() == "426162"
    assert cbor.encode_bytes(memoryview(b"ab")).hex() == "426162"
    assert cbor.encode_text("hé").hex() == "6368c3a9"


@pytest.mark.spec("WIRE-5")
def test_a_lone_surrogate_is_misuse() -> None:
    with pytest.raises(MisuseError) as caught:
        cbor.encode_text("\ud800")
    assert caught.value.code is ErrorCode.BAD_TEXT


def u8(n: int) -> bytes:
    return cbor.encode_uint(n)


@pytest.mark.spec("WIRE-10")
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((u8(1), None, None, None, None), "8101"),
        ((u8(1), None, None, u8(2), None), "8401f6f602"),
        ((u8(1), None, None, None, u8(3)), "8501f6f6f603"),
        ((None, None), "80"),
        ((None, u8(9)), "82f609"),
        ((), "80"),
    ],
)
def test_array_structs(fields: tuple[bytes | None, ...], expected: str) -> None:
    """Checklist line 1, with the table of its section."""
    assert cbor.encode_fields(*fields).hex() == expected


@pytest.mark.spec("WIRE-11")
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({1: None, 5: u8(3)}, "a10503"),
        ({5: u8(3), 0: u8(1)}, "a200010503"),
        ({}, "a0"),
        ({1: cbor.encode_text("ab")}, "a101626162"),
    ],
)
def test_map_structs(fields: dict[int, bytes | None], expected: str) -> None:
    """Checklist line 2."""
    assert cbor.encode_map_fields(fields).hex() == expected


@pytest.mark.spec("WIRE-12")
def test_variants() -> None:
    """Checklist line 3."""
    assert cbor.encode_variant(1).hex() == "820180"
    assert cbor.encode_variant(0, u8(7)).hex() == "82008107"
    assert cbor.encode_uint(1).hex() == "01"


@pytest.mark.spec("WIRE-14")
@pytest.mark.parametrize(
    ("reader", "text", "expected"),
    [
        (cbor.read_uint, "1800", 0),
        (cbor.read_uint, "1900c8", 200),
        (cbor.read_u8, "1b00000000000000ff", 255),
        (cbor.read_bytes, "580161", b"a"),
        (cbor.read_bytes, "5b000000000000000161", b"a"),
        (cbor.read_text, "79000161", "a"),
        (cbor.read_array_head, "9800", 0),
        (cbor.read_array_head, "9f", None),
        (cbor.read_map_head, "bf", None),
        (cbor.read_enum_head, "980200", 0),
    ],
)
def test_longer_heads_are_accepted(reader: Reader, text: str, expected: Any) -> None:
    """Checklist line 5."""
    assert read(reader, text) == expected


@pytest.mark.spec("WIRE-16")
@pytest.mark.parametrize(
    ("reader", "text", "code"),
    [
        (cbor.read_bytes, "6161", ErrorCode.WRONG_TYPE),
        (cbor.read_text, "4161", ErrorCode.WRONG_TYPE),
        (cbor.read_bytes, "5f4161ff", ErrorCode.WRONG_TYPE),
        (cbor.read_text, "7f6161ff", ErrorCode.WRONG_TYPE),
        (cbor.read_uint, "20", ErrorCode.WRONG_TYPE),
        (cbor.read_uint, "1f", ErrorCode.WRONG_TYPE),
        (cbor.read_uint, "1c", ErrorCode.WRONG_TYPE),
        (cbor.read_uint, "c000", ErrorCode.WRONG_TYPE),
        (cbor.read_bytes, "c04161", ErrorCode.WRONG_TYPE),
        (cbor.read_bool, "f6", ErrorCode.WRONG_TYPE),
        (cbor.read_bool, "01", ErrorCode.WRONG_TYPE),
        (cbor.read_array_head, "a0", ErrorCode.WRONG_TYPE),
        (cbor.read_map_head, "80", ErrorCode.WRONG_TYPE),
        (cbor.read_u8, "190100", ErrorCode.OUT_OF_RANGE),
        (cbor.read_u16, "1a00010000", ErrorCode.OUT_OF_RANGE),
        (cbor.read_u32, "1b0000000100000000", ErrorCode.OUT_OF_RANGE),
        (cbor.read_uint, "", ErrorCode.TRUNCATED),
    ],
)
def test_what_is_refused(reader: Reader, text: str, code: ErrorCode) -> None:
    """Checklist line 6."""
    assert refusal(reader, text) == (code, 0)


@pytest.mark.spec("WIRE-16")
def test_text_must_be_utf8_and_the_offset_says_where() -> None:
    assert refusal(cbor.read_text, "6261ff") == (ErrorCode.BAD_TEXT, 2)
    assert refusal(cbor.read_text, "63eda080") == (ErrorCode.BAD_TEXT, 1)  # a surrogate in UTF-8


@pytest.mark.spec("WIRE-1", "WIRE-2")
@pytest.mark.parametrize("text", ["5bffffffffffffffff", "7b7fffffffffffffff", "5a80000000"])
def test_hostile_lengths_cost_nothing(text: str) -> None:
    reader = cbor.read_bytes if text[0] == "5" else cbor.read_text
    assert refusal(reader, text)[0] is ErrorCode.TRUNCATED


def test_bool_and_null() -> None:
    assert read(cbor.read_bool, "f5") is True
    assert read(cbor.read_bool, "f4") is False
    assert read(lambda cursor: cbor.read_null_or(cursor, cbor.read_text), "f6") is None
    assert read(lambda cursor: cbor.read_null_or(cursor, cbor.read_text), "6161") == "a"


@pytest.mark.spec("WIRE-16")
def test_undefined_is_not_null() -> None:
    assert refusal(lambda cursor: cbor.read_null_or(cursor, cbor.read_text), "f7")[0] is ErrorCode.WRONG_TYPE


@pytest.mark.spec("WIRE-15")
@pytest.mark.parametrize("text", ["9f0180ff", "8101", "83018080", "01", "a10180"])
def test_an_enum_is_a_definite_pair(text: str) -> None:
    assert refusal(cbor.read_enum_head, text) == (ErrorCode.WRONG_TYPE, 0)


def read_pair(cursor: Cursor) -> tuple[int, str | None]:
    """Read a struct of a mandatory number and an optional text."""
    fields = cbor.Fields(cursor, "pair")
    pair = fields.required(cbor.read_u8), fields.optional(cbor.read_text)
    fields.finish()
    return pair


@pytest.mark.spec("WIRE-14")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8101", (1, None)),
        ("8201f6", (1, None)),
        ("82016161", (1, "a")),
        ("9f01ff", (1, None)),
        ("9f01f6ff", (1, None)),
        ("9f016161ff", (1, "a")),
        ("9f016161c100ff", (1, "a")),
        ("9801 01", (1, None)),
        ("84016161a10102f97e00", (1, "a")),
        ("8501616 1 c2410a 7f6161ff 5f4161ff".replace(" ", ""), (1, "a")),
    ],
)
def test_fields_of_an_array_struct(text: str, expected: tuple[int, str | None]) -> None:
    assert read(read_pair, text.replace(" ", "")) == expected


@pytest.mark.spec("WIRE-16")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("80", ErrorCode.MISSING_FIELD),
        ("9fff", ErrorCode.MISSING_FIELD),
        ("81f6", ErrorCode.WRONG_TYPE),
        ("8201f7", ErrorCode.WRONG_TYPE),
        ("a10001", ErrorCode.WRONG_TYPE),
        ("9f01", ErrorCode.TRUNCATED),
        ("8301f6", ErrorCode.TRUNCATED),
    ],
)
def test_fields_that_are_refused(text: str, code: ErrorCode) -> None:
    assert refusal(read_pair, text)[0] is code


def read_numbers(cursor: Cursor) -> dict[int, int]:
    """Read a map struct that knows the keys 1 and 5."""
    found: dict[int, int] = {}
    for key in cbor.read_map_keys(cursor):
        if key in (1, 5):
            found[key] = cbor.read_u8(cursor)
        else:
            cbor.skip(cursor)
    return found


@pytest.mark.spec("WIRE-14")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a201020503", {1: 2, 5: 3}),
        ("a205030102", {1: 2, 5: 3}),
        ("a2010101 02".replace(" ", ""), {1: 2}),
        ("bf01020763616263ff", {1: 2}),
        ("a201021affffffff80", {1: 2}),
    ],
)
def test_keys_of_a_map_struct(text: str, expected: dict[int, int]) -> None:
    assert read(read_numbers, text) == expected


@pytest.mark.spec("WIRE-17")
def test_the_old_type_tag_is_ignored() -> None:
    """Checklist line 7."""
    assert read(read_numbers, "a2001a0073c0e60102") == {1: 2}


@pytest.mark.spec("WIRE-16")
@pytest.mark.parametrize("text", ["a1616102", "a12002", "a11b000000010000000002"])
def test_keys_are_unsigned_and_fit_32_bits(text: str) -> None:
    assert refusal(read_numbers, text)[0] in (ErrorCode.WRONG_TYPE, ErrorCode.OUT_OF_RANGE)


@pytest.mark.spec("WIRE-18")
def test_bytes_as_integers() -> None:
    """Checklist line 8."""
    assert cbor.encode_integers(bytes((1, 2, 23, 24, 255))).hex() == "850102171818" + "18ff"
    assert cbor.encode_integers(b"\x01\x02\xff").hex() == "83010218ff"
    assert read(cbor.read_integers, "83010218ff") == b"\x01\x02\xff"
    assert read(cbor.read_integers, "9f01ff") == b"\x01"
    assert refusal(cbor.read_integers, "426162")[0] is ErrorCode.WRONG_TYPE
    assert refusal(cbor.read_integers, "81190100")[0] is ErrorCode.OUT_OF_RANGE


def test_lists_have_a_limit_of_their_reader() -> None:
    assert read(lambda cursor: cbor.read_list(cursor, cbor.read_u8, maximum=2), "820102") == (1, 2)
    assert refusal(lambda cursor: cbor.read_list(cursor, cbor.read_u8, maximum=2), "83010203")[0] is ErrorCode.TOO_LONG
    assert refusal(lambda cursor: cbor.read_list(cursor, cbor.read_u8, maximum=0), "9f01ff")[0] is ErrorCode.TOO_LONG


ANY = [
    "00",
    "3b8000000000000000",
    "4161",
    "6161",
    "5f41614162ff",
    "7f61616162ff",
    "820102",
    "9f01ff",
    "a10102",
    "bf0102ff",
]
ANY += [
    "c101",
    "d9d9f701",
    "f4",
    "f6",
    "f7",
    "e0",
    "f818",
    "f97e00",
    "fa00000000",
    "fb0000000000000000",
    "5fff",
    "9fff",
]


@pytest.mark.spec("WIRE-14")
@pytest.mark.parametrize("text", ANY)
def test_any_item_is_skipped_and_kept_raw(text: str) -> None:
    assert read(cbor.read_raw, text).hex() == text
    cursor = Cursor(bytes.fromhex(text + "17"))
    cbor.skip(cursor)
    assert cbor.read_uint(cursor) == 23


@pytest.mark.spec("WIRE-16")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ff", ErrorCode.WRONG_TYPE),
        ("81ff", ErrorCode.WRONG_TYPE),
        ("bf01ff", ErrorCode.WRONG_TYPE),
        ("1f", ErrorCode.WRONG_TYPE),
        ("df00", ErrorCode.WRONG_TYPE),
        ("fc", ErrorCode.WRONG_TYPE),
        ("5f6161ff", ErrorCode.WRONG_TYPE),
        ("5f5fffff", ErrorCode.WRONG_TYPE),
        ("61ff", ErrorCode.BAD_TEXT),
        ("7f61ffff", ErrorCode.BAD_TEXT),
        ("9f01", ErrorCode.TRUNCATED),
        ("9bffffffffffffffff00", ErrorCode.TRUNCATED),
    ],
)
def test_malformed_items_are_not_skipped(text: str, code: ErrorCode) -> None:
    assert refusal(cbor.skip, text)[0] is code


@pytest.mark.spec("WIRE-19")
@pytest.mark.parametrize("opening", ["81", "9f", "c1", "a100"])
def test_skipping_goes_so_deep_and_no_deeper(opening: str) -> None:
    assert refusal(cbor.skip, opening * 100_000)[0] is ErrorCode.TOO_DEEP
    if opening != "9f":
        cbor.skip(Cursor(bytes.fromhex(opening * 31 + "00")))
        assert refusal(cbor.skip, opening * 32 + "00")[0] is ErrorCode.TOO_DEEP
