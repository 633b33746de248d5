"""``ockam-ref passphrase``, with and without a terminal."""

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.storage.secret_keys import SecretRepository
from ockam_ref.storage.store import Store
from tests.commands import OURS, Finished, environment
from tests.processes import REPOSITORY

HANDLE: Final = b"h" * 32
SECRET: Final = bytes(range(100, 132))
VARIABLE: Final = "OCKAM_REF_PASSPHRASE"
LIMIT_S: Final = 20.0

# A keyring in a file, for processes of a test: what `keyring` is told to use by its own variable.
KEYRING: Final = """
import json, os, pathlib
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

PLACE = pathlib.Path(os.environ["TEST_KEYRING"])

class Keyring(KeyringBackend):
    priority = 1
    def _all(self):
        return json.loads(PLACE.read_text()) if PLACE.exists() else {}
    def get_password(self, service, name):
        return self._all().get(f"{service} {name}")
    def set_password(self, service, name, password):
        PLACE.write_text(json.dumps({**self._all(), f"{service} {name}": password}))
    def delete_password(self, service, name):
        known = self._all()
        if known.pop(f"{service} {name}", None) is None:
            raise PasswordDeleteError
        PLACE.write_text(json.dumps(known))
"""


class Home:
    """A state folder with one secret key, and a keyring, for commands."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home" / "state.db"
        self.keyring = folder / "keyring.json"
        (folder / "test_keyring_backend.py").write_text(KEYRING)
        self.variables = {
            **environment(),
            "OCKAM_REF_HOME": str(self.path.parent),
            "PYTHON_KEYRING_BACKEND": "test_keyring_backend.Keyring",
            "PYTHONPATH": str(folder),
            "TEST_KEYRING": str(self.keyring),
        }
        self.variables.pop(VARIABLE, None)
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        async with await Store.open(self.path) as store:
            await SecretRepository(store).store_x25519_secret(HANDLE, SECRET)

    def run(self, *words: str, typed: str = "", passphrase: str | None = None) -> Finished:
        """Run a command without a terminal."""
        given = {} if passphrase is None else {VARIABLE: passphrase}
        began = time.monotonic()
        done = subprocess.run(
            [*OURS, "passphrase", *words],
            cwd=REPOSITORY,
            env={**self.variables, **given},
            input=typed,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def opens_with(self, passphrase: str | None) -> bool:
        """Whether the secret comes back."""

        async def found() -> bytes | None:
            async with await Store.open(
                self.path, passphrase=None if passphrase is None else passphrase.encode
            ) as store:
                assert store.has_passphrase is (passphrase is not None)
                return await SecretRepository(store).x25519_secret(HANDLE)

        return asyncio.run(found()) == SECRET


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.spec("STO-25")
def test_a_passphrase_is_set_changed_and_removed(home: Home) -> None:
    done = home.run("set", typed="one\n")
    assert (done.code, done.output) == (0, f"The secret keys in {home.path} are sealed now.\n")
    assert home.opens_with("one")
    done = home.run("set", "--json", typed="two\r\n", passphrase="one")
    assert done.code == 0
    assert json.loads(done.output) == {"event": "passphrase", "store": str(home.path), "sealed": True}
    assert VARIABLE in done.errors  # which has the old one
    assert home.opens_with("two")
    assert home.run("remove", passphrase="two").errors == ""
    assert home.opens_with(None)
    assert "were not sealed" in home.run("remove").output


@pytest.mark.spec("STO-21", "STO-24", "STO-25")
def test_what_cannot_be_done_is_a_sentence(home: Home) -> None:
    home.run("set", typed="one\n")
    for words, given, reason in (
        (("set",), None, VARIABLE),
        (("remove",), "wrong", "the passphrase is wrong"),
        (("set",), "one", "not empty"),
    ):
        done = home.run(*words, passphrase=given)
        assert done.code == 1
        assert reason in done.errors
        assert done.output == ""
    assert home.opens_with("one")


@pytest.mark.spec("STO-24", "STO-25")
def test_the_keyring_keeps_up(home: Home) -> None:
    key = f"ockam-ref {home.path}"
    home.run("set", "--keyring", typed="one\n")
    assert json.loads(home.keyring.read_text()) == {key: "one"}
    assert home.run("set", typed="two\n").code == 0
    assert json.loads(home.keyring.read_text()) == {key: "two"}
    assert home.opens_with("two")
    assert home.run("remove").code == 0
    assert json.loads(home.keyring.read_text()) == {}
    assert home.opens_with(None)


class Terminal:
    """A command at a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Wait until the command has shown that."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.shown:
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, self.shown
            self.shown += os.read(self.descriptor, 4096).decode()
        self.shown = self.shown.partition(text)[2]

    def type(self, text: str) -> None:
        """Type."""
        os.write(self.descriptor, text.encode())


@contextmanager
def terminal(home: Home, *words: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*OURS, "passphrase", *words],
        cwd=REPOSITORY,
        env=home.variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # else the command would ask at the terminal of the tests
    )
    try:
        yield Terminal(process, ours)
        process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
        os.close(ours)


@pytest.mark.spec("STO-24", "STO-25")
def test_at_a_terminal_it_is_asked_for(home: Home) -> None:
    with terminal(home, "set") as command:
        for prompt in ("New passphrase: ", "The same again: "):
            command.wait_for(prompt)
            command.type("one\n")
        command.wait_for("are sealed now")
    assert command.process.returncode == 0
    assert home.opens_with("one")
    with terminal(home, "set") as command:
        for prompt, answer in ((f"{home.path}: ", "one"), ("New passphrase: ", "two"), ("The same again: ", "three")):
            command.wait_for(prompt)
            command.type(f"{answer}\n")
        command.wait_for("nothing was changed")
    assert command.process.returncode == 1
    assert home.opens_with("one")


@pytest.mark.spec("STO-26")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_asked_may_leave(home: Home, number: int) -> None:
    import termios

    home.run("set", typed="one\n")
    with terminal(home, "remove") as command:
        command.wait_for(f"{home.path}: ")
        assert not termios.tcgetattr(command.descriptor)[3] & termios.ECHO
        command.process.send_signal(number)
        assert command.process.wait(LIMIT_S) == 0
        assert termios.tcgetattr(command.descriptor)[3] & termios.ECHO
    assert command.shown.strip() == ""
    assert home.opens_with("one")


@pytest.mark.spec("STO-24")
def test_who_types_no_passphrase_is_told(home: Home) -> None:
    home.run("set", typed="one\n")
    with terminal(home, "remove") as command:
        command.wait_for(f"{home.path}: ")
        command.type("\x04")
        command.wait_for("nobody has typed a passphrase")
    assert command.process.returncode == 1
