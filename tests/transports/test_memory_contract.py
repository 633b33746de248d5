"""Links in memory pass the contract suite."""

import pytest

from ockam_ref.testing.contract import PacketContract, Rig
from ockam_transports import memory, memory_link


class MemoryRig(Rig):
    plugin = memory.PLUGIN
    nonsense = ("", "two words", "-dash", "name\n", "x" * 64, "\u00fcml\u00e4ut")
    big_bytes = 3 * 1024 * 1024

    def listen_at(self) -> str:
        return memory.ANY_NAME

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory_link, "FLUSH_STALL_S", 0.02)


class TestMemory(PacketContract):
    @pytest.fixture
    def rig(self) -> MemoryRig:
        return MemoryRig()
