"""Where a channel gets the credential that it presents (facts 03 section 6)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

from ockam_ref.errors import ErrorCode, MisuseError

Subscriber: TypeAlias = Callable[[bytes], None]
"""Is called with each new credential."""


class CredentialRetriever(ABC):
    """Base of the retrievers: supplies a node's own credential, and tells subscribers of each new one."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscriber, None] = {}

    @abstractmethod
    async def retrieve(self) -> bytes:
        """Return the credential to present now.

        Raises:
            OckamError: ``NO_CREDENTIAL``, there is none; what a fetch raises.
        """

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call it with each credential from now on that replaces another.

        Raises:
            MisuseError: it is subscribed already.
        """
        if subscriber in self._subscribers:
            raise MisuseError(ErrorCode.MISUSE, "this one has subscribed to the retriever already")
        self._subscribers[subscriber] = None

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Call it no more.

        Raises:
            MisuseError: it is not subscribed.
        """
        if subscriber not in self._subscribers:
            raise MisuseError(ErrorCode.MISUSE, "this one has not subscribed to the retriever")
        del self._subscribers[subscriber]

    async def close(self) -> None:  # noqa: B027  # most have nothing to end
        """Fetch no more."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _tell(self, credential: bytes) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(credential)


class MemoryRetriever(CredentialRetriever):
    """One fixed credential; like the peer's it looks at no clock, and whoever verifies it notices that it expired."""

    def __init__(self, credential: bytes) -> None:
        super().__init__()
        self._credential = credential

    async def retrieve(self) -> bytes:
        """Return the credential."""
        return self._credential


CredentialSource: TypeAlias = bytes | CredentialRetriever | None
"""What a channel presents: one credential, the newest of a retriever, or none."""


async def credential_of(source: CredentialSource) -> bytes | None:
    """Return the credential to present now.

    Raises:
        OckamError: a retriever has none.
    """
    return await source.retrieve() if isinstance(source, CredentialRetriever) else source
