"""Purpose keys: the keys an identity uses day by day, each attested by its identity key (facts 03 section 4).

Two kinds exist: the X25519 key that is the static key of a secure channel's handshake, and the key that signs
credentials.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity, read_change_hash
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import (
    PublicKey,
    Signature,
    SigningKey,
    encode_public_key,
    encode_signature,
    read_only_field,
    read_public_key,
    read_signature,
    verify_signature,
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

DEFAULT_PURPOSE_KEY_TTL_S: Final = 5 * 365 * 86_400
"""Seconds for which the peer attests a purpose key of either kind."""
MAX_CLOCK_SKEW_S: Final = 60
"""Seconds that a purpose key may be from the future."""
X25519_LENGTH: Final = 32
ATTESTATION_MEMO_ENTRIES: Final = 1024
"""Attestations whose decoded content is remembered, about 1 KiB each."""
ATTESTATION_MEMO_BYTES: Final = 256
"""The longest signed data whose content is remembered: the longest in normal form has 165 bytes."""

_SECURE_CHANNEL: Final = 0
_CREDENTIAL_SIGNING: Final = 1


@dataclass(frozen=True, slots=True)
class SecureChannelKey:
    """The 32 bytes of a public X25519 key.

    Raises:
        MisuseError: another number of bytes.
    """

    public: bytes

    def __post_init__(self) -> None:
        if len(self.public) != X25519_LENGTH:
            raise MisuseError(ErrorCode.OUT_OF_RANGE, f"an X25519 key has not {len(self.public)} bytes")


@dataclass(frozen=True, slots=True)
class CredentialSigningKey:
    """The public key that credentials are verified with."""

    public: PublicKey


PurposePublicKey: TypeAlias = SecureChannelKey | CredentialSigningKey


class PurposeKeyAttestation(NamedTuple):
    """An attestation as received, nothing of it verified; ``data`` is what was hashed and signed."""

    data: bytes
    signature: Signature


class AttestationData(NamedTuple):
    """What an attestation says; times in seconds since 1970."""

    subject: Identifier
    subject_latest_change_hash: bytes
    public_key: PurposePublicKey
    created_at: int
    expires_at: int


class VerifiedPurposeKey(NamedTuple):
    """A secure channel key that its owner's identity vouches for; times in seconds since 1970."""

    subject: Identifier
    public: bytes
    created_at: int
    expires_at: int


class VerifiedCredentialKey(NamedTuple):
    """A credential signing key that its owner's identity vouches for; times in seconds since 1970."""

    subject: Identifier
    public: PublicKey
    created_at: int
    expires_at: int


# bytes


def encode_attestation(attestation: PurposeKeyAttestation) -> bytes:
    """Return the attestation in normal form."""
    return cbor.encode_fields(cbor.encode_bytes(attestation.data), encode_signature(attestation.signature))


def read_attestation(cursor: Cursor) -> PurposeKeyAttestation:
    """Read an attestation and leave what follows it.

    Raises:
        DecodeError: no attestation.  What it says is looked at when it is verified.
    """
    fields = cbor.Fields(cursor, "PurposeKeyAttestation")
    attestation = PurposeKeyAttestation(fields.required(cbor.read_bytes), fields.required(read_signature))
    fields.finish()
    return attestation


def decode_attestation(data: Buffer) -> PurposeKeyAttestation:
    """Decode a stored attestation; like the peer, pass over what follows it.  Raises as ``read_attestation``."""
    return read_attestation(Cursor(data))


def encode_attestation_data(data: AttestationData) -> bytes:
    """Return what goes into the VersionedData of an attestation."""
    return cbor.encode_fields(
        cbor.encode_bytes(data.subject.value),
        cbor.encode_bytes(data.subject_latest_change_hash),
        _encode_purpose_public_key(data.public_key),
        cbor.encode_uint(data.created_at),
        cbor.encode_uint(data.expires_at),
    )


def decode_attestation_data(data: Buffer) -> AttestationData:
    """Decode what an attestation says, without its envelope of version and type.

    Raises:
        DecodeError: no PurposeKeyAttestationData.
    """
    fields = cbor.Fields(Cursor(data), "PurposeKeyAttestationData")
    decoded = AttestationData(
        Identifier(fields.required(read_change_hash)),
        fields.required(read_change_hash),
        fields.required(_read_purpose_public_key),
        fields.required(cbor.read_uint),
        fields.required(cbor.read_uint),
    )
    fields.finish()
    return decoded


def _encode_purpose_public_key(key: PurposePublicKey) -> bytes:
    if isinstance(key, SecureChannelKey):
        return cbor.encode_variant(_SECURE_CHANNEL, cbor.encode_bytes(key.public))
    return cbor.encode_variant(_CREDENTIAL_SIGNING, encode_public_key(key.public))


def _read_purpose_public_key(cursor: Cursor) -> PurposePublicKey:
    number = cbor.read_enum_head(cursor)
    if number == _SECURE_CHANNEL:
        return SecureChannelKey(read_only_field(cursor, X25519_LENGTH))
    if number == _CREDENTIAL_SIGNING:
        fields = cbor.Fields(cursor, "CredentialSigning")
        key = CredentialSigningKey(fields.required(read_public_key))
        fields.finish()
        return key
    raise cursor.fail(ErrorCode.UNKNOWN_VARIANT, f"there is no kind of purpose key {number}")


# making


