"""What keeps a portal usable while hubs and nodes come and go: each end repairs its own way to the other.

An outlet's session keeps a connection to its hub and a relay of one name there.  An inlet's session keeps a connection
and a channel, and leads its port along them; while there is no way, clients are closed at once, with the reason
recorded.  Open portal connections are not moved: they end with the way that they were opened along.

With a rendezvous service at both ends the channel runs in a steady link, which goes through the hub at first, over a
puncture as soon as there is one, and back when that dies.  Then open portal connections outlive both the direct path
and the connection to the hub.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias

from ockam_ref.asyncio.handles import (
    LivingHandle,
)
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.watching import Stream
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.observations import ConnectionClosed, ConnectionOpened, SteadyLinkMoved
from ockam_ref.portals.inlet import PONG_TIMEOUT_S
from ockam_ref.wire.address import Address

FIRST_RETRY_S: Final = 0.1
"""The pause before the first attempt to repair a way; each further pause is twice as long."""

LAST_RETRY_S: Final = 2.0
"""The longest pause; each is cut by up to a half at random, so that many nodes do not return at the same moment."""

RECONNECT_TIMEOUT_S: Final = 3.0
"""How long one attempt to reach the other node may take."""

CHANNEL_TIMEOUT_S: Final = 10.0
"""How long one attempt to open a channel may take."""


@dataclass(frozen=True, slots=True)
class WayLost:
    """There is no way at the moment; the session is repairing it."""

    reason: str


@dataclass(frozen=True, slots=True)
class WayRestored:
    """There is a way again, after that many attempts."""

    attempts: int


@dataclass(frozen=True, slots=True)
class WayMoved:
    """The way goes directly over UDP from now on, or through the hub."""

    direct: bool


@dataclass(frozen=True, slots=True)
class _Loss:
    """Why a way is lost; one that is only suspected stays in use until another one stands."""

    reason: str
    suspected: bool = False


SessionEvent: TypeAlias = WayLost | WayRestored | WayMoved | ConnectionOpened | ConnectionClosed


class Session(ABC):
    """Builds a way, waits until it is lost, builds it again, until it is closed."""

    def __init__(self, node: Node, jitter: random.Random | None, pong_timeout_s: float = PONG_TIMEOUT_S) -> None:
        self._node = node
        self._pong_timeout_s = pong_timeout_s
        self._built_at = 0.0
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads load, protects nothing
        self._events: Stream[SessionEvent] = Stream()
        self._observations = node.observe()
        self._tasks: list[asyncio.Task[None]] = []
        self._lost: asyncio.Future[_Loss] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        try:
            await self._prepare()
            await self._build()
        except BaseException:
            await self._close()
            raise
        self._tasks = [asyncio.ensure_future(self._keep()), asyncio.ensure_future(self._watch())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close()
        self._events.end()

    def events(self) -> Stream[SessionEvent]:
        """Return what happens to the session, for one reader."""
        return self._events

    # ---- what the two kinds do

    @abstractmethod
    async def _prepare(self) -> None:
        """Make what lives as long as the session."""

    @abstractmethod
    async def _build(self) -> None:
        """Make a way and use it, or raise ``OckamError``."""

    @abstractmethod
    async def _tear_down(self) -> None:
        """Stop using the way that was lost."""

    @abstractmethod
    async def _close(self) -> None:
        """Close everything."""

    @abstractmethod
    def _is_ours(self, portal: Address) -> bool:
        """Whether a portal connection belongs to this session."""

    @abstractmethod
    def _moved(self, moved: SteadyLinkMoved) -> None:
        """Take note that a steady link of this node goes another path."""

    # ---- what they share

    def _watch_end(self, *handles: LivingHandle) -> None:
        """Lose the way when one of its parts ends."""
        lost = self._lost = asyncio.get_running_loop().create_future()
        self._built_at = asyncio.get_running_loop().time()
        for handle in handles:
            handle.on_closed(lambda reason: None if lost.done() else lost.set_result(_Loss(reason)))

    async def _keep(self) -> None:
        while True:
            loss = await self._lost
            self._events.put(WayLost(loss.reason))
            if loss.suspected and await self._try_to_build():
                self._events.put(WayRestored(1))
                continue
            await self._tear_down()
            for attempts, pause in enumerate(self._pauses(), 1):
                await asyncio.sleep(pause)
                if await self._try_to_build():
                    self._events.put(WayRestored(attempts))
                    break

    async def _try_to_build(self) -> bool:
        try:
            await self._build()
        except OckamError:
            return False
        return True

    def _pauses(self) -> Iterator[float]:
        pause = FIRST_RETRY_S
        while True:
            yield pause * self._jitter.uniform(0.5, 1.0)
            pause = min(2 * pause, LAST_RETRY_S)

    async def _watch(self) -> None:
        async for observation in self._observations:
            if isinstance(observation, ConnectionOpened | ConnectionClosed) and self._is_ours(observation.portal):
                self._events.put(observation)
                if isinstance(observation, ConnectionClosed) and not observation.answered:
                    self._suspect(observation.reason)
            elif isinstance(observation, SteadyLinkMoved) and observation.epoch:
                self._moved(observation)

    def _suspect(self, reason: str) -> None:
        """The other end of a portal said nothing at all: its node may have restarted behind a living hub."""
        since = asyncio.get_running_loop().time() - self._built_at
        if since >= self._pong_timeout_s and not self._lost.done():
            self._lost.set_result(_Loss(reason, suspected=True))


def check_direct(identity: LocalIdentity | None, rendezvous: str | None) -> None:
    """Check that a direct path has a channel to carry.

    Raises:
        MisuseError: there is a rendezvous service and no identity.
    """
    if rendezvous is not None and identity is None:
        raise MisuseError(ErrorCode.MISUSE, "a direct path needs a secure channel: give an identity")
