"""Every cell of the table: {row} x {initiator, responder} x {node between them}."""

from collections.abc import Callable

import pytest

from tests.interop.harness import Direct, Implementation, Relayed, Udp, Via
from tests.interop.matrix import Cell, Row
from tests.interop.rows import rows
from tests.interop.traffic import BULK, Target, check_portal

pytestmark = pytest.mark.interop

ByName = Callable[[str], Implementation]


@rows(Row.ECHO_TCP, Row.ECHO_CHANNEL)
def test_echo(cell: Cell, implementation: ByName) -> None:
    channel = cell.row is Row.ECHO_CHANNEL
    responder = implementation(cell.responder).responder()
    done = implementation(cell.initiator).echo(
        Direct(responder["listen"]),
        total=BULK,
        channel=channel,
        expect=responder["identifier"] if channel else None,
    )
    assert done["bytes"] == BULK


@rows(Row.TWO_HOPS)
def test_two_hops(cell: Cell, implementation: ByName) -> None:
    assert cell.between is not None
    responder = implementation(cell.responder).responder()
    middle = implementation(cell.between).middle(responder["listen"])
    done = implementation(cell.initiator).echo(
        Via(middle["listen"], "forward_to_responder"), total=BULK, channel=True, expect=responder["identifier"]
    )
    assert done["bytes"] == BULK


@rows(Row.ECHO_UDP, Row.ECHO_UDP_CHANNEL)
def test_echo_over_udp(cell: Cell, implementation: ByName) -> None:
    channel = cell.row is Row.ECHO_UDP_CHANNEL
    responder = implementation(cell.responder).udp_responder()
    done = implementation(cell.initiator).echo(
        Udp(responder["listen"], fixed=channel),
        total=BULK,
        channel=channel,
        expect=responder["identifier"] if channel else None,
    )
    assert done["bytes"] == BULK


@rows(Row.TCP_THEN_UDP, Row.UDP_THEN_TCP)
def test_between_tcp_and_udp(cell: Cell, implementation: ByName) -> None:
    assert cell.between is not None
    responding, between = implementation(cell.responder), implementation(cell.between)
    if cell.row is Row.TCP_THEN_UDP:
        responder = responding.udp_responder()
        middle = between.udp_middle(responder["listen"], onward="udp")
        way: Via | Udp = Via(middle["listen"], "forward_to_responder")
    else:
        responder = responding.responder()
        middle = between.udp_middle(responder["listen"], onward="tcp")
        way = Udp(middle["listen"], "forward_to_responder")
    done = implementation(cell.initiator).echo(way, total=BULK, channel=True, expect=responder["identifier"])
    assert done["bytes"] == BULK


@rows(Row.PORTAL_PLAIN, Row.PORTAL_CHANNEL)
def test_portal(cell: Cell, implementation: ByName, target: Target) -> None:
    channel = cell.row is Row.PORTAL_CHANNEL
    _, outlet = implementation(cell.responder).outlet(target.address, channel=channel)
    expect = outlet["identifier"] if channel else None
    _, inlet = implementation(cell.initiator).inlet(Direct(outlet["listen"]), expect=expect, channel=channel)
    check_portal(inlet["listen"])


@rows(Row.PORTAL_RELAY)
def test_portal_over_a_relay(cell: Cell, implementation: ByName, target: Target) -> None:
    assert cell.between is not None
    hub = implementation(cell.between).hub()
    _, outlet = implementation(cell.responder).outlet(target.address, hub=hub["listen"])
    _, inlet = implementation(cell.initiator).inlet(
        Relayed(hub["listen"], outlet["forwarding_address"]), expect=outlet["identifier"]
    )
    check_portal(inlet["listen"])
