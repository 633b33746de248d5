"""A running node that follows a store: what is in it when the node starts, and what changes afterwards."""

import asyncio
import logging
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.identities import Identities
from ockam_ref.asyncio.node import Node
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.identities.change_history import decode_change_history, verify_change_history
from ockam_ref.identities.identifier import Identifier
from ockam_ref.observations import PeerLearned
from ockam_ref.policies.expression import Bool
from ockam_ref.policies.policy import Policy, policy_of
from ockam_ref.policies.resources import ResourceType
from ockam_ref.storage.peers import PeerRepository
from ockam_ref.storage.policies import PolicyRepository, PolicyRow
from ockam_ref.storage.projects import ProjectRepository
from ockam_ref.storage.revocations import RevocationRepository
from ockam_ref.storage.store import Store

RENEWAL_CHECK_S: Final = 60.0
"""How often a node looks whether a purpose key of its identities is due, if nothing in the store changes."""

NOBODY: Final = policy_of(Bool(False))
"""What counts where a stored policy cannot be read: a rule that nobody understands lets nobody pass."""

_TYPES: Final = {kind.value: kind for kind in ResourceType}

_LOG: Final = logging.getLogger("ockam_ref.asyncio")


class Attachment:
    """Begun by ``Home.attach``; ``close`` lets the node go its own way."""

    def __init__(self, store: Store, identities: Identities, node: Node) -> None:
        self._store = store
        self._identities = identities
        self._node = node
        self._peers = PeerRepository(store)
        self._policies = PolicyRepository(store)
        self._projects = ProjectRepository(store)
        self._revocations = RevocationRepository(store)
        self._loaded_policies: frozenset[PolicyRow] = frozenset()
        self._observations = node.observe()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def closed(self) -> bool:
        """Whether it has ended, by itself or because the node has."""
        return all(task.done() for task in self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def load(self) -> None:
        """Fill the tables of the node, and begin to follow."""
        version = await self._store.version()
        rows = await self._peers.list()
        self._node.known_peers.load((Identifier(row.identifier), decode_change_history(row.history)) for row in rows)
        await self._load_rules()
        self._tasks = [asyncio.create_task(self._learn()), asyncio.create_task(self._follow(version))]

    async def close(self) -> None:
        """Follow no more; what the node has learned so far is stored."""
        self._observations.end()
        learning, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(learning, *others, return_exceptions=True)

    # ---- from the node into the store

    async def _learn(self) -> None:
        async for observation in self._observations:
            if isinstance(observation, PeerLearned):
                await self._keep(observation)
        for task in self._tasks:  # the node has ended, or we were closed
            if task is not asyncio.current_task():
                task.cancel()

    async def _keep(self, learned: PeerLearned) -> None:
        try:
            await self._peers.put(learned.identifier, learned.history)
        except OckamError as error:
            _LOG.warning("what was learned of %s is not stored: %s", Identifier(learned.identifier), error)

    # ---- from the store into the node

    async def _follow(self, version: int) -> None:
        while True:
            try:
                version = await self._changed(version)
                await self._load_rules()
                await self._load_newer_peers()
                await self._renew_identities()
            except OckamError as error:
                _LOG.warning("the state cannot be read, and is tried again: %s", error)
                await asyncio.sleep(RENEWAL_CHECK_S)

    async def _changed(self, version: int) -> int:
        try:
            async with asyncio.timeout(RENEWAL_CHECK_S):
                return await self._store.changed_since(version)
        except TimeoutError:
            return version

    async def _load_rules(self) -> None:
        for project in await self._projects.list():
            self._teach(project.authority_history)
        await self._load_policies()
        for row in await self._revocations.all():
            self._node.attributes.revoke(row.subject, row.authority, row.not_after)
        self._node.recheck()

    def _teach(self, history: bytes) -> None:
        try:
            self._node.learn_identity(history)
        except OckamError as error:
            if error.code is not ErrorCode.HISTORY_OLDER:  # the node has met a newer one, and stores it
                _LOG.warning("the authority of a project is not known: %s", error)

    async def _load_policies(self) -> None:
        rows = frozenset(await self._policies.list())
        for row in self._loaded_policies - rows:
            self._remove(row)
        for row in rows - self._loaded_policies:
            self._set(row)
        self._loaded_policies = rows

    def _set(self, row: PolicyRow) -> None:
        table, policy = self._node.policies, _policy_of_row(row)
        if row.resource is not None:
            table.set_for_resource(row.resource, policy)
        elif row.type in _TYPES:
            table.set_for_type(_TYPES[row.type], policy)

    def _remove(self, row: PolicyRow) -> None:
        table = self._node.policies
        if row.resource is not None:
            table.remove_for_resource(row.resource)
        elif row.type in _TYPES:
            table.remove_for_type(_TYPES[row.type])

    async def _load_newer_peers(self) -> None:
        known = self._node.known_peers
        for row in await self._peers.list():
            found = known.find(Identifier(row.identifier))
            if found is None or found.encoded != row.history:
                known.compare(verify_change_history(decode_change_history(row.history)))

    async def _renew_identities(self) -> None:
        stored = {entry.identity.identifier for entry in await self._identities.list()}
        for presented in self._node.presented_identities():
            if presented.identifier in stored:
                current = await self._identities.open(str(presented.identifier))
                if current.presentation != presented.presentation:
                    self._node.replace_identity(current)


def _policy_of_row(row: PolicyRow) -> Policy:
    from ockam_ref.policies.parsing import parse_policy

    try:
        return parse_policy(row.expression)
    except OckamError as error:
        _LOG.warning("the policy of %s cannot be read, so nobody may pass: %s", row.resource or row.type, error)
        return NOBODY
