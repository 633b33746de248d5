"""The UDP adapter: bound endpoints that talk with many others, and links to one other."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, Final

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Chunk, LinkHost, LinkKind, TransportPlugin
from ockam_transports.datagram_sink import MAX_QUEUED_BYTES, Burst, DatagramSink
from ockam_transports.datagram_socket import DatagramSocket, SocketAddress
from ockam_transports.host_port import HostPort, is_ip_literal, parse_host_port
from ockam_transports.reasons import describe

MAX_KNOWN_TARGETS: Final = 1024
"""Targets whose addresses an endpoint remembers; the one that was unused for longest is forgotten for a new one."""

NAME_LIFETIME_S: Final = 60.0
"""How long the address of a name is believed."""

MAX_LOOKUPS: Final = 64
"""Names that one endpoint looks up at a time; datagrams for further ones are lost."""


class UdpTransport:
    """UDP for one host on the running event loop; ``offload`` false turns the batches of Linux off, for comparison."""

    def __init__(self, host: LinkHost, *, offload: bool = True) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._offload = offload

    def open(self, link: LinkId, target: str) -> "UdpLink":
        """Begin to open a link to ``host:port``: datagrams of nobody else come in."""
        opening = UdpLink(link, self._host, self._loop)
        opening.begin(target, offload=self._offload)
        return opening

    async def bind(self, link: LinkId, address: str) -> "UdpSocketEndpoint":
        """Bind ``host:port``; port 0 lets the operating system choose.  An IPv6 address takes IPv6 only.

        Raises:
            MisuseError: ``address`` cannot be read.
            OckamError: it cannot be bound.
        """
        sock = None
        try:
            host, port = parse_host_port(address)
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
            family, _, _, _, where = found[0]
            sock = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(where)
        except MisuseError as error:
            raise MisuseError(error.code, f"cannot bind UDP: {error}") from None
        except OSError as error:
            if sock is not None:
                sock.close()
            raise OckamError(ErrorCode.LINK_FAILED, f"cannot bind UDP {address}: {describe(error)}") from None
        return UdpSocketEndpoint(link, self._host, self._loop, sock, offload=self._offload)


class UdpSocketEndpoint(DatagramSink):
    """A bound socket."""

    def __init__(
        self, link: LinkId, host: LinkHost, loop: asyncio.AbstractEventLoop, sock: socket.socket, *, offload: bool
    ) -> None:
        super().__init__(link, host, loop)
        self.address = _text_of(sock.getsockname())
        self._family = sock.family
        self._known: OrderedDict[str, tuple[SocketAddress, float]] = OrderedDict()
        self._lookups: dict[str, tuple[asyncio.Future[Any], list[Burst]]] = {}
        self._texts: dict[SocketAddress, str] = {}
        self.attach(DatagramSocket(sock, offload=offload))

    def send(self, target: str, datagrams: Sequence[Chunk], *, paced: bool = False) -> None:
        """Take datagrams for ``host:port``; a name is looked up first."""
        if self._closing or self._gone:
            return
        size = self._count(datagrams)
        if self.buffered + size > MAX_QUEUED_BYTES:
            self._told_lost(target, len(datagrams), f"{self.buffered} bytes wait to be sent already")
            return
        known = self._known.get(target)
        if known is not None and known[1] > monotonic():
            self._known.move_to_end(target)
            self.buffered += size
            self._put(Burst(target, known[0], datagrams, paced=paced))
            return
        try:
            host, port = parse_host_port(target)
            where = _literal(host, port, self._family)
        except MisuseError as error:
            self._told_lost(target, len(datagrams), str(error))
            return
        self.buffered += size
        if where is not None:
            self._remember(target, where, float("inf"))
            self._put(Burst(target, where, datagrams, paced=paced))
        else:
            self._look_up(target, host, port, datagrams)

    def _look_up(self, target: str, host: str, port: int, datagrams: Sequence[Chunk]) -> None:
        found = self._lookups.get(target)
        if found is None:
            if len(self._lookups) >= MAX_LOOKUPS:
                self._give_up([Burst(target, None, datagrams)], "too many names are being looked up")
                return
            lookup = asyncio.ensure_future(
                self._loop.getaddrinfo(host, port, family=self._family, type=socket.SOCK_DGRAM)
            )
            found = self._lookups[target] = (lookup, [])
            lookup.add_done_callback(lambda done: self._found(target, done))
        found[1].append(Burst(target, None, datagrams))

    def _found(self, target: str, lookup: "asyncio.Future[Any]") -> None:
        _, bursts = self._lookups.pop(target, (None, []))
        if lookup.cancelled() or self._gone:
            return
        error = lookup.exception()
        if isinstance(error, OSError):
            self._give_up(bursts, describe(error))
            return
        where = lookup.result()[0][4]
        self._remember(target, where, monotonic() + NAME_LIFETIME_S)
        for burst in bursts:
            burst.where = where
            self._put(burst)
        self.flush()

    def _give_up(self, bursts: list[Burst], reason: str) -> None:
        for burst in bursts:
            self.buffered -= self._count(burst.datagrams)
            self._told_lost(burst.target, len(burst.datagrams), reason)

    def _remember(self, target: str, where: SocketAddress, until: float) -> None:
        self._known[target] = (where, until)
        self._known.move_to_end(target)
        if len(self._known) > MAX_KNOWN_TARGETS:
            self._known.popitem(last=False)

    def _received(self, where: SocketAddress, datagrams: list[bytes]) -> list[bytes]:
        text = self._texts.get(where)
        if text is None:
            if len(self._texts) >= MAX_KNOWN_TARGETS:
                self._texts.clear()
            text = self._texts[where] = _text_of(where)
        if where[3:] not in {(), (0,)}:  # the way back to a link-local address leads through the interface it came by
            self._remember(text, where, float("inf"))
        self._host.datagrams_received(self.id, text, tuple(datagrams))
        return []

    def _free(self) -> None:
        for lookup, _ in list(self._lookups.values()):
            lookup.cancel()
        super()._free()


class UdpLink(DatagramSink):
    """A socket that is connected to one other: each ``write`` is a datagram, and each datagram is told by itself."""

    def __init__(self, link: LinkId, host: LinkHost, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(link, host, loop)
        self._target = ""
        self._lookup: asyncio.Future[Any] | None = None
        self._drain_asked = False
        self._written: list[bytes] = []

    def begin(self, target: str, *, offload: bool) -> None:
        """Look the target up and connect to its first address that this machine can send to."""
        self._target = target
        try:
            host, port = parse_host_port(target)
        except MisuseError as error:
            self._loop.call_soon(self._fail, f"cannot send over UDP: {error}")
            return
        self._lookup = asyncio.ensure_future(self._loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))
        self._lookup.add_done_callback(lambda done: self._found(done, offload=offload))

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take one datagram."""
        if self._closing or self._gone:
            return
        datagram = b"".join(chunks)
        if self.buffered + len(datagram) > MAX_QUEUED_BYTES:
            self._told_lost(self._target, 1, f"{self.buffered} bytes wait to be sent already")
            return
        self.buffered += len(datagram)
        self._written.append(datagram)

    def flush(self) -> None:
        """Send as much as the socket takes now, in one batch where it can be, and arrange for the rest."""
        if self._written:
            burst = Burst(self._target, None, self._written)
            burst.is_long = False  # these are datagrams of their own
            self._put(burst)
            self._written = []
        super().flush()
        if self._drain_asked and not self.buffered:
            self._loop.call_soon(self._tell_progress)

    def finish_sending(self) -> None:
        """Do nothing: a datagram socket has no end that the other side could see."""

    def report_drained(self) -> None:
        """Tell the host once all that was written so far has left this process."""
        self._drain_asked = True

    def _tell_progress(self) -> None:
        super()._tell_progress()
        if self._drain_asked and not self.buffered and not self._closing:
            self._drain_asked = False
            self._host.link_drained(self.id)

    def _received(self, where: SocketAddress, datagrams: list[bytes]) -> list[bytes]:
        del where
        for index, datagram in enumerate(datagrams):
            if not self._reading:
                return datagrams[index:]
            self._host.bytes_received(self.id, datagram)
        return []

    def _found(self, lookup: "asyncio.Future[Any]", *, offload: bool) -> None:
        if lookup.cancelled() or self._gone:
            return
        error = lookup.exception()
        reason = describe(error) if isinstance(error, OSError) else "the name has no address"
        for family, _, _, _, where in () if error else lookup.result():
            sock = socket.socket(family, socket.SOCK_DGRAM)
            try:
                sock.connect(where)
            except OSError as refused:
                sock.close()
                reason = describe(refused)
                continue
            self.attach(DatagramSocket(sock, offload=offload))
            self._host.link_opened(self.id)
            self.flush()
            return
        self._fail(f"cannot send to UDP {self._target}: {reason}")

    def _fail(self, reason: str) -> None:
        if not (self._closing or self._gone):
            self._free()
            self._host.link_failed(self.id, reason)

    def _free(self) -> None:
        if self._lookup is not None:
            self._lookup.cancel()
        super()._free()


