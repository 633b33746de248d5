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

    async def add(self, authority: bytes, subject: bytes, not_after: int) -> RevocationRow:
        """Revoke, as the authority; the revocation gets the next number, and ``not_after`` never falls."""
        return await self._store.write(
            partial(add_revocation, authority=authority, subject=subject, not_after=not_after)
        )

    async def learn(self, rows: Iterable[RevocationRow]) -> None:
        """Keep what an authority says; for each subject the latest ``not_after`` counts."""
        await self._store.write(partial(learn_revocations, rows=tuple(rows)))

    async def list(self, authority: bytes, *, since: int = 0) -> tuple[RevocationRow, ...]:
        """Return the revocations of that authority with numbers above ``since``, ascending."""
        return await self._store.read(partial(list_revocations, authority=authority, since=since))

    async def all(self) -> tuple[RevocationRow, ...]:
        """Return the revocations of all authorities."""
        return await self._store.read(all_revocations)

    async def latest(self, authority: bytes) -> int:
        """Return the highest number of that authority, 0 if it has revoked nothing."""
        return await self._store.read(partial(latest_revocation, authority=authority))


def add_revocation(connection: sqlite3.Connection, authority: bytes, subject: bytes, not_after: int) -> RevocationRow:
    """See ``RevocationRepository.add``."""
    number = latest_revocation(connection, authority) + 1
    return _put(connection, RevocationRow(authority, subject, not_after, number))


def learn_revocations(connection: sqlite3.Connection, rows: Iterable[RevocationRow]) -> None:
    """See ``RevocationRepository.learn``."""
    for row in rows:
        _put(connection, row)


def list_revocations(connection: sqlite3.Connection, authority: bytes, *, since: int = 0) -> tuple[RevocationRow, ...]:
    """See ``RevocationRepository.list``."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM revocation WHERE authority = ? AND number > ? ORDER BY number", (authority, since)
    )
    return tuple(RevocationRow(*row) for row in found)


def all_revocations(connection: sqlite3.Connection) -> tuple[RevocationRow, ...]:
    """See ``RevocationRepository.all``."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM revocation ORDER BY authority, number")
    return tuple(RevocationRow(*row) for row in found)


def latest_revocation(connection: sqlite3.Connection, authority: bytes) -> int:
    """See ``RevocationRepository.latest``."""
    (number,) = connection.execute("SELECT max(number) FROM revocation WHERE authority = ?", (authority,)).fetchone()
    return int(number or 0)


def _put(connection: sqlite3.Connection, row: RevocationRow) -> RevocationRow:
    known = connection.execute(
        "SELECT not_after, number FROM revocation WHERE authority = ? AND subject = ?", (row.authority, row.subject)
    ).fetchone()
    if known is not None:
        not_after, number = known
        row = row._replace(not_after=max(row.not_after, not_after), number=max(row.number, number))
    connection.execute(f"INSERT OR REPLACE INTO revocation ({_COLUMNS}) VALUES (?, ?, ?, ?)", row)
    return row
