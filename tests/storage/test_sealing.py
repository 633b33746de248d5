"""Secrets with and without a passphrase, and what a thief of the files finds."""

import copy
import pickle
import sqlite3
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, StorageError
from ockam_ref.storage import passphrases
from ockam_ref.storage.home import open_store
from ockam_ref.storage.passphrases import PASSPHRASE_VARIABLE, find_passphrase, remember_passphrase
from ockam_ref.storage.sealing import Costs, Seal, unlock
from ockam_ref.storage.secret_keys import SecretRepository, SecretUse
from ockam_ref.storage.store import Store
from tests.storage.conftest import Run
from tests.storage.samples import contents, note, statement

HANDLE: Final = b"h" * 32
SECRET: Final = bytes(range(100, 132))
PASSPHRASE: Final = b"correct horse"


async def opened(path: Path | None, passphrase: bytes | None = None) -> Store:
    return await Store.open(path, passphrase=None if passphrase is None else lambda: passphrase)


async def filled(path: Path | None, passphrase: bytes | None = None) -> Store:
    store = await opened(path)
    if passphrase is not None:
        await store.set_passphrase(passphrase)
    await SecretRepository(store).store_signing_secret(HANDLE, 1, SECRET)
    return store


def is_in_files(folder: Path, secret: bytes = SECRET) -> bool:
    return any(secret in data for data in contents(folder).values())


@pytest.mark.spec("STO-20")
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_secrets_of_each_use_come_back(run: Run, passphrase: bytes | None) -> None:
    async def scenario() -> None:
        async with await filled(None, passphrase) as store:
            secrets = SecretRepository(store)
            await secrets.store_x25519_secret(HANDLE, SECRET[::-1])
            await secrets.store_aead_secret(b"12345678", b"a" * 32)
            assert store.has_passphrase is (passphrase is not None)
            assert await secrets.signing_secret(HANDLE) == (1, SECRET)
            assert await secrets.x25519_secret(HANDLE) == SECRET[::-1]
            assert await secrets.aead_secret(b"12345678") == b"a" * 32
            assert await secrets.count_signing_secrets() == 1
            assert await secrets.handles(SecretUse.X25519) == (HANDLE,)
            await secrets.store_signing_secret(HANDLE, 0, b"b" * 32)  # one that is there already stays
            assert await secrets.signing_secret(HANDLE) == (1, SECRET)
            assert await secrets.delete_signing_secret(HANDLE)
            assert await secrets.delete_x25519_secret(HANDLE)
            assert await secrets.delete_aead_secret(b"12345678")
            assert not await secrets.delete_aead_secret(b"12345678")
            assert await secrets.signing_secret(HANDLE) is None
            assert await secrets.x25519_secret(HANDLE) is None

    run(scenario())


def test_a_secret_of_another_length_is_refused_and_not_shown(run: Run) -> None:
    async def scenario() -> None:
        async with await filled(None) as store:
            with pytest.raises(MisuseError, match="not 31") as caught:
                await SecretRepository(store).store_x25519_secret(HANDLE, SECRET[1:])
            assert SECRET[1:].hex() not in repr(caught.value)

    run(scenario())


@pytest.mark.spec("STO-20")
def test_a_sealed_secret_is_not_in_the_files(run: Run, path: Path) -> None:
    async def scenario() -> None:
        async with await filled(path, PASSPHRASE):
            assert not is_in_files(path.parent)
        assert not is_in_files(path.parent)
        async with await opened(path, PASSPHRASE) as store:
            assert await SecretRepository(store).signing_secret(HANDLE) == (1, SECRET)

    run(scenario())


@pytest.mark.spec("STO-20")
@pytest.mark.parametrize("column", ["handle = x'00'", "kind = 0", "use = 'x25519'", "secret = zeroblob(60)"])
def test_a_sealed_secret_that_was_moved_or_changed_does_not_open(run: Run, column: str) -> None:
    async def scenario() -> None:
        async with await filled(None, PASSPHRASE) as store:
            await store.write(statement(f"UPDATE secret_key SET {column}"))
            handle = b"\0" if "handle" in column else HANDLE
            secrets = SecretRepository(store)
            with pytest.raises(StorageError, match="does not open"):
                await (secrets.x25519_secret(handle) if "use" in column else secrets.signing_secret(handle))

    run(scenario())


