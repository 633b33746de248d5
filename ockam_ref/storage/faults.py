"""What goes wrong with a file of SQLite, as sentences for people that say what to do."""

import sqlite3
from pathlib import Path
from typing import Final

from ockam_ref.errors import ErrorCode, StorageError

BUSY_TIMEOUT_S: Final = 10
"""How long to wait for another process that is writing."""

_PRIMARY_CODE: Final = 0xFF

DAMAGED: Final = "it is damaged: put a copy in its place, or move it away and begin anew"

_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: f"another process has kept it locked for {BUSY_TIMEOUT_S} s: end that one, and try again",
    sqlite3.SQLITE_LOCKED: f"another process has kept it locked for {BUSY_TIMEOUT_S} s: end that one, and try again",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: "it is damaged, or no store at all: put a copy in its place, or move it away and begin anew",
    sqlite3.SQLITE_FULL: "the disk is full: make room, and try again; what was acknowledged is there",
    sqlite3.SQLITE_READONLY: "it cannot be written: look at the permissions of the file, its folder and its disk",
    sqlite3.SQLITE_PERM: "it cannot be written: look at the permissions of the file, its folder and its disk",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: look at the permissions of the file, its folder and its disk",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written: look at the messages of the system",
}


def storage_error(place: Path | None, reason: str) -> StorageError:
    """Return the error of a store; ``None`` stands for the one in memory."""
    name = "in memory" if place is None else str(place)
    return StorageError(ErrorCode.STORAGE, f"the store {name}: {reason}")


def from_sqlite(place: Path | None, error: sqlite3.Error) -> StorageError:
    """Return the sentence for what was raised.

    SQLite names tables in its messages and no content.  What the module ``sqlite3`` raises by itself is not shown: it
    quotes a text that it cannot decode, and that may be a secret in a damaged row.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return storage_error(place, f"{type(error).__name__}: it holds what was never written there; it is damaged")
    return storage_error(place, _ADVICE.get(code & _PRIMARY_CODE, f"SQLite says: {error}"))
