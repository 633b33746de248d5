"""Rendezvous, negotiation and punctures: each role by either implementation, on loopback."""

from itertools import product
from typing import NamedTuple

import pytest

from tests.interop.harness import ANY_PORT, DONE_S, Program

pytestmark = pytest.mark.interop


class Case(NamedTuple):
    """Who asks for the puncture, who is asked, and who tells both their addresses."""

    initiator: str
    responder: str
    rendezvous: str

    @property
    def id(self) -> str:
        """The name in test ids."""
        return f"{self.initiator}-to-{self.responder}-by-{self.rendezvous}"


NAMES = ("python", "rust")
CASES = [Case(*each) for each in product(NAMES, repeat=3)]


@pytest.mark.spec("PUN-1", "PUN-2", "PUN-3", "PUN-13", "PUN-30", "PUN-31", "PUN-36")
@pytest.mark.parametrize("channel", [False, True], ids=["plain", "channel"])
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_echo_over_a_puncture(case: Case, channel: bool, rust: Program, program: Program) -> None:  # noqa: FBT001
    by_name = {"rust": rust, "python": program}
    server = by_name[case.rendezvous].start("rendezvous", "--bind", ANY_PORT).ready()["listen"]
    node = by_name[case.responder].start("puncture-node", "--listen", ANY_PORT, "--rendezvous", server).ready()
    echo = by_name[case.initiator].start(
        "echo",
        *("--node", node["listen"], "--rendezvous", server),
        *("--bytes", "20000", "--chunk", "5000", "--worker", "echo_bytes"),
        *(["--channel", "--expect", node["identifier"]] if channel else []),
    )
    assert echo.event("done", timeout=DONE_S)["bytes"] == 20000


@pytest.mark.spec("PUN-30", "PUN-32", "PUN-33")
def test_a_puncture_lives_on_heartbeats(rust: Program, program: Program) -> None:
    """Both ends would be dead after ten seconds without the other's pongs."""
    server = rust.start("rendezvous", "--bind", ANY_PORT).ready()["listen"]
    node = rust.start("puncture-node", "--listen", ANY_PORT, "--rendezvous", server).ready()
    way = ("--node", node["listen"], "--rendezvous", server, "--idle", "12")
    echo = program.start("echo", *way, "--bytes", "1000", "--worker", "echo_bytes")
    assert echo.event("done", timeout=DONE_S)["bytes"] == 1000
