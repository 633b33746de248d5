import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.identities.identifier import Identifier, parse_identifier

VALUE = bytes(range(32))
TEXT = "I000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


@pytest.mark.spec("ID-2")
def test_text_form() -> None:
    assert str(Identifier(VALUE)) == TEXT
    assert parse_identifier(TEXT) == Identifier(VALUE)


@pytest.mark.spec("ID-2")
@pytest.mark.parametrize(
    "text", [TEXT.upper(), f" \t{TEXT}\r\n", f"\u2003\x85{TEXT}\u3000", TEXT[:33] + TEXT[33:].upper()]
)
def test_what_a_parser_takes(text: str) -> None:
    assert parse_identifier(text).value == VALUE


@pytest.mark.spec("ID-1", "ID-2")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "I",
        TEXT.lower(),
        TEXT[1:],
        TEXT[:-1],
        TEXT[:-2],
        TEXT[:41],
        TEXT + "0",
        TEXT + "00",
        "P" + TEXT[1:],
        "I" + TEXT,
        TEXT[:-1] + "g",
        TEXT[:-2] + "0 ",
        TEXT[:10] + "  " + TEXT[12:],
        TEXT[:-1] + "\uff10",
        "I 0" + TEXT[3:],
        "I-1" + TEXT[3:],
        "I0x" + TEXT[3:],
        f"\x1c{TEXT}",
        f"\x00{TEXT}",
        f"\ufeff{TEXT}",
    ],
)
def test_what_a_parser_refuses(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_identifier(text)
    assert caught.value.code is ErrorCode.BAD_IDENTIFIER


@pytest.mark.spec("ID-1")
@pytest.mark.parametrize("length", [0, 20, 31, 33])
def test_other_lengths_are_no_identifiers(length: int) -> None:
    with pytest.raises(MisuseError) as caught:
        Identifier(bytes(length))
    assert caught.value.code is ErrorCode.BAD_IDENTIFIER


def test_identifiers_are_keys_of_tables() -> None:
    assert {Identifier(VALUE): 1}[Identifier(bytes(range(32)))] == 1
    assert Identifier(VALUE) != Identifier(bytes(32))
