"""The attestations of our purpose keys: one for each identity and purpose, the newest."""

import sqlite3
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from ockam_ref.storage.repository import Repository

_COLUMNS = "identifier, purpose, attestation, handle"


class Purpose(StrEnum):
    """What a purpose key is for, by the peer's names."""

    SECURE_CHANNEL = "SC_PK"
    CREDENTIALS = "C_PK"


class PurposeKeyRow(NamedTuple):
    """An attestation, and the handle of the secret that belongs to it."""

    identifier: bytes
    purpose: Purpose
    attestation: bytes
    handle: bytes


class PurposeKeyRepository(Repository):
    """Attestations by identifier and purpose."""

    __slots__ = ()

    async def put(self, row: PurposeKeyRow) -> None:
        """Keep an attestation in place of the one before."""
        await self._store.write(partial(put_purpose_key, row=row))

    async def get(self, identifier: bytes, purpose: Purpose) -> PurposeKeyRow | None:
        """Return the attestation of that identity for that purpose."""
        return await self._store.read(partial(get_purpose_key, identifier=identifier, purpose=purpose))

    async def list(self, identifier: bytes) -> tuple[PurposeKeyRow, ...]:
        """Return all attestations of that identity."""
        return await self._store.read(partial(list_purpose_keys, identifier=identifier))

    async def delete(self, identifier: bytes, purpose: Purpose) -> bool:
        """Forget an attestation; return whether it was there."""
        return await self._store.write(partial(delete_purpose_key, identifier=identifier, purpose=purpose))


def put_purpose_key(connection: sqlite3.Connection, row: PurposeKeyRow) -> None:
    """See ``PurposeKeyRepository.put``."""
    connection.execute(f"INSERT OR REPLACE INTO purpose_key ({_COLUMNS}) VALUES (?, ?, ?, ?)", row)


def get_purpose_key(connection: sqlite3.Connection, identifier: bytes, purpose: Purpose) -> PurposeKeyRow | None:
    """See ``PurposeKeyRepository.get``."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM purpose_key WHERE identifier = ? AND purpose = ?", (identifier, purpose)
    ).fetchone()
    return None if found is None else _row(found)


def list_purpose_keys(connection: sqlite3.Connection, identifier: bytes) -> tuple[PurposeKeyRow, ...]:
    """See ``PurposeKeyRepository.list``."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM purpose_key WHERE identifier = ?", (identifier,))
    return tuple(map(_row, found))


def delete_purpose_key(connection: sqlite3.Connection, identifier: bytes, purpose: Purpose) -> bool:
    """See ``PurposeKeyRepository.delete``."""
    deleted = connection.execute("DELETE FROM purpose_key WHERE identifier = ? AND purpose = ?", (identifier, purpose))
    return deleted.rowcount > 0


def _row(found: tuple[bytes, str, bytes, bytes]) -> PurposeKeyRow:
    identifier, purpose, attestation, handle = found
    return PurposeKeyRow(identifier, Purpose(purpose), attestation, handle)
