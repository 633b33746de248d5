"""The TCP adapter: sockets for connections between nodes and for the plain sides of portals."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, LinkHost, LinkKind, TransportPlugin
from ockam_transports.connecting import Connecting
from ockam_transports.host_port import HostPort, parse_host_port
from ockam_transports.reasons import describe
from ockam_transports.stream_listener import LISTEN_BACKLOG, MAX_ACCEPTED_LINKS, StreamSocketListener
from ockam_transports.stream_socket import READ_BYTES, StreamSocketLink

KEEPALIVE_IDLE_S: Final = 300
"""Silence after which the kernel asks a connection's other machine whether it is still there (facts 02 section 2.4)."""

KEEPALIVE_INTERVAL_S: Final = 75
"""Time between two such questions."""

KEEPALIVE_PROBES: Final = 2
"""Unanswered questions after which the connection is dead."""

_ELSEWHERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""A name may have addresses that this machine cannot have, of a family that it does not speak for instance."""


class KeepAlive(NamedTuple):
    """How the kernel notices that a connection's other machine has vanished; the defaults are the peer's."""

    idle_s: int = KEEPALIVE_IDLE_S
    interval_s: int = KEEPALIVE_INTERVAL_S
    probes: int = KEEPALIVE_PROBES


class TcpTransport:
    """TCP for one host on the running event loop."""

    def __init__(
        self,
        host: LinkHost,
        *,
        keep_alive: KeepAlive | None = KeepAlive(),  # noqa: B008  # a value
        max_accepted: int = MAX_ACCEPTED_LINKS,
    ) -> None:
        self._host = host
        self._configure = partial(_configure, keep_alive=keep_alive)
        self._max_accepted = max_accepted
        self._loop = asyncio.get_running_loop()
        # reading into it, copying and handing over happen in one turn of the loop, so one buffer serves all links
        self._buffer = memoryview(bytearray(READ_BYTES))

    def open(self, link: LinkId, target: str) -> StreamSocketLink:
        """Begin to connect to ``host:port``; every address of the name is tried (see ``Connecting``)."""
        connecting = Connecting(self._loop)
        opening = self._new_link(link, lambda _: connecting.cancel())

        def won(sock: socket.socket) -> None:
            self._configure(sock)
            opening.attach(sock)
            opening.flush()
            self._host.link_opened(link)
            opening.watch()

        connecting.start(target, won, opening.fail)
        return opening

    async def listen(self, address: str, accept: Acceptor) -> "TcpListener":
        """Listen at ``host:port``, at every address of the name; port 0 lets the operating system choose.

        Raises:
            MisuseError: ``address`` cannot be read.
            OckamError: nobody can listen there.
        """
        try:
            host, port = parse_host_port(address)
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            sockets = _bind_all([(family, where[0]) for family, _, _, _, where in found], port)
        except MisuseError as error:
            raise MisuseError(error.code, f"cannot listen over TCP: {error}") from None
        except OSError as error:
            raise OckamError(ErrorCode.LINK_FAILED, f"cannot listen on {address} over TCP: {describe(error)}") from None
        return TcpListener([self._listen(sock, accept) for sock in sockets])

    def _listen(self, sock: socket.socket, accept: Acceptor) -> StreamSocketListener:
        sock.setblocking(False)
        return StreamSocketListener(
            self._loop,
            sock,
            str(HostPort(*sock.getsockname()[:2])),
            self._new_accepted,
            accept,
            configure=self._configure,
            max_accepted=self._max_accepted,
        )

    def _new_accepted(self, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return self._new_link(self._host.new_link(), on_gone)

    def _new_link(self, link: LinkId, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return StreamSocketLink(link, self._host, loop=self._loop, buffer=self._buffer, on_gone=on_gone)


class TcpListener:
    """The listening sockets of one name, all with one port; ``address`` is that of the first."""

    def __init__(self, sockets: list[StreamSocketListener]) -> None:
        self._sockets = sockets
        self.address: Final = sockets[0].address

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens."""
        return tuple(one.address for one in self._sockets)

    @property
    def turned_away(self) -> int:
        """How many clients were closed at once because there were too many."""
        return sum(one.turned_away for one in self._sockets)

    def close(self) -> None:
        """Accept no more; accepted links live on."""
        for one in self._sockets:
            one.close()


def _bind_all(addresses: Iterable[tuple[int, Any]], port: int) -> list[socket.socket]:
    """Return a listening socket for each address; the first one's port is everybody's.

    Raises:
        OSError: one of them cannot be had, or none is an address of this machine.
    """
    bound: list[socket.socket] = []
    missing: OSError | None = None
    for family, host in dict.fromkeys(addresses):
        try:
            bound.append(socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG))
        except OSError as error:
            if error.errno in _ELSEWHERE:
                missing = error
                continue
            for sock in bound:
                sock.close()
            raise
        port = bound[0].getsockname()[1]
    if not bound and missing is not None:
        raise missing
    return bound


def _configure(sock: socket.socket, *, keep_alive: KeepAlive | None) -> None:
    """Send small writes at once, and notice a machine that vanished."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if keep_alive is None:
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keep_alive.idle_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keep_alive.interval_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keep_alive.probes)
    except OSError:
        # the other side is gone already; the first read or write says so
        return


def make_plugin(
    *,
    keep_alive: KeepAlive | None = KeepAlive(),  # noqa: B008  # a value
    max_accepted: int = MAX_ACCEPTED_LINKS,
) -> TransportPlugin:
    """Return the plug-in with settings of your own, for ``Node.create(transports=(...,))``.

    ``keep_alive`` ``None`` leaves the kernel's off.  A listening socket closes further clients at once while it has
    ``max_accepted`` links.
    """
    return TransportPlugin(
        name="tcp",
        transport_type=1,
        kind=LinkKind.STREAM,
        form="framed",
        address_form="host:port",
        summary="TCP, as every Ockam node speaks it",
        create=partial(TcpTransport, keep_alive=keep_alive, max_accepted=max_accepted),
    )


PLUGIN: Final = make_plugin()
