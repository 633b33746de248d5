"""Signing, and verifying what others signed, in software."""

from hashlib import sha256
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError, VaultError
from ockam_ref.identities.keys import (
    SECRET_LENGTH,
    KeyKind,
    PublicKey,
    Signature,
    SigningKey,
    signing_key_from_secret,
    verify_signature,
)
from ockam_ref.noise.primitives import HoldsKeys
from ockam_ref.vault.handles import SigningKeyHandle, signing_key_handle
from ockam_ref.vault.interfaces import Entropy, SecretsRepository

MAX_DRAWS: Final = 8
"""Random numbers that are drawn for one key before the source of randomness is given up."""


class SoftwareVaultForSigning(HoldsKeys):
    """A ``VaultForSigning`` over a repository of secrets."""

    __slots__ = ("_entropy", "_secrets")

    def __init__(self, secrets: SecretsRepository, entropy: Entropy) -> None:
        self._secrets: Final = secrets
        self._entropy: Final = entropy

    async def sign(self, handle: SigningKeyHandle, data: bytes) -> Signature:
        """Sign; P-256 hashes the data with SHA-256, Ed25519 takes it as it is.

        Raises:
            VaultError: ``KEY_NOT_FOUND``.
        """
        return (await self.signing_key(handle)).sign_data(data)

    async def generate_signing_secret_key(self, kind: KeyKind) -> SigningKeyHandle:
        """Make and keep a key.  Of the numbers drawn for P-256 one in four thousand millions is none, and is replaced.

        Raises:
            VaultError: ``OUT_OF_RANGE``, none of ``MAX_DRAWS`` was a key: the entropy is none.
        """
        for _ in range(MAX_DRAWS):
            try:
                return await self.import_key(kind, self._entropy(SECRET_LENGTH))
            except MisuseError:
                continue
        raise VaultError(ErrorCode.OUT_OF_RANGE, f"{MAX_DRAWS} times the source of randomness gave no key")

    async def import_key(self, kind: KeyKind, secret: bytes) -> SigningKeyHandle:
        """Keep a key that was made elsewhere: a seed of Ed25519, or the big-endian number of P-256.

        Raises:
            MisuseError: ``OUT_OF_RANGE``, no such key.
        """
        handle = signing_key_handle(signing_key_from_secret(kind, secret).public)
        await self._secrets.store_signing_secret(handle.value, kind, secret)
        return handle

    async def number_of_keys(self) -> int:
        """Return how many signing keys the repository has."""
        return await self._secrets.count_signing_secrets()

    async def get_verifying_public_key(self, handle: SigningKeyHandle) -> PublicKey:
        """Return the public half.

        Raises:
            VaultError: ``KEY_NOT_FOUND``.
        """
        return (await self.signing_key(handle)).public

    async def get_secret_key_handle(self, public_key: PublicKey) -> SigningKeyHandle:
        """Return the handle that such a key has, whether it is here or not."""
        return signing_key_handle(public_key)

    async def delete_signing_secret_key(self, handle: SigningKeyHandle) -> bool:
        """Destroy a key; return whether it was there."""
        return await self._secrets.delete_signing_secret(handle.value)

    async def signing_key(self, handle: SigningKeyHandle) -> SigningKey:
        """Return an object that signs with the key at once and shows nothing of it.

        Raises:
            VaultError: ``KEY_NOT_FOUND``.
        """
        found = await self._secrets.signing_secret(handle.value)
        if found is None or found[0] != handle.kind:
            raise VaultError(
                ErrorCode.KEY_NOT_FOUND, f"the vault has no {handle.kind.name} key {handle.value.hex()[:16]}…"
            )
        return signing_key_from_secret(handle.kind, found[1])


class SoftwareVaultForVerifyingSignatures:
    """A ``VaultForVerifyingSignatures``; it has nothing to keep."""

    __slots__ = ()

    async def sha256(self, data: bytes) -> bytes:
        """Return the 32-byte digest."""
        return sha256(data).digest()

    async def verify_signature(self, public_key: PublicKey, data: bytes, signature: Signature) -> None:
        """Return if the signature is right.

        Raises:
            VerificationError: ``KEY_MISMATCH`` if the kinds differ, ``AUTHENTICATION_FAILED`` for a signature that
                is wrong and for a key that is none.
        """
        verify_signature(public_key, data, signature)
