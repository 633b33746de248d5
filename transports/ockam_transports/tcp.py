"""The TCP adapter: sockets for connections between nodes and for the plain sides of portals."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, LinkHost, LinkKind, TransportPlugin
from ockam_transports.connecting import Connecting
from ockam_transports.host_port import HostPort, parse_host_port
from ockam_transports.reasons import describe
from ockam_transports.stream_socket import READ_BYTES, StreamSocketLink

MAX_ACCEPTED_LINKS: Final = 4096
"""Links that one listening socket may have accepted and not yet freed; further clients are closed at once."""

LISTEN_BACKLOG: Final = 1024
"""Clients that may wait in the kernel to be accepted; Linux caps it at net.core.somaxconn."""

ACCEPTS_PER_TURN: Final = 64
"""Clients accepted in one turn of the event loop, so that a flood of them leaves time for the others."""

ACCEPT_PAUSE_S: Final = 0.5
"""How long accepting rests after the process ran out of descriptors or memory."""

KEEPALIVE_IDLE_S: Final = 300
"""Silence after which the kernel asks a connection's other machine whether it is still there (facts 02 section 2.4)."""

KEEPALIVE_INTERVAL_S: Final = 75
"""Time between two such questions."""

KEEPALIVE_PROBES: Final = 2
"""Unanswered questions after which the connection is dead."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TcpTransport:
    """TCP for one host on the running event loop."""

    def __init__(self, host: LinkHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        # reading into it, copying and handing over happen in one turn of the loop, so one buffer serves all links
        self._buffer = memoryview(bytearray(READ_BYTES))

    def open(self, link: LinkId, target: str) -> StreamSocketLink:
        """Begin to connect to ``host:port``; every address of the name is tried (see ``Connecting``)."""
        connecting = Connecting(self._loop)
        opening = self._new_link(link, lambda _: connecting.cancel())

        def won(sock: socket.socket) -> None:
            _configure(sock)
            opening.attach(sock)
            opening.flush()
            self._host.link_opened(link)
            opening.watch()

        connecting.start(target, won, lambda reason: self._host.link_failed(link, reason))
        return opening

    async def listen(self, address: str, accept: Acceptor) -> "TcpSocketListener":
        """Listen at ``host:port``; port 0 lets the operating system choose.

        Raises:
            MisuseError: ``address`` cannot be read.
            OckamError: nobody can listen there.
        """
        host, port = parse_host_port(address)
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, where = found[0]
            sock = socket.create_server(where[:2], family=family, backlog=LISTEN_BACKLOG)
        except OSError as error:
            raise OckamError(ErrorCode.LINK_FAILED, f"cannot listen on {address}: {describe(error)}") from None
        sock.setblocking(False)
        return TcpSocketListener(self._loop, sock, self._new_accepted, accept)

    def _new_accepted(self, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return self._new_link(self._host.new_link(), on_gone)

    def _new_link(self, link: LinkId, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return StreamSocketLink(link, self._host, loop=self._loop, buffer=self._buffer, on_gone=on_gone)


class TcpSocketListener:
    """A listening socket; it hands every client to the host as an open link that is not read yet."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        new_link: Callable[[Callable[[StreamSocketLink], None]], StreamSocketLink],
        accept: Acceptor,
    ) -> None:
        self.address = str(HostPort(*sock.getsockname()[:2]))
        self.turned_away = 0
        self._loop = loop
        self._sock = sock
        self._new_link = new_link
        self._accept = accept
        self._accepted: set[StreamSocketLink] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False
        loop.add_reader(sock.fileno(), self._acceptable)

    def close(self) -> None:
        """Accept no more; accepted links live on."""
        if not self._closed:
            self._closed = True
            self._stop_accepting()
            self._sock.close()

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._closed:
                return
            try:
                sock, _ = self._sock.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._stop_accepting()
                    self._pause = self._loop.call_later(ACCEPT_PAUSE_S, self._accept_again)
                return
            if len(self._accepted) >= MAX_ACCEPTED_LINKS:
                self.turned_away += 1
                sock.close()
                continue
            sock.setblocking(False)
            _configure(sock)
            link = self._new_link(self._accepted.discard)
            link.attach(sock)
            self._accepted.add(link)
            self._accept(link)
            link.watch()

    def _stop_accepting(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        else:
            self._loop.remove_reader(self._sock.fileno())

    def _accept_again(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock.fileno(), self._acceptable)


def _configure(sock: socket.socket) -> None:
    """Send small writes at once, and notice a machine that vanished (the peer's keep-alive times)."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    except OSError:
        # the other side is gone already; the first read or write says so
        return


PLUGIN: Final = TransportPlugin(
    name="tcp",
    transport_type=1,
    kind=LinkKind.STREAM,
    form="framed",
    address_form="host:port",
    summary="TCP, as every Ockam node speaks it",
    create=TcpTransport,
)
