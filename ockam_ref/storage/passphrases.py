"""Where the passphrase of a store comes from: the environment, the keyring of the desktop, or the terminal."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ockam_ref.errors import ErrorCode, StorageError

PASSPHRASE_VARIABLE: Final = "OCKAM_REF_PASSPHRASE"  # noqa: S105  # a name
"""The environment variable with the passphrase, for services that nobody sits in front of."""

_KEYRING_SERVICE: Final = "ockam-ref"


def find_passphrase(path: Path) -> bytes:
    """Return the passphrase for the store in that file.

    Raises:
        StorageError: ``WRONG_PASSPHRASE``: nowhere is one, and nobody can be asked.
    """
    found = os.environ.get(PASSPHRASE_VARIABLE) or recall_passphrase(path)
    if found:
        return found.encode()
    if not sys.stdin.isatty():
        raise StorageError(
            ErrorCode.WRONG_PASSPHRASE, f"the store {path} has a passphrase: put it into {PASSPHRASE_VARIABLE}"
        )
    return ask_passphrase(f"Passphrase of {path}: ")


def ask_passphrase(prompt: str) -> bytes:
    """Ask for a passphrase on the terminal, which does not show it.

    Raises:
        StorageError: ``WRONG_PASSPHRASE``: the terminal has gone, or its user types none.
        KeyboardInterrupt: Ctrl-C, or SIGTERM, which an event loop that waits for this could not see.
    """
    from getpass import getpass  # noqa: PLC0415  # services ask nobody

    try:
        with _interruptible():
            return getpass(prompt).encode()
    except EOFError:
        raise StorageError(ErrorCode.WRONG_PASSPHRASE, "nobody has typed a passphrase") from None


@contextmanager
def _interruptible() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def recall_passphrase(path: Path) -> str | None:
    """Return what the keyring has for that store; ``None`` if nothing, or if there is no keyring."""
    if find_spec("keyring") is None:
        return None
    import keyring  # noqa: PLC0415  # an extra, and slow to load
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        return keyring.get_password(_KEYRING_SERVICE, str(path.absolute()))
    except KeyringError:  # there is none, or it is locked: ask elsewhere
        return None


def remember_passphrase(path: Path, passphrase: bytes | None) -> None:
    """Put the passphrase for that store into the keyring, or take it out.

    Raises:
        StorageError: there is no keyring, or it refuses.
    """
    if find_spec("keyring") is None:
        raise StorageError(ErrorCode.NOT_INSTALLED, "no keyring is installed: pip install 'ockam-ref[keyring]'")
    import keyring  # noqa: PLC0415  # an extra, and slow to load
    from keyring.errors import KeyringError, PasswordDeleteError  # noqa: PLC0415

    name = str(path.absolute())
    try:
        if passphrase is None:
            keyring.delete_password(_KEYRING_SERVICE, name)
        else:
            keyring.set_password(_KEYRING_SERVICE, name, passphrase.decode())
    except PasswordDeleteError:
        return  # it was not there
    except KeyringError as error:
        raise StorageError(ErrorCode.STORAGE, f"the keyring refuses: {error}") from error
