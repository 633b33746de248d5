"""How secrets lie in a store with a passphrase: each in AES-256-GCM, with a key that scrypt makes of the passphrase.

The row ``seal`` has the salt, the costs and a proof by which a wrong passphrase shows.  Nothing else of the store is
encrypted: the rest is what peers are shown.
"""

import hmac
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ockam_ref.errors import ErrorCode, MisuseError, StorageError
from ockam_ref.noise.primitives import HoldsKeys
from ockam_ref.storage.faults import storage_error

SCRYPT_COST: Final = 2**15
"""Rounds of scrypt, which then needs 32 MiB of memory."""
SCRYPT_BLOCK_SIZE: Final = 8
SCRYPT_PARALLELISM: Final = 3
MAX_SCRYPT_COST: Final = 2**20
"""The most rounds that a store may ask for: 1 GiB of memory."""
MAX_SCRYPT_FACTOR: Final = 16
"""The largest block size, and the largest parallelism, that a store may ask for."""

_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_PROOF_CONTEXT: Final = b"ockam-ref store"


class Costs(NamedTuple):
    """The parameters of scrypt."""

    cost: int = SCRYPT_COST
    block_size: int = SCRYPT_BLOCK_SIZE
    parallelism: int = SCRYPT_PARALLELISM


class Seal(HoldsKeys):
    """The key of a passphrase; it shows nothing of itself."""

    __slots__ = ("_cipher", "salt")

    def __init__(self, salt: bytes, passphrase: bytes, costs: Costs) -> None:
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415  # few stores have a passphrase

        derived = Scrypt(salt=salt, length=_KEY_BYTES, n=costs.cost, r=costs.block_size, p=costs.parallelism).derive(
            passphrase
        )
        self.salt: Final = salt
        self._cipher: Final = AESGCM(derived)

    def close_over(self, secret: bytes, context: bytes) -> bytes:
        """Return the sealed secret, which opens with the same context only."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return the secret.

        Raises:
            StorageError: ``WRONG_PASSPHRASE``, also for a secret that was changed or belongs elsewhere.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise StorageError(ErrorCode.WRONG_PASSPHRASE, "a sealed secret does not open") from None

    def __repr__(self) -> str:
        return "Seal()"


def has_seal(connection: sqlite3.Connection) -> bool:
    """Whether the store has a passphrase."""
    return _salt_of(connection) is not None


def unlock(connection: sqlite3.Connection, passphrase: bytes, place: Path | None) -> Seal | None:
    """Return the seal of the store; ``None`` if it has no passphrase after all.

    Raises:
        StorageError: ``WRONG_PASSPHRASE``.
    """
    row = connection.execute("SELECT salt, cost, block_size, parallelism, proof FROM seal").fetchone()
    if row is None:
        return None
    salt, *numbers, proof = row
    costs = Costs(*numbers)
    if not (0 < costs.cost <= MAX_SCRYPT_COST and 0 < max(costs[1:]) <= MAX_SCRYPT_FACTOR):
        raise storage_error(place, f"it asks for more work than a passphrase is worth: {costs}")
    seal = Seal(salt, passphrase, costs)
    try:
        seal.open(proof, _PROOF_CONTEXT)
    except StorageError:
        raise StorageError(
            ErrorCode.WRONG_PASSPHRASE, f"the store {place or 'in memory'}: the passphrase is wrong"
        ) from None
    return seal


def require_current(connection: sqlite3.Connection, seal: Seal | None, place: Path | None) -> None:
    """Return if ``seal`` is still that of the store.

    Raises:
        StorageError: somebody has changed the passphrase since this store was opened.
    """
    salt = _salt_of(connection)
    if (salt is None) is not (seal is None) or (salt and seal and not hmac.compare_digest(salt, seal.salt)):
        raise storage_error(place, "its passphrase was changed meanwhile: start again with the new one")


def replace_seal(connection: sqlite3.Connection, passphrase: bytes | None) -> Seal | None:
    """Write the row of a new passphrase, or remove it; return the seal that secrets have to get."""
    connection.execute("DELETE FROM seal")
    if passphrase is None:
        return None
    if not passphrase:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, "a passphrase is not empty")
    costs = Costs()
    seal = Seal(os.urandom(_SALT_BYTES), passphrase, costs)
    proof = seal.close_over(b"", _PROOF_CONTEXT)
    connection.execute("INSERT INTO seal VALUES (1, ?, ?, ?, ?, ?)", (seal.salt, *costs, proof))
    return seal


def reseal_rows(connection: sqlite3.Connection, change: Callable[[bytes, bytes], bytes]) -> None:
    """Replace each secret by what ``change`` makes of it and of its context."""
    rows = connection.execute("SELECT use, handle, kind, secret FROM secret_key").fetchall()
    for use, handle, kind, secret in rows:
        changed = change(secret, context_of(use, handle, kind))
        connection.execute("UPDATE secret_key SET secret = ? WHERE use = ? AND handle = ?", (changed, use, handle))


def context_of(use: str, handle: bytes, kind: int) -> bytes:
    """Return what a sealed secret is bound to: moved to another row, it does not open."""
    return b"%s %d %s" % (use.encode(), kind, handle)


def _salt_of(connection: sqlite3.Connection) -> bytes | None:
    row = connection.execute("SELECT salt FROM seal").fetchone()
    return None if row is None else bytes(row[0])
