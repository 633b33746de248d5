"""The contract between a host and a link adapter.

An adapter moves bytes between one kind of operating-system object and the host; it knows nothing of Ockam.  Four rules
make it replaceable:

* An adapter never calls the host from inside a call of the host: what a call brings to light is told in a later turn of
  the event loop.
* A link is not read before ``start_reading``, not even by the event loop on its behalf.
* Operating-system errors end here: the host only sees reasons, sentences for people.
* After ``close`` or ``abort`` the host hears nothing more of that link.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeAlias, runtime_checkable

from ockam_ref.machine import LinkId

HIGH_WATER_BYTES: Final = 6 * 1024 * 1024
"""Above this many unsent bytes in one link, the host stops reading whatever feeds it.

More than one portal connection may have on its way (``ockam_ref.portals.credit``), so that a stalled target does not
stop its neighbours.
"""

LOW_WATER_BYTES: Final = 1024 * 1024
"""A link that was above the high-water mark says so once no more than this waits."""

Chunk: TypeAlias = bytes | bytearray | memoryview


class LinkKind(StrEnum):
    """What a link of a transport is like."""

    STREAM = "stream"
    """Bytes in order, without boundaries: every byte given to one end comes out of the other."""
    PACKET = "packet"
    """Packets in order, each whole: what one ``write`` took is what one ``bytes_received`` tells."""
    DATAGRAM = "datagram"
    """Packets that may be lost, doubled or overtake each other; an endpoint talks with many others."""


class Sink(Protocol):
    """What links and datagram endpoints have in common."""

    @property
    def id(self) -> LinkId:
        """The number under which the host knows it."""

    @property
    def buffered(self) -> int:
        """How many bytes were given to it and have not left this process."""

    @property
    def mtu(self) -> int | None:
        """The size in bytes of the largest packet; ``None`` for a stream, and where packets have no such bound."""

    def flush(self) -> None:
        """Act on what was asked since the last ``flush``: bytes, end, report; what cannot be done now, follows.

        The host calls it once for each event that it has worked off, so that many small messages leave in one write.
        """

    def start_reading(self) -> None:
        """Begin, or go on, to read.  Idempotent."""

    def stop_reading(self) -> None:
        """Read nothing until ``start_reading``.  Idempotent."""

    def report_relieved(self) -> None:
        """Answer with ``link_relieved`` once no more than ``LOW_WATER_BYTES`` wait."""

    def close(self) -> None:
        """Send what was given, end both directions in good order, free everything.  Bounded in time."""

    def abort(self) -> None:
        """Free everything now; bytes that wait are lost, and the other side can tell that this was no orderly end."""


class Link(Sink, Protocol):
    """One open, opening or closing stream or packet link, as the host sees it."""

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take bytes to send, in order; on a packet link, the chunks together are one packet."""

    def finish_sending(self) -> None:
        """After all bytes given so far, tell the other side that no more come; reading goes on."""

    def report_drained(self) -> None:
        """Answer with ``link_drained`` once all bytes given so far have left this process; once for several asks."""


class Endpoint(Sink, Protocol):
    """A bound datagram socket: it sends to many others and hears from many."""

    @property
    def address(self) -> str:
        """Where it is bound, with the port that the operating system chose."""

    def send(self, target: str, datagrams: Sequence[Chunk], *, paced: bool = False) -> None:
        """Take datagrams for one target, in order; each may be lost, also by a target that cannot be resolved.

        Unless they are ``paced``, many for one target leave with pauses that give its receiver time to take them.
        """


