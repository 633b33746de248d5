"""Datagram transports made worse on purpose: what a socket sends is lost, doubled or late, as an impairment says."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from ockam_ref.lab.description import Hop
from ockam_ref.links.impairment import Impairment, Passage, let_through
from ockam_ref.machine import LinkId
from ockam_transports.base import Chunk, DatagramTransport, Endpoint, Link, LinkHost, Transport, TransportPlugin

_UNHARMED = Impairment()


@dataclass(slots=True)
class Path:
    """What happens to the packets of the links that are made while it is current, and how many were taken."""

    impairment: Impairment = _UNHARMED
    lost: int = 0


def impairment_of(hop: Hop) -> Impairment:
    """Return what a description asks for, in each direction."""
    return Impairment(
        loss=hop.loss,
        duplication=hop.duplicate,
        reorder=hop.reorder,
        delay_s=hop.delay_s,
        jitter_s=hop.jitter_s,
    )


class Weather:
    """Chooses the path of the links that one node makes; ``current`` is that of those made from now on."""

    def __init__(self) -> None:
        self.current = Path()

    def wrap(self, plugin: TransportPlugin) -> TransportPlugin:
        """Return the plug-in whose links send along such paths."""
        create = plugin.create

        def create_lossy(host: LinkHost) -> Transport | DatagramTransport:
            return cast("Any", LossyTransport(create(host), self))  # type: ignore[no-any-return]

        return replace(plugin, create=create_lossy)


class LossyTransport:
    """A datagram transport in bad weather."""

    def __init__(self, transport: Transport | DatagramTransport, weather: Weather) -> None:
        self._transport: Any = transport
        self._weather = weather

    def open(self, link: LinkId, target: str) -> Link:
        """Open a link along the current path."""
        return cast("Link", LossyLink(self._transport.open(link, target), self._weather.current))

    async def bind(self, link: LinkId, address: str) -> Endpoint:
        """Bind an endpoint that sends along the current path."""
        return cast("Endpoint", LossyLink(await self._transport.bind(link, address), self._weather.current))


class LossyLink:
    """A link or endpoint whose packets take a path."""

    def __init__(self, link: Link | Endpoint, path: Path) -> None:
        self._link: Any = link
        self._path = path
        self._passage = Passage()
        self._dice = random.Random()  # noqa: S311  # weather, not a secret
        self._loop = asyncio.get_running_loop()
        self._late: set[asyncio.TimerHandle] = set()

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Let one packet take the path."""
        packet = b"".join(chunks)
        self._let_through(len(packet), lambda: self._link.write((packet,)))

    def send(self, target: str, datagrams: Sequence[Chunk], *, paced: bool = False) -> None:
        """Let each datagram take the path."""
        for datagram in datagrams:
            sent = partial(self._link.send, target, (datagram,), paced=paced)
            self._let_through(len(datagram), sent)

    def close(self) -> None:
        """Close the link; what is late does not arrive any more."""
        self._forget_late()
        self._link.close()

    def abort(self) -> None:
        """Abort the link; what is late does not arrive any more."""
        self._forget_late()
        self._link.abort()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all the rest of a link
        return getattr(self._link, name)

    def _let_through(self, length: int, arrive: Any) -> None:  # noqa: ANN401  # a callback
        now = self._loop.time()
        self._passage, times = let_through(self._path.impairment, self._passage, length, now, self._dice.random)
        self._path.lost += not times
        for at in times:
            if at <= now:
                arrive()
            else:
                self._later(at, arrive)

    def _later(self, at: float, arrive: Any) -> None:  # noqa: ANN401  # a callback
        def due() -> None:
            self._late.discard(timer)
            arrive()
            self._link.flush()

        timer = self._loop.call_at(at, due)
        self._late.add(timer)

    def _forget_late(self) -> None:
        for timer in self._late:
            timer.cancel()
        self._late.clear()
