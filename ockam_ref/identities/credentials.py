"""Credentials: what an authority vouches for about somebody (facts 03 section 5).

A credential travels together with the issuer's attestation of the key that signed it.  The issuer's change history is
not inside: a verifier has to know it already.  Only ``verify_credential`` makes a ``VerifiedCredential``.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity, read_change_hash
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import Signature, SigningKey, encode_signature, read_signature, verify_signature
from ockam_ref.identities.purpose_keys import (
    MAX_CLOCK_SKEW_S,
    CredentialSigningKey,
    PurposeKeyAttestation,
    encode_attestation,
    read_attestation,
    unverified_attestation_data,
    verify_credential_signing_key,
)
from ockam_ref.identities.versioned_data import (
    CURRENT_VERSION,
    DataType,
    decode_versioned_data,
    digest_of,
    encode_versioned_data,
)
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Buffer, Cursor

PROJECT_MEMBER_SCHEMA: Final = 1
"""The schema of credentials for members, which is all that anybody issues; no verifier looks at it."""
CREDENTIAL_MEMO_ENTRIES: Final = 1024
"""Credentials that are remembered in decoded form, about 4 KiB each: peers present the same one each time."""
CREDENTIAL_MEMO_BYTES: Final = 1024
"""The longest credential that is remembered; usual ones have 300 to 600 bytes."""

AttributePairs: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names and values, ascending by name, each name once."""


class Attributes(NamedTuple):
    """What is said of a subject; names and values are bytes on the wire and UTF-8 by custom."""

    schema: int
    pairs: AttributePairs


class Credential(NamedTuple):
    """A credential as received, nothing of it verified; ``data`` is what was hashed and signed."""

    data: bytes
    signature: Signature


class CredentialAndPurposeKey(NamedTuple):
    """What is issued, kept and presented: a credential and the issuer's attestation of the key that signed it."""

    credential: Credential
    attestation: PurposeKeyAttestation


class CredentialData(NamedTuple):
    """What a credential says; times in seconds since 1970.  The change hash is written and never compared."""

    subject: Identifier | None
    subject_latest_change_hash: bytes | None
    attributes: Attributes
    created_at: int
    expires_at: int


class VerifiedCredential(NamedTuple):
    """What an authority vouches for; times in seconds since 1970, ``expires_at`` is the last second it is valid in."""

    subject: Identifier
    attributes: AttributePairs
    created_at: int
    expires_at: int


# bytes


def encode_attributes(attributes: Attributes) -> bytes:
    """Return schema and map, the names ascending byte by byte, as a ``BTreeMap`` is written."""
    pairs = attributes.pairs
    encoded = (cbor.encode_bytes(name) + cbor.encode_bytes(value) for name, value in sorted(dict(pairs).items()))
    return cbor.encode_fields(cbor.encode_uint(attributes.schema), cbor.map_head(len(dict(pairs))) + b"".join(encoded))


def read_attributes(cursor: Cursor) -> Attributes:
    """Read attributes in any order, of equal names the last, and leave what follows them.

    Raises:
        DecodeError: no Attributes.
    """
    fields = cbor.Fields(cursor, "Attributes")
    attributes = Attributes(fields.required(cbor.read_uint), fields.required(_read_pairs))
    fields.finish()
    return attributes


def _read_pairs(cursor: Cursor) -> AttributePairs:
    pairs: dict[bytes, bytes] = {}
    for _ in cbor.read_items(cursor, cbor.read_map_head(cursor)):
        name = cbor.read_bytes(cursor)
        pairs[name] = cbor.read_bytes(cursor)
    return tuple(sorted(pairs.items()))


def encode_credential_data(data: CredentialData) -> bytes:
    """Return what goes into the VersionedData of a credential."""
    return cbor.encode_fields(
        None if data.subject is None else cbor.encode_bytes(data.subject.value),
        None if data.subject_latest_change_hash is None else cbor.encode_bytes(data.subject_latest_change_hash),
        encode_attributes(data.attributes),
        cbor.encode_uint(data.created_at),
        cbor.encode_uint(data.expires_at),
    )


