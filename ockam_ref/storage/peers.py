"""The histories of peers that were met: the newest of each, so that none can roll its keys back after a restart."""

import sqlite3
from functools import partial
from typing import Final, NamedTuple

from ockam_ref.identities.change_history import Comparison, compare_histories, decode_change_history
from ockam_ref.storage.repository import Repository

MAX_STORED_PEERS: Final = 10_000
"""Beyond this number the peer that was learned longest ago is forgotten."""


class PeerRow(NamedTuple):
    """A peer and its verified history."""

    identifier: bytes
    history: bytes


class PeerRepository(Repository):
    """Histories by identifier."""

    __slots__ = ()

    async def put(self, identifier: bytes, history: bytes) -> bool:
        """Keep a verified history if none of that peer is known, or an older one; return whether it was kept.

        Raises:
            DecodeError: no history.
        """
        return await self._store.write(partial(put_peer, identifier=identifier, history=history))

    async def get(self, identifier: bytes) -> bytes | None:
        """Return the newest history of that peer."""
        return await self._store.read(partial(get_peer, identifier=identifier))

    async def list(self) -> tuple[PeerRow, ...]:
        """Return all, the one learned longest ago first."""
        return await self._store.read(list_peers)

    async def delete(self, identifier: bytes) -> bool:
        """Forget a peer; return whether it was known."""
        return await self._store.write(partial(delete_peer, identifier=identifier))


def put_peer(connection: sqlite3.Connection, identifier: bytes, history: bytes) -> bool:
    """See ``PeerRepository.put``."""
    current, known = decode_change_history(history), get_peer(connection, identifier)
    if known is not None and compare_histories(current, decode_change_history(known)) is not Comparison.NEWER:
        return False
    inserted = connection.execute(
        "INSERT OR REPLACE INTO peer (identifier, history) VALUES (?, ?)", (identifier, history)
    ).lastrowid
    connection.execute("DELETE FROM peer WHERE number <= ?", ((inserted or 0) - MAX_STORED_PEERS,))
    return True


def get_peer(connection: sqlite3.Connection, identifier: bytes) -> bytes | None:
    """See ``PeerRepository.get``."""
    found = connection.execute("SELECT history FROM peer WHERE identifier = ?", (identifier,)).fetchone()
    return None if found is None else bytes(found[0])


def list_peers(connection: sqlite3.Connection) -> tuple[PeerRow, ...]:
    """See ``PeerRepository.list``."""
    return tuple(
        PeerRow(*found) for found in connection.execute("SELECT identifier, history FROM peer ORDER BY number")
    )


def delete_peer(connection: sqlite3.Connection, identifier: bytes) -> bool:
    """See ``PeerRepository.delete``."""
    return connection.execute("DELETE FROM peer WHERE identifier = ?", (identifier,)).rowcount > 0