def test_no_error_quotes_a_damaged_row(run: Run) -> None:
    async def scenario() -> None:
        async with await filled(None) as store:
            # as a text the bytes cannot be decoded, and the module sqlite3 quotes what it cannot decode
            await store.write(statement("UPDATE secret_key SET secret = CAST(x'ff7a7a7a' AS TEXT)"))
            with pytest.raises(StorageError, match="it is damaged") as caught:
                await SecretRepository(store).signing_secret(HANDLE)
            assert "zzz" not in "".join(traceback.format_exception(caught.value))

    run(scenario())


@pytest.mark.spec("STO-21")
@pytest.mark.parametrize(("given", "reason"), [(b"wrong", "is wrong"), (b"", "is wrong"), (None, "none was given")])
def test_a_wrong_passphrase_is_refused(run: Run, path: Path, given: bytes | None, reason: str) -> None:
    async def scenario() -> None:
        await (await filled(path, PASSPHRASE)).close()
        before = contents(path.parent)
        with pytest.raises(StorageError, match=reason) as caught:
            await opened(path, given)
        assert caught.value.code is ErrorCode.WRONG_PASSPHRASE
        assert contents(path.parent)["state.db"] == before["state.db"]

    run(scenario())


def test_nobody_is_asked_where_there_is_no_passphrase(run: Run, path: Path) -> None:
    def never() -> bytes:
        raise AssertionError

    async def scenario() -> None:
        for _ in range(2):
            async with await Store.open(path, passphrase=never) as store:
                assert not store.has_passphrase

    run(scenario())


@pytest.mark.spec("STO-21")
@pytest.mark.parametrize("costs", [(2**40, 8, 1), (0, 8, 1), (16, 10**6, 1), (16, 8, 10**9)])
def test_a_store_cannot_ask_for_more_work_than_the_limit(run: Run, path: Path, costs: tuple[int, int, int]) -> None:
    async def scenario() -> None:
        async with await filled(path, PASSPHRASE) as store:

            def change(connection: sqlite3.Connection) -> None:
                connection.execute("UPDATE seal SET cost = ?, block_size = ?, parallelism = ?", costs)

            await store.write(change)
        with pytest.raises(StorageError, match="more work"):
            await opened(path, PASSPHRASE)

    run(scenario())


@pytest.mark.spec("STO-22", "STO-23")
def test_the_passphrase_is_set_changed_and_removed(run: Run, path: Path) -> None:
    async def scenario() -> None:
        async with await filled(path) as store:
            assert is_in_files(path.parent)
            for passphrase in (PASSPHRASE, b"another"):
                await store.set_passphrase(passphrase)
                assert not is_in_files(path.parent)
                assert await SecretRepository(store).signing_secret(HANDLE) == (1, SECRET)
        with pytest.raises(StorageError):
            await opened(path, PASSPHRASE)
        async with await opened(path, b"another") as store:
            await store.set_passphrase(None)
            assert not store.has_passphrase
        async with await opened(path) as store:
            assert await SecretRepository(store).signing_secret(HANDLE) == (1, SECRET)
            with pytest.raises(MisuseError, match="not empty"):
                await store.set_passphrase(b"")
            assert await SecretRepository(store).signing_secret(HANDLE) == (1, SECRET)

    run(scenario())


@pytest.mark.spec("STO-22")
@pytest.mark.parametrize(("before", "after"), [(None, b"new"), (b"old", b"new"), (b"old", None)])
def test_who_has_the_store_open_since_before_the_change_is_refused(
    run: Run, path: Path, before: bytes | None, after: bytes | None
) -> None:
    async def scenario() -> None:
        async with await filled(path, before) as stale:
            async with await opened(path, before) as store:
                await store.set_passphrase(after)
            secrets = SecretRepository(stale)
            with pytest.raises(StorageError, match="start again"):
                await secrets.signing_secret(HANDLE)
            with pytest.raises(StorageError, match="start again"):
                await secrets.store_x25519_secret(HANDLE, SECRET)
            with pytest.raises(StorageError, match="start again"):
                await stale.set_passphrase(b"third")
            await stale.write(note("what is no secret goes on"))
        async with await opened(path, after) as store:
            assert await SecretRepository(store).signing_secret(HANDLE) == (1, SECRET)
            assert await SecretRepository(store).handles(SecretUse.X25519) == ()

    run(scenario())