def decode_credential_data(data: Buffer) -> CredentialData:
    """Decode what a credential says, without its envelope of version and type.

    Raises:
        DecodeError: no CredentialData.
    """
    fields = cbor.Fields(Cursor(data), "CredentialData")
    subject = fields.optional(read_change_hash)
    decoded = CredentialData(
        None if subject is None else Identifier(subject),
        fields.optional(read_change_hash),
        fields.required(read_attributes),
        fields.required(cbor.read_uint),
        fields.required(cbor.read_uint),
    )
    fields.finish()
    return decoded


def encode_credential(credential: CredentialAndPurposeKey) -> bytes:
    """Return the pair in normal form."""
    signed = credential.credential
    return cbor.encode_fields(
        cbor.encode_fields(cbor.encode_bytes(signed.data), encode_signature(signed.signature)),
        encode_attestation(credential.attestation),
    )


def read_credential(cursor: Cursor) -> CredentialAndPurposeKey:
    """Read the pair and leave what follows it.

    Raises:
        DecodeError: no CredentialAndPurposeKey.  What it says is looked at when it is verified.
    """
    fields = cbor.Fields(cursor, "CredentialAndPurposeKey")
    credential = CredentialAndPurposeKey(fields.required(_read_signed), fields.required(read_attestation))
    fields.finish()
    return credential


def _read_signed(cursor: Cursor) -> Credential:
    fields = cbor.Fields(cursor, "Credential")
    credential = Credential(fields.required(cbor.read_bytes), fields.required(read_signature))
    fields.finish()
    return credential


def decode_credential(data: Buffer) -> CredentialAndPurposeKey:
    """Decode a stored or received pair; like the peer, pass over what follows it.  Raises as ``read_credential``."""
    return read_credential(Cursor(data))


# making


def issue_credential(
    signing_key: SigningKey,
    attestation: PurposeKeyAttestation,
    *,
    subject: Identifier,
    attributes: Mapping[bytes, bytes],
    created_at: int,
    expires_at: int,
    subject_change_hash: bytes | None = None,
    schema: int = PROJECT_MEMBER_SCHEMA,
) -> bytes:
    """Return an encoded credential that ``subject`` can present, signed by a key that the issuer attested.

    Args:
        signing_key: the issuer's key for credentials.
        attestation: the issuer's attestation of that key.
        subject: whom the credential is about.
        attributes: what is said of the subject.
        created_at: seconds since 1970.
        expires_at: the last second in which the credential is valid.
        subject_change_hash: the hash of the subject's latest change, if known; the peer always writes it.
        schema: what the peer calls the kind of attributes.

    Raises:
        MisuseError: ``KEY_MISMATCH`` if the attestation is of another key; ``OUT_OF_RANGE`` for a life that is not
            inside that of the key, which nobody would accept, and for a number that does not fit in 64 bits.
        VerificationError: an attestation that does not decode.
    """
    attested = unverified_attestation_data(attestation)
    if attested.public_key != CredentialSigningKey(signing_key.public):
        raise MisuseError(ErrorCode.KEY_MISMATCH, "the attestation is not of the key that signs the credential")
    if not attested.created_at <= created_at <= expires_at <= attested.expires_at:
        raise MisuseError(
            ErrorCode.OUT_OF_RANGE,
            "a credential is valid inside the life of the key that signs it: give it a shorter life, or renew the key",
        )
    content = CredentialData(
        subject,
        subject_change_hash,
        Attributes(schema, tuple(attributes.items())),
        created_at,
        expires_at,
    )
    data = encode_versioned_data(DataType.CREDENTIAL, encode_credential_data(content))
    signed = Credential(data, signing_key.sign(digest_of(data)))
    return encode_credential(CredentialAndPurposeKey(signed, attestation))


# verifying


class _Opened(NamedTuple):
    """A credential taken apart; what it says is decoded only when its signature was found good."""

    pair: CredentialAndPurposeKey
    issuer: Identifier
    digest: bytes


def unverified_issuer(encoded: bytes) -> Identifier:
    """Return who is said to have issued the credential, for finding that identity; nothing of it is proved.

    Raises:
        VerificationError: the code of a ``DecodeError`` for bytes that are no credential, and as
            ``unverified_attestation_data``.
    """
    return _opened(encoded).issuer


