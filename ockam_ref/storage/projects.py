"""The projects that we are enrolled in: who their authority is, and where it is found."""

import sqlite3
from functools import partial
from typing import NamedTuple

from ockam_ref.storage.repository import Repository, not_found, require_name

_COLUMNS = "name, authority, authority_history, authority_route, project_id, project_name, project_history, is_default"


class ProjectRow(NamedTuple):
    """One project, under the name that it has here; histories are verified ones, routes are multiaddrs.

    ``project_id``, ``project_name`` and ``project_history`` are what the ticket says, empty if it says nothing.
    """

    name: str
    authority: bytes
    authority_history: bytes
    authority_route: str
    project_id: str = ""
    project_name: str = ""
    project_history: bytes = b""
    is_default: bool = False


class ProjectRepository(Repository):
    """Projects by name."""

    __slots__ = ()

    async def put(self, row: ProjectRow) -> ProjectRow:
        """Keep a project, in place of the one of that name; return it as it is kept.

        It becomes the default one if it says so or there is none; the default one stays so.

        Raises:
            MisuseError: ``BAD_NAME``.
        """
        require_name(row.name)
        return await self._store.write(partial(put_project, row=row))

    async def get(self, name: str) -> ProjectRow | None:
        """Return the project of that name."""
        return await self._store.read(partial(get_project, name=name))

    async def list(self) -> tuple[ProjectRow, ...]:
        """Return all, by name."""
        return await self._store.read(list_projects)

    async def default(self) -> ProjectRow | None:
        """Return the project that is meant when none is named."""
        return await self._store.read(default_project)

    async def set_default(self, name: str) -> None:
        """Make that project the default one.

        Raises:
            MisuseError: ``NOT_FOUND``.
        """
        await self._store.write(partial(set_default_project, name=name))

    async def delete(self, name: str) -> bool:
        """Forget a project; return whether it was there."""
        return await self._store.write(partial(delete_project, name=name))


def put_project(connection: sqlite3.Connection, row: ProjectRow) -> ProjectRow:
    """See ``ProjectRepository.put``."""
    default = default_project(connection)
    row = row._replace(is_default=row.is_default or default is None or default.name == row.name)
    if row.is_default:
        connection.execute("UPDATE project SET is_default = 0 WHERE is_default")
    connection.execute(f"INSERT OR REPLACE INTO project ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return row


def get_project(connection: sqlite3.Connection, name: str) -> ProjectRow | None:
    """See ``ProjectRepository.get``."""
    return _one(connection.execute(f"SELECT {_COLUMNS} FROM project WHERE name = ?", (name,)))


def list_projects(connection: sqlite3.Connection) -> tuple[ProjectRow, ...]:
    """See ``ProjectRepository.list``."""
    return tuple(map(_row, connection.execute(f"SELECT {_COLUMNS} FROM project ORDER BY name")))


def default_project(connection: sqlite3.Connection) -> ProjectRow | None:
    """See ``ProjectRepository.default``."""
    return _one(connection.execute(f"SELECT {_COLUMNS} FROM project WHERE is_default"))


def set_default_project(connection: sqlite3.Connection, name: str) -> None:
    """See ``ProjectRepository.set_default``."""
    if get_project(connection, name) is None:
        raise not_found("project", name)
    connection.execute("UPDATE project SET is_default = 0 WHERE is_default")
    connection.execute("UPDATE project SET is_default = 1 WHERE name = ?", (name,))


def delete_project(connection: sqlite3.Connection, name: str) -> bool:
    """See ``ProjectRepository.delete``."""
    return connection.execute("DELETE FROM project WHERE name = ?", (name,)).rowcount > 0


def _one(cursor: sqlite3.Cursor) -> ProjectRow | None:
    found = cursor.fetchone()
    return None if found is None else _row(found)


def _row(found: tuple[str, bytes, bytes, str, str, str, bytes, int]) -> ProjectRow:
    name, authority, authority_history, route, project_id, project_name, project_history, is_default = found
    return ProjectRow(
        name, authority, authority_history, route, project_id, project_name, project_history, bool(is_default)
    )
