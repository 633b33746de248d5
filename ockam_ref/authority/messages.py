"""The bodies of the requests and answers of an authority's services (facts 03 section 8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ockam_ref.authority.attributes import (
    Attributes,
    encode_integer_attributes,
    encode_text_attributes,
    read_integer_attributes,
    read_text_attributes,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.identities.identifier import IDENTIFIER_LENGTH, Identifier
from ockam_ref.identities.keys import read_fixed_bytes
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Buffer, Cursor

CODE_LENGTH: Final = 32
"""Bytes of a one-time code, all of them random."""
MAX_ENTRIES: Final = 100_000
"""Members or revocations that one answer may have."""


@dataclass(frozen=True, slots=True)
class OneTimeCode:
    """What lets its bearer become a member.  ``value.hex()`` is its text form; ``repr`` does not show it.

    Raises:
        MisuseError: ``value`` has not exactly 32 bytes.
    """

    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.value) != CODE_LENGTH:
            raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a one-time code has {CODE_LENGTH} bytes, not {len(self.value)}")


class CreateToken(NamedTuple):
    """What an enroller asks for: attributes for the members to come, how long and how often the code works."""

    attributes: Attributes
    ttl_s: int | None = None
    ttl_count: int | None = None


class AddMember(NamedTuple):
    """What an enroller says of somebody whose identifier it knows."""

    member: Identifier
    attributes: Attributes


class AttributesEntry(NamedTuple):
    """What the authority tells of a member; times in seconds since 1970."""

    attributes: Attributes
    added_at: int
    expires_at: int | None = None
    attested_by: Identifier | None = None


class Revocation(NamedTuple):
    """Whose credentials are void if they were made at ``not_after`` (seconds since 1970) or before.

    An authority numbers what it revokes, one after the other from 1.
    """

    subject: Identifier
    not_after: int
    number: int


# requests


def encode_create_token(request: CreateToken) -> bytes:
    """Return the body of a request for a one-time code."""
    return cbor.encode_map_fields(
        {
            1: encode_text_attributes(request.attributes),
            2: None if request.ttl_s is None else cbor.encode_uint(request.ttl_s),
            3: None if request.ttl_count is None else cbor.encode_uint(request.ttl_count),
        }
    )


def decode_create_token(body: Buffer) -> CreateToken:
    """Read what an enroller asks for.

    Raises:
        DecodeError: no such body.
    """
    cursor = Cursor(body)
    attributes = ttl_s = ttl_count = None
    for key in cbor.read_map_keys(cursor):
        match key:
            case 1:
                attributes = read_text_attributes(cursor)
            case 2:
                ttl_s = cbor.read_null_or(cursor, cbor.read_uint)
            case 3:
                ttl_count = cbor.read_null_or(cursor, cbor.read_uint)
            case _:
                cbor.skip(cursor)
    if attributes is None:
        raise cursor.fail(ErrorCode.MISSING_FIELD, "a request for a code needs attributes")
    return CreateToken(attributes, ttl_s, ttl_count)


def encode_one_time_code(code: OneTimeCode) -> bytes:
    """Return the body that holds a one-time code."""
    return cbor.encode_map_fields({1: cbor.encode_bytes(code.value)})


def decode_one_time_code(body: Buffer) -> OneTimeCode:
    """Read a one-time code.

    Raises:
        DecodeError: no such body.
    """
    cursor = Cursor(body)
    value = None
    for key in cbor.read_map_keys(cursor):
        if key == 1:
            value = read_fixed_bytes(cursor, CODE_LENGTH)
        else:
            cbor.skip(cursor)
    if value is None:
        raise cursor.fail(ErrorCode.MISSING_FIELD, "the one-time code is missing")
    return OneTimeCode(value)


def parse_one_time_code(text: str) -> OneTimeCode:
    """Read the 64 hexadecimal digits of a code.

    Raises:
        DecodeError: anything else; the message does not repeat it.
    """
    try:
        return OneTimeCode(bytes.fromhex(text) if len(text) == 2 * CODE_LENGTH else b"")
    except (ValueError, MisuseError):
        raise DecodeError(ErrorCode.WRONG_TYPE, f"a one-time code is {2 * CODE_LENGTH} hexadecimal digits") from None


def encode_add_member(request: AddMember) -> bytes:
    """Return the body of a request to add a member."""
    return cbor.encode_map_fields(
        {1: cbor.encode_bytes(request.member.value), 2: encode_text_attributes(request.attributes)}
    )


def decode_add_member(body: Buffer) -> AddMember:
    """Read whom to add.

    Raises:
        DecodeError: no such body.
    """
    cursor = Cursor(body)
    member = attributes = None
    for key in cbor.read_map_keys(cursor):
        match key:
            case 1:
                member = _read_identifier(cursor)
            case 2:
                attributes = read_text_attributes(cursor)
            case _:
                cbor.skip(cursor)
    if member is None or attributes is None:
        raise cursor.fail(ErrorCode.MISSING_FIELD, "a member needs an identifier and attributes")
    return AddMember(member, attributes)


# answers


def encode_attributes_entry(entry: AttributesEntry) -> bytes:
    """Return the map that tells of one member."""
    return cbor.encode_map_fields(
        {
            1: encode_integer_attributes(entry.attributes),
            2: cbor.encode_uint(entry.added_at),
            3: None if entry.expires_at is None else cbor.encode_uint(entry.expires_at),
            4: None if entry.attested_by is None else cbor.encode_bytes(entry.attested_by.value),
        }
    )


def read_attributes_entry(cursor: Cursor) -> AttributesEntry:
    """Read what is told of one member, and leave what follows.

    Raises:
        DecodeError: no such map.
    """
    attributes = added_at = expires_at = attested_by = None
    for key in cbor.read_map_keys(cursor):
        match key:
            case 1:
                attributes = read_integer_attributes(cursor)
            case 2:
                added_at = cbor.read_uint(cursor)
            case 3:
                expires_at = cbor.read_null_or(cursor, cbor.read_uint)
            case 4:
                attested_by = cbor.read_null_or(cursor, _read_identifier)
            case _:
                cbor.skip(cursor)
    if attributes is None or added_at is None:
        raise cursor.fail(ErrorCode.MISSING_FIELD, "a member has attributes and a time when it was added")
    return AttributesEntry(attributes, added_at, expires_at, attested_by)


def encode_members(members: Mapping[Identifier, AttributesEntry]) -> bytes:
    """Return the map of all members; the peer writes its own in any order, we by identifier."""
    parts = [cbor.map_head(len(members))]
    for member, entry in sorted(members.items(), key=lambda item: item[0].value):
        parts += (cbor.encode_bytes(member.value), encode_attributes_entry(entry))
    return b"".join(parts)


def decode_members(body: Buffer) -> dict[Identifier, AttributesEntry]:
    """Read the map of all members.

    Raises:
        DecodeError: no such map, or more than ``MAX_ENTRIES``.
    """
    cursor = Cursor(body)
    members: dict[Identifier, AttributesEntry] = {}
    for index in cbor.read_items(cursor, cbor.read_map_head(cursor)):
        if index == MAX_ENTRIES:
            raise cursor.fail(ErrorCode.TOO_LONG, f"more than {MAX_ENTRIES} members")
        member = _read_identifier(cursor)
        members[member] = read_attributes_entry(cursor)
    return members


def encode_identifiers(identifiers: Iterable[Identifier]) -> bytes:
    """Return the array of identifiers, in ascending order."""
    values = sorted(identifier.value for identifier in identifiers)
    return cbor.array_head(len(values)) + b"".join(map(cbor.encode_bytes, values))


def decode_identifiers(body: Buffer) -> tuple[Identifier, ...]:
    """Read an array of identifiers.

    Raises:
        DecodeError: no such array, or more than ``MAX_ENTRIES``.
    """
    return cbor.read_list(Cursor(body), _read_identifier, maximum=MAX_ENTRIES)


def encode_revocations(revocations: Iterable[Revocation]) -> bytes:
    """Return the array of revocations, each one of subject, time and number."""
    encoded = [
        cbor.encode_fields(cbor.encode_bytes(subject.value), cbor.encode_uint(not_after), cbor.encode_uint(number))
        for subject, not_after, number in revocations
    ]
    return cbor.array_head(len(encoded)) + b"".join(encoded)


def decode_revocations(body: Buffer) -> tuple[Revocation, ...]:
    """Read what an authority has revoked.

    Raises:
        DecodeError: no such array, or more than ``MAX_ENTRIES``.
    """
    return cbor.read_list(Cursor(body), _read_revocation, maximum=MAX_ENTRIES)


def _read_revocation(cursor: Cursor) -> Revocation:
    fields = cbor.Fields(cursor, "Revocation")
    revocation = Revocation(
        fields.required(_read_identifier), fields.required(cbor.read_uint), fields.required(cbor.read_uint)
    )
    fields.finish()
    return revocation


def _read_identifier(cursor: Cursor) -> Identifier:
    return Identifier(read_fixed_bytes(cursor, IDENTIFIER_LENGTH))
