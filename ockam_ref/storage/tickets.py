"""The tickets that our authorities have issued.

What is kept of a code is a hash, so that nobody can enrol with what a stolen store says.
"""

import sqlite3
from functools import partial
from typing import NamedTuple

from ockam_ref.storage.attributes import Attributes, decode_attributes, encode_attributes
from ockam_ref.storage.repository import Repository

_COLUMNS = "authority, code_hash, reference, attributes, issued_by, created_at, expires_at, uses_left"


class TicketRow(NamedTuple):
    """A ticket; times are in seconds since 1970, ``reference`` names it in logs and lists."""

    authority: bytes
    code_hash: bytes
    reference: str
    attributes: Attributes
    issued_by: bytes
    created_at: int
    expires_at: int
    uses_left: int


class TicketRepository(Repository):
    """Tickets by authority and hash of the code."""

    __slots__ = ()

    async def put(self, row: TicketRow) -> None:
        """Keep a ticket, in place of what is known of it."""
        await self._store.write(partial(put_ticket, row=row))

    async def get(self, authority: bytes, code_hash: bytes) -> TicketRow | None:
        """Return that ticket, expired or not."""
        return await self._store.read(partial(get_ticket, authority=authority, code_hash=code_hash))

    async def list(self, authority: bytes) -> tuple[TicketRow, ...]:
        """Return all tickets of that authority, the oldest first."""
        return await self._store.read(partial(list_tickets, authority=authority))

    async def delete(self, authority: bytes, code_hash: bytes) -> bool:
        """Delete a ticket; return whether it was there."""
        return await self._store.write(partial(delete_ticket, authority=authority, code_hash=code_hash))


def put_ticket(connection: sqlite3.Connection, row: TicketRow) -> None:
    """See ``TicketRepository.put``."""
    connection.execute(
        f"INSERT OR REPLACE INTO ticket ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row._replace(attributes=encode_attributes(row.attributes)),  # type: ignore[arg-type]  # the column
    )


def get_ticket(connection: sqlite3.Connection, authority: bytes, code_hash: bytes) -> TicketRow | None:
    """See ``TicketRepository.get``."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM ticket WHERE authority = ? AND code_hash = ?", (authority, code_hash)
    ).fetchone()
    return None if found is None else _row(found)


def list_tickets(connection: sqlite3.Connection, authority: bytes) -> tuple[TicketRow, ...]:
    """See ``TicketRepository.list``."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM ticket WHERE authority = ? ORDER BY created_at, code_hash", (authority,)
    )
    return tuple(map(_row, found))


def delete_ticket(connection: sqlite3.Connection, authority: bytes, code_hash: bytes) -> bool:
    """See ``TicketRepository.delete``."""
    deleted = connection.execute("DELETE FROM ticket WHERE authority = ? AND code_hash = ?", (authority, code_hash))
    return deleted.rowcount > 0


def _row(found: tuple[bytes, bytes, str, bytes, bytes, int, int, int]) -> TicketRow:
    authority, code_hash, reference, attributes, *rest = found
    return TicketRow(authority, code_hash, reference, decode_attributes(attributes), *rest)  # type: ignore[arg-type]
