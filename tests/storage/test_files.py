"""Whose the file is, and which files are none of ours."""

import os
import shlex
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.errors import ErrorCode, StorageError
from ockam_ref.storage import files, schema
from ockam_ref.storage.home import home_path, open_store, store_path
from ockam_ref.storage.store import Store
from tests.storage.conftest import Run
from tests.storage.samples import contents, note, notes, statement


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def make(path: Path, *texts: str) -> None:
    async with await Store.open(path) as store:
        for text in texts:
            await store.write(note(text))


async def refused(path: Path) -> StorageError:
    with pytest.raises(StorageError) as caught:
        await Store.open(path)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.spec("STO-1")
def test_the_variable_names_the_folder(home: Path) -> None:
    assert home_path() == home
    assert store_path() == home / "state.db"


@pytest.mark.spec("STO-1")
def test_without_the_variable_the_platform_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCKAM_REF_HOME", "")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *names, **_: tmp_path.joinpath(*names))
    assert home_path() == tmp_path / "ockam-ref"


@pytest.mark.spec("STO-2")
def test_what_is_missing_is_made_for_its_owner_only(run: Run, home: Path) -> None:
    async def scenario() -> None:
        async with await open_store() as store:
            await store.write(note("one"))
            names = {path.name for path in home.iterdir()}
            assert names == {"state.db", "state.db-wal", "state.db-shm"}
            assert {mode_of(path) for path in home.iterdir()} == {0o600}
        assert mode_of(home) == 0o700

    previous = os.umask(0)
    try:
        run(scenario())
    finally:
        os.umask(previous)


@pytest.mark.spec("STO-3")
@pytest.mark.parametrize(("mode", "mend"), [(0o640, "600"), (0o604, "600"), (0o620, "600")])
def test_a_file_that_others_may_use_is_refused(run: Run, path: Path, mode: int, mend: str) -> None:
    async def scenario() -> None:
        await make(path, "one")
        path.chmod(mode)
        before = contents(path.parent)
        error = await refused(path)
        assert f"chmod {mend} {shlex.quote(str(path))}" in str(error)
        assert error.code is ErrorCode.STORAGE
        assert contents(path.parent) == before
        path.chmod(0o600)  # what the message says
        async with await Store.open(path) as store:
            assert await store.read(notes) == ["one"]

    run(scenario())


@pytest.mark.spec("STO-3")
def test_a_folder_that_others_may_use_is_refused(run: Run, path: Path) -> None:
    async def scenario() -> None:
        path.parent.mkdir(mode=0o700)
        path.parent.chmod(0o755)
        with pytest.raises(StorageError, match=f"chmod 700 {path.parent}"):
            await Store.open(path)
        assert not contents(path.parent)

    run(scenario())


@pytest.mark.spec("STO-3")
def test_nobody_is_told_to_lock_a_folder_of_all(run: Run, path: Path) -> None:
    async def scenario() -> None:
        path.parent.mkdir()
        path.parent.chmod(0o1777)
        with pytest.raises(StorageError, match="a folder of your own") as caught:
            await Store.open(path)
        assert "chmod" not in str(caught.value)

    run(scenario())


@pytest.mark.spec("STO-3")
def test_what_belongs_to_another_user_is_refused(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        await make(path)
        monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
        with pytest.raises(StorageError, match="another user"):
            await Store.open(path)

    run(scenario())


def test_a_folder_that_cannot_be_made_is_an_error_with_a_reason(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "file").write_text("not a folder")
        with pytest.raises(StorageError, match=r"Not a directory|File exists"):
            await Store.open(tmp_path / "file" / "home" / "state.db")

    run(scenario())


def test_a_folder_that_has_gone_is_an_error_with_a_reason(path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        schema.connect(path)


@pytest.mark.spec("STO-4")
def test_a_folder_in_the_place_of_the_file_is_refused(run: Run, path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.mkdir(mode=0o700)

    async def scenario() -> None:
        assert "Is a directory" in str(await refused(path))

    run(scenario())


def foreign(path: Path, *, application_id: int = 0, version: int = 0) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (value)")
    connection.execute("INSERT INTO theirs VALUES ('precious')")
    connection.execute(f"PRAGMA application_id={application_id}")
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()


REFUSED: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "a text": (lambda path: path.write_text("Dear diary, " * 1000), "no store, or damaged"),
    "a short text": (lambda path: path.write_text("x"), "no store, or damaged"),
    "half a header": (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(20)), "another program"),
    "another program": (foreign, "another program"),
    "another program with a number": (lambda path: foreign(path, application_id=7), "another program"),
    "a newer release": (
        lambda path: foreign(path, application_id=files.APPLICATION_ID, version=schema.NEWEST_VERSION + 1),
        "upgrade ockam-ref",
    ),
}


@pytest.mark.spec("STO-4")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_ours_is_refused_and_not_touched(run: Run, path: Path, kind: str) -> None:
    write, reason = REFUSED[kind]

    async def scenario() -> None:
        path.parent.mkdir(mode=0o700)
        write(path)
        path.chmod(0o600)
        before = contents(path.parent)
        assert reason in str(await refused(path))
        assert contents(path.parent) == before

    run(scenario())


@pytest.mark.spec("STO-4")
@pytest.mark.parametrize("damage", ["cut", "scribbled", "zeros"])
def test_a_damaged_store_is_refused_and_not_touched(run: Run, path: Path, damage: str) -> None:
    async def scenario() -> None:
        await make(path, *(f"entry {number} " * 50 for number in range(100)))
        data = path.read_bytes()
        if damage == "cut":
            path.write_bytes(data[: len(data) // 2])
        else:
            noise = b"\0" if damage == "zeros" else b"\xa5"
            path.write_bytes(data[:4096] + noise * (len(data) - 4096))
        before = path.read_bytes()
        assert "it is damaged" in str(await refused(path))
        assert path.read_bytes() == before

    run(scenario())


@pytest.mark.spec("STO-4")
def test_a_newer_release_that_was_killed_is_not_touched_either(run: Run, path: Path, tmp_path: Path) -> None:
    """What says that it is newer is in the log only, which opening the file for writing would write back."""

    async def scenario() -> None:
        other = tmp_path / "other"
        other.mkdir(mode=0o700)
        async with await Store.open(path) as store:
            await store.write(statement("PRAGMA user_version=1000"))
            for name in ("state.db", "state.db-wal"):
                (other / name).write_bytes((path.parent / name).read_bytes())
                (other / name).chmod(0o600)
        before = contents(other)
        assert "upgrade" in str(await refused(other / "state.db"))
        assert before.items() <= contents(other).items()

    run(scenario())


@pytest.mark.spec("STO-6")
def test_an_empty_file_becomes_a_store(run: Run, path: Path) -> None:
    async def scenario() -> None:
        path.parent.mkdir(mode=0o700)
        path.touch(mode=0o600)
        await make(path, "one")
        async with await Store.open(path) as store:
            assert await store.read(notes) == ["one"]

    run(scenario())
