"""The WebSocket plug-in: where only HTTP gets through, with TLS where it is wanted."""

import ssl
from typing import Final

from ockam_ref.errors import ErrorCode, OckamError
from ockam_transports.base import LinkHost, LinkKind, Transport, TransportPlugin


def make_plugin(
    *, client_tls: ssl.SSLContext | None = None, server_tls: ssl.SSLContext | None = None
) -> TransportPlugin:
    """Return the plug-in with TLS settings of your own, for ``Node.create(transports=(...,))``.

    ``client_tls`` is for connecting to addresses with ``wss://``; the default trusts the authorities that the system
    trusts (``SSL_CERT_FILE`` adds one).  ``server_tls`` has the certificate and key of a server that listens at such
    an address.
    """

    def create(host: LinkHost) -> Transport:
        try:
            from ockam_transports.websocket_transport import WebSocketTransport  # noqa: PLC0415
        except ModuleNotFoundError as error:
            reason = f"WebSocket needs a package that is not installed ({error.name}): pip install 'ockam-ref[ws]'"
            raise OckamError(ErrorCode.NOT_INSTALLED, reason) from None
        return WebSocketTransport(host, client_tls=client_tls, server_tls=server_tls)

    return TransportPlugin(
        name="ws",
        transport_type=3,
        kind=LinkKind.PACKET,
        form="packet",
        address_form="host:port, host:port/path, ws://host/path, wss://host/path",
        summary="WebSocket, also behind a reverse proxy and with TLS",
        create=create,
        needs=("websockets",),
        extra="ws",
    )


PLUGIN: Final = make_plugin()
