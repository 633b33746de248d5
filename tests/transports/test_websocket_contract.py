"""The WebSocket adapter passes the contract suite."""

import pytest

from ockam_ref.testing.contract import PacketContract, RawPeer, Rig
from ockam_transports import stream_socket, websocket, websocket_link
from tests.transports.conftest import Client


class WebSocketRig(Rig):
    plugin = websocket.PLUGIN
    nonsense = ("", "nonsense", "host:70000", "http://localhost:80", "ws://", "localhost:80/a b", "localhost:80/a#b")
    unresolvable = "no-such-host.invalid:80"

    def listen_at(self) -> str:
        return "127.0.0.1:0"

    async def raw_peer(self, target: str) -> RawPeer:
        return await Client.connect(target)

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream_socket, "LINGER_S", 0.02)
        monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.02)
        monkeypatch.setattr(websocket_link, "CLOSE_TIMEOUT_S", 0.02)


class TestWebSocket(PacketContract):
    @pytest.fixture
    def rig(self) -> WebSocketRig:
        return WebSocketRig()
