"""What a second is enough for, of identities and their keys: ``python -m tests.benchmarks.identities``."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from itertools import count, pairwise
from typing import Final

from ockam_ref.asyncio.identities import Identities
from ockam_ref.identities.change_history import (
    HISTORY_MEMO_ENTRIES,
    ChangeHistory,
    create_identity,
    decode_change_history,
    rotate_identity,
    verify_change_history,
)
from ockam_ref.identities.keys import SIGNATURE_MEMO_ENTRIES, KeyKind, SigningKey, signing_key_from_secret
from ockam_ref.storage.store import Store

LAST_S: Final = 1.0
"""For how long each figure is measured."""
NOW: Final = 1_700_000_000
UNTIL: Final = 2_000_000_000
DIFFERENT: Final = max(HISTORY_MEMO_ENTRIES, SIGNATURE_MEMO_ENTRIES) + 64
"""So many histories in turns that each is forgotten before it comes again."""


def main() -> None:
    """Print the figures as one JSON object."""
    print(json.dumps({"event": "done", "rates": measure() | asyncio.run(measure_stored())}))


def measure() -> dict[str, float]:
    """Return the rates of verifying histories: one that is remembered, and ones that were never seen."""
    rates = {}
    for kind in KeyKind:
        histories = [_history(kind, number) for number in range(DIFFERENT)]
        rates[f"histories verified, {kind.name}"] = _rate(histories)
        if kind is KeyKind.ED25519:
            rates["histories verified, remembered"] = _rate(histories[-1:])
            rotated = [_history(kind, number, changes=2) for number in range(DIFFERENT)]
            rates["histories verified, of two changes"] = _rate(rotated)
    return rates


def _history(kind: KeyKind, number: int, *, changes: int = 1) -> ChangeHistory:
    keys = [_key(kind, number * changes + change) for change in range(changes)]
    identity = create_identity(keys[0], valid_from=NOW, valid_until=UNTIL)
    for old, new in pairwise(keys):
        identity = rotate_identity(identity, old, new, valid_from=NOW, valid_until=UNTIL)
    return decode_change_history(identity.history.encoded)


def _key(kind: KeyKind, number: int) -> SigningKey:
    return signing_key_from_secret(kind, (number + 1).to_bytes(32))


def _rate(histories: list[ChangeHistory]) -> float:
    begin = time.perf_counter()
    for done in count(1):
        verify_change_history(histories[done % len(histories)])
        passed = time.perf_counter() - begin
        if passed >= LAST_S:
            return done / passed
    raise AssertionError


async def measure_stored() -> dict[str, float]:
    """Return the rate of opening one identity from a store in memory."""
    async with await Store.open(None) as store:
        identities = Identities(store)
        await identities.create("me")
        return {"identities opened": await _repeat(identities.open)}


async def _repeat(work: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    for done in count(1):
        await work()
        passed = time.perf_counter() - begin
        if passed >= LAST_S:
            return done / passed
    raise AssertionError


if __name__ == "__main__":
    main()
