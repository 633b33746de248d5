"""Portals without handshake, which both ends must have chosen."""

from itertools import product
from typing import NamedTuple

import pytest

from tests.interop.harness import Direct, Program, Relayed
from tests.interop.matrix import CONTROL, DIRECTIONS
from tests.interop.traffic import Target, check_portal

pytestmark = pytest.mark.interop


class Case(NamedTuple):
    """Both ends, and what is between them."""

    ends: tuple[str, str]
    channel: bool
    relayed: bool

    @property
    def id(self) -> str:
        """The name in test ids."""
        return "-".join([*self.ends, "channel" if self.channel else "plain", "relayed" if self.relayed else "direct"])


CASES = [Case(*each) for each in product([*DIRECTIONS, CONTROL], [False, True], [False, True])]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_portal_without_handshake(case: Case, rust: Program, program: Program, target: Target) -> None:
    initiator, responder = ({"rust": rust, "python": program}[name] for name in case.ends)
    hub = rust.hub()["listen"] if case.relayed else None
    _, outlet = responder.outlet(target.address, hub=hub, channel=case.channel, skip_handshake=True)
    way = Relayed(hub, outlet["forwarding_address"]) if hub else Direct(outlet["listen"])
    _, inlet = initiator.inlet(way, channel=case.channel, skip_handshake=True)
    check_portal(inlet["listen"])
