"""The Unix socket adapter passes the contract suite."""

import itertools
from pathlib import Path

import pytest

from ockam_ref.testing.contract import RawPeer, Rig, StreamContract
from ockam_transports import stream_socket, uds
from tests.transports.conftest import Client


class UdsRig(Rig):
    plugin = uds.PLUGIN
    nonsense = ("", "a\0b", "/tmp/" + "x" * 200)
    abort_is_seen = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()

    def listen_at(self) -> str:
        return str(self.folder / f"{next(self.numbers)}.sock")

    async def raw_peer(self, target: str) -> RawPeer:
        return await Client.connect(target)

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream_socket, "LINGER_S", 0.02)
        monkeypatch.setattr(stream_socket, "FLUSH_STALL_S", 0.02)


class TestUds(StreamContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> UdsRig:
        return UdsRig(tmp_path)
