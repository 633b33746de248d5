"""The tests that an adapter has to pass, for authors of transports: subclass one class and fill in one ``Rig``.

It needs pytest, which the extra ``testing`` installs.  ``docs/transports/writing.rst`` tells how.
"""

import pytest

for _module in ("acts", "datagram", "ending", "flowing", "leaks", "nodes", "noting_host", "packet", "refusing"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")
pytest.register_assert_rewrite(f"{__name__}.scene", f"{__name__}.stream")

# ruff: noqa: E402  # asserts are rewritten in what is imported from here on
from ockam_ref.testing.contract.datagram import DatagramContract
from ockam_ref.testing.contract.held import HeldEndpoint, HeldLink
from ockam_ref.testing.contract.noting_host import NotingHost
from ockam_ref.testing.contract.packet import PacketContract
from ockam_ref.testing.contract.rig import RawPeer, Rig
from ockam_ref.testing.contract.scene import Scene, scenario
from ockam_ref.testing.contract.stream import StreamContract

__all__ = [
    "DatagramContract",
    "HeldEndpoint",
    "HeldLink",
    "NotingHost",
    "PacketContract",
    "RawPeer",
    "Rig",
    "Scene",
    "StreamContract",
    "scenario",
]
