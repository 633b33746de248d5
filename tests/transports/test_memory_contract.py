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


@pytest.mark.spec("TRN-10", "TRN-11", "TRN-12", "TRN-13", "TRN-14", "TRN-15", "TRN-17", "TRN-18", "TRN-19", "TRN-21")
class TestMemory(PacketContract):
    @pytest.fixture
    def rig(self) -> MemoryRig:
        return MemoryRig()
