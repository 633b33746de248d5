"""WebSocket for one host: clients and servers on TCP links, with TLS or without."""

import asyncio
import ssl
from functools import partial
from typing import Final

from websockets.client import ClientProtocol
from websockets.server import ServerProtocol
from websockets.uri import WebSocketURI

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, Link, LinkHost, Listener
from ockam_transports.host_port import HostPort, parse_host_port
from ockam_transports.stream_host import StreamHost
from ockam_transports.stream_socket import StreamSocketLink
from ockam_transports.tcp import TcpTransport
from ockam_transports.tls_stream import TlsStream
from ockam_transports.websocket_address import WebSocketAddress, parse_websocket_address
from ockam_transports.websocket_link import MAX_PACKET_BYTES, WebSocketLink

_NO_BROWSERS: Final = (None,)
"""The origins that a server takes.  A browser names the page that connects, other programs name none."""

_NOWHERE: Final = WebSocketAddress(secure=False, host_port=HostPort("", 0), target="")


class WebSocketTransport:
    """WebSocket on the running event loop.

    ``client_tls`` is for addresses with ``wss://``, by default one that trusts what the system trusts; a server with
    such an address needs ``server_tls``, with its certificate and key.
    """

    def __init__(
        self, host: LinkHost, *, client_tls: ssl.SSLContext | None = None, server_tls: ssl.SSLContext | None = None
    ) -> None:
        self._host = host
        self._client_tls = client_tls
        self._server_tls = server_tls
        self._loop = asyncio.get_running_loop()
        self._links: dict[LinkId, WebSocketLink] = {}
        self._tcp = TcpTransport(StreamHost(host, self._links))

    def open(self, link: LinkId, target: str) -> Link:
        """Begin to connect to ``host:port``, with a path behind or a scheme in front where one is wanted."""
        try:
            address, problem = parse_websocket_address(target), ""
        except MisuseError as error:
            address, problem = _NOWHERE, str(error)
        host, port = address.host_port
        tls = None
        if address.secure:
            context = self._client_tls or ssl.create_default_context()
            tls = TlsStream(context, server_side=False, server_hostname=host)

        def failed(reason: str) -> None:
            self._host.link_failed(link, f"cannot connect to {target!r} over ws: {reason}")

        opening = WebSocketLink(
            link,
            self._host,
            ClientProtocol(
                WebSocketURI(address.secure, host, port, address.path, address.query), max_size=MAX_PACKET_BYTES
            ),
            tls,
            loop=self._loop,
            on_open=lambda _: self._host.link_opened(link),
            on_fail=failed,
        )
        if problem:
            self._loop.call_soon(opening.stream_failed, problem)
        else:
            self._links[link] = opening
            opening.attach(self._tcp.open(link, str(address.host_port)))
        return opening

    async def listen(self, address: str, accept: Acceptor) -> "WebSocketListener":
        """Listen at ``host:port`` for any path, at ``host:port/path`` for that path only; with TLS at ``wss://...``.

        Raises:
            MisuseError: ``address`` cannot be read, or asks for TLS and there is no ``server_tls``.
            OckamError: nobody can listen there.
        """
        knocking: set[WebSocketLink] = set()
        try:
            wanted = parse_websocket_address(address)
            if wanted.secure and self._server_tls is None:
                raise MisuseError(ErrorCode.MISUSE, "TLS needs a certificate, see websocket.make_plugin")
            sockets = await self._tcp.listen(str(wanted.host_port), partial(self._begin, wanted, knocking, accept))
        except OckamError as error:
            raise type(error)(error.code, f"cannot listen on {address!r} over ws: {error}") from None
        listening = wanted._replace(host_port=parse_host_port(sockets.address))
        return WebSocketListener(str(listening), sockets, knocking)

    def _begin(self, wanted: WebSocketAddress, knocking: set[WebSocketLink], accept: Acceptor, stream: Link) -> None:
        """Answer the handshake of a client; it becomes a link for the host when that has succeeded."""
        assert isinstance(stream, StreamSocketLink)

        def opened(link: WebSocketLink) -> None:
            knocking.discard(link)
            accept(link)

        context = self._server_tls if wanted.secure else None
        link = WebSocketLink(
            stream.id,
            self._host,
            ServerProtocol(origins=_NO_BROWSERS, max_size=MAX_PACKET_BYTES),
            None if context is None else TlsStream(context, server_side=True),
            loop=self._loop,
            on_open=opened,
            on_fail=lambda _: knocking.discard(link),
            path=wanted.path,
        )
        knocking.add(link)
        self._links[stream.id] = link
        link.attach(stream)
        link.begin()


class WebSocketListener:
    """A listening socket whose clients are links once they speak WebSocket."""

    def __init__(self, address: str, sockets: Listener, knocking: set[WebSocketLink]) -> None:
        self.address = address
        self._sockets = sockets
        self._knocking = knocking

    def close(self) -> None:
        """Accept no more, not even those who are about to become links; accepted links live on."""
        self._sockets.close()
        while self._knocking:
            self._knocking.pop().give_up()
