"""Our own identities: names for people, and the change histories that are shown to peers."""

import sqlite3
from functools import partial
from typing import NamedTuple

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.change_history import (
    Comparison,
    compare_histories,
    decode_change_history,
    verify_change_history,
)
from ockam_ref.storage.repository import Repository, not_found, require_name, taken

_COLUMNS = "name, identifier, history, is_default"


class IdentityRow(NamedTuple):
    """One identity of ours."""

    name: str
    identifier: bytes
    history: bytes
    is_default: bool


class IdentityRepository(Repository):
    """Names, and behind each an identity."""

    __slots__ = ()

    async def add(self, name: str, history: bytes) -> IdentityRow:
        """Keep an identity; it becomes the default one if there is none.

        Raises:
            MisuseError: ``BAD_NAME``, or ``NAME_TAKEN`` for the name or the identity.
            DecodeError: no history.
            VerificationError: a history that does not hold.
        """
        identity = verify_change_history(decode_change_history(history))
        return await self._store.write(
            partial(add_identity, name=require_name(name), identifier=identity.identifier.value, history=history)
        )

    async def list(self) -> tuple[IdentityRow, ...]:
        """Return all, by name."""
        return await self._store.read(list_identities)

    async def get(self, name: str) -> IdentityRow | None:
        """Return the identity of that name."""
        return await self._store.read(partial(get_identity, name=name))

    async def find(self, identifier: bytes) -> IdentityRow | None:
        """Return the identity with that identifier."""
        return await self._store.read(partial(find_identity, identifier=identifier))

    async def default(self) -> IdentityRow | None:
        """Return the identity that is meant when none is named."""
        return await self._store.read(default_identity)

    async def set_default(self, name: str) -> None:
        """Make that identity the default one.

        Raises:
            MisuseError: ``NOT_FOUND``.
        """
        await self._store.write(partial(set_default_identity, name=name))

    async def update_history(self, name: str, history: bytes) -> None:
        """Replace the history of an identity by one that continues it.

        Raises:
            MisuseError: ``NOT_FOUND``; ``HISTORY_OLDER`` or ``HISTORY_CONFLICT`` if it does not continue it.
            DecodeError: no history.
            VerificationError: a history that does not hold.
        """
        verify_change_history(decode_change_history(history))
        await self._store.write(partial(update_identity, name=name, history=history))

    async def rename(self, name: str, new_name: str) -> None:
        """Give an identity another name.

        Raises:
            MisuseError: ``NOT_FOUND``, ``BAD_NAME`` or ``NAME_TAKEN``.
        """
        await self._store.write(partial(rename_identity, name=name, new_name=require_name(new_name)))

    async def delete(self, name: str) -> IdentityRow | None:
        """Forget an identity with its attestations and credentials; its secrets are another repository's to delete.

        Returns:
            What was deleted.  If that was the default identity, there is none now.
        """
        return await self._store.write(partial(delete_identity, name=name))


def add_identity(connection: sqlite3.Connection, *, name: str, identifier: bytes, history: bytes) -> IdentityRow:
    """See ``IdentityRepository.add``; the history is verified already."""
    if get_identity(connection, name) is not None:
        raise taken("identity", name)
    known = find_identity(connection, identifier)
    if known is not None:
        raise MisuseError(ErrorCode.NAME_TAKEN, f"this identity is there already, as {known.name!r}")
    row = IdentityRow(name, identifier, history, default_identity(connection) is None)
    connection.execute(f"INSERT INTO identity ({_COLUMNS}) VALUES (?, ?, ?, ?)", row)
    return row


def list_identities(connection: sqlite3.Connection) -> tuple[IdentityRow, ...]:
    """See ``IdentityRepository.list``."""
    return tuple(map(_row, connection.execute(f"SELECT {_COLUMNS} FROM identity ORDER BY name")))


def get_identity(connection: sqlite3.Connection, name: str) -> IdentityRow | None:
    """See ``IdentityRepository.get``."""
    return _one(connection.execute(f"SELECT {_COLUMNS} FROM identity WHERE name = ?", (name,)))


def find_identity(connection: sqlite3.Connection, identifier: bytes) -> IdentityRow | None:
    """See ``IdentityRepository.find``."""
    return _one(connection.execute(f"SELECT {_COLUMNS} FROM identity WHERE identifier = ?", (identifier,)))


def default_identity(connection: sqlite3.Connection) -> IdentityRow | None:
    """See ``IdentityRepository.default``."""
    return _one(connection.execute(f"SELECT {_COLUMNS} FROM identity WHERE is_default"))


def set_default_identity(connection: sqlite3.Connection, name: str) -> None:
    """See ``IdentityRepository.set_default``."""
    _require(connection, name)
    connection.execute("UPDATE identity SET is_default = 0 WHERE is_default")
    connection.execute("UPDATE identity SET is_default = 1 WHERE name = ?", (name,))


def update_identity(connection: sqlite3.Connection, name: str, history: bytes) -> None:
    """See ``IdentityRepository.update_history``; the history is verified already."""
    known = _require(connection, name)
    comparison = compare_histories(decode_change_history(history), decode_change_history(known.history))
    if comparison is Comparison.CONFLICT:
        raise MisuseError(ErrorCode.HISTORY_CONFLICT, f"the history does not continue that of {name!r}")
    if comparison is Comparison.OLDER:
        raise MisuseError(ErrorCode.HISTORY_OLDER, f"the history is older than the one of {name!r} that is stored")
    connection.execute("UPDATE identity SET history = ? WHERE name = ?", (history, name))


def rename_identity(connection: sqlite3.Connection, name: str, new_name: str) -> None:
    """See ``IdentityRepository.rename``."""
    _require(connection, name)
    if name != new_name and get_identity(connection, new_name) is not None:
        raise taken("identity", new_name)
    connection.execute("UPDATE identity SET name = ? WHERE name = ?", (new_name, name))


def delete_identity(connection: sqlite3.Connection, name: str) -> IdentityRow | None:
    """See ``IdentityRepository.delete``."""
    row = get_identity(connection, name)
    if row is not None:
        connection.execute("DELETE FROM purpose_key WHERE identifier = ?", (row.identifier,))
        connection.execute("DELETE FROM credential WHERE subject = ?", (row.identifier,))
        connection.execute("DELETE FROM identity WHERE name = ?", (name,))
    return row


def _require(connection: sqlite3.Connection, name: str) -> IdentityRow:
    row = get_identity(connection, name)
    if row is None:
        raise not_found("identity", name)
    return row


def _one(cursor: sqlite3.Cursor) -> IdentityRow | None:
    found = cursor.fetchone()
    return None if found is None else _row(found)


def _row(found: tuple[str, bytes, bytes, int]) -> IdentityRow:
    name, identifier, history, is_default = found
    return IdentityRow(name, identifier, history, bool(is_default))
