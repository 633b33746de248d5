"""Real processes at one store: killed in the middle, side by side, and watching each other."""

import asyncio
import random
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.errors import StorageError
from ockam_ref.storage import schema
from ockam_ref.storage.store import WATCH_INTERVAL_S, Store
from tests.processes import Process, Processes
from tests.storage.conftest import Run
from tests.storage.samples import note, notes

WRITES: Final = 10_000
ROUNDS: Final = 12


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as started:
        yield started


def start(processes: Processes, job: str, folder: Path, number: int = 0) -> Process:
    command = [sys.executable, "-m", "tests.storage.worker", job, str(folder), str(number)]
    return processes.add(Process(f"{job} {number}", command))


@pytest.mark.spec("STO-10")
@pytest.mark.parametrize("after", [1, 2_000, 5_000, 9_900])
def test_a_process_that_is_killed_has_lost_nothing_that_was_acknowledged(
    run: Run, path: Path, processes: Processes, after: int
) -> None:
    async def scenario() -> None:
        process = start(processes, "write", path.parent, WRITES)
        process.line("ready")
        acknowledged = [process.line() for _ in range(after)]
        process.kill()
        acknowledged += [line for line in process.rest() if line != "done"]
        async with await Store.open(path) as store:
            kept = await store.read(all_notes)
        assert len(acknowledged) >= after
        assert set(acknowledged) <= set(kept)
        assert len(kept) == len(set(kept)) <= WRITES

    run(scenario())


def all_notes(connection: sqlite3.Connection) -> list[str]:
    return [what for (what,) in connection.execute("SELECT what FROM audit")]


@pytest.mark.spec("STO-10")
def test_the_disk_is_asked_at_each_commit(run: Run, path: Path) -> None:
    async def scenario() -> None:
        async with await Store.open(path) as store:
            found = await store.write(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
            assert found == (2,)  # FULL
            assert await store.read(lambda connection: connection.execute("PRAGMA journal_mode").fetchone()) == ("wal",)

    run(scenario())


@pytest.mark.spec("STO-6")
def test_a_process_that_is_killed_while_it_makes_stores_leaves_usable_ones(
    run: Run, home: Path, processes: Processes
) -> None:
    async def scenario() -> None:
        places = []
        for number in range(ROUNDS):
            process = start(processes, "make", home / str(number), 1000)
            for _ in range(random.randrange(1, 4)):
                place = process.line()
            process.kill()
            places += [place, *process.rest()[-1:]]
        for place in places:
            async with await Store.open(Path(place) / "state.db") as store:
                await store.write(note("two"))
                assert (await store.read(notes)) in (["two"], ["one", "two"])

    run(scenario())


@pytest.mark.spec("STO-13")
def test_processes_write_side_by_side(run: Run, path: Path, processes: Processes) -> None:
    async def scenario() -> None:
        counts = (300, 301, 302)
        started = [start(processes, "write", path.parent, count) for count in counts]
        for process in started:
            process.line("done")
        async with await Store.open(path) as store:
            kept = await store.read(all_notes)
        expected = {f"{path.parent.name}-{count}-{number}" for count in counts for number in range(count)}
        assert sorted(kept) == sorted(expected)

    run(scenario())


@pytest.mark.spec("STO-13")
def test_who_waits_too_long_for_another_writer_is_told(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.05)

    async def scenario() -> None:
        async with await Store.open(path) as store:
            await store.write(note("one"))
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match=r"locked for 10 s: end that one"):
                await store.write(note("two"))
            assert await store.read(notes) == ["one"]  # readers do not wait
            other.execute("COMMIT")
            other.close()
            await store.write(note("three"))
            assert await store.read(notes) == ["one", "three"]

    run(scenario())


@pytest.mark.spec("STO-14")
def test_what_another_process_writes_is_noticed(run: Run, path: Path, processes: Processes) -> None:
    async def scenario() -> None:
        writer = start(processes, "once", path.parent)
        writer.line("ready")
        async with await Store.open(path) as store:
            version = await store.version()
            for text in ("one", "two", "three"):
                assert await store.version() == version
                watching = asyncio.create_task(store.changed_since(version))
                await asyncio.sleep(0)
                writer.write(f"{text}\n")
                async with asyncio.timeout(WATCH_INTERVAL_S + 1.5):
                    version = await watching
                assert (await store.read(notes))[-1] == text

    run(scenario())


@pytest.mark.spec("STO-14")
@pytest.mark.parametrize("in_memory", [False, True])
def test_what_this_process_writes_is_noticed(run: Run, path: Path, in_memory: bool) -> None:  # noqa: FBT001
    async def scenario() -> None:
        async with await Store.open(None if in_memory else path) as store:
            version = await store.version()
            await store.write(note("one"))
            changed = await store.changed_since(version)
            assert changed != version
            await store.read(notes)
            assert await store.version() == changed

    run(scenario())
