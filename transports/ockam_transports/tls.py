"""TLS for one host, on TCP links: for the plain sides of portals, where services and clients speak it themselves."""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, Link, LinkHost, Listener
from ockam_transports.host_port import parse_host_port
from ockam_transports.stream_host import StreamHost
from ockam_transports.stream_socket import StreamSocketLink
from ockam_transports.tcp import TcpTransport
from ockam_transports.tls_link import TlsLink
from ockam_transports.tls_stream import TlsStream

ServerTls = Callable[[], ssl.SSLContext]
"""Returns the certificate and key of a server, before each handshake; ``OckamError`` the first time if it has none."""

_BELOW: Final = " over TCP: "


class TlsTransport:
    """TLS on the running event loop: ``client`` says whom it trusts where it connects, ``server`` who it is itself.

    ``refused`` is told, in a sentence, of each client with whom there was no handshake.
    """

    def __init__(
        self,
        host: LinkHost,
        *,
        client: ssl.SSLContext | None = None,
        server: ServerTls | None = None,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._host = host
        self._client = client
        self._server = server
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._links: dict[LinkId, TlsLink] = {}
        self._tcp = TcpTransport(StreamHost(host, self._links))

    def open(self, link: LinkId, target: str) -> Link:
        """Begin to connect to ``host:port``; the certificate there must be trusted, and be for that host."""
        try:
            host, problem = parse_host_port(target).host, ""
        except MisuseError as error:
            host, problem = "", str(error)
        if self._client is None:
            self._client = ssl.create_default_context()

        def failed(reason: str) -> None:
            self._host.link_failed(link, f"cannot connect to {target!r} over TLS: {_last(reason)}")

        opening = TlsLink(
            link,
            self._host,
            TlsStream(self._client, server_side=False, server_hostname=host or None),
            loop=self._loop,
            on_open=lambda _: self._host.link_opened(link),
            on_fail=failed,
        )
        if problem:
            self._loop.call_soon(opening.stream_failed, problem)
        else:
            self._links[link] = opening
            opening.attach(self._tcp.open(link, target))
        return opening

    async def listen(self, address: str, accept: Acceptor) -> "TlsListener":
        """Listen at ``host:port``; who has shaken hands becomes a link.

        Raises:
            MisuseError: ``address`` cannot be read, or there is no ``server``.
            OckamError: nobody can listen there, or the server has no certificate to show.
        """
        if self._server is None:
            raise MisuseError(ErrorCode.MISUSE, f"cannot listen on {address!r} over TLS: it needs a certificate")
        self._server()
        knocking: set[TlsLink] = set()
        try:
            sockets = await self._tcp.listen(address, partial(self._begin, self._server, knocking, accept))
        except OckamError as error:
            raise type(error)(error.code, f"cannot listen on {address!r} over TLS: {_last(str(error))}") from None
        return TlsListener(sockets, knocking)

    def _begin(self, server: ServerTls, knocking: set[TlsLink], accept: Acceptor, stream: Link) -> None:
        """Shake hands with a client; it becomes a link for the host when that has succeeded."""
        assert isinstance(stream, StreamSocketLink)

        def opened(link: TlsLink) -> None:
            knocking.discard(link)
            accept(link)

        def failed(reason: str) -> None:
            knocking.discard(link)
            self._refused(reason)

        tls = TlsStream(server(), server_side=True)
        link = TlsLink(stream.id, self._host, tls, loop=self._loop, on_open=opened, on_fail=failed)
        knocking.add(link)
        self._links[stream.id] = link
        link.attach(stream)
        link.begin()


class TlsListener:
    """A listening socket whose clients are links once they have shaken hands."""

    def __init__(self, sockets: Listener, knocking: set[TlsLink]) -> None:
        self.address: Final = sockets.address
        self._sockets = sockets
        self._knocking = knocking

    def close(self) -> None:
        """Accept no more, not even those who are about to become links; accepted links live on."""
        self._sockets.close()
        while self._knocking:
            self._knocking.pop().give_up()


def _last(reason: str) -> str:
    """Leave out what TCP says of itself: the sentence around it says it."""
    return reason.rpartition(": ")[2] if _BELOW in reason else reason
