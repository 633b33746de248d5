"""Addresses: text and both encodings (checklist lines 13 to 17)."""

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.address import (
    TCP,
    Address,
    encode_address_bare,
    encode_address_cbor,
    local,
    parse_address,
    random_address,
    read_address_bare,
    read_address_cbor,
)
from ockam_ref.wire.cursor import Cursor


@pytest.mark.spec("WIRE-40")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echoer", (0, b"echoer")),
        ("0#echoer", (0, b"echoer")),
        ("", (0, b"")),
        ("0#", (0, b"")),
        ("01#a", (1, b"a")),
        ("+1#a", (1, b"a")),
        ("255#x", (255, b"x")),
        ("0000000255#x", (255, b"x")),
        ("a => b", (0, b"a => b")),
        ("1#127.0.0.1:4000", (1, b"127.0.0.1:4000")),
        ("hé", (0, b"h\xc3\xa9")),
        (" a ", (0, b" a ")),
        ("42#" + "a" * 250, (42, b"a" * 250)),
    ],
)
def test_parsing(text: str, expected: tuple[int, bytes]) -> None:
    """Checklist line 13."""
    assert parse_address(text) == Address(*expected)


@pytest.mark.spec("WIRE-40")
@pytest.mark.parametrize(
    "text",
    [
        "256#a",
        "-1#a",
        "a#b",
        "#a",
        " 1#a",
        "1 #a",
        "#,my_friend",
        "1#invalid#",
        "1#a#b",
        "++1#a",
        "1_0#a",
        "¹#a",
        "9" * 5000 + "#a",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_address(text)
    assert caught.value.code is ErrorCode.BAD_ADDRESS


@pytest.mark.spec("WIRE-1")
@pytest.mark.parametrize("text", ["\udcff", "1#a\ud800"])
def test_text_that_is_no_unicode(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_address(text)
    assert caught.value.code is ErrorCode.BAD_TEXT


@pytest.mark.spec("WIRE-40", "WIRE-41")
def test_printing() -> None:
    """Checklist lines 13 and 14."""
    assert str(local("echoer")) == "0#echoer"
    assert str(Address(TCP, b"127.0.0.1:4000")) == "1#127.0.0.1:4000"
    assert str(Address(4, b"\xff")) == "4#Invalid UTF-8"


@pytest.mark.spec("WIRE-41")
def test_nothing_is_normalised() -> None:
    composed, decomposed = local("é"), local("e\u0301")
    assert composed != decomposed
    assert local("A") != local("a")
    assert local(b"\xff").value == b"\xff"
    assert local("1#x") == Address(0, b"1#x")
    assert local("x").is_local
    assert not Address(1, b"x").is_local


TABLE = [
    (Address(0, b"echoer"), "00066563686f6572", "8200466563686f6572"),
    (Address(1, b"127.0.0.1:4000"), "010e3132372e302e302e313a34303030", "82014e3132372e302e302e313a34303030"),
    (Address(2, b"127.0.0.1:5000"), "020e3132372e302e302e313a35303030", "82024e3132372e302e302e313a35303030"),
    (Address(255, b"x"), "ff0178", "8218ff4178"),
    (Address(42, b"aaa"), "2a03616161", "82182a43616161"),
    (Address(0, b""), "0000", "820040"),
    (Address(1, b"localhost:4000"), "010e6c6f63616c686f73743a34303030", "82014e6c6f63616c686f73743a34303030"),
]


@pytest.mark.spec("WIRE-42")
@pytest.mark.parametrize(("address", "bare", "cbor"), TABLE)
def test_both_encodings(address: Address, bare: str, cbor: str) -> None:
    """Checklist line 15."""
    assert encode_address_bare(address).hex() == bare
    assert encode_address_cbor(address).hex() == cbor
    for reader, encoded in ((read_address_bare, bare), (read_address_cbor, cbor)):
        cursor = Cursor(bytes.fromhex(encoded))
        assert reader(cursor) == address
        cursor.end()


@pytest.mark.spec("WIRE-42")
def test_a_long_value() -> None:
    address = Address(42, b"a" * 250)
    assert encode_address_bare(address)[:3].hex() == "2afa01"
    assert encode_address_cbor(address)[:5].hex() == "82182a58fa"
    assert read_address_bare(Cursor(encode_address_bare(address))) == address
    assert read_address_cbor(Cursor(encode_address_cbor(address))) == address


@pytest.mark.spec("WIRE-14")
@pytest.mark.parametrize("encoded", ["9f004161ff", "8300416101", "821900004161", "82005801" + "61"])
def test_tolerance(encoded: str) -> None:
    assert read_address_cbor(Cursor(bytes.fromhex(encoded))) == Address(0, b"a")


@pytest.mark.spec("WIRE-16")
@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("82190100" + "4161", ErrorCode.OUT_OF_RANGE),
        ("82006161", ErrorCode.WRONG_TYPE),
        ("80", ErrorCode.MISSING_FIELD),
        ("8100", ErrorCode.MISSING_FIELD),
        ("a200000141" + "61", ErrorCode.WRONG_TYPE),
        ("82005f4161ff", ErrorCode.WRONG_TYPE),
        ("c082004161", ErrorCode.WRONG_TYPE),
        ("820042" + "61", ErrorCode.TRUNCATED),
    ],
)
def test_what_is_refused(encoded: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        read_address_cbor(Cursor(bytes.fromhex(encoded)))
    assert caught.value.code is code


@pytest.mark.spec("WIRE-1")
@pytest.mark.parametrize("encoded", ["", "00", "0001", "00ffffffffffffffffff01"])
def test_bare_addresses_cut_short(encoded: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read_address_bare(Cursor(bytes.fromhex(encoded)))
    assert caught.value.code is ErrorCode.TRUNCATED


@pytest.mark.spec("WIRE-5")
@pytest.mark.parametrize("transport_type", [-1, 256])
def test_a_type_that_fits_no_byte_is_misuse(transport_type: int) -> None:
    for encoder in (encode_address_bare, encode_address_cbor):
        with pytest.raises(MisuseError) as caught:
            encoder(Address(transport_type, b"a"))
        assert caught.value.code is ErrorCode.BAD_ADDRESS


@pytest.mark.spec("WIRE-44")
def test_random_addresses() -> None:
    """Checklist line 17."""
    assert random_address(bytes(range(16))) == Address(0, b"000102030405060708090a0b0c0d0e0f")
    assert random_address(b"\xff" * 16).value == b"f" * 32
    with pytest.raises(MisuseError):
        random_address(b"\xff" * 15)
