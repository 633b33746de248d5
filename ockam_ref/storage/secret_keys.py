"""The secret keys of the software vault: the only place that reads and writes them.

They lie in the file as they are, readable by its owner only, or sealed if the store has a passphrase.  What was deleted
is overwritten.
"""

import sqlite3
from enum import StrEnum
from functools import partial
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.storage.repository import Repository
from ockam_ref.storage.sealing import Seal, context_of

SECRET_BYTES: Final = 32
"""Bytes of a secret key of any kind."""

_ONLY_KIND: Final = 0


class SecretUse(StrEnum):
    """What a secret is for; handles are unique among those of one use."""

    SIGNING = "signing"
    X25519 = "x25519"
    AEAD = "aead"


class SecretRepository(Repository):
    """Secret keys by their handles: a ``SecretsRepository`` for the software vault.

    ``store_...`` keeps a secret, and one that is there already stays; ``MisuseError`` for other than 32 bytes.
    ``delete_...`` overwrites where the secret was, and returns whether it was there.  All raise ``StorageError`` if the
    passphrase of the store was changed by another process.
    """

    __slots__ = ()

    async def store_signing_secret(self, handle: bytes, kind: int, secret: bytes) -> None:
        """Keep a signing key; ``kind`` is the number of a ``KeyKind``."""
        await self._put(SecretUse.SIGNING, handle, kind, secret)

    async def signing_secret(self, handle: bytes) -> tuple[int, bytes] | None:
        """Return the kind and the secret of a signing key."""
        return await self._get(SecretUse.SIGNING, handle)

    async def delete_signing_secret(self, handle: bytes) -> bool:
        """Destroy a signing key."""
        return await self._delete(SecretUse.SIGNING, handle)

    async def count_signing_secrets(self) -> int:
        """Return how many signing keys there are."""
        return len(await self.handles(SecretUse.SIGNING))

    async def store_x25519_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep a key of secure channels."""
        await self._put(SecretUse.X25519, handle, _ONLY_KIND, secret)

    async def x25519_secret(self, handle: bytes) -> bytes | None:
        """Return a key of secure channels."""
        return _secret_of(await self._get(SecretUse.X25519, handle))

    async def delete_x25519_secret(self, handle: bytes) -> bool:
        """Destroy a key of secure channels."""
        return await self._delete(SecretUse.X25519, handle)

    async def store_aead_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep a cipher key."""
        await self._put(SecretUse.AEAD, handle, _ONLY_KIND, secret)

    async def aead_secret(self, handle: bytes) -> bytes | None:
        """Return a cipher key."""
        return _secret_of(await self._get(SecretUse.AEAD, handle))

    async def delete_aead_secret(self, handle: bytes) -> bool:
        """Destroy a cipher key."""
        return await self._delete(SecretUse.AEAD, handle)

    async def handles(self, use: SecretUse) -> tuple[bytes, ...]:
        """Return the handles of all secrets of one use, ascending."""
        return await self._store.read(partial(list_handles, use=use))

    async def _put(self, use: SecretUse, handle: bytes, kind: int, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")

        def put(connection: sqlite3.Connection) -> None:
            put_secret(connection, self._store.seal_for(connection), use, handle, kind=kind, secret=secret)

        await self._store.write(put)

    async def _get(self, use: SecretUse, handle: bytes) -> tuple[int, bytes] | None:
        def get(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
            return get_secret(connection, self._store.seal_for(connection), use, handle)

        return await self._store.read(get)

    async def _delete(self, use: SecretUse, handle: bytes) -> bool:
        was_there = await self._store.write(partial(delete_secret, use=use, handle=handle))
        if was_there:
            await self._store.scrub()
        return was_there


def put_secret(
    connection: sqlite3.Connection, seal: Seal | None, use: SecretUse, handle: bytes, *, kind: int, secret: bytes
) -> None:
    """Keep a secret unless it is there; ``seal`` is what ``Store.seal_for`` returns in this transaction."""
    column = secret if seal is None else seal.close_over(secret, context_of(use, handle, kind))
    connection.execute("INSERT OR IGNORE INTO secret_key VALUES (?, ?, ?, ?)", (use, handle, kind, column))


def get_secret(
    connection: sqlite3.Connection, seal: Seal | None, use: SecretUse, handle: bytes
) -> tuple[int, bytes] | None:
    """Return kind and secret; ``seal`` is what ``Store.seal_for`` returns in this transaction."""
    found = connection.execute(
        "SELECT kind, secret FROM secret_key WHERE use = ? AND handle = ?", (use, handle)
    ).fetchone()
    if found is None:
        return None
    kind, column = found
    return kind, column if seal is None else seal.open(column, context_of(use, handle, kind))


def delete_secret(connection: sqlite3.Connection, use: SecretUse, handle: bytes) -> bool:
    """Delete a secret and return whether it was there; call ``Store.scrub`` when the transaction is done."""
    deleted = connection.execute("DELETE FROM secret_key WHERE use = ? AND handle = ?", (use, handle))
    return deleted.rowcount > 0


def list_handles(connection: sqlite3.Connection, use: SecretUse) -> tuple[bytes, ...]:
    """See ``SecretRepository.handles``."""
    found = connection.execute("SELECT handle FROM secret_key WHERE use = ? ORDER BY handle", (use,))
    return tuple(handle for (handle,) in found)


def _secret_of(found: tuple[int, bytes] | None) -> bytes | None:
    return None if found is None else found[1]
