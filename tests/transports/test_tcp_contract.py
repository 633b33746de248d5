"""The TCP adapter passes the contract suite."""

import pytest

from ockam_ref.testing.contract import RawPeer, Rig, StreamContract
from ockam_transports import stream_socket, tcp
from tests.transports.conftest import Client


class TcpRig(Rig):
    plugin = tcp.PLUGIN
    nonsense = ("", "nonsense", "host:70000", "[::1", "bad host:80", "127.0.0.1:")
    unresolvable = "no-such-host.invalid:80"

    def listen_at(self) -> str:
        return "127.0.0.1:0"

    async def raw_peer(self, target: str) -> RawPeer:
        return await Client.connect(target)

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream_socket, "LINGER_S", 0.02)
        monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.02)


@pytest.mark.spec("TRN-10", "TRN-11", "TRN-12", "TRN-13", "TRN-14", "TRN-15", "TRN-16")
@pytest.mark.spec("TRN-17", "TRN-18", "TRN-19", "TRN-20", "TRN-21")
class TestTcp(StreamContract):
    @pytest.fixture
    def rig(self) -> TcpRig:
        return TcpRig()
