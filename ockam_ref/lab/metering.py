"""Adapters that count: what goes through each link of a transport, both ways, seen from where the operating system is.

They stand between the host and a transport, in the place of the transport itself, so that a node which is not measured
pays nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ockam_ref.machine import LinkId
from ockam_transports.base import (
    Acceptor,
    Chunk,
    DatagramTransport,
    Endpoint,
    Link,
    LinkHost,
    Listener,
    Transport,
    TransportPlugin,
)


@dataclass(slots=True)
class Counters:
    """What went through one end of a hop; ``marks`` counts how often the mark of the experiment could be read there.

    ``packets`` are writes and reads; they are packets where the transport has any.  ``lost`` is how many of them an
    impairment has taken, ``largest`` the size of the largest that was sent.
    """

    bytes_out: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    packets_in: int = 0
    lost: int = 0
    marks: int = 0
    largest: int = 0


class Meter:
    """Counts for the links of one node.

    ``current`` gets what is opened, bound or listened for from now on: set it before each call of the node.  A link
    that is accepted later belongs to what its listener was made for.
    """

    def __init__(self, mark: bytes) -> None:
        self.current = Counters()
        self._mark = mark
        self._counters: dict[LinkId, Counters] = {}
        self._tails: dict[LinkId, bytes] = {}
        self._links: dict[int, Link | Endpoint] = {}

    def mtu(self, counters: Counters) -> int | None:
        """Return the size of the largest packet of the newest link that is counted there."""
        link = self._links.get(id(counters))
        return None if link is None else link.mtu

    def wrap(self, plugin: TransportPlugin) -> TransportPlugin:
        """Return the plug-in with links that are counted."""
        create = plugin.create
        return replace(plugin, create=lambda host: cast("Any", MeteredTransport(create(self._host(host)), self)))

    def expect(self, link: LinkId, counters: Counters) -> None:
        """Count for that link from now on."""
        self._counters[link] = counters

    def adopt(self, link: Link | Endpoint) -> "MeteredLink":
        """Return the link with writes that are counted."""
        self._links[id(self._counters[link.id])] = link
        return MeteredLink(link, self)

    def sent(self, link: LinkId, size: int) -> None:
        """Count one packet or write."""
        counters = self._counters[link]
        counters.bytes_out += size
        counters.packets_out += 1
        counters.largest = max(counters.largest, size)

    def received(self, link: LinkId, data: bytes | memoryview) -> None:
        """Count one packet or read, and look for the mark in it."""
        counters = self._counters[link]
        counters.bytes_in += len(data)
        counters.packets_in += 1
        text = self._tails.get(link, b"") + data
        counters.marks += text.count(self._mark)
        self._tails[link] = text[-len(self._mark) + 1 :]

    def _host(self, host: LinkHost) -> LinkHost:
        return cast("LinkHost", MeteredHost(host, self))


class MeteredHost:
    """What a transport tells its host passes here first."""

    def __init__(self, host: LinkHost, meter: Meter) -> None:
        self._host = host
        self._meter = meter

    def bytes_received(self, link: LinkId, data: bytes) -> None:
        """Count and pass on."""
        self._meter.received(link, data)
        self._host.bytes_received(link, data)

    def datagrams_received(self, link: LinkId, source: str, datagrams: tuple[bytes | memoryview, ...]) -> None:
        """Count and pass on."""
        for datagram in datagrams:
            self._meter.received(link, datagram)
        self._host.datagrams_received(link, source, datagrams)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all the rest of a ``LinkHost``
        return getattr(self._host, name)


class MeteredTransport:
    """A transport whose links are counted; it listens or binds if the one behind it does."""

    def __init__(self, transport: Transport | DatagramTransport, meter: Meter) -> None:
        self._transport: Any = transport
        self._meter = meter

    def open(self, link: LinkId, target: str) -> Link:
        """Open and count for what is current."""
        self._meter.expect(link, self._meter.current)
        return cast("Link", self._meter.adopt(self._transport.open(link, target)))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # ``listen`` or ``bind``, whichever there is
        there = getattr(self._transport, name)
        return {"listen": self._listen, "bind": self._bind}.get(name, there)

    async def _listen(self, address: str, accept: Acceptor) -> Listener:
        counters = self._meter.current

        def accept_counted(link: Link) -> None:
            self._meter.expect(link.id, counters)
            accept(cast("Link", self._meter.adopt(link)))

        listener: Listener = await self._transport.listen(address, accept_counted)
        return listener

    async def _bind(self, link: LinkId, address: str) -> Endpoint:
        self._meter.expect(link, self._meter.current)
        return cast("Endpoint", self._meter.adopt(await self._transport.bind(link, address)))


class MeteredLink:
    """A link or an endpoint whose writes are counted."""

    def __init__(self, link: Link | Endpoint, meter: Meter) -> None:
        self._link: Any = link
        self._meter = meter

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Count and pass on."""
        taken = tuple(chunks)
        self._meter.sent(self._link.id, sum(map(len, taken)))
        self._link.write(taken)

    def send(self, target: str, datagrams: Sequence[Chunk], *, paced: bool = False) -> None:
        """Count and pass on."""
        for datagram in datagrams:
            self._meter.sent(self._link.id, len(datagram))
        self._link.send(target, datagrams, paced=paced)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all the rest of a link
        return getattr(self._link, name)