@pytest.mark.spec("STO-23")
def test_a_secret_that_was_deleted_is_nowhere_in_the_files(run: Run, path: Path) -> None:
    async def scenario() -> None:
        async with await filled(path) as store:
            assert is_in_files(path.parent)
            await SecretRepository(store).delete_signing_secret(HANDLE)
            assert not is_in_files(path.parent)

    run(scenario())


@pytest.mark.spec("STO-22")
def test_a_passphrase_that_is_removed_while_it_is_asked_for_is_none(run: Run) -> None:
    async def scenario() -> None:
        async with await filled(None) as store:
            assert await store.read(partial(unlock, passphrase=PASSPHRASE, place=None)) is None

    run(scenario())


def test_a_seal_shows_nothing_and_is_not_copied() -> None:
    seal = Seal(b"salt" * 4, PASSPHRASE, Costs(cost=16))
    assert repr(seal) == "Seal()"
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(seal)
    assert seal.open(seal.close_over(SECRET, b"here"), b"here") == SECRET
    with pytest.raises(StorageError):
        seal.open(b"short", b"here")


class Keyring:
    """What ``keyring`` does, for one program."""

    def __init__(self) -> None:
        self.passwords: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.passwords.get((service, name))

    def set_password(self, service: str, name: str, password: str) -> None:
        self.passwords[service, name] = password

    def delete_password(self, service: str, name: str) -> None:
        from keyring.errors import PasswordDeleteError

        if self.passwords.pop((service, name), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    import keyring

    fake = Keyring()
    for name in ("get_password", "set_password", "delete_password"):
        monkeypatch.setattr(keyring, name, getattr(fake, name))
    return fake


@pytest.mark.spec("STO-24")
def test_the_variable_comes_before_the_keyring_and_that_before_the_terminal(
    path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"typed after {prompt}")
    assert find_passphrase(path) == f"typed after Passphrase of {path}: ".encode()
    remember_passphrase(path, b"remembered")
    assert keyring.passwords == {("ockam-ref", str(path)): "remembered"}
    assert find_passphrase(path) == b"remembered"
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "in the environment")
    assert find_passphrase(path) == b"in the environment"
    for _ in range(2):
        remember_passphrase(path, None)
    assert not keyring.passwords


@pytest.mark.spec("STO-24")
@pytest.mark.parametrize("installed", [True, False])
def test_without_any_of_them_opening_fails_and_says_so(
    run: Run,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    if installed:
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    else:
        monkeypatch.setattr(passphrases, "find_spec", lambda _: None)

    async def scenario() -> None:
        await (await filled(path, PASSPHRASE)).close()
        with pytest.raises(StorageError, match=PASSPHRASE_VARIABLE) as caught:
            await open_store()
        assert caught.value.code is ErrorCode.WRONG_PASSPHRASE
        monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE.decode())
        async with await open_store() as store:
            assert await SecretRepository(store).signing_secret(HANDLE) == (1, SECRET)

    run(scenario())


def test_a_keyring_that_is_not_there_or_refuses_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.errors import KeyringError

    def refuse(*_: str) -> None:
        raise KeyringError("locked")

    monkeypatch.setattr(keyring, "set_password", refuse)
    monkeypatch.setattr(keyring, "get_password", refuse)
    assert passphrases.recall_passphrase(path) is None
    with pytest.raises(StorageError, match="locked"):
        remember_passphrase(path, b"x")
    monkeypatch.setattr(passphrases, "find_spec", lambda _: None)
    with pytest.raises(StorageError, match=r"pip install 'ockam-ref\[keyring\]'") as caught:
        remember_passphrase(path, b"x")
    assert caught.value.code is ErrorCode.NOT_INSTALLED
