"""Who is at the other end: ``--expect``, and what ``--no-channel`` gives up."""

import pytest

from tests.commands import run, start
from tests.interop.harness import ANY_PORT, CommandLine, Direct, Peers, Relayed
from tests.interop.traffic import Target, check_http, connect, http_get

SOMEBODY_ELSE = "I" + "5a" * 32
AT_ONCE_S = 3.0
"""A handshake that is not answered would take 10 seconds; this leaves a second for the start of the interpreter."""


@pytest.mark.spec("CLI-40")
def test_the_outlet_that_is_expected(command_line: CommandLine, target: Target) -> None:
    hub = command_line.hub()["listen"]
    outlet = command_line.outlet(target.address, hub=hub)[1]
    way = Relayed(hub, outlet["forwarding_address"])
    inlet = command_line.inlet(way, expect=outlet["identifier"])[1]
    assert inlet["peer"] == outlet["identifier"]
    check_http(inlet["listen"])


@pytest.mark.spec("CLI-40")
@pytest.mark.parametrize("through_hub", [True, False], ids=["hub", "node"])
def test_another_outlet_is_refused_at_once(command_line: CommandLine, target: Target, *, through_hub: bool) -> None:
    if through_hub:
        hub = command_line.hub()["listen"]
        outlet = command_line.outlet(target.address, hub=hub)[1]
        way = ["--hub", hub, outlet["forwarding_address"]]
    else:
        outlet = command_line.outlet(target.address)[1]
        way = ["--node", outlet["listen"]]
    refused = run("inlet", ANY_PORT, *way, "--expect", SOMEBODY_ELSE)
    assert (refused.code, refused.output) == (1, "")
    assert refused.errors.startswith("ockam-ref: no secure channel over ")
    assert f"the trust policy does not accept {outlet['identifier']}" in refused.errors
    assert refused.errors.endswith("give its identifier with --expect; if not, somebody else has its place\n")
    assert refused.seconds < AT_ONCE_S
    told = run("inlet", ANY_PORT, *way, "--expect", SOMEBODY_ELSE, "--json")
    assert (told.code, told.output) == (1, "")


@pytest.mark.spec("CLI-41")
@pytest.mark.parametrize("through_hub", [True, False], ids=["hub", "node"])
def test_without_a_channel_it_works_and_warns(peers: Peers, target: Target, *, through_hub: bool) -> None:
    command_line = CommandLine(peers)
    if through_hub:
        hub = command_line.hub()["listen"]
        outlet, ready = command_line.outlet(target.address, hub=hub, channel=False)
        inlet, at_inlet = command_line.inlet(Relayed(hub, ready["forwarding_address"]), channel=False)
    else:
        outlet, ready = command_line.outlet(target.address, channel=False)
        inlet, at_inlet = command_line.inlet(Direct(ready["listen"]), channel=False)
    assert http_get(at_inlet["listen"]) == "target"
    for process in (outlet, inlet):
        assert "NOTHING IS ENCRYPTED AND NOBODY IS AUTHENTICATED" in process.errors()


@pytest.mark.spec("CLI-41")
def test_people_are_warned_too(peers: Peers) -> None:
    outlet = start(peers, "outlet", "127.0.0.1:9", "--listen", ANY_PORT, "--no-channel")
    assert "can be reached through" in outlet.line()
    assert "NOTHING IS ENCRYPTED" in outlet.errors()


@pytest.mark.spec("CLI-41")
def test_both_ends_must_agree_about_the_channel(command_line: CommandLine, target: Target) -> None:
    """An outlet that wants a channel is out of reach for an inlet without one."""
    process, outlet = command_line.outlet(target.address)
    without = command_line.inlet(Direct(outlet["listen"]), channel=False)[1]["listen"]
    agreeing = command_line.inlet(Direct(outlet["listen"]))[1]["listen"]
    with connect(without):
        dropped = process.event("message-dropped")
    assert dropped["rule"] == "outgoing:flow-control"
    assert http_get(agreeing) == "target"
    assert [event["event"] for event in process.seen].count("connection-opened") == 0
