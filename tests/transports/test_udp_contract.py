"""The UDP adapter passes the contract suite."""

import pytest

from ockam_ref.testing.contract import DatagramContract, Rig
from ockam_transports import udp


class UdpRig(Rig):
    plugin = udp.PLUGIN
    nonsense = ("", "nonsense", "host:70000", "[::1", "bad host:80", "127.0.0.1:")
    unresolvable = "no-such-host.invalid:80"

    def listen_at(self) -> str:
        return "127.0.0.1:0"


@pytest.mark.spec("TRN-10", "TRN-11", "TRN-14", "TRN-15", "TRN-17", "TRN-19", "TRN-22", "TRN-23")
class TestUdp(DatagramContract):
    @pytest.fixture
    def rig(self) -> UdpRig:
        return UdpRig()
