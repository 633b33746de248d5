"""Identities and rows for tests."""

import sqlite3
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.keys import SigningKey, ed25519_from_seed
from ockam_ref.storage.audit import append_audit, list_audit

NOW: Final = 1_700_000_000
TTL: Final = 10_000


@cache
def identity(number: int, *, rotations: int = 0) -> VerifiedIdentity:
    """Return the identity of that number, rotated that often."""
    made = create_identity(_key(number, 0), valid_from=NOW, valid_until=NOW + TTL)
    for turn in range(rotations):
        made = rotate_identity(
            made, _key(number, turn), _key(number, turn + 1), valid_from=NOW + turn, valid_until=NOW + TTL
        )
    return made


@cache
def fork(number: int) -> VerifiedIdentity:
    """Return the identity of that number, rotated once to a key that nobody else has rotated to."""
    return rotate_identity(
        identity(number), _key(number, 0), _key(number, 99), valid_from=NOW + 1, valid_until=NOW + TTL
    )


def _key(number: int, turn: int) -> SigningKey:
    return ed25519_from_seed(bytes([number, turn]) * 16)


def note(text: str) -> Callable[[sqlite3.Connection], int]:
    """Return a small write: an entry of the audit log."""
    return lambda connection: append_audit(connection, at=NOW, caller=b"", what=text, answer="").number


def statement(sql: str) -> Callable[[sqlite3.Connection], None]:
    """Return a write that is one statement of SQL."""

    def run(connection: sqlite3.Connection) -> None:
        connection.execute(sql)

    return run


def notes(connection: sqlite3.Connection) -> list[str]:
    """Return what ``note`` has written, the oldest first."""
    return [row.what for row in reversed(list_audit(connection, limit=1_000_000))]


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return the bytes of each file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
