"""The secrets of a software vault, in a store."""

from typing import Final

from ockam_ref.identities.keys import KeyKind
from ockam_ref.storage.secret_keys import SecretKind, SecretRepository, SecretUse
from ockam_ref.storage.store import Store

_KINDS: Final = {KeyKind.ED25519: SecretKind.ED25519, KeyKind.P256: SecretKind.P256}
_KINDS_BACK: Final = {kind: number for number, kind in _KINDS.items()}


class VaultSecrets:
    """A ``SecretsRepository`` over the secrets of a store."""

    __slots__ = ("_secrets",)

    def __init__(self, store: Store) -> None:
        self._secrets: Final = SecretRepository(store)

    async def store_signing_secret(self, handle: bytes, kind: int, secret: bytes) -> None:
        """Keep the 32 bytes of a signing key."""
        await self._secrets.put(handle, _KINDS[KeyKind(kind)], secret)

    async def signing_secret(self, handle: bytes) -> tuple[int, bytes] | None:
        """Return kind and secret."""
        found = await self._secrets.signing(handle)
        return None if found is None else (_KINDS_BACK[found.kind], found.expose_secret())

    async def delete_signing_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        return await self._secrets.delete(handle, SecretUse.SIGNING)

    async def count_signing_secrets(self) -> int:
        """Return how many there are."""
        return len(await self._secrets.handles(SecretUse.SIGNING))

    async def store_x25519_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep the 32 bytes of an X25519 key."""
        await self._secrets.put(handle, SecretKind.X25519, secret)

    async def x25519_secret(self, handle: bytes) -> bytes | None:
        """Return them."""
        found = await self._secrets.x25519(handle)
        return None if found is None else found.expose_secret()

    async def delete_x25519_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        return await self._secrets.delete(handle, SecretUse.SECURE_CHANNEL)

    async def store_aead_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep the 32 bytes of an AES-256-GCM key."""
        await self._secrets.put(handle, SecretKind.AES256_GCM, secret)

    async def aead_secret(self, handle: bytes) -> bytes | None:
        """Return them."""
        found = await self._secrets.aead(handle)
        return None if found is None else found.expose_secret()

    async def delete_aead_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        return await self._secrets.delete(handle, SecretUse.AEAD)
