"""Observations on their way to people and to callers that wait for one."""

import asyncio
from collections import deque
from typing import Final, Generic, TypeAlias, TypeVar
from weakref import WeakSet

from ockam_ref.observations import (
    ChannelClosed,
    ChannelOpened,
    HandshakeFailed,
    HopReached,
    HopUnreachable,
    LinkLost,
    Observation,
    OfNode,
    PunctureClosed,
    PunctureNegotiated,
    PunctureOpened,
    RelayFailed,
    RelayReady,
    SteadyLinkClosed,
    SteadyLinkMoved,
)
from ockam_ref.wire.address import Address

T = TypeVar("T")

Begun: TypeAlias = ChannelOpened | HopReached | PunctureNegotiated | RelayReady | SteadyLinkMoved
"""How a worker says that it has become what its caller wanted."""

MAX_WAITING_OBSERVATIONS: Final = 4096
"""What one stream keeps for a reader that is slow; the oldest are forgotten first."""


class Stream(Generic[T]):
    """What happens from now on, as an asynchronous iterator for one reader."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque(maxlen=MAX_WAITING_OBSERVATIONS)
        self._wake: asyncio.Future[None] | None = None
        self._ended = False

    def __aiter__(self) -> "Stream[T]":
        return self

    async def __anext__(self) -> T:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return self._waiting.popleft()

    def put(self, item: T) -> None:
        """Keep one for the reader."""
        self._waiting.append(item)
        self._awake()

    def end(self) -> None:
        """Let the reader stop when it has read what waits."""
        self._ended = True
        self._awake()

    def _awake(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Life:
    """The life of one worker as its handle sees it: how it began, whether it opened later, and why it ended."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[Begun] = loop.create_future()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()

    def take(self, observation: Observation) -> None:
        """Note what the worker reports."""
        match observation:
            case ChannelOpened() | HopReached() | PunctureNegotiated() | RelayReady() | SteadyLinkMoved() if (
                not self.begun.done()
            ):
                self.begun.set_result(observation)
            case PunctureOpened() if not self.opened.done():
                self.opened.set_result(None)
            case (
                LinkLost()
                | HandshakeFailed()
                | HopUnreachable()
                | ChannelClosed()
                | RelayFailed()
                | PunctureClosed()
                | SteadyLinkClosed()
            ):
                self.end(observation.reason)
            case _:
                return

    def end(self, reason: str) -> None:
        """Note the end; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(reason)


class Watching:
    """Where the driver reports to.  Nobody that is told may call the node from inside the call."""

    def __init__(self) -> None:
        self._readers: WeakSet[Stream[Observation]] = WeakSet()
        self._lives: dict[Address, Life] = {}

    def observe(self) -> Stream[Observation]:
        """Return a new reader; it is forgotten when nobody holds it any more."""
        reader: Stream[Observation] = Stream()
        self._readers.add(reader)
        return reader

    def follow(self, worker: Address) -> Life:
        """Return the life of a worker that has just been started; all who follow the same worker share it."""
        return self._lives.setdefault(worker, Life())

    def report(self, observation: Observation) -> None:
        """Pass one observation on."""
        for reader in self._readers:
            reader.put(observation)
        if isinstance(observation, OfNode):
            return
        life = self._lives.get(observation.worker)
        if life is not None:
            life.take(observation)
            if life.ended.done():
                del self._lives[observation.worker]

    def forget(self, worker: Address) -> None:
        """Nobody follows the worker any more."""
        self._lives.pop(worker, None)

    def end(self, worker: Address, reason: str) -> None:
        """Note the end of a worker that says nothing itself."""
        life = self._lives.pop(worker, None)
        if life is not None:
            life.end(reason)

    def end_all(self, reason: str) -> None:
        """Note that the whole node has ended."""
        for worker in list(self._lives):
            self.end(worker, reason)
        for reader in self._readers:
            reader.end()
