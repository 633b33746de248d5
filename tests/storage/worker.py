"""A process that uses a store: ``python -m tests.storage.worker JOB FOLDER NUMBER``.

``write`` writes so many entries, many at a time, and prints the text of each when it is acknowledged.  ``once`` writes
one for each line that it is told.  ``make`` makes one store after the other and prints the folder of each before.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

from ockam_ref.storage.store import Store
from tests.storage.samples import note

AT_ONCE: Final = 40


def say(text: str) -> None:
    print(text, flush=True)


async def write(folder: Path, count: int) -> None:
    """Write ``count`` entries from several tasks, each of which waits for its last one."""
    numbers = iter(range(count))
    async with await Store.open(folder / "state.db") as store:
        say("ready")

        async def one_after_the_other() -> None:
            for number in numbers:
                text = f"{folder.name}-{count}-{number}"
                await store.write(note(text))
                say(text)

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    say("done")


async def once(folder: Path, _: int) -> None:
    """Write what comes in."""
    async with await Store.open(folder / "state.db") as store:
        say("ready")
        for line in sys.stdin:
            await store.write(note(line.strip()))


async def make(folder: Path, count: int) -> None:
    """Make stores."""
    for number in range(count):
        place = folder / str(number)
        say(str(place))
        async with await Store.open(place / "state.db") as store:
            await store.write(note("one"))


JOBS: Final = {"write": write, "once": once, "make": make}

if __name__ == "__main__":
    job, place, amount = sys.argv[1:]
    asyncio.run(JOBS[job](Path(place), int(amount)))
