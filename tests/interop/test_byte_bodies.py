"""Bodies that are bytes travel as they are, without the length that releases before 0.148 put in front."""

import pytest

from tests.interop.harness import Direct, Program
from tests.interop.matrix import CONTROL, DIRECTIONS
from tests.interop.traffic import BULK

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("channel", [False, True], ids=["plain", "channel"])
@pytest.mark.parametrize("ends", [*DIRECTIONS, CONTROL], ids="-".join)
def test_echo_of_bytes(ends: tuple[str, str], *, channel: bool, rust: Program, program: Program) -> None:
    initiator, responder = ({"rust": rust, "python": program}[name] for name in ends)
    node = responder.responder()
    done = initiator.echo(Direct(node["listen"]), total=BULK, channel=channel, worker="echo_bytes")
    assert done["bytes"] == BULK
