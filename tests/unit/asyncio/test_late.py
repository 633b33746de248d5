"""What few nodes use is loaded when one does: a tunnel over TCP stays small."""

import subprocess
import sys

RARE = (
    "ockam_ref.asyncio.credentials",
    "ockam_ref.asyncio.home",
    "ockam_ref.links.ble_packets",
    "ockam_ref.links.recovery",
    "ockam_ref.links.udp_endpoint",
    "ockam_ref.policies.syntax",
    "ockam_ref.portals.udp_inlet",
    "ockam_ref.puncture.initiator",
    "ockam_ref.steady.link",
    "ockam_ref.storage",
    "ockam_transports.tls",
    "ockam_transports.udp",
    "platformdirs",
    "sqlite3",
    "yaml",
)


def test_a_host_loads_nothing_rare() -> None:
    code = "import sys, ockam_ref.asyncio; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ockam_ref.links.node_link" in loaded
    assert [name for name in RARE if name in loaded] == []
