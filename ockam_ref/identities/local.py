"""Our own identity: what one end needs to open secure channels."""

from typing import Final

from ockam_ref.identities.change_history import DEFAULT_IDENTITY_TTL_S, VerifiedIdentity, create_identity
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import SigningKey, ed25519_from_seed
from ockam_ref.identities.presentation import Presentation, encode_presentation
from ockam_ref.identities.purpose_keys import (
    PurposeKeyAttestation,
    attest_secure_channel_key,
    verify_secure_channel_key,
)
from ockam_ref.identities.renewal import expiry_of_new
from ockam_ref.noise.primitives import HoldsKeys, KeyPair


class LocalIdentity(HoldsKeys):
    """An identity, its secret keys and what it presents in handshakes.  Made by ``open_local_identity``.

    ``static`` is the key of its handshakes, attested until ``expires_at`` (seconds since 1970); ``presentation`` is the
    payload of handshake messages 2 and 3 without credentials.
    """

    __slots__ = ("attestation", "expires_at", "identity", "presentation", "signing_key", "static")

    def __init__(
        self,
        identity: VerifiedIdentity,
        signing_key: SigningKey,
        static: KeyPair,
        attestation: PurposeKeyAttestation,
        expires_at: int,
    ) -> None:
        self.identity: Final = identity
        self.signing_key: Final = signing_key
        self.static: Final = static
        self.attestation: Final = attestation
        self.expires_at: Final = expires_at
        self.presentation: Final = encode_presentation(Presentation(identity.history, attestation))

    @property
    def identifier(self) -> Identifier:
        """Who this is."""
        return self.identity.identifier

    def __repr__(self) -> str:
        return f"LocalIdentity({self.identifier})"


def open_local_identity(
    identity: VerifiedIdentity, signing_key: SigningKey, static: KeyPair, *, now: int
) -> LocalIdentity:
    """Return the identity with ``static`` attested from ``now`` (seconds since 1970) on.

    The attestation lasts five years, as the peer's do, or as long as the identity's key if that is shorter: one that
    outlives the key would be refused by everybody.

    Raises:
        MisuseError: ``KEY_MISMATCH`` if ``signing_key`` is not the latest key of the identity.
        VerificationError: ``BAD_ATTESTATION`` if the identity's key may not attest any more, or not yet: rotate it.
    """
    expires_at = expiry_of_new(identity, now)
    attestation = attest_secure_channel_key(identity, signing_key, static.public, created_at=now, expires_at=expires_at)
    verify_secure_channel_key(attestation, subject=identity, now=now)
    return LocalIdentity(identity, signing_key, static, attestation, expires_at)


def create_local_identity(signing_seed: bytes, static_secret: bytes, now: int) -> LocalIdentity:
    """Return a new Ed25519 identity that is ready for secure channels, with the lifetimes of the peer.

    Args:
        signing_seed: 32 random bytes.
        static_secret: 32 other random bytes.
        now: seconds since 1970.

    Raises:
        MisuseError: a secret has not 32 bytes, or ``now`` is negative.
    """
    signing_key = ed25519_from_seed(signing_seed)
    identity = create_identity(signing_key, valid_from=now, valid_until=now + DEFAULT_IDENTITY_TTL_S)
    return open_local_identity(identity, signing_key, KeyPair.from_private_bytes(static_secret), now=now)
