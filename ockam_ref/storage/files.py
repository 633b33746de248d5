"""The file of a store and its folder: who may read them, and what is not a store of ours."""

import os
import shlex
import stat
from pathlib import Path
from typing import Final

from ockam_ref.storage.faults import storage_error

APPLICATION_ID: Final = 0x4F636B52
"""Marks a file of SQLite as a store of ours: ``OckR``."""

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_USER_VERSION_AT: Final = 60
_APPLICATION_ID_AT: Final = 68
_OTHERS: Final = 0o077
_HAS_OWNERS: Final = os.name == "posix"


def prepare_file(path: Path, *, newest_version: int) -> None:
    """Make sure that the file is there, ours, and readable by its owner only; one that is not is left as it is.

    Raises:
        StorageError: somebody else may read the file or its folder (the message has the command that mends it), or it
            is no store, or one of a newer release.
    """
    try:
        _prepare_folder(path.parent)
        _create(path)
        _require_private(path, FILE_MODE)
        _require_ours(path, newest_version)
    except OSError as error:
        raise storage_error(path, f"{error.strerror or error}") from error


def _prepare_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    _require_private(folder, FOLDER_MODE)


def _create(path: Path) -> None:
    # An empty file is a database without content: whoever comes second finds it, and SQLite does the rest.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
    except FileExistsError:
        return


def _require_private(path: Path, mode: int) -> None:
    if not _HAS_OWNERS:
        return
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise storage_error(path, "it belongs to another user; OCKAM_REF_HOME names a folder of your own")
    if found.st_mode & stat.S_ISVTX:  # such as /tmp, which is to stay as it is
        raise storage_error(path, "it is for all users of this machine; OCKAM_REF_HOME names a folder of your own")
    if found.st_mode & _OTHERS:
        command = f"chmod {mode:o} {shlex.quote(str(path))}"
        raise storage_error(
            path, f"others may use it (mode {stat.S_IMODE(found.st_mode):04o}); mend it with: {command}"
        )


def _require_ours(path: Path, newest_version: int) -> None:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        return
    if not header.startswith(_MAGIC):
        raise storage_error(path, "it is no store, or damaged: it was left as it is; move it away and try again")
    if _number(header, _APPLICATION_ID_AT) != APPLICATION_ID:
        raise storage_error(path, "it is the database of another program: it was left as it is; use another folder")
    require_known_version(path, _number(header, _USER_VERSION_AT), newest_version)


def require_known_version(path: Path | None, version: int, newest: int) -> None:
    """Return if a store of that version can be read.

    Raises:
        StorageError: it was written by a newer release.
    """
    if version > newest:
        raise storage_error(
            path, f"a newer release has written it (version {version}, known up to {newest}): upgrade ockam-ref"
        )


def _number(header: bytes, position: int) -> int:
    return int.from_bytes(header[position : position + 4], "big")
