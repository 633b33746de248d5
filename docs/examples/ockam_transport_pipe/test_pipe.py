"""The pipe transport passes the contract suite of ockam-ref: ``pytest test_pipe.py``."""

import os
from itertools import count
from pathlib import Path
from typing import Final

import pytest

import ockam_transport_pipe
from ockam_ref.testing.contract import Rig, StreamContract
from ockam_transport_pipe import link

_numbers: Final = count()


class Knocker:
    """Writes what it likes into the pipe that a listener reads."""

    def __init__(self, folder: str) -> None:
        self.descriptor = os.open(Path(folder) / "knock", os.O_WRONLY | os.O_NONBLOCK)

    async def send(self, data: bytes) -> None:
        os.write(self.descriptor, data)

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class PipeRig(Rig):
    plugin = ockam_transport_pipe.PLUGIN
    nonsense = ("", "a\0b", "/proc/no/such/folder")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def listen_at(self) -> str:
        return str(self.folder / f"node-{next(_numbers)}")

    async def raw_peer(self, target: str) -> Knocker:
        return Knocker(target)

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(link, "CLOSE_STALL_S", 0.05)


class TestPipe(StreamContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> PipeRig:
        return PipeRig(tmp_path)