def attest_secure_channel_key(
    identity: VerifiedIdentity, signing_key: SigningKey, public: bytes, *, created_at: int, expires_at: int
) -> PurposeKeyAttestation:
    """Attest the static key of secure channels; ``public`` is X25519, times are in seconds since 1970.

    The peer does not accept a life that is not inside that of the identity's latest key; it is not clipped here.

    Raises:
        MisuseError: ``signing_key`` is not the identity's latest key, or an argument is out of range.
    """
    return _attest(identity, signing_key, SecureChannelKey(public), created_at, expires_at)


def attest_credential_signing_key(
    identity: VerifiedIdentity, signing_key: SigningKey, public: PublicKey, *, created_at: int, expires_at: int
) -> PurposeKeyAttestation:
    """Attest a key that signs credentials, as ``attest_secure_channel_key`` does the other kind."""
    return _attest(identity, signing_key, CredentialSigningKey(public), created_at, expires_at)


def _attest(
    identity: VerifiedIdentity, signing_key: SigningKey, key: PurposePublicKey, created_at: int, expires_at: int
) -> PurposeKeyAttestation:
    if signing_key.public != identity.latest_key:
        raise MisuseError(ErrorCode.KEY_MISMATCH, "the signing key is not the latest key of the identity")
    content = AttestationData(identity.identifier, identity.latest_change_hash, key, created_at, expires_at)
    data = encode_versioned_data(DataType.PURPOSE_KEY_ATTESTATION, encode_attestation_data(content))
    return PurposeKeyAttestation(data, signing_key.sign(digest_of(data)))


# verifying


def unverified_attestation_data(attestation: PurposeKeyAttestation) -> AttestationData:
    """Return what an attestation says, for finding the identity to verify it with; nothing of it is proved.

    Raises:
        VerificationError: ``BAD_ATTESTATION`` for another version, ``WRONG_TYPE`` for signed data of another type,
            the code of a ``DecodeError`` for signed data that does not decode.
    """
    try:
        signed = decode_versioned_data(attestation.data)
        if signed.version != CURRENT_VERSION:
            raise _bad(f"version {signed.version}")
        if signed.data_type != DataType.PURPOSE_KEY_ATTESTATION:
            raise VerificationError(
                ErrorCode.WRONG_TYPE,
                f"a purpose key attestation expected, found signed data of type {signed.data_type}",
            )
        return decode_attestation_data(signed.data)
    except DecodeError as error:
        raise VerificationError(error.code, f"purpose key attestation: {error}") from error


def verify_secure_channel_key(
    attestation: PurposeKeyAttestation, *, subject: VerifiedIdentity, now: int
) -> VerifiedPurposeKey:
    """Verify that ``subject`` vouches, ``now`` (seconds since 1970), for a secure channel key (facts 03 section 4.3).

    ``subject`` must be the newest that is known of that identity: an attestation by an earlier key is void.

    Raises:
        VerificationError: ``BAD_ATTESTATION`` for another subject, an earlier key, a time out of bounds or a wrong
            signature; ``KEY_MISMATCH`` for a credential signing key and for a signature of another kind than the
            identity's key; further codes as for ``unverified_attestation_data``.
    """
    data = _verify(attestation, subject, now)
    if not isinstance(data.public_key, SecureChannelKey):
        raise VerificationError(
            ErrorCode.KEY_MISMATCH, "a secure channel key expected, found one that signs credentials"
        )
    return VerifiedPurposeKey(data.subject, data.public_key.public, data.created_at, data.expires_at)


def verify_credential_signing_key(
    attestation: PurposeKeyAttestation, *, subject: VerifiedIdentity, now: int
) -> VerifiedCredentialKey:
    """Verify a key that signs credentials, as ``verify_secure_channel_key`` does the other kind."""
    data = _verify(attestation, subject, now)
    if not isinstance(data.public_key, CredentialSigningKey):
        raise VerificationError(
            ErrorCode.KEY_MISMATCH, "a credential signing key expected, found one for secure channels"
        )
    return VerifiedCredentialKey(data.subject, data.public_key.public, data.created_at, data.expires_at)


_remembered_attestation_data = lru_cache(maxsize=ATTESTATION_MEMO_ENTRIES)(unverified_attestation_data)


def _verify(attestation: PurposeKeyAttestation, subject: VerifiedIdentity, now: int) -> AttestationData:
    is_short = len(attestation.data) <= ATTESTATION_MEMO_BYTES
    data = (_remembered_attestation_data if is_short else unverified_attestation_data)(attestation)
    if data.subject != subject.identifier:
        raise _bad(f"it is about {data.subject}, not about {subject.identifier}")
    if data.subject_latest_change_hash != subject.latest_change_hash:
        raise _bad("it was not made by the latest key of the identity")
    if data.expires_at > subject.valid_until:
        raise _bad("it outlives the key that made it")
    if data.created_at < subject.valid_from:
        raise _bad("it is older than the key that made it")
    if data.created_at - now > MAX_CLOCK_SKEW_S:
        raise _bad(f"it is {data.created_at - now} seconds from the future")
    if data.expires_at < now:
        raise _bad(f"it expired {now - data.expires_at} seconds ago")
    try:
        verify_signature(subject.latest_key, digest_of(attestation.data), attestation.signature)
    except VerificationError as error:
        code = error.code if error.code is ErrorCode.KEY_MISMATCH else ErrorCode.BAD_ATTESTATION
        raise VerificationError(code, f"purpose key attestation: {error}") from error
    return data


def _bad(message: str) -> VerificationError:
    return VerificationError(ErrorCode.BAD_ATTESTATION, f"purpose key attestation: {message}")
