"""Where a user's state lies, and how the command line opens it."""

import os
from pathlib import Path
from typing import Final

from ockam_ref.storage.passphrases import find_passphrase
from ockam_ref.storage.store import Store

HOME_VARIABLE: Final = "OCKAM_REF_HOME"
"""The environment variable that names another folder."""

STORE_FILE: Final = "state.db"

_APPLICATION: Final = "ockam-ref"


def home_path() -> Path:
    """Return the folder of the state: that of ``OCKAM_REF_HOME``, or the one that the platform has for such things."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs  # noqa: PLC0415  # not needed where the variable is set

    return platformdirs.user_data_path(_APPLICATION, appauthor=False)


def store_path() -> Path:
    """Return the file of the store."""
    return home_path() / STORE_FILE


async def open_store(path: Path | None = None) -> Store:
    """Open the user's store, or the one in that file; it is made if it is missing.

    Its passphrase, if it has one, comes from ``OCKAM_REF_PASSPHRASE``, from the keyring, or from the terminal.

    Raises:
        StorageError: it cannot be used; ``WRONG_PASSPHRASE`` if the passphrase is wrong or nobody can be asked for it.
    """
    place = path or store_path()
    return await Store.open(place, passphrase=lambda: find_passphrase(place))