class LinkHost(Protocol):
    """What an adapter tells the host about its links."""

    def new_link(self) -> LinkId:
        """Return the number for a link that is about to be accepted."""

    def bytes_received(self, link: LinkId, data: bytes) -> None:
        """Bytes came in, in order; they are the host's, the adapter keeps no view of them."""

    def datagrams_received(self, link: LinkId, source: str, datagrams: tuple[bytes | memoryview, ...]) -> None:
        """Datagrams came to an endpoint from one source, in this order; the adapter keeps no view of them."""

    def datagrams_lost(self, link: LinkId, target: str, count: int, reason: str) -> None:
        """So many datagrams for the target were not even sent; the link lives on."""

    def mtu_changed(self, link: LinkId, mtu: int) -> None:
        """From now on the largest packet of this open link has ``mtu`` bytes."""

    def link_opened(self, link: LinkId) -> None:
        """``open`` has succeeded."""

    def link_failed(self, link: LinkId, reason: str) -> None:
        """``open`` has failed; the link is gone."""

    def link_finished(self, link: LinkId) -> None:
        """The other side sends no more; our direction still works."""

    def link_closed(self, link: LinkId, reason: str) -> None:
        """The link broke in both directions and is gone."""

    def link_drained(self, link: LinkId) -> None:
        """The answer to ``report_drained``."""

    def link_relieved(self, link: LinkId) -> None:
        """The answer to ``report_relieved``."""

    def link_gone(self, link: LinkId) -> None:
        """A link that the host closed has freed everything."""


class Acceptor(Protocol):
    """What a listening socket calls for each client."""

    def __call__(self, link: Link) -> None:
        """Take the link; it is open and not read yet."""


class Listener(Protocol):
    """A listening socket."""

    @property
    def address(self) -> str:
        """Where it listens, with the port that the operating system chose."""

    def close(self) -> None:
        """Accept no more; the links accepted so far live on."""


@runtime_checkable
class SlowListener(Listener, Protocol):
    """A listener that has something to give back, which takes time: a host that stops waits for it a moment."""

    async def wait_closed(self) -> None:
        """Return once everything is given back, after ``close`` and the end of the accepted links."""


class Transport(Protocol):
    """A kind of link: how to open one, how to listen for them."""

    def open(self, link: LinkId, target: str) -> Link:
        """Begin to open a link; the host is told ``link_opened`` or ``link_failed`` later."""

    async def listen(self, address: str, accept: Acceptor) -> Listener:
        """Listen at ``address``.

        Raises:
            OckamError: nobody can listen there; the message says why and what to do.
        """


class DatagramTransport(Protocol):
    """A transport of datagrams: who sends is not accepted but heard."""

    def open(self, link: LinkId, target: str) -> Link:
        """Begin to open a packet link that talks with ``target`` only; its packets may be lost."""

    async def bind(self, link: LinkId, address: str) -> Endpoint:
        """Return an endpoint bound to ``address``; nothing is read before ``start_reading``.

        Raises:
            OckamError: it cannot be bound there; the message says why and what to do.
        """


@dataclass(frozen=True, slots=True)
class TransportPlugin:
    """What an entry point of the group ``ockam_ref.transports`` names: one transport that is installed."""

    name: str
    """What people write, in lower case: ``tcp``."""
    transport_type: int
    """The first half of its addresses in routes; 1 to 5 are Ockam's, 6 to 255 are free."""
    kind: LinkKind
    """What its links are like."""
    form: str
    """How messages lie in them, by its name in ``ockam_ref.links.forms``.

    ``framed`` suits any stream of bytes, ``packet`` packets of any size.  Datagrams have a form of their own, and this
    is only a word for people.
    """
    address_form: str
    """The second half of its addresses, for people: ``host:port``."""
    summary: str
    """One line for people."""
    create: Callable[[LinkHost], Transport | DatagramTransport]
    """Make the transport for one host, on the running event loop.

    What is heavy is imported here or later, and raises ``OckamError`` with what to install where it is missing.
    """
    needs: tuple[str, ...] = ()
    """The packages that ``create`` and what it makes import late, by the names under which they are imported."""
    extra: str | None = None
    """The extra of the plug-in's distribution that installs them."""
    link_alias: Callable[[str | None], str] | None = None
    """For old peers that want fixed names in return routes: that for a link to a target, ``None`` for accepted ones.

    It is an address of ``transport_type``.  Without this, return routes hold the link's own address, as they should.
    """
