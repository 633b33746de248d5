"""The registry: every machine beside its configuration, and nothing loaded that nobody uses."""

import subprocess
import sys

import pytest

from ockam_ref.links.node_link import MACHINE, NodeLink
from ockam_ref.machine import Machine
from ockam_ref.registry import MACHINES
from ockam_ref.workers.echo import Echo


@pytest.mark.spec("NODE-7")
def test_a_machine_is_found_by_the_class_of_its_configuration() -> None:
    assert MACHINES[NodeLink] is MACHINE
    assert Echo in MACHINES
    assert dict not in MACHINES
    assert Machine not in MACHINES


@pytest.mark.spec("NODE-7")
def test_every_line_leads_to_a_machine() -> None:
    assert len(MACHINES) == len(list(MACHINES)) == len(set(MACHINES))
    assert all(isinstance(machine, Machine) for machine in MACHINES.values())


def test_a_machine_that_nobody_uses_is_not_loaded() -> None:
    program = "import sys, ockam_ref.node; print([name for name in sys.modules if name.startswith('ockam_ref.steady')])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
