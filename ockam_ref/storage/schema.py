"""The tables of a store, as the chain of changes that has led to them, and how a connection to it is made.

A change is never edited once it has been released: stores that went through it exist.  The number of changes that a
store has gone through is its ``user_version``.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from ockam_ref.errors import OckamError
from ockam_ref.storage.faults import BUSY_TIMEOUT_S, DAMAGED, from_sqlite, storage_error
from ockam_ref.storage.files import APPLICATION_ID, prepare_file, require_known_version

PAGE_CACHE_KIB: Final = 512
"""Memory for pages of the file, each of the two connections."""

MAX_CHECKED_BYTES: Final = 64 * 1024 * 1024
"""Files up to this size are checked as a whole when they are opened."""

_WAL_PAUSE_S: Final = 0.01

_IDENTITIES: Final = (
    """CREATE TABLE identity (
        name TEXT PRIMARY KEY, identifier BLOB NOT NULL UNIQUE, history BLOB NOT NULL,
        is_default INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX one_default_identity ON identity (is_default) WHERE is_default",
    """CREATE TABLE secret_key (
        use TEXT NOT NULL, handle BLOB NOT NULL, kind INTEGER NOT NULL, secret BLOB NOT NULL,
        PRIMARY KEY (use, handle)) WITHOUT ROWID""",
    """CREATE TABLE seal (
        id INTEGER PRIMARY KEY CHECK (id = 1), salt BLOB NOT NULL,
        cost INTEGER NOT NULL, block_size INTEGER NOT NULL, parallelism INTEGER NOT NULL, proof BLOB NOT NULL)""",
    """CREATE TABLE purpose_key (
        identifier BLOB NOT NULL, purpose TEXT NOT NULL, attestation BLOB NOT NULL, handle BLOB NOT NULL,
        PRIMARY KEY (identifier, purpose)) WITHOUT ROWID""",
    """CREATE TABLE credential (
        subject BLOB NOT NULL, issuer BLOB NOT NULL, scope TEXT NOT NULL,
        credential BLOB NOT NULL, expires_at INTEGER NOT NULL,
        PRIMARY KEY (subject, issuer, scope)) WITHOUT ROWID""",
    """CREATE TABLE peer (
        number INTEGER PRIMARY KEY AUTOINCREMENT, identifier BLOB NOT NULL UNIQUE, history BLOB NOT NULL)""",
)

_AUTHORITIES: Final = (
    "CREATE TABLE resource (name TEXT PRIMARY KEY, type TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE resource_policy (name TEXT PRIMARY KEY, expression TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE type_policy (type TEXT PRIMARY KEY, expression TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE project (
        name TEXT PRIMARY KEY, authority BLOB NOT NULL, authority_history BLOB NOT NULL, authority_route TEXT NOT NULL,
        project_id TEXT NOT NULL, project_name TEXT NOT NULL, project_history BLOB NOT NULL,
        is_default INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX one_default_project ON project (is_default) WHERE is_default",
    """CREATE TABLE member (
        authority BLOB NOT NULL, identifier BLOB NOT NULL, attributes BLOB NOT NULL,
        added_by BLOB NOT NULL, added_at INTEGER NOT NULL, is_pre_trusted INTEGER NOT NULL,
        PRIMARY KEY (authority, identifier)) WITHOUT ROWID""",
    """CREATE TABLE ticket (
        authority BLOB NOT NULL, code_hash BLOB NOT NULL, reference TEXT NOT NULL, attributes BLOB NOT NULL,
        issued_by BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, uses_left INTEGER NOT NULL,
        PRIMARY KEY (authority, code_hash)) WITHOUT ROWID""",
    """CREATE TABLE revocation (
        authority BLOB NOT NULL, subject BLOB NOT NULL, not_after INTEGER NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (authority, subject)) WITHOUT ROWID""",
    """CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, caller BLOB NOT NULL,
        what TEXT NOT NULL, answer TEXT NOT NULL)""",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_IDENTITIES, _AUTHORITIES)
"""What leads from each version to the next, as statements of SQL."""

NEWEST_VERSION: Final = len(MIGRATIONS)
"""The version that this release writes."""


def open_database(path: Path | None) -> sqlite3.Connection:
    """Return a connection to the store, which is made if it is missing and migrated if it is old.

    Raises:
        StorageError: it cannot be used; a file that is not ours was not touched.
    """
    if path is not None:
        prepare_file(path, newest_version=NEWEST_VERSION)
        _inspect(path)
    connection = connect(path)
    try:
        _migrate(connection, path)
        if path is not None:
            _use_wal(connection)
    except (sqlite3.Error, OckamError) as error:
        connection.close()
        raise (from_sqlite(path, error) if isinstance(error, sqlite3.Error) else error) from None
    return connection


def connect(path: Path | None) -> sqlite3.Connection:
    """Return a connection to a store that is there and up to date.

    Raises:
        StorageError: it cannot be opened.
    """
    try:
        connection = sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from error
    for pragma in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON", f"cache_size=-{PAGE_CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    """Return how many changes the store has gone through."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _inspect(path: Path) -> None:
    """Look at a store without changing a byte of it: even closing a file that can be written may change it."""
    if path.stat().st_size == 0 or path.with_name(f"{path.name}-journal").exists():
        return  # nobody has finished making it
    with closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    ) as connection:
        try:
            version = version_of(connection)
            found = "ok"
            if path.stat().st_size <= MAX_CHECKED_BYTES:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise from_sqlite(path, error) from error
    if found != "ok":
        raise storage_error(path, DAMAGED)
    require_known_version(path, version, NEWEST_VERSION)


def _migrate(connection: sqlite3.Connection, path: Path | None) -> None:
    if version_of(connection) == NEWEST_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = version_of(connection)  # another process may have been quicker
    require_known_version(path, version, NEWEST_VERSION)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={NEWEST_VERSION}")
    connection.execute("COMMIT")
    # The head of the file, which the next start looks at, is not left in the log.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for others when it changes the journal; once it is changed, asking again changes nothing.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_PAUSE_S)
        else:
            return