def unverified_credential_data(encoded: bytes) -> CredentialData:
    """Return what a credential says, for people and for timing; nothing of it is proved.

    Raises:
        VerificationError: as ``unverified_issuer``; ``UNSUPPORTED_VERSION``; ``WRONG_TYPE`` for signed data of
            another type; the code of a ``DecodeError`` for signed data that does not decode.
    """
    return _content(_opened(encoded).pair.credential.data)


def is_void(encoded: bytes, issuer: VerifiedIdentity) -> bool:
    """Return whether an earlier key of the issuer vouches for a credential: the issuer has rotated since.

    Raises:
        VerificationError: as ``unverified_issuer``.
    """
    attestation = unverified_attestation_data(_opened(encoded).pair.attestation)
    return attestation.subject_latest_change_hash != issuer.latest_change_hash


def verify_credential(
    encoded: bytes, *, subject: Identifier, authority: VerifiedIdentity, now: int
) -> VerifiedCredential:
    """Verify that ``authority`` vouches, ``now`` (seconds since 1970), for ``subject`` (facts 03 section 5.4).

    ``authority`` must be the newest that is known of that identity: what a key before its latest attested is void.

    Raises:
        VerificationError: ``NOT_TRUSTED`` for another issuer; ``BAD_CREDENTIAL`` for another subject or none, a time
            out of bounds or a wrong signature; as ``verify_credential_signing_key`` for the key that signed; further
            codes as for ``unverified_credential_data``.
    """
    pair, issuer, digest = _opened(encoded)
    if issuer != authority.identifier:
        raise VerificationError(
            ErrorCode.NOT_TRUSTED, f"credential: it was issued by {issuer}, not by the authority {authority.identifier}"
        )
    key = verify_credential_signing_key(pair.attestation, subject=authority, now=now)
    try:
        verify_signature(key.public, digest, pair.credential.signature)
    except VerificationError as error:
        code = error.code if error.code is ErrorCode.KEY_MISMATCH else ErrorCode.BAD_CREDENTIAL
        raise VerificationError(code, f"credential: {error}") from error
    content = _content(pair.credential.data)
    if content.subject is None:
        raise _bad("it is about nobody")
    if content.subject != subject:
        raise _bad(f"it is about {content.subject}, not about {subject}")
    if content.created_at < key.created_at:
        raise _bad("it is older than the key that signed it")
    if content.expires_at > key.expires_at:
        raise _bad("it outlives the key that signed it")
    if content.created_at - now > MAX_CLOCK_SKEW_S:
        raise _bad(f"it is {content.created_at - now} seconds from the future: compare the clocks")
    if content.expires_at < now:
        raise _bad(f"it expired {now - content.expires_at} seconds ago: ask the authority for a new one")
    return VerifiedCredential(content.subject, content.attributes.pairs, content.created_at, content.expires_at)


def _opened(encoded: bytes) -> _Opened:
    return (_open_remembered if len(encoded) <= CREDENTIAL_MEMO_BYTES else _open)(bytes(encoded))


def _open(encoded: bytes) -> _Opened:
    try:
        pair = decode_credential(encoded)
    except DecodeError as error:
        raise VerificationError(error.code, f"credential: {error}") from error
    return _Opened(pair, unverified_attestation_data(pair.attestation).subject, digest_of(pair.credential.data))


_open_remembered = lru_cache(maxsize=CREDENTIAL_MEMO_ENTRIES)(_open)


def _decode_content(data: bytes) -> CredentialData:
    try:
        signed = decode_versioned_data(data)
        if signed.version != CURRENT_VERSION:
            raise VerificationError(ErrorCode.UNSUPPORTED_VERSION, f"credential: version {signed.version}")
        if signed.data_type != DataType.CREDENTIAL:
            raise VerificationError(
                ErrorCode.WRONG_TYPE, f"a credential expected, found signed data of type {signed.data_type}"
            )
        return decode_credential_data(signed.data)
    except DecodeError as error:
        raise VerificationError(error.code, f"credential: {error}") from error


_decode_content_remembered = lru_cache(maxsize=CREDENTIAL_MEMO_ENTRIES)(_decode_content)


def _content(data: bytes) -> CredentialData:
    return (_decode_content_remembered if len(data) <= CREDENTIAL_MEMO_BYTES else _decode_content)(data)


def _bad(message: str) -> VerificationError:
    return VerificationError(ErrorCode.BAD_CREDENTIAL, f"credential: {message}")
