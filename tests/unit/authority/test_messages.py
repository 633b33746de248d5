"""The bodies of requests and answers: limits, and what is not one."""

from collections.abc import Callable
from typing import Any

import pytest

from ockam_ref.authority.attributes import MAX_ATTRIBUTES, attributes_problem, to_attributes
from ockam_ref.authority.messages import (
    AttributesEntry,
    CreateToken,
    Revocation,
    decode_add_member,
    decode_create_token,
    decode_identifiers,
    decode_members,
    decode_one_time_code,
    decode_revocations,
    encode_attributes_entry,
    encode_create_token,
    encode_members,
    encode_revocations,
    read_attributes_entry,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.cbor import encode_bytes
from ockam_ref.wire.cursor import Cursor
from tests.unit.authority.parts import ADMIN, MEMBER, OTHER


def entry_of(data: bytes) -> AttributesEntry:
    return read_attributes_entry(Cursor(data))


def test_attributes_of_texts() -> None:
    assert to_attributes({"b": "2", "a": "ü"}) == ((b"a", "ü".encode()), (b"b", b"2"))
    for pairs, code in (
        ({"\ud800": ""}, ErrorCode.BAD_TEXT),
        ({str(n): "" for n in range(MAX_ATTRIBUTES + 1)}, ErrorCode.LIMIT_REACHED),
        ({"a": "b" * 4096}, ErrorCode.LIMIT_REACHED),
    ):
        with pytest.raises(MisuseError) as caught:
            to_attributes(pairs)
        assert caught.value.code is code
    assert attributes_problem(((b"a", b"b" * 4095),)) is None


def test_of_equal_names_the_last_counts_and_any_order_is_read() -> None:
    body = bytes.fromhex("a101a3 6162 6131 6161 6132 6162 6133".replace(" ", ""))
    assert decode_create_token(body) == CreateToken(((b"a", b"2"), (b"b", b"3")))


def test_unknown_keys_are_passed_over_and_null_is_absent() -> None:
    extra = "0904"
    assert decode_create_token(bytes.fromhex(f"a401a0{extra}02f603f6")) == CreateToken(())
    assert decode_one_time_code(bytes.fromhex(f"a2{extra}015820") + bytes(32)).value == bytes(32)
    member = bytes.fromhex("015820") + MEMBER.value
    assert decode_add_member(b"\xa3" + member + bytes.fromhex(f"02a0{extra}")).member == MEMBER
    assert entry_of(bytes.fromhex(f"a501a0020703f604f6{extra}")) == AttributesEntry((), 7)


@pytest.mark.spec("AU-30")
def test_entries_are_read_back() -> None:
    for entry in (
        AttributesEntry((), 0),
        AttributesEntry(((b"a", b"\xff\x00"), (b"b", b"")), 5, 6, MEMBER),
    ):
        assert entry_of(encode_attributes_entry(entry)) == entry
        members = {OTHER: entry, ADMIN: entry}
        assert decode_members(encode_members(members)) == members
        assert list(decode_members(encode_members(members))) == [ADMIN, OTHER]


@pytest.mark.spec("AU-61")
def test_revocations_are_read_back() -> None:
    revocations = (Revocation(MEMBER, 5, 1), Revocation(OTHER, 4, 2))
    assert decode_revocations(encode_revocations(revocations)) == revocations


@pytest.mark.parametrize("decode", [decode_members, decode_identifiers, decode_revocations])
def test_answers_are_bounded(decode: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ockam_ref.authority.messages.MAX_ENTRIES", 1)
    who, entry = encode_bytes(MEMBER.value), encode_attributes_entry(AttributesEntry((), 0))
    pieces: dict[Callable[..., Any], tuple[bytes, bytes]] = {
        decode_members: (b"\xa1", who + entry),
        decode_identifiers: (b"\x81", who),
        decode_revocations: (b"\x81", encode_revocations([Revocation(MEMBER, 1, 1)])[1:]),
    }
    head, item = pieces[decode]
    assert len(decode(head + item)) == 1
    with pytest.raises(DecodeError) as caught:
        decode(bytes([head[0] + 1]) + item + item)
    assert caught.value.code is ErrorCode.TOO_LONG


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_create_token, "a0"),
        (decode_create_token, "a101a1414101"),
        (decode_create_token, "a201a00220"),
        (decode_one_time_code, "a0"),
        (decode_one_time_code, "a10141ff"),
        (decode_add_member, "a102a0"),
        (decode_add_member, "a10141ff"),
        (entry_of, "a0"),
        (entry_of, "a101a0"),
        (entry_of, "a201a141004100"),
        (decode_members, "a141ffa0"),
        (decode_identifiers, "8141ff"),
        (decode_revocations, "8141ff"),
    ],
)
def test_what_is_no_body(decode: Callable[[bytes], Any], body: str) -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(body))


def test_lifetimes_are_written_where_they_are_given() -> None:
    request = CreateToken(((b"a", b"1"),), 2**64 - 1, 0)
    assert decode_create_token(encode_create_token(request)) == request
