"""The tests that an adapter has to pass, for authors of transports: subclass one class and fill in one ``Rig``.

It needs pytest, which the extra ``testing`` installs.  ``docs/transports/writing.rst`` tells how.
"""

import pytest

for _module in ("acts", "ending", "flowing", "leaks", "nodes", "noting_host", "packet", "refusing", "scene", "stream"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

from ockam_ref.testing.contract.noting_host import HeldLink, NotingHost  # noqa: E402  # rewritten from here on
from ockam_ref.testing.contract.packet import PacketContract  # noqa: E402
from ockam_ref.testing.contract.rig import RawPeer, Rig  # noqa: E402
from ockam_ref.testing.contract.scene import Scene, scenario  # noqa: E402
from ockam_ref.testing.contract.stream import StreamContract  # noqa: E402

__all__ = ["HeldLink", "NotingHost", "PacketContract", "RawPeer", "Rig", "Scene", "StreamContract", "scenario"]
