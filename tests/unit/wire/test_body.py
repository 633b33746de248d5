"""Bodies of application messages (checklist lines 11 and 12, chapter 08 section 5)."""

from typing import Any

import pytest

from ockam_ref.errors import DecodeError, MisuseError
from ockam_ref.wire.body import Cbor, bare_bytes, decode_body, encode_body, read_bare_bytes


@pytest.mark.spec("WIRE-32")
@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("Hello", "0548656c6c6f"),
        ("Hello Ockam!", "0c48656c6c6f204f636b616d21"),
        ("", "00"),
        ("hé", "0368c3a9"),
        ("register", "087265676973746572"),
        ("Hello you there :)", "1248656c6c6f20796f75207468657265203a29"),
    ],
)
def test_text(text: str, encoded: str) -> None:
    assert encode_body(text).hex() == encoded
    assert decode_body(bytes.fromhex(encoded), str) == text
    assert decode_body(memoryview(bytes.fromhex(encoded + "ff")), str) == text


@pytest.mark.spec("WIRE-33")
def test_bytes_are_themselves_since_0148() -> None:
    assert encode_body(b"\x01\x02\x03").hex() == "010203"
    assert encode_body(bytearray(b"a")) == encode_body(memoryview(b"a")) == b"a"
    assert decode_body(memoryview(b"\x01\x02"), bytes) == b"\x01\x02"


@pytest.mark.spec("WIRE-33")
def test_bytes_with_a_length_for_older_peers() -> None:
    assert bare_bytes(b"\x01\x02\x03").hex() == "03010203"
    assert read_bare_bytes(bytes.fromhex("03010203ff")) == b"\x01\x02\x03"
    with pytest.raises(DecodeError):
        read_bare_bytes(b"\x02\x00")


@pytest.mark.spec("WIRE-32")
def test_nothing() -> None:
    assert encode_body(None) == b""
    nothing: Any = decode_body(b"anything", type(None))
    assert nothing is None
    nothing = decode_body(b"anything", None)
    assert nothing is None


def test_cbor() -> None:
    value = Cbor({"n": [1, None, b"\x00"], "t": True})
    assert encode_body(value).hex() == "a2616e8301f641006174f5"
    assert decode_body(encode_body(value) + b"ignored", Cbor) == value


@pytest.mark.parametrize(
    ("payload", "kind"), [(b"\x05Hell", str), (b"\x01\xff", str), (b"", str), (b"", Cbor), (b"\xff", Cbor)]
)
def test_what_is_refused(payload: bytes, kind: Any) -> None:
    with pytest.raises(DecodeError):
        decode_body(payload, kind)


def test_other_kinds_do_not_exist() -> None:
    kind: Any = int
    with pytest.raises(MisuseError):
        decode_body(b"", kind)
    value: Any = 5
    with pytest.raises(MisuseError):
        encode_body(value)
