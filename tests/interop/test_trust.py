"""Whoever expects another identifier than the one that answers gets no portal."""

import pytest

from tests.interop.harness import ANY_PORT, CommandLine, Direct, Program
from tests.interop.traffic import Target

pytestmark = pytest.mark.interop

SOMEBODY_ELSE = "I" + "5a" * 32


def test_a_rust_inlet_refuses_our_outlet(rust: Program, python: CommandLine, target: Target) -> None:
    _, outlet = python.outlet(target.address)
    # It refuses in silence, and ends when it has waited long enough for its own handshake.
    way = ["--node", outlet["listen"], "--expect", SOMEBODY_ELSE, "--timeout", "2"]
    inlet = rust.start("inlet", "--listen", ANY_PORT, *way)
    assert inlet.event("error")["message"]
    assert inlet.ended() == 1


def test_our_inlet_refuses_a_rust_outlet(rust: Program, python: CommandLine, target: Target) -> None:
    _, outlet = rust.outlet(target.address)
    inlet = python.start_inlet(Direct(outlet["listen"]), expect=SOMEBODY_ELSE)
    assert inlet.ended() == 1
    assert "Traceback" not in inlet.errors()
