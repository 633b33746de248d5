"""Secrets that live as long as the program."""

from ockam_ref.noise.primitives import HoldsKeys


class MemorySecrets(HoldsKeys):
    """A repository of secrets in memory; shows none and is not copied."""

    __slots__ = ("_aead", "_signing", "_x25519")

    def __init__(self) -> None:
        self._signing: dict[bytes, tuple[int, bytes]] = {}
        self._x25519: dict[bytes, bytes] = {}
        self._aead: dict[bytes, bytes] = {}

    async def store_signing_secret(self, handle: bytes, kind: int, secret: bytes) -> None:
        """Keep the 32 bytes of a signing key."""
        self._signing[handle] = (kind, secret)

    async def signing_secret(self, handle: bytes) -> tuple[int, bytes] | None:
        """Return kind and secret."""
        return self._signing.get(handle)

    async def delete_signing_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        return self._signing.pop(handle, None) is not None

    async def count_signing_secrets(self) -> int:
        """Return how many there are."""
        return len(self._signing)

    async def store_x25519_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep the 32 bytes of an X25519 key."""
        self._x25519[handle] = secret

    async def x25519_secret(self, handle: bytes) -> bytes | None:
        """Return them."""
        return self._x25519.get(handle)

    async def delete_x25519_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        return self._x25519.pop(handle, None) is not None

    async def store_aead_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep the 32 bytes of an AES-256-GCM key."""
        self._aead[handle] = secret

    async def aead_secret(self, handle: bytes) -> bytes | None:
        """Return them."""
        return self._aead.get(handle)

    async def delete_aead_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        return self._aead.pop(handle, None) is not None
