"""Looking for secret keys in what a program has written."""

import base64
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

PART_BYTES: Final = 12
"""So many bytes of a key in a row are no accident."""


def forms_of(secret: bytes) -> frozenset[bytes]:
    """Return how parts of a key can look: raw, hexadecimal, base64 at any offset, and as Python and JSON write them."""
    found: set[bytes] = set()
    for part in (secret[:PART_BYTES], secret[10 : 10 + PART_BYTES], secret[-PART_BYTES:]):
        digits = part.hex()
        found |= {part, digits.encode(), digits.upper().encode(), part.hex(":").encode(), repr(part)[2:-1].encode()}
        found |= {separator.join(map(str, part)).encode() for separator in (",", ", ")}
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # of what comes before and after, two bytes at most have a share in the digits at the edges
            found |= {encode(bytes(offset) + part)[(4 if offset else 0) : -4] for offset in range(3)}
    return frozenset(found)


def found_in(written: bytes, secrets: Iterable[bytes]) -> list[str]:
    """Return what is wrong: which secrets can be read there, and in which form."""
    return [
        f"secret {number}, as {form!r}"
        for number, secret in enumerate(secrets)
        for form in forms_of(secret)
        if form in written
    ]


def secrets_of(home: Path) -> list[bytes]:
    """Return the secret keys of a state folder whose store has no passphrase."""
    with closing(sqlite3.connect(f"file:{home / 'state.db'}?mode=ro", uri=True)) as connection:
        return [bytes(secret) for (secret,) in connection.execute("SELECT secret FROM secret_key")]
