"""What all repositories share.

A repository is a view of some tables of a store; its methods run each in a transaction of its own.  The functions of
its module that take a connection do the work, and several of them make one transaction in a single ``Store.write``.
"""

import re
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.storage.store import Store

MAX_NAME_CHARACTERS: Final = 64
"""Characters in the name of an identity or of a project."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Repository:
    """The base of all."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store: Final = store


def require_name(name: str) -> str:
    """Return the name if it is one that people can type and paths can hold.

    Raises:
        MisuseError: ``BAD_NAME``.
    """
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise MisuseError(
            ErrorCode.BAD_NAME,
            f"{name!r} is no name: take up to {MAX_NAME_CHARACTERS} letters, digits, '_', '-' and '.',"
            " and begin with one of the first three",
        )
    return name


def not_found(what: str, name: str) -> MisuseError:
    """Return the error for a name that nothing has."""
    return MisuseError(ErrorCode.NOT_FOUND, f"there is no {what} {name!r}")


def taken(what: str, name: str) -> MisuseError:
    """Return the error for a name that something else has."""
    return MisuseError(ErrorCode.NAME_TAKEN, f"there is the {what} {name!r} already")
