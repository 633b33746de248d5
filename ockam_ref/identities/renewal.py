"""When a purpose key is replaced, and what of an identity is void after a rotation."""

from typing import Final

from ockam_ref.errors import VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity, decode_change_data
from ockam_ref.identities.keys import PublicKey
from ockam_ref.identities.purpose_keys import (
    DEFAULT_PURPOSE_KEY_TTL_S,
    PurposeKeyAttestation,
    VerifiedCredentialKey,
    VerifiedPurposeKey,
    verify_credential_signing_key,
    verify_secure_channel_key,
)
from ockam_ref.identities.versioned_data import decode_versioned_data

RENEWED_IN_LAST: Final = 10
"""A purpose key is replaced in the last one of so many parts of its life; the peer does it only when it has expired."""


def usable_secure_channel_key(
    attestation: PurposeKeyAttestation, *, subject: VerifiedIdentity, now: int
) -> VerifiedPurposeKey | None:
    """Return the key of a stored attestation, or ``None`` if a new one is due; ``now`` is in seconds since 1970."""
    try:
        key = verify_secure_channel_key(attestation, subject=subject, now=now)
    except VerificationError:
        return None
    return None if _is_due(key.created_at, key.expires_at, subject, now) else key


def usable_credential_signing_key(
    attestation: PurposeKeyAttestation, *, subject: VerifiedIdentity, now: int
) -> VerifiedCredentialKey | None:
    """Return the key of a stored attestation, or ``None`` if a new one is due, as ``usable_secure_channel_key``."""
    try:
        key = verify_credential_signing_key(attestation, subject=subject, now=now)
    except VerificationError:
        return None
    return None if _is_due(key.created_at, key.expires_at, subject, now) else key


def expiry_of_new(subject: VerifiedIdentity, now: int) -> int:
    """Return the last second of a purpose key that is attested now: it does not outlive the key that attests it."""
    return min(now + DEFAULT_PURPOSE_KEY_TTL_S, subject.valid_until)


def _is_due(created_at: int, expires_at: int, subject: VerifiedIdentity, now: int) -> bool:
    # Near the end of the identity's key a new one would not live longer; it is the identity that has to be rotated.
    is_late = (expires_at - now) * RENEWED_IN_LAST < expires_at - created_at
    return is_late and expiry_of_new(subject, now) > expires_at


def earlier_keys(identity: VerifiedIdentity) -> tuple[PublicKey, ...]:
    """Return the keys that the identity has had and uses no more: their other halves are to be destroyed."""
    contents = [decode_change_data(decode_versioned_data(change.data).data) for change in identity.history.changes]
    return tuple(content.primary_public_key for content in contents[:-1])
