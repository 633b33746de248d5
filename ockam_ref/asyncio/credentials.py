"""Retrievers of a credential that is kept in a cache, or fetched from its issuer (facts 03 section 6)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import time
from typing import Final, NamedTuple, Protocol, TypeAlias

from ockam_ref.asyncio.retrieving import CredentialRetriever
from ockam_ref.errors import ErrorCode, OckamError, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity
from ockam_ref.identities.credentials import is_void, verify_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.refreshing import RefreshTiming

MAX_SLEEP_S: Final = 30.0
"""A background refresh looks at the clock at least this often: a machine that sleeps must not oversleep."""

_LOG: Final = logging.getLogger("ockam_ref.asyncio")

Clock: TypeAlias = Callable[[], int]
"""Gives the time in seconds since 1970."""
Sleep: TypeAlias = Callable[[float], Awaitable[None]]


class CachedCredential(NamedTuple):
    """What a cache holds of a credential; ``expires_at`` is in seconds since 1970."""

    credential: bytes
    expires_at: int


class CredentialKey(NamedTuple):
    """Of whom, by whom and for what a credential is: what caches and shared retrievers are asked by."""

    subject: Identifier
    issuer: Identifier
    scope: str


class CredentialCache(Protocol):
    """Keeps credentials over restarts."""

    async def get(self, key: CredentialKey) -> CachedCredential | None:
        """Return what is kept under the key."""

    async def put(self, key: CredentialKey, cached: CachedCredential) -> None:
        """Keep it in place of what was there."""

    async def delete(self, key: CredentialKey) -> None:
        """Forget it."""


class CachedRetriever(CredentialRetriever):
    """A credential that something else has put into the cache; one that expired is deleted."""

    def __init__(self, key: CredentialKey, cache: CredentialCache, *, clock: Clock = lambda: int(time())) -> None:
        super().__init__()
        self._key = key
        self._cache = cache
        self._clock = clock

    async def retrieve(self) -> bytes:
        """Return what is kept.

        Raises:
            OckamError: ``NO_CREDENTIAL``, nothing is, or it expired.
        """
        cached = await self._cache.get(self._key)
        if cached is None:
            raise _no_credential(self._key, "none is kept")
        if cached.expires_at <= self._clock():
            await self._cache.delete(self._key)
            raise _no_credential(self._key, "the one kept has expired")
        return cached.credential


class RemoteRetriever(CredentialRetriever):
    """Fetches from the issuer, and again before what it holds expires, until it is closed.

    Nothing happens before the first ``retrieve``, which takes what the cache holds if that lasts long enough.  One that
    oversleeps, in a machine that was suspended, fetches when it is asked.

    ``fetch`` asks the issuer; ``issuer`` gives the newest that is known of it, and when that shows a rotation what is
    held is void, and is replaced.
    """

    def __init__(
        self,
        key: CredentialKey,
        fetch: Callable[[], Awaitable[bytes]],
        issuer: Callable[[], VerifiedIdentity | None],
        *,
        cache: CredentialCache | None = None,
        timing: RefreshTiming = RefreshTiming(),  # noqa: B008  # immutable
        clock: Clock = lambda: int(time()),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__()
        self._key = key
        self._fetch = fetch
        self._issuer = issuer
        self._cache = cache
        self._timing = timing
        self._clock = clock
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._held: CachedCredential | None = None
        self._tried_at: int | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._is_closed = False

    async def retrieve(self) -> bytes:
        """Return the credential held; load or fetch one first if there is none that lasts long enough.

        Raises:
            OckamError: the issuer cannot be asked, or gives none: what ``fetch`` raises; ``CLOSED``.
            VerificationError: it gave one that is not ours, or not its own.
        """
        if self._held is not None and self._is_usable(self._held):
            return self._held.credential
        async with self._lock:
            return await self._load_or_fetch()

    async def refresh(self) -> bytes:
        """Fetch now, whatever is held: the issuer may have changed its mind.  Raises as ``retrieve``."""
        async with self._lock:
            return await self._fetch_now()

    async def close(self) -> None:
        """Fetch no more; a fetch that is under way is given up."""
        self._is_closed = True
        task, self._refreshing = self._refreshing, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _load_or_fetch(self) -> bytes:
        if self._held is None and self._cache is not None:
            self._held = await self._load(self._cache)
        if self._held is None or not self._is_usable(self._held):
            return await self._fetch_now()
        self._keep_fresh()
        return self._held.credential

    async def _load(self, cache: CredentialCache) -> CachedCredential | None:
        cached = await cache.get(self._key)
        if cached is not None and not self._is_usable(cached):
            await cache.delete(self._key)
            return None
        return cached

    def _is_usable(self, held: CachedCredential) -> bool:
        return self._timing.is_usable(held.expires_at, self._clock()) and not self._is_void(held)

    def _is_void(self, held: CachedCredential) -> bool:
        issuer = self._issuer()
        return issuer is not None and is_void(held.credential, issuer)

    async def _fetch_now(self) -> bytes:
        if self._is_closed:
            raise OckamError(ErrorCode.CLOSED, "the retriever of the credential is closed")
        self._tried_at = self._clock()
        credential = await self._fetch()
        subject, issuer = self._key.subject, self._issuer()
        if issuer is None or issuer.identifier != self._key.issuer:
            raise VerificationError(ErrorCode.NOT_TRUSTED, f"the change history of {self._key.issuer} is not known")
        verified = verify_credential(credential, subject=subject, authority=issuer, now=self._clock())
        self._held = CachedCredential(credential, verified.expires_at)
        await self._store(self._held)
        self._keep_fresh()
        self._tell(self._held.credential)
        return self._held.credential

    async def _store(self, held: CachedCredential) -> None:
        if self._cache is None:
            return
        try:
            await self._cache.put(self._key, held)
        except OckamError as error:  # it is good without
            _LOG.warning("a credential of %s could not be kept: %s", self._key.subject, error)

    def _keep_fresh(self) -> None:
        if self._refreshing is None and not self._is_closed:
            self._refreshing = asyncio.ensure_future(self._refresh_forever())

    async def _refresh_forever(self) -> None:
        while (held := self._held) is not None:
            while (left := self._seconds_left(held)) > 0:
                await self._sleep(min(left, MAX_SLEEP_S))
            async with self._lock:
                if held is self._held:  # otherwise somebody else was faster
                    await self._try_to_fetch()

    def _seconds_left(self, held: CachedCredential) -> int:
        now = self._clock()
        ends_at = now if self._is_void(held) else held.expires_at
        return self._timing.refresh_at(ends_at, now, tried_at=self._tried_at) - now

    async def _try_to_fetch(self) -> None:
        try:
            await self._fetch_now()
        except OckamError as error:
            _LOG.warning("no new credential of %s, the next try follows: %s", self._key.subject, error)


def _no_credential(key: CredentialKey, why: str) -> OckamError:
    return OckamError(
        ErrorCode.NO_CREDENTIAL,
        f"no credential of {key.subject} by {key.issuer} for {key.scope}: {why}; enrol again, or import one",
    )
