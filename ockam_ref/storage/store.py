"""The store: one SQLite database, read and written off the event loop, shared with other processes.

``write`` returns when the disk has the change; a process that is killed afterwards has lost nothing.  The same code
keeps a store in memory, for tests and for nodes that are to leave nothing behind.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from ockam_ref.errors import ErrorCode, StorageError
from ockam_ref.storage.database_thread import DatabaseThread, Kind, Work
from ockam_ref.storage.schema import connect, open_database
from ockam_ref.storage.sealing import Seal, has_seal, replace_seal, require_current, reseal_rows, unlock

T = TypeVar("T")

WATCH_INTERVAL_S: Final = 0.5
"""How often ``changed_since`` looks whether another process has written."""


class Store:
    """A store that is open.  Made by ``open``; close it, or use it as an asynchronous context manager."""

    def __init__(self, path: Path | None, writer: DatabaseThread, reader: DatabaseThread) -> None:
        self.path: Final = path
        self._writer: Final = writer
        self._reader: Final = reader
        self._seal: Seal | None = None

    @property
    def has_passphrase(self) -> bool:
        """Whether the secrets are sealed."""
        return self._seal is not None

    @classmethod
    async def open(cls, path: Path | None, *, passphrase: Callable[[], bytes] | None = None) -> Self:
        """Open the store in that file, which is made with its folder if it is missing; ``None`` is one in memory.

        Args:
            path: the file; it and its folder have to be readable by their owner only.
            passphrase: asked for the passphrase, once, if the store has one.

        Raises:
            StorageError: the file is not usable, and was left as it is; ``WRONG_PASSPHRASE`` if the passphrase is
                wrong or nobody can be asked for it.
        """
        writer = reader = DatabaseThread("store", partial(open_database, path), path)
        try:
            await writer.opened()
            if path is not None:
                reader = DatabaseThread("store reader", partial(connect, path), path)
                await reader.opened()
            store = cls(path, writer, reader)
            await store._unlock(passphrase)
        except BaseException:
            await reader.close()
            await writer.close()
            raise
        return store

    async def read(self, work: Work[T]) -> T:
        """Return what ``work`` finds; all that it reads is of one moment.

        Raises:
            StorageError: the file cannot be read.
            MisuseError: ``CLOSED``.
        """
        return await self._reader.do(Kind.READ, work)

    async def write(self, work: Work[T]) -> T:
        """Return what ``work`` returns, when all that it has written is on the disk; if it raises, nothing is.

        Raises:
            StorageError: the file cannot be written.
            MisuseError: ``CLOSED``.
        """
        return await self._writer.do(Kind.WRITE, work)

    async def version(self) -> int:
        """Return a number that is another one after each change, by whomever."""
        return await self._reader.do(Kind.BARE, _version_of)

    async def changed_since(self, version: int) -> int:
        """Wait until the store has changed, by this process or another one; return the new version."""
        while (current := await self.version()) == version:  # noqa: ASYNC110  # SQLite tells other processes nothing
            await asyncio.sleep(WATCH_INTERVAL_S)
        return current

    async def scrub(self) -> None:
        """Take what was deleted or replaced out of the write-ahead log too, unless another process still reads it."""
        await self._writer.do(Kind.BARE, _truncate_log)

    async def set_passphrase(self, passphrase: bytes | None) -> None:
        """Seal all secrets with another passphrase, or with none; other processes that use the store must start again.

        Raises:
            StorageError: somebody else has changed it meanwhile, or the file cannot be written.
            MisuseError: it is empty.
        """

        def change(connection: sqlite3.Connection) -> Seal | None:
            old = self.seal_for(connection)
            new = replace_seal(connection, passphrase)
            reseal_rows(connection, partial(_change_seal, old, new))
            return new

        self._seal = await self.write(change)
        await self.scrub()

    def seal_for(self, connection: sqlite3.Connection) -> Seal | None:
        """Return what secrets are sealed with, for work that runs in a transaction of this store.

        Raises:
            StorageError: the passphrase was changed by somebody else since the store was opened.
        """
        require_current(connection, self._seal, self.path)
        return self._seal

    async def _unlock(self, passphrase: Callable[[], bytes] | None) -> None:
        if not await self.read(has_seal):
            return
        if passphrase is None:
            raise StorageError(
                ErrorCode.WRONG_PASSPHRASE, f"the store {self.path} has a passphrase, and none was given"
            )
        self._seal = await self.read(partial(unlock, passphrase=passphrase(), place=self.path))

    async def close(self) -> None:
        """Finish what waits, and close the file."""
        await self._reader.close()
        await self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Store({self.path or 'in memory'})"


def _version_of(connection: sqlite3.Connection) -> int:
    # The first number counts what other connections commit, the second what this one does.
    (others,) = connection.execute("PRAGMA data_version").fetchone()
    return int(others) + connection.total_changes


def _change_seal(old: Seal | None, new: Seal | None, secret: bytes, context: bytes) -> bytes:
    plain = secret if old is None else old.open(secret, context)
    return plain if new is None else new.close_over(plain, context)


def _truncate_log(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
