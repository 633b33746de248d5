"""Credentials that outlive the process: a cache for retrievers, in a store."""

from typing import Final

from ockam_ref.asyncio.credentials import CachedCredential, CredentialKey
from ockam_ref.storage.credentials import CredentialRepository, CredentialRow
from ockam_ref.storage.store import Store


class StoredCredentials:
    """A ``CredentialCache`` over the credentials of a store."""

    __slots__ = ("_rows",)

    def __init__(self, store: Store) -> None:
        self._rows: Final = CredentialRepository(store)

    async def get(self, key: CredentialKey) -> CachedCredential | None:
        """Return what is kept under the key."""
        row = await self._rows.get(key.subject.value, key.issuer.value, key.scope)
        return None if row is None else CachedCredential(row.credential, row.expires_at)

    async def put(self, key: CredentialKey, cached: CachedCredential) -> None:
        """Keep it in place of what was there."""
        row = CredentialRow(key.subject.value, key.issuer.value, key.scope, cached.credential, cached.expires_at)
        await self._rows.put(row)

    async def delete(self, key: CredentialKey) -> None:
        """Forget it."""
        await self._rows.delete(key.subject.value, key.issuer.value, key.scope)
