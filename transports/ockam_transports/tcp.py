"""The TCP adapter: sockets for connections between nodes and for the plain sides of portals."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, LinkHost, LinkKind, TransportPlugin
from ockam_transports.connecting import Connecting
from ockam_transports.host_port import HostPort, parse_host_port
from ockam_transports.reasons import describe
from ockam_transports.stream_listener import LISTEN_BACKLOG, StreamSocketListener
from ockam_transports.stream_socket import READ_BYTES, StreamSocketLink

KEEPALIVE_IDLE_S: Final = 300
"""Silence after which the kernel asks a connection's other machine whether it is still there (facts 02 section 2.4)."""

KEEPALIVE_INTERVAL_S: Final = 75
"""Time between two such questions."""

KEEPALIVE_PROBES: Final = 2
"""Unanswered questions after which the connection is dead."""


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

        connecting.start(target, won, opening.fail)
        return opening

    async def listen(self, address: str, accept: Acceptor) -> StreamSocketListener:
        """Listen at ``host:port``; port 0 lets the operating system choose.

        Raises:
            MisuseError: ``address`` cannot be read.
            OckamError: nobody can listen there.
        """
        try:
            host, port = parse_host_port(address)
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, where = found[0]
            sock = socket.create_server(where[:2], family=family, backlog=LISTEN_BACKLOG)
        except MisuseError as error:
            raise MisuseError(error.code, f"cannot listen over TCP: {error}") from None
        except OSError as error:
            raise OckamError(ErrorCode.LINK_FAILED, f"cannot listen on {address} over TCP: {describe(error)}") from None
        sock.setblocking(False)
        name = str(HostPort(*sock.getsockname()[:2]))
        return StreamSocketListener(self._loop, sock, name, self._new_accepted, accept, configure=_configure)

    def _new_accepted(self, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return self._new_link(self._host.new_link(), on_gone)

    def _new_link(self, link: LinkId, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return StreamSocketLink(link, self._host, loop=self._loop, buffer=self._buffer, on_gone=on_gone)


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
