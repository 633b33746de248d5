"""The members of our authorities, with the attributes that their credentials will have."""

import sqlite3
from functools import partial
from typing import NamedTuple

from ockam_ref.storage.attributes import Attributes, decode_attributes, encode_attributes
from ockam_ref.storage.repository import Repository

_COLUMNS = "authority, identifier, attributes, added_by, added_at, is_pre_trusted"


class MemberRow(NamedTuple):
    """A member; ``attributes`` come back in ascending order of their names, ``added_at`` is in seconds since 1970."""

    authority: bytes
    identifier: bytes
    attributes: Attributes
    added_by: bytes
    added_at: int
    is_pre_trusted: bool = False


class MemberRepository(Repository):
    """Members by authority and identifier."""

    __slots__ = ()

    async def put(self, row: MemberRow) -> None:
        """Keep a member, in place of what is known of it."""
        await self._store.write(partial(put_member, row=row))

    async def get(self, authority: bytes, identifier: bytes) -> MemberRow | None:
        """Return that member."""
        return await self._store.read(partial(get_member, authority=authority, identifier=identifier))

    async def list(self, authority: bytes) -> tuple[MemberRow, ...]:
        """Return all members of that authority, by identifier."""
        return await self._store.read(partial(list_members, authority=authority))

    async def delete(self, authority: bytes, identifier: bytes) -> bool:
        """Delete a member; return whether it was one."""
        return await self._store.write(partial(delete_member, authority=authority, identifier=identifier))


def put_member(connection: sqlite3.Connection, row: MemberRow) -> None:
    """See ``MemberRepository.put``."""
    connection.execute(
        f"INSERT OR REPLACE INTO member ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        row._replace(attributes=encode_attributes(row.attributes)),  # type: ignore[arg-type]  # the column
    )


def get_member(connection: sqlite3.Connection, authority: bytes, identifier: bytes) -> MemberRow | None:
    """See ``MemberRepository.get``."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM member WHERE authority = ? AND identifier = ?", (authority, identifier)
    ).fetchone()
    return None if found is None else _row(found)


def list_members(connection: sqlite3.Connection, authority: bytes) -> tuple[MemberRow, ...]:
    """See ``MemberRepository.list``."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM member WHERE authority = ? ORDER BY identifier", (authority,))
    return tuple(map(_row, found))


def delete_member(connection: sqlite3.Connection, authority: bytes, identifier: bytes) -> bool:
    """See ``MemberRepository.delete``."""
    deleted = connection.execute("DELETE FROM member WHERE authority = ? AND identifier = ?", (authority, identifier))
    return deleted.rowcount > 0


def _row(found: tuple[bytes, bytes, bytes, bytes, int, int]) -> MemberRow:
    authority, identifier, attributes, added_by, added_at, is_pre_trusted = found
    return MemberRow(authority, identifier, decode_attributes(attributes), added_by, added_at, bool(is_pre_trusted))
