"""What a store does in a second: ``python -m tests.benchmarks.store``.

It lies on the disk of the folder for temporary files; each figure that says "written" was acknowledged by that disk.
"""

import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from ockam_ref.storage.store import Store

LAST_S: Final = 1.0
"""For how long each figure is measured."""
ROW: Final = b"h" * 200


def main() -> None:
    """Print the figures as one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"event": "done", "rates": asyncio.run(measure(Path(folder)))}))


async def measure(folder: Path) -> dict[str, float]:
    """Return a rate for each name."""
    async with await Store.open(folder / "state.db") as store:
        rates = {
            f"store: written, {tasks} at a time": await _rate(lambda: store.write(_put), tasks) for tasks in (1, 64)
        }
        rates["store: read"] = await _rate(lambda: store.read(_get), 1)
    async with await Store.open(None) as store:
        rates["store: written in memory"] = await _rate(lambda: store.write(_put), 1)

    async def reopen() -> None:
        await (await Store.open(folder / "state.db")).close()

    rates["store: opened and closed"] = await _rate(reopen, 1)
    return rates


async def _rate(work: Callable[[], Awaitable[object]], tasks: int) -> float:
    begin = time.perf_counter()
    counts = await asyncio.gather(*(_repeat(work, begin + LAST_S) for _ in range(tasks)))
    return sum(counts) / (time.perf_counter() - begin)


async def _repeat(work: Callable[[], Awaitable[object]], until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        await work()
        count += 1
    return count


def _put(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO peer (identifier, history) VALUES (randomblob(32), ?)", (ROW,))


def _get(connection: sqlite3.Connection) -> object:
    return connection.execute("SELECT history FROM peer WHERE number = 1").fetchone()


if __name__ == "__main__":
    main()
