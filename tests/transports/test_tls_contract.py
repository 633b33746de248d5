"""The TLS adapter passes the contract suite, nodes included."""

import pytest

from ockam_ref.testing.contract import RawPeer, Rig, StreamContract
from ockam_transports import stream_socket
from ockam_transports.base import LinkKind, TransportPlugin
from ockam_transports.tls import TlsTransport
from tests.transports.conftest import Client
from tests.transports.websocket_ends import Tls, make_tls


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


class TlsRig(Rig):
    nonsense = ("", "nonsense", "host:70000", "[::1", "bad host:80", "127.0.0.1:")
    unresolvable = "no-such-host.invalid:80"

    def __init__(self, tls: Tls) -> None:
        self.plugin = TransportPlugin(
            name="tls",
            transport_type=77,
            kind=LinkKind.STREAM,
            form="framed",
            address_form="host:port",
            summary="TLS, for the plain sides of portals; between nodes here only",
            create=lambda host: TlsTransport(host, client=tls.client, server=lambda: tls.server),
        )

    def listen_at(self) -> str:
        return "127.0.0.1:0"

    async def raw_peer(self, target: str) -> RawPeer:
        return await Client.connect(target)

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream_socket, "LINGER_S", 0.02)
        monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.02)


@pytest.mark.spec("TLS-1")
class TestTls(StreamContract):
    @pytest.fixture
    def rig(self, tls: Tls) -> TlsRig:
        return TlsRig(tls)
