"""An authority as members see it: where their credentials come from."""

from functools import partial
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.credentials import CredentialCache, CredentialKey, RemoteRetriever
from ockam_ref.asyncio.hops import RouteLike
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.secure_client import SecureClient
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.identities.refreshing import RefreshTiming

FETCH_TIMEOUT_S: Final = 120.0
"""How long opening the channel to an authority, and then its answer, may take; as the peer waits."""


class Issuer:
    """Gives each of our identities one retriever of credentials by the authority ``identifier``.

    ``route`` ends in the authority's secure channel listener.  ``scope`` is the name under which the cache keeps them.
    """

    def __init__(
        self,
        node: Node,
        route: RouteLike,
        identifier: Identifier,
        scope: str,
        *,
        cache: CredentialCache | None = None,
        timing: RefreshTiming = RefreshTiming(),  # noqa: B008  # immutable
        timeout: float = FETCH_TIMEOUT_S,
    ) -> None:
        self._node = node
        self._route = route
        self._scope = scope
        self._cache = cache
        self._timing = timing
        self._timeout = timeout
        self._identities: dict[Identifier, LocalIdentity] = {}
        self._retrievers: dict[Identifier, RemoteRetriever] = {}
        self.identifier: Final = identifier

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Fetch no more, for anybody."""
        for retriever in self._retrievers.values():
            await retriever.close()

    def retriever(self, identity: LocalIdentity) -> RemoteRetriever:
        """Return the retriever of that identity, the same one each time; it fetches with the keys given last."""
        subject = identity.identifier
        self._identities[subject] = identity
        if subject not in self._retrievers:
            self._retrievers[subject] = RemoteRetriever(
                CredentialKey(subject, self.identifier, self._scope),
                partial(self._fetch, subject),
                partial(self._node.known_identity, self.identifier),
                cache=self._cache,
                timing=self._timing,
            )
        return self._retrievers[subject]

    async def _fetch(self, subject: Identifier) -> bytes:
        identity = self._identities[subject]
        client = SecureClient(self._node, identity, self._route, self.identifier, timeout=self._timeout)
        return await AuthorityClient(client).credential()
