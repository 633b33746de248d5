"""What our authorities were asked, by whom, and what they answered."""

import sqlite3
from functools import partial
from typing import Final, NamedTuple

from ockam_ref.storage.repository import Repository

MAX_AUDIT_ROWS: Final = 100_000
"""Entries that are kept; beyond this number the oldest ones go."""

MAX_LISTED_ROWS: Final = 1000
"""Entries of one list."""

MAX_ROW_NUMBER: Final = 2**63 - 1
"""The largest number that SQLite gives."""


class AuditRow(NamedTuple):
    """One entry; ``at`` is in seconds since 1970, ``caller`` an identifier, empty if there was none."""

    number: int
    at: int
    caller: bytes
    what: str
    answer: str


class AuditRepository(Repository):
    """Entries in the order in which they were made."""

    __slots__ = ()

    async def append(self, *, at: int, caller: bytes, what: str, answer: str) -> AuditRow:
        """Add an entry."""
        return await self._store.write(partial(append_audit, at=at, caller=caller, what=what, answer=answer))

    async def list(self, *, limit: int = MAX_LISTED_ROWS, before: int | None = None) -> tuple[AuditRow, ...]:
        """Return the latest entries, the newest first; ``before`` is the number from which on they are left out."""
        return await self._store.read(partial(list_audit, limit=min(limit, MAX_LISTED_ROWS), before=before))


def append_audit(connection: sqlite3.Connection, *, at: int, caller: bytes, what: str, answer: str) -> AuditRow:
    """See ``AuditRepository.append``."""
    inserted = connection.execute(
        "INSERT INTO audit (at, caller, what, answer) VALUES (?, ?, ?, ?)", (at, caller, what, answer)
    )
    number = inserted.lastrowid or 0
    connection.execute("DELETE FROM audit WHERE number <= ?", (number - MAX_AUDIT_ROWS,))
    return AuditRow(number, at, caller, what, answer)


def list_audit(connection: sqlite3.Connection, *, limit: int, before: int | None = None) -> tuple[AuditRow, ...]:
    """See ``AuditRepository.list``."""
    found = connection.execute(
        "SELECT number, at, caller, what, answer FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?",
        (MAX_ROW_NUMBER if before is None else before, limit),
    )
    return tuple(AuditRow(*row) for row in found)
