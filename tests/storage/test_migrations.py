"""A store of every earlier version comes up to date, with all that is in it."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.errors import StorageError
from ockam_ref.storage import schema
from ockam_ref.storage.identities import IdentityRepository
from ockam_ref.storage.peers import PeerRepository
from ockam_ref.storage.purpose_keys import Purpose, PurposeKeyRepository
from ockam_ref.storage.secret_keys import SecretRepository
from ockam_ref.storage.store import Store
from tests.storage.conftest import Run
from tests.storage.samples import identity, note, notes

OLD: Final = Path(__file__).parent / "old"


def restore(name: str, path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript((OLD / name).read_text(encoding="utf-8"))
    connection.close()
    path.chmod(0o600)


def tables_of(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT type, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.mark.spec("STO-5")
def test_a_store_of_version_1_keeps_everything(run: Run, path: Path) -> None:
    async def scenario() -> None:
        restore("version-1.sql", path)
        async with await Store.open(path) as store:
            assert await store.read(schema.version_of) == schema.NEWEST_VERSION
            alice, peer = identity(1), identity(2, rotations=1)
            default = await IdentityRepository(store).default()
            assert default is not None
            assert default == ("alice", alice.identifier.value, alice.history.encoded, True)
            assert await SecretRepository(store).signing_secret(b"h" * 32) == (0, b"s" * 32)
            key = await PurposeKeyRepository(store).get(alice.identifier.value, Purpose.SECURE_CHANNEL)
            assert key is not None
            assert (key.attestation, key.handle) == (b"attestation", b"x" * 32)
            assert await PeerRepository(store).get(peer.identifier.value) == peer.history.encoded
            await store.write(note("a table that is new"))
            assert await store.read(notes) == ["a table that is new"]

    run(scenario())


@pytest.mark.spec("STO-5")
def test_every_version_ends_in_the_same_tables(run: Run, path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with await Store.open(path) as store:
            newest = await store.read(tables_of)
        for old in sorted(OLD.glob("version-*.sql")):
            migrated = tmp_path / old.stem / "state.db"
            restore(old.name, migrated)
            async with await Store.open(migrated) as store:
                assert await store.read(tables_of) == newest
        assert len(list(OLD.glob("version-*.sql"))) == schema.NEWEST_VERSION - 1

    run(scenario())


@pytest.mark.spec("STO-5", "STO-13")
@pytest.mark.parametrize("is_old", [True, False])
def test_many_may_open_it_at_the_same_moment(run: Run, path: Path, is_old: bool) -> None:  # noqa: FBT001
    async def scenario() -> None:
        if is_old:
            restore("version-1.sql", path)
        stores = await asyncio.gather(*(Store.open(path) for _ in range(12)))
        await asyncio.gather(*(store.write(note(str(number))) for number, store in enumerate(stores)))
        assert sorted(await stores[0].read(notes)) == sorted(map(str, range(12)))
        for store in stores:
            await store.close()

    run(scenario())


@pytest.mark.spec("STO-4")
def test_a_newer_release_may_be_quicker(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first look at an old store and its turn another process makes it one of a newer release."""
    versions = [1, 1, 1000]
    monkeypatch.setattr(schema, "version_of", lambda _: versions.pop(0))

    async def scenario() -> None:
        restore("version-1.sql", path)
        with pytest.raises(StorageError, match="upgrade ockam-ref"):
            await Store.open(path)
        assert not versions

    run(scenario())


@pytest.mark.spec("STO-13")
@pytest.mark.parametrize("in_time", [True, False])
def test_the_log_is_begun_when_nobody_reads(
    run: Run,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_time: bool,  # noqa: FBT001
) -> None:
    if not in_time:
        monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.05)

    async def scenario() -> None:
        async with await Store.open(path) as store:
            await store.write(note("one"))
        reader = sqlite3.connect(path, isolation_level=None)
        assert reader.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        reader.execute("BEGIN")
        notes(reader)
        opening = asyncio.ensure_future(Store.open(path))
        if in_time:
            await asyncio.wait([opening], timeout=0.1)
            assert not opening.done()
            reader.execute("COMMIT")
            await (await opening).close()
        else:
            with pytest.raises(StorageError, match="kept it locked"):
                await opening
        reader.close()

    run(scenario())


def test_a_large_store_is_not_read_as_a_whole(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MAX_CHECKED_BYTES", 8192)

    async def scenario() -> None:
        async with await Store.open(path) as store:
            await store.write(note("x" * 100_000))
        data = path.read_bytes()
        path.write_bytes(data[:-4096] + b"\xa5" * 4096)  # what nobody has looked at shows when it is read
        async with await Store.open(path) as store:
            with pytest.raises(StorageError, match="it is damaged"):
                await store.read(notes)

    run(scenario())


@pytest.mark.spec("STO-5")
def test_a_migration_that_fails_changes_nothing(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        restore("version-1.sql", path)
        broken = (*schema.MIGRATIONS, ("CREATE TABLE one (x)", "CREATE TABLE one (x)"))
        monkeypatch.setattr(schema, "MIGRATIONS", broken)
        monkeypatch.setattr(schema, "NEWEST_VERSION", len(broken))
        with pytest.raises(StorageError, match="already exists"):
            await Store.open(path)
        connection = sqlite3.connect(path)
        assert schema.version_of(connection) == 1
        assert not [sql for _, sql in tables_of(connection) if sql and "member" in sql]
        connection.close()

    run(scenario())
