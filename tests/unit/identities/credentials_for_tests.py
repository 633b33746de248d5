"""Credentials that tests present: of an authority whose keys are known."""

from hashlib import sha256
from typing import Final

from ockam_ref.identities.change_history import VerifiedIdentity, create_identity
from ockam_ref.identities.credentials import issue_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.local import create_local_identity
from ockam_ref.identities.purpose_keys import attest_credential_signing_key

START: Final = 1_699_999_000
END: Final = START + 100_000_000


class Issuer:
    """An authority of that name."""

    def __init__(self, name: str = "authority") -> None:
        key = ed25519_from_seed(sha256(f"{name} signing".encode()).digest())
        self.identity: VerifiedIdentity = create_identity(key, valid_from=START, valid_until=END)
        self.identifier: bytes = self.identity.identifier.value
        self._key = ed25519_from_seed(sha256(f"{name} credentials".encode()).digest())
        self._attestation = attest_credential_signing_key(
            self.identity, key, self._key.public, created_at=START, expires_at=END
        )

    def vouch(self, subject: Identifier, *, created_at: int, expires_at: int, **attributes: str) -> bytes:
        """Issue a credential with these attributes."""
        return issue_credential(
            self._key,
            self._attestation,
            subject=subject,
            attributes={name.encode(): value.encode() for name, value in attributes.items()},
            created_at=created_at,
            expires_at=expires_at,
        )


def credential_of(name: str, number: int) -> bytes:
    """Return one of several credentials for the identity that the channel tests call so."""
    signing, static = (sha256(f"{name} {key}".encode()).digest() for key in ("signing", "static"))
    subject = create_local_identity(signing, static, 1_700_000_000).identifier
    return Issuer().vouch(subject, created_at=START + number, expires_at=END, role="member")
