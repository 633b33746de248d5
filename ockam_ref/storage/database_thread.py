"""A thread that owns one connection of SQLite, so that no event loop ever waits for a disk.

Writes that wait together are committed together: the disk is asked once for all of them.  Each has a savepoint of its
own, so that one that fails takes nothing with it.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from enum import Enum
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.storage.faults import from_sqlite

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]

MAX_WRITES_PER_COMMIT: Final = 1000
"""Writes that are committed together; those beyond wait for the next commit."""


class Kind(Enum):
    """How a piece of work is run."""

    READ = "in a transaction that writes nothing"
    WRITE = "in a savepoint of a transaction"
    BARE = "outside any transaction"


class _Job(NamedTuple):
    kind: Kind
    work: Work[Any]
    done: Future[Any]


_Outcome: TypeAlias = tuple[_Job, Any, Exception | None]


class DatabaseThread:
    """The thread; ``open_connection`` is called in it, and nobody else ever has the connection."""

    def __init__(self, name: str, open_connection: Callable[[], sqlite3.Connection], place: Path | None) -> None:
        self._place = place
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._opened: Future[None] = Future()
        self._ended: Future[None] = Future()
        for future in (self._opened, self._ended):
            future.set_running_or_notify_cancel()
        self._is_closed = False
        # a daemon: a process may end without closing, and loses nothing that was acknowledged
        self._thread = Thread(target=self._run, args=(open_connection,), name=name, daemon=True)
        self._thread.start()

    async def opened(self) -> None:
        """Wait for the connection; raises what opening it has raised."""
        await asyncio.wrap_future(self._opened)

    async def do(self, kind: Kind, work: Work[T]) -> T:
        """Run the work in the thread; a write returns when the disk has it.

        A caller that is cancelled does not know whether its work was done.

        Raises:
            MisuseError: ``CLOSED``.
            StorageError: SQLite has raised an error.
        """
        if self._is_closed:
            raise MisuseError(ErrorCode.CLOSED, "the store is closed")
        done: Future[T] = Future()
        self._jobs.put(_Job(kind, work, done))
        return await asyncio.wrap_future(done)

    def stop(self) -> None:
        """Let the thread finish what waits, close the connection and end."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)

    async def close(self) -> None:
        """Stop the thread and wait for its end."""
        self.stop()
        await asyncio.wrap_future(self._ended)
        self._thread.join()

    def _run(self, open_connection: Callable[[], sqlite3.Connection]) -> None:
        try:
            connection = open_connection()
        except Exception as error:  # noqa: BLE001  # whoever waits for the connection raises it
            self._opened.set_exception(error)
        else:
            self._opened.set_result(None)
            with closing(connection):
                while batch := self._next_batch():
                    for kind, jobs in groupby(batch, key=lambda job: job.kind):
                        self._run_alike(connection, kind, list(jobs))
        self._ended.set_result(None)

    def _next_batch(self) -> list[_Job]:
        """Wait for work; return all of it that waits, and nothing when the thread is to end."""
        batch: list[_Job] = []
        try:
            job = self._jobs.get()
            while job is not None:
                if job.done.set_running_or_notify_cancel():
                    batch.append(job)
                if batch and len(batch) >= MAX_WRITES_PER_COMMIT:
                    return batch
                job = self._jobs.get(block=not batch)
        except Empty:
            return batch
        if batch:
            self._jobs.put(None)  # the end is seen again after this batch
        return batch

    def _run_alike(self, connection: sqlite3.Connection, kind: Kind, jobs: Sequence[_Job]) -> None:
        run = {Kind.READ: _run_reads, Kind.WRITE: _run_writes, Kind.BARE: _run_bare}[kind]
        try:
            outcomes = run(connection, jobs)
        except sqlite3.Error as error:
            outcomes = [(job, None, error) for job in jobs]
            with suppress(sqlite3.Error):  # whatever is wrong, the next transaction will say it again
                _roll_back(connection)
        for job, value, fault in outcomes:
            if fault is None:
                job.done.set_result(value)
            else:
                job.done.set_exception(from_sqlite(self._place, fault) if isinstance(fault, sqlite3.Error) else fault)


def _run_reads(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> list[_Outcome]:
    connection.execute("PRAGMA query_only=ON")
    try:
        connection.execute("BEGIN")
        outcomes = [_outcome(connection, job) for job in jobs]
        connection.execute("COMMIT")
    finally:
        _roll_back(connection)
        connection.execute("PRAGMA query_only=OFF")
    return outcomes


def _run_writes(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> list[_Outcome]:
    connection.execute("BEGIN IMMEDIATE")
    outcomes = []
    for job in jobs:
        connection.execute("SAVEPOINT one")
        outcome = _outcome(connection, job)
        _, _, error = outcome
        if error is not None:
            if isinstance(error, sqlite3.Error) and not connection.in_transaction:
                raise error  # a full disk, for one, takes the whole transaction back
            connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        outcomes.append(outcome)
    connection.execute("COMMIT")
    return outcomes


def _run_bare(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> list[_Outcome]:
    return [_outcome(connection, job) for job in jobs]


def _outcome(connection: sqlite3.Connection, job: _Job) -> _Outcome:
    try:
        return job, job.work(connection), None
    except Exception as error:  # noqa: BLE001  # whoever waits for the work raises it
        return job, None, error


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
