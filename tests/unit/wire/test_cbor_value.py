"""Generic CBOR values for message bodies."""

import math
from typing import Any

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.cbor_value import CborValue, decode_value, encode_value

VALUES: list[tuple[CborValue, str]] = [
    (None, "f6"),
    (True, "f5"),
    (False, "f4"),
    (0, "00"),
    (-1, "20"),
    (-(2**64), "3bffffffffffffffff"),
    (2**64 - 1, "1bffffffffffffffff"),
    (1.5, "fb3ff8000000000000"),
    (-math.inf, "fbfff0000000000000"),
    ("hé", "6368c3a9"),
    (b"\x01\x02", "420102"),
    ([], "80"),
    ([1, [2, None]], "82018202f6"),
    ({}, "a0"),
    ({"b": 1, "a": 2}, "a2616201616102"),
    ({2: b"x", b"k": [True]}, "a2024178416b81f5"),
]


@pytest.mark.spec("WIRE-20")
@pytest.mark.parametrize(("value", "encoded"), VALUES)
def test_values_and_their_bytes(value: CborValue, encoded: str) -> None:
    assert encode_value(value).hex() == encoded
    decoded = decode_value(bytes.fromhex(encoded))
    assert decoded == value
    assert type(decoded) is type(value)


def test_other_containers_and_buffers_are_written_alike() -> None:
    assert encode_value((1, 2)) == encode_value([1, 2])
    assert encode_value(bytearray(b"a")) == encode_value(memoryview(b"a")) == encode_value(b"a")


def test_not_a_number_survives() -> None:
    decoded = decode_value(encode_value(math.nan))
    assert isinstance(decoded, float)
    assert math.isnan(decoded)


@pytest.mark.spec("WIRE-14")
@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("f93e00", 1.5),
        ("fa3fc00000", 1.5),
        ("9f0102ff", [1, 2]),
        ("bf616101ff", {"a": 1}),
        ("1b0000000000000001", 1),
        ("3800", -1),
        ("a2616101616102", {"a": 2}),
        ("01ffff", 1),
    ],
)
def test_tolerance(encoded: str, value: CborValue) -> None:
    assert decode_value(bytes.fromhex(encoded)) == value


@pytest.mark.spec("WIRE-20")
@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("c000", ErrorCode.WRONG_TYPE),
        ("f7", ErrorCode.WRONG_TYPE),
        ("f8ff", ErrorCode.WRONG_TYPE),
        ("e0", ErrorCode.WRONG_TYPE),
        ("ff", ErrorCode.WRONG_TYPE),
        ("3f", ErrorCode.WRONG_TYPE),
        ("5f4161ff", ErrorCode.WRONG_TYPE),
        ("7f6161ff", ErrorCode.WRONG_TYPE),
        ("a18001", ErrorCode.WRONG_TYPE),
        ("a1f501", ErrorCode.WRONG_TYPE),
        ("a1f601", ErrorCode.WRONG_TYPE),
        ("a1fb3ff000000000000001", ErrorCode.WRONG_TYPE),
        ("61ff", ErrorCode.BAD_TEXT),
        ("", ErrorCode.TRUNCATED),
        ("f97e", ErrorCode.TRUNCATED),
        ("9bffffffffffffffff", ErrorCode.TRUNCATED),
        ("bb7fffffffffffffff", ErrorCode.TRUNCATED),
    ],
)
def test_what_is_refused(encoded: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_value(bytes.fromhex(encoded))
    assert caught.value.code is code


@pytest.mark.spec("WIRE-5")
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (2**64, ErrorCode.OUT_OF_RANGE),
        (-(2**64) - 1, ErrorCode.OUT_OF_RANGE),
        ("\ud800", ErrorCode.BAD_TEXT),
        ({1.5: 1}, ErrorCode.WRONG_TYPE),
        ({True: 1}, ErrorCode.WRONG_TYPE),
        ({None: 1}, ErrorCode.WRONG_TYPE),
        (object(), ErrorCode.WRONG_TYPE),
        ({1, 2}, ErrorCode.WRONG_TYPE),
    ],
)
def test_values_without_a_form_are_misuse(value: Any, code: ErrorCode) -> None:
    with pytest.raises(MisuseError) as caught:
        encode_value(value)
    assert caught.value.code is code


@pytest.mark.spec("WIRE-19")
def test_depth_is_bounded_both_ways() -> None:
    value: list[Any] = []
    for _ in range(31):
        value = [value]
    assert decode_value(encode_value(value)) == value
    with pytest.raises(MisuseError) as misuse:
        encode_value([value])
    assert misuse.value.code is ErrorCode.TOO_DEEP
    for opening in ("81", "9f", "a100"):
        with pytest.raises(DecodeError) as caught:
            decode_value(bytes.fromhex(opening * 100_000))
        assert caught.value.code is ErrorCode.TOO_DEEP


@pytest.mark.spec("WIRE-19")
def test_a_value_that_contains_itself_is_misuse() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(MisuseError):
        encode_value(value)
