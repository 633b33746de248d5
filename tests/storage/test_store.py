"""Reading and writing, on a file and in memory."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import ErrorCode, MisuseError, StorageError
from ockam_ref.storage import database_thread
from ockam_ref.storage.store import Store
from tests.storage.conftest import Run
from tests.storage.samples import note, notes


@pytest.fixture(params=["file", "memory"])
def place(request: pytest.FixtureRequest, path: Path) -> Path | None:
    return path if request.param == "file" else None


def refuse(connection: sqlite3.Connection) -> None:
    note("never")(connection)
    raise MisuseError(ErrorCode.MISUSE, "this write fails")


def hold(store: Store) -> tuple[threading.Event, threading.Event]:
    """Keep the writer busy; return what says that it is, and what lets it go on."""
    held, gate = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        held.set()
        gate.wait()

    asyncio.ensure_future(store.write(wait)).add_done_callback(lambda done: done.result())
    return held, gate


@pytest.mark.spec("STO-10", "STO-16")
def test_what_was_written_is_read(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        async with await Store.open(place) as store:
            assert await store.write(note("one")) == 1
            assert await store.read(notes) == ["one"]
        async with await Store.open(place) as store:
            assert await store.read(notes) == ([] if place is None else ["one"])

    run(scenario())


@pytest.mark.spec("STO-11")
def test_a_write_that_fails_leaves_no_trace_and_the_others_alone(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        async with await Store.open(place) as store:
            works = [note("one"), refuse, note("two"), lambda connection: connection.execute("SELECT nonsense")]
            results = await asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)
            assert isinstance(results[1], MisuseError)
            assert isinstance(results[3], StorageError)
            assert await store.read(notes) == ["one", "two"]

    run(scenario())


@pytest.mark.spec("STO-11")
def test_a_transaction_that_cannot_go_on_fails_for_all_in_it(run: Run, place: Path | None) -> None:
    """A full disk, for one, makes SQLite take the whole transaction back; so does a work that ends it."""

    async def scenario() -> None:
        async with await Store.open(place) as store:
            holding, gate = hold(store)
            await asyncio.to_thread(holding.wait)
            works = [note("one"), lambda connection: connection.execute("ROLLBACK"), note("two")]
            waiting = [asyncio.ensure_future(store.write(work)) for work in works]
            await asyncio.sleep(0)
            gate.set()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(result) for result in results] == [StorageError] * 3
            assert await store.read(notes) == []
            await store.write(note("three"))
            assert await store.read(notes) == ["three"]

    run(scenario())


@pytest.mark.spec("STO-11")
def test_a_work_that_ends_its_transaction_and_fails_is_no_harm_to_the_next(run: Run, place: Path | None) -> None:
    def end_and_fail(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise MisuseError(ErrorCode.MISUSE, "and now?")

    async def scenario() -> None:
        async with await Store.open(place) as store:
            with pytest.raises(StorageError, match="savepoint"):
                await store.write(end_and_fail)
            await store.write(note("one"))
            assert await store.read(notes) == ["one"]

    run(scenario())


@pytest.mark.spec("STO-11")
def test_a_full_store_says_so_and_goes_on(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        async with await Store.open(place) as store:

            def limit(connection: sqlite3.Connection) -> None:
                (pages,) = connection.execute("PRAGMA page_count").fetchone()
                connection.execute(f"PRAGMA max_page_count={pages + 2}").fetchone()

            await store.write(limit)
            results = await asyncio.gather(
                store.write(note("one")), store.write(note("x" * 100_000)), return_exceptions=True
            )
            assert [result for result in results if isinstance(result, StorageError)]
            assert "the disk is full" in str(results[1])
            await store.write(note("two"))
            assert (await store.read(notes))[-1] == "two"

    run(scenario())


@pytest.mark.spec("STO-12")
def test_a_read_cannot_write(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        async with await Store.open(place) as store:
            with pytest.raises(StorageError):
                await store.read(note("one"))
            await store.write(note("two"))
            assert await store.read(notes) == ["two"]

    run(scenario())


@pytest.mark.spec("STO-12")
def test_a_read_sees_one_moment(run: Run, path: Path) -> None:
    async def scenario() -> None:
        async with await Store.open(path) as store:
            first, written = threading.Event(), threading.Event()

            def twice(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
                before = notes(connection)
                first.set()
                written.wait()
                return before, notes(connection)

            reading = asyncio.ensure_future(store.read(twice))
            await asyncio.to_thread(first.wait)
            await store.write(note("one"))
            written.set()
            assert await reading == ([], [])
            assert await store.read(notes) == ["one"]

    run(scenario())


@pytest.mark.spec("STO-15")
def test_the_loop_goes_on_while_the_store_works(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        async with await Store.open(place) as store:
            gate = threading.Event()
            writing = asyncio.ensure_future(store.write(lambda _: gate.wait()))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not writing.done()
            gate.set()
            assert await writing

    run(scenario())


@pytest.mark.spec("STO-15")
def test_a_store_that_is_closed_finishes_first_and_refuses_then(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        store = await Store.open(place)
        waiting = [asyncio.ensure_future(store.write(note(str(number)))) for number in range(3000)]
        await asyncio.sleep(0)
        await store.close()
        assert await asyncio.gather(*waiting) == list(range(1, 3001))
        for refused in (store.read(notes), store.write(note("late")), store.version(), store.scrub()):
            with pytest.raises(MisuseError) as caught:
                await refused
            assert caught.value.code is ErrorCode.CLOSED
        await store.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("store")]

    run(scenario())


def test_who_is_cancelled_before_the_turn_of_the_work_has_it_not_done(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        async with await Store.open(place) as store:
            holding, gate = hold(store)
            await asyncio.to_thread(holding.wait)
            waiting = asyncio.ensure_future(store.write(note("one")))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            gate.set()
            await store.write(lambda _: None)
            assert await store.read(notes) == []
            assert waiting.cancelled()

    run(scenario())


def test_one_store_serves_one_loop_after_the_other(path: Path) -> None:
    store = asyncio.run(Store.open(path))
    assert asyncio.run(store.write(note("one"))) == 1
    asyncio.run(store.close())


def test_a_commit_has_a_limit(run: Run, place: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_thread, "MAX_WRITES_PER_COMMIT", 7)

    async def scenario() -> None:
        async with await Store.open(place) as store:
            await asyncio.gather(*(store.write(note(str(number))) for number in range(50)))
            assert await store.read(notes) == [str(number) for number in range(50)]

    run(scenario())


def test_a_store_shows_where_it_is(run: Run, place: Path | None) -> None:
    async def scenario() -> None:
        async with await Store.open(place) as store:
            assert repr(store) == f"Store({place or 'in memory'})"

    run(scenario())


@pytest.mark.spec("STO-11")
@given(st.lists(st.booleans(), max_size=80))
def test_of_any_mixture_of_writes_those_that_succeed_are_there(succeeds: list[bool]) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            works = [note(str(number)) if success else refuse for number, success in enumerate(succeeds)]
            results = await asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)
            assert [not isinstance(result, MisuseError) for result in results] == succeeds
            assert await store.read(notes) == [str(number) for number, success in enumerate(succeeds) if success]

    asyncio.run(scenario())
