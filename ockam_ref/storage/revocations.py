"""Revocations: whose credentials of which authority are void up to which moment.

An authority numbers what it revokes, one after the other; nodes keep what they were told, with the same numbers.
"""

import sqlite3
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from ockam_ref.storage.repository import Repository

_COLUMNS = "authority, subject, not_after, number"


class RevocationRow(NamedTuple):
    """Credentials of ``subject`` created at or before ``not_after``, in seconds since 1970, are void."""

    authority: bytes
    subject: bytes
    not_after: int
    number: int


class RevocationRepository(Repository):
    """The latest revocation of each subject, by authority."""

    __slots__ = ()

    async def learn(self, rows: Iterable[RevocationRow]) -> None:
        """Keep what an authority says; of each subject the latest moment and the highest number count."""
        await self._store.write(partial(learn_revocations, rows=tuple(rows)))

    async def list(self, authority: bytes) -> tuple[RevocationRow, ...]:
        """Return the revocations of that authority, by number."""
        return await self._store.read(partial(list_revocations, authority=authority))

    async def all(self) -> tuple[RevocationRow, ...]:
        """Return the revocations of all authorities."""
        return await self._store.read(all_revocations)


def learn_revocations(connection: sqlite3.Connection, rows: Iterable[RevocationRow]) -> None:
    """See ``RevocationRepository.learn``."""
    for row in rows:
        connection.execute(
            f"INSERT INTO revocation ({_COLUMNS}) VALUES (?, ?, ?, ?) ON CONFLICT (authority, subject) DO UPDATE"
            " SET not_after = max(not_after, excluded.not_after), number = max(number, excluded.number)",
            row,
        )


def list_revocations(connection: sqlite3.Connection, authority: bytes) -> tuple[RevocationRow, ...]:
    """See ``RevocationRepository.list``."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM revocation WHERE authority = ? ORDER BY number", (authority,))
    return tuple(RevocationRow(*row) for row in found)


def all_revocations(connection: sqlite3.Connection) -> tuple[RevocationRow, ...]:
    """See ``RevocationRepository.all``."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM revocation ORDER BY authority, number")
    return tuple(RevocationRow(*row) for row in found)
