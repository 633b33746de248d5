"""Policies as texts, for single resources and for all of a type, and the resources that were named."""

import sqlite3
from functools import partial
from typing import NamedTuple

from ockam_ref.storage.repository import Repository


class PolicyRow(NamedTuple):
    """The policy of one resource, with its type if that is known, or, if ``resource`` is ``None``, of all of a type."""

    resource: str | None
    type: str | None
    expression: str


class ResourceRow(NamedTuple):
    """A resource and its type."""

    name: str
    type: str


class PolicyRepository(Repository):
    """Policies by the name of a resource or by a type; nothing here looks into a policy."""

    __slots__ = ()

    async def set_for_resource(self, name: str, expression: str) -> None:
        """Keep the policy of one resource, in place of the one before."""
        await self._store.write(partial(set_resource_policy, name=name, expression=expression))

    async def set_for_type(self, resource_type: str, expression: str) -> None:
        """Keep the policy of all resources of a type, in place of the one before."""
        await self._store.write(partial(set_type_policy, resource_type=resource_type, expression=expression))

    async def for_resource(self, name: str) -> str | None:
        """Return the policy of that name itself."""
        return await self._store.read(partial(get_resource_policy, name=name))

    async def for_type(self, resource_type: str) -> str | None:
        """Return the policy of that type itself."""
        return await self._store.read(partial(get_type_policy, resource_type=resource_type))

    async def find(self, name: str, resource_type: str) -> str | None:
        """Return the policy that counts for a resource: that of its name, or else that of its type."""

        def find(connection: sqlite3.Connection) -> str | None:
            by_name = get_resource_policy(connection, name)
            return get_type_policy(connection, resource_type) if by_name is None else by_name

        return await self._store.read(find)

    async def list(self) -> tuple[PolicyRow, ...]:
        """Return all, those of resources first."""
        return await self._store.read(list_policies)

    async def delete_for_resource(self, name: str) -> bool:
        """Delete the policy of a name; return whether there was one."""
        return await self._store.write(partial(delete_resource_policy, name=name))

    async def delete_for_type(self, resource_type: str) -> bool:
        """Delete the policy of a type; return whether there was one."""
        return await self._store.write(partial(delete_type_policy, resource_type=resource_type))

    async def add_resource(self, name: str, resource_type: str) -> None:
        """Keep which type a resource has."""
        await self._store.write(partial(put_resource, row=ResourceRow(name, resource_type)))

    async def resources(self) -> tuple[ResourceRow, ...]:
        """Return all resources, by name."""
        return await self._store.read(list_resources)

    async def delete_resource(self, name: str) -> bool:
        """Forget a resource and its policy; return whether it was there."""
        return await self._store.write(partial(delete_resource, name=name))


def set_resource_policy(connection: sqlite3.Connection, name: str, expression: str) -> None:
    """See ``PolicyRepository.set_for_resource``."""
    connection.execute("INSERT OR REPLACE INTO resource_policy (name, expression) VALUES (?, ?)", (name, expression))


def set_type_policy(connection: sqlite3.Connection, resource_type: str, expression: str) -> None:
    """See ``PolicyRepository.set_for_type``."""
    connection.execute(
        "INSERT OR REPLACE INTO type_policy (type, expression) VALUES (?, ?)", (resource_type, expression)
    )


def get_resource_policy(connection: sqlite3.Connection, name: str) -> str | None:
    """See ``PolicyRepository.for_resource``."""
    found = connection.execute("SELECT expression FROM resource_policy WHERE name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])


def get_type_policy(connection: sqlite3.Connection, resource_type: str) -> str | None:
    """See ``PolicyRepository.for_type``."""
    found = connection.execute("SELECT expression FROM type_policy WHERE type = ?", (resource_type,)).fetchone()
    return None if found is None else str(found[0])


def list_policies(connection: sqlite3.Connection) -> tuple[PolicyRow, ...]:
    """See ``PolicyRepository.list``."""
    of_resources = connection.execute(
        "SELECT name, type, expression FROM resource_policy LEFT JOIN resource USING (name) ORDER BY name"
    ).fetchall()
    of_types = connection.execute("SELECT NULL, type, expression FROM type_policy ORDER BY type").fetchall()
    return tuple(PolicyRow(*found) for found in (*of_resources, *of_types))


def delete_resource_policy(connection: sqlite3.Connection, name: str) -> bool:
    """See ``PolicyRepository.delete_for_resource``."""
    return connection.execute("DELETE FROM resource_policy WHERE name = ?", (name,)).rowcount > 0


def delete_type_policy(connection: sqlite3.Connection, resource_type: str) -> bool:
    """See ``PolicyRepository.delete_for_type``."""
    return connection.execute("DELETE FROM type_policy WHERE type = ?", (resource_type,)).rowcount > 0


def put_resource(connection: sqlite3.Connection, row: ResourceRow) -> None:
    """See ``PolicyRepository.add_resource``."""
    connection.execute("INSERT OR REPLACE INTO resource (name, type) VALUES (?, ?)", row)


def list_resources(connection: sqlite3.Connection) -> tuple[ResourceRow, ...]:
    """See ``PolicyRepository.resources``."""
    return tuple(ResourceRow(*found) for found in connection.execute("SELECT name, type FROM resource ORDER BY name"))


def delete_resource(connection: sqlite3.Connection, name: str) -> bool:
    """See ``PolicyRepository.delete_resource``."""
    delete_resource_policy(connection, name)
    return connection.execute("DELETE FROM resource WHERE name = ?", (name,)).rowcount > 0
