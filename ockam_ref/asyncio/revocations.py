"""A node keeps up with what an authority revokes: it asks every two seconds, over one channel."""

import asyncio
import logging
from collections.abc import Sequence
from time import time
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.credentials import RemoteRetriever
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.secure_client import RequestError, SecureClient
from ockam_ref.authority.messages import Revocation
from ockam_ref.authority.revocations import NO_MEMBER
from ockam_ref.errors import OckamError, VerificationError
from ockam_ref.identities.credentials import verify_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.storage.revocations import RevocationRepository, RevocationRow

REVOCATION_INTERVAL_S: Final = 2.0
"""Seconds between two questions to an authority."""
REVOCATION_TIMEOUT_S: Final = 10.0
"""Seconds that opening the channel, or an answer, may take."""

_LOG: Final = logging.getLogger("ockam_ref.asyncio")


class RevocationWatch:
    """Keeps a node up to date with what ``client.peer``, an authority, revokes, while it runs.

    What it learns is kept in the repository.  ``retriever`` is where the credential of ``own`` comes from: it is told
    to fetch a new one when what it holds is void, or when we were no member for a while.
    """

    def __init__(
        self,
        node: Node,
        client: SecureClient,
        repository: RevocationRepository,
        *,
        own: Identifier,
        retriever: RemoteRetriever | None = None,
        interval_s: float = REVOCATION_INTERVAL_S,
    ) -> None:
        self._node = node
        self._client = client
        self._repository = repository
        self._own = own
        self._retriever = retriever
        self._interval_s = interval_s
        self._trouble: str | None = None
        self._own_not_after = -1
        self._was_refused = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Take what is known from before, then ask in the background."""
        authority = self._client.peer
        known = await self._repository.list(authority.value)
        self._apply([Revocation(Identifier(row.subject), row.not_after, row.number) for row in known])
        self._task = asyncio.ensure_future(self._ask_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ask no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _ask_forever(self) -> None:
        while True:
            try:
                async with AuthorityClient(self._client) as authority:
                    await self._ask_over_one_channel(authority)
            except OckamError as error:
                self._say(str(error))
            await asyncio.sleep(self._interval_s)

    async def _ask_over_one_channel(self, authority: AuthorityClient) -> None:
        """Ask for all that was ever revoked, then for what is new, until there is no answer."""
        since = 0
        while True:
            try:
                since = await self._ask_once(authority, since)
            except RequestError as error:
                self._was_refused |= error.error.message == NO_MEMBER  # no more, or not yet
                self._say(str(error))
            else:
                self._say(None)
            await asyncio.sleep(self._interval_s)

    async def _ask_once(self, authority: AuthorityClient, since: int) -> int:
        """Ask for revocations above that number and return the highest one that is known then."""
        found = await authority.revocations(since)
        if found:
            self._apply(found)
            await self._keep(found)
            since = found[-1].number
        if self._retriever is not None:
            await self._keep_own_valid(self._retriever)
        return since

    def _apply(self, found: Sequence[Revocation]) -> None:
        for revocation in found:
            if revocation.subject == self._own:
                self._own_not_after = max(self._own_not_after, revocation.not_after)
        self._node.revoke_credentials(
            self._client.peer, {revocation.subject: revocation.not_after for revocation in found}
        )

    async def _keep(self, found: Sequence[Revocation]) -> None:
        authority = self._client.peer.value
        await self._repository.learn(
            RevocationRow(authority, revocation.subject.value, revocation.not_after, revocation.number)
            for revocation in found
        )

    async def _keep_own_valid(self, retriever: RemoteRetriever) -> None:
        """Fetch another credential if what we hold is void: revoked, or signed with a key that was replaced since."""
        held = await retriever.retrieve()
        if self._was_refused or self._is_void(held):
            await retriever.refresh()
        self._was_refused = False

    def _is_void(self, held: bytes) -> bool:
        authority = self._node.known_identity(self._client.peer)
        if authority is None:
            return False
        try:
            verified = verify_credential(held, subject=self._own, authority=authority, now=int(time()))
        except VerificationError:
            return True
        return verified.created_at <= self._own_not_after

    def _say(self, trouble: str | None) -> None:
        """Log that the authority cannot be asked, and that it can be again, once each."""
        if trouble is not None and self._trouble is None:
            _LOG.warning("revocations of %s are not known at the moment: %s", self._client.peer, trouble)
        elif trouble is None and self._trouble is not None:
            _LOG.warning("revocations of %s are known again", self._client.peer)
        self._trouble = trouble