async def resolve(address: str, *, beside: str) -> str:
    """Return ``host:port`` as ``ip:port``, in the form in which sources are told to an endpoint bound to ``beside``.

    Raises:
        MisuseError: it cannot be read.
        OckamError: the name has no address of the endpoint's kind.
    """
    host, port = parse_host_port(address)
    family = socket.AF_INET6 if ":" in parse_host_port(beside).host else socket.AF_INET
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise OckamError(ErrorCode.LINK_FAILED, f"cannot send to UDP {address}: {describe(error)}") from None
    return _text_of(found[0][4])


def _literal(host: str, port: int, family: int) -> SocketAddress | None:
    """Return the socket address of an IP address; ``None`` for a name.

    Raises:
        MisuseError: the address is of the other family.
    """
    if not is_ip_literal(host):
        return None
    if (":" in host) != (family == socket.AF_INET6):
        version = 6 if family == socket.AF_INET6 else 4
        raise MisuseError(
            ErrorCode.BAD_ADDRESS, f"this endpoint is bound to an IPv{version} address and {host} is none"
        )
    return (host, port)


def _text_of(where: SocketAddress) -> str:
    """Return ``ip:port`` without the interface of a link-local address."""
    return str(HostPort(where[0].partition("%")[0], where[1]))


PLUGIN: Final = TransportPlugin(
    name="udp",
    transport_type=2,
    kind=LinkKind.DATAGRAM,
    form="udp",
    address_form="host:port",
    summary="UDP, as Ockam nodes since release 0.145 speak it",
    create=UdpTransport,
)
