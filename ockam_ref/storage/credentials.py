"""Credentials that were issued to us: one for each subject, issuer and scope, the newest."""

import sqlite3
from functools import partial
from typing import NamedTuple

from ockam_ref.storage.repository import Repository

_COLUMNS = "subject, issuer, scope, credential, expires_at"


class CredentialRow(NamedTuple):
    """A credential with its purpose key attestation, as received; ``expires_at`` in seconds since 1970."""

    subject: bytes
    issuer: bytes
    scope: str
    credential: bytes
    expires_at: int


class CredentialRepository(Repository):
    """Credentials by subject, issuer and scope."""

    __slots__ = ()

    async def put(self, row: CredentialRow) -> None:
        """Keep a credential in place of the one before."""
        await self._store.write(partial(put_credential, row=row))

    async def get(self, subject: bytes, issuer: bytes, scope: str) -> CredentialRow | None:
        """Return a credential, expired or not."""
        return await self._store.read(partial(get_credential, subject=subject, issuer=issuer, scope=scope))

    async def list(self) -> tuple[CredentialRow, ...]:
        """Return all."""
        return await self._store.read(list_credentials)

    async def delete(self, subject: bytes, issuer: bytes, scope: str) -> bool:
        """Forget a credential; return whether it was there."""
        return await self._store.write(partial(delete_credential, subject=subject, issuer=issuer, scope=scope))


def put_credential(connection: sqlite3.Connection, row: CredentialRow) -> None:
    """See ``CredentialRepository.put``."""
    connection.execute(f"INSERT OR REPLACE INTO credential ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", row)


def get_credential(connection: sqlite3.Connection, subject: bytes, issuer: bytes, scope: str) -> CredentialRow | None:
    """See ``CredentialRepository.get``."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM credential WHERE subject = ? AND issuer = ? AND scope = ?", (subject, issuer, scope)
    ).fetchone()
    return None if found is None else CredentialRow(*found)


def list_credentials(connection: sqlite3.Connection) -> tuple[CredentialRow, ...]:
    """See ``CredentialRepository.list``."""
    return tuple(CredentialRow(*found) for found in connection.execute(f"SELECT {_COLUMNS} FROM credential"))


def delete_credential(connection: sqlite3.Connection, subject: bytes, issuer: bytes, scope: str) -> bool:
    """See ``CredentialRepository.delete``."""
    deleted = connection.execute(
        "DELETE FROM credential WHERE subject = ? AND issuer = ? AND scope = ?", (subject, issuer, scope)
    )
    return deleted.rowcount > 0
