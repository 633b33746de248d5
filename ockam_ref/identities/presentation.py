"""What each end shows of itself inside a handshake: IdentityAndCredentials (facts 04 sections 2.7 and 2.8)."""

from functools import lru_cache
from typing import Final, NamedTuple

from ockam_ref.errors import ErrorCode, VerificationError
from ockam_ref.identities.change_history import (
    ChangeHistory,
    VerifiedIdentity,
    read_change_history,
    verify_change_history,
)
from ockam_ref.identities.purpose_keys import (
    PurposeKeyAttestation,
    VerifiedPurposeKey,
    encode_attestation,
    read_attestation,
    verify_secure_channel_key,
)
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Buffer, Cursor

PRESENTATION_MEMO_ENTRIES: Final = 1024
"""Presentations that are remembered in decoded form, about 4 KiB each: peers show the same one each time."""
PRESENTATION_MEMO_BYTES: Final = 1024
"""The longest presentation that is remembered; one of two changes and a credential fits."""


class Presentation(NamedTuple):
    """What the peer says of itself, nothing of it verified.

    Each credential is one CBOR item as received, a pair of credential and issuer's attestation.
    """

    history: ChangeHistory
    attestation: PurposeKeyAttestation
    credentials: tuple[bytes, ...] = ()


class VerifiedPeer(NamedTuple):
    """Who is at the other end of a handshake.  The credentials are not verified: a bad one never fails a channel."""

    identity: VerifiedIdentity
    purpose_key: VerifiedPurposeKey
    credentials: tuple[bytes, ...]


def encode_presentation(presentation: Presentation) -> bytes:
    """Return the payload of handshake message 2 or 3."""
    credentials = presentation.credentials
    return cbor.encode_fields(
        presentation.history.encoded,
        encode_attestation(presentation.attestation),
        cbor.array_head(len(credentials)) + b"".join(credentials),
    )


def decode_presentation(data: Buffer) -> Presentation:
    """Decode the payload of handshake message 2 or 3; like the peer, pass over what follows it.

    Raises:
        DecodeError: no presentation, or one with a credential that has not even the form of one.
    """
    return (_decode_remembered if len(data) <= PRESENTATION_MEMO_BYTES else _decode)(bytes(data))


def _decode(data: bytes) -> Presentation:
    fields = cbor.Fields(Cursor(data), "IdentityAndCredentials")
    presentation = Presentation(
        fields.required(read_change_history), fields.required(read_attestation), fields.required(_read_credentials)
    )
    fields.finish()
    return presentation


_decode_remembered = lru_cache(maxsize=PRESENTATION_MEMO_ENTRIES)(_decode)


def _read_credentials(cursor: Cursor) -> tuple[bytes, ...]:
    return cbor.read_list(cursor, _read_credential)


def _read_credential(cursor: Cursor) -> bytes:
    start = cursor.position
    fields = cbor.Fields(cursor, "CredentialAndPurposeKey")
    fields.required(read_attestation)  # the credential has the same form: signed data and a signature
    fields.required(read_attestation)
    fields.finish()
    return bytes(cursor.data[start : cursor.position])


def verify_presentation(presentation: Presentation, *, noise_static: bytes, now: int) -> VerifiedPeer:
    """Verify who the peer is: steps 2 and 3 of facts 04 section 2.8.

    ``noise_static`` is the static key with which the peer ran the handshake, ``now`` is in seconds since 1970.
    Two steps are the caller's: to compare the history with the one it knows (2e; an older one must be refused), and
    to ask the trust policy (4).

    Raises:
        VerificationError: as ``verify_change_history`` and ``verify_secure_channel_key``, and ``KEY_MISMATCH`` when
            the attested key is not the one of the handshake.
    """
    identity = verify_change_history(presentation.history)
    purpose_key = verify_secure_channel_key(presentation.attestation, subject=identity, now=now)
    if purpose_key.public != noise_static:
        raise VerificationError(ErrorCode.KEY_MISMATCH, "the attested key is not the static key of the handshake")
    return VerifiedPeer(identity, purpose_key, presentation.credentials)
