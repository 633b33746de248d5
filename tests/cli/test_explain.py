"""``--explain``: why a message goes on, or does not."""

import socket
from collections import OrderedDict

import pytest

from ockam_ref.cli.explaining import MAX_REMEMBERED, is_new, print_hop
from ockam_ref.cli.output import Output
from ockam_ref.observations import HopExplained
from ockam_ref.routing.explanation import Explanation
from ockam_ref.wire.address import Address, local
from tests.commands import run
from tests.interop.harness import ANY_PORT, CommandLine
from tests.interop.traffic import Target


@pytest.mark.spec("POL-53")
def test_a_sender_sees_the_hops_of_its_own_node(command_line: CommandLine) -> None:
    listen = command_line.hub()["listen"]
    done = run("send", f"1#{listen} => echo", "x", "--explain")
    assert done.code == 0
    *explained, reply = done.output.splitlines()
    assert reply == "x"
    assert sum(line.startswith("allowed: ") for line in explained) == 3
    assert f"    next hop = 1#{listen}" in explained
    assert any("entering" in line and "typed-hop allows: this node sends it itself" in line for line in explained)
    assert any("flow-control allows: the next hop may be reached" in line for line in explained)


@pytest.mark.spec("POL-53")
def test_a_hub_says_what_it_does_not_deliver_and_why(command_line: CommandLine) -> None:
    hub = command_line.start("hub", "--listen", ANY_PORT, "--explain")
    listen = hub.ready()["listen"]
    for worker in ("nobody", "app", "echo"):
        run("send", f"1#{listen} => {worker}", "x", "--timeout", "0.3")
    assert "no worker has the address" in hub.event("not-delivered")["detail"]
    refused = hub.event("hop-explained")
    assert (refused["allowed"], refused["destination"], refused["onward_route"]) == (False, "app", "app")
    assert "incoming" not in refused
    outgoing = refused["outgoing"]
    assert (outgoing["rule"], outgoing["allowed"]) == ("flow-control", False)
    assert outgoing["reason"].startswith("the next hop is no consumer of the flow control")
    assert outgoing["inputs"]["next hop"] == "0#app"
    allowed = hub.event("hop-explained")
    assert (allowed["allowed"], allowed["destination"], allowed["incoming"]["rule"]) == (True, "echo", "allow-all")


@pytest.mark.spec("POL-53")
def test_a_policy_is_shown_with_its_terms(capfd: pytest.CaptureFixture[str]) -> None:
    term = Explanation("term", False, '(= subject.role "admin") is false: subject.role is "guest"')
    asked = Explanation("policy", False, "refused: the rule is false", (("subject.role", '"guest"'),), (term,))
    joined = Explanation("all-of", False, "one rule refuses it", (), (Explanation("allow-all", True, "all may"), asked))
    strange = Address(0, b"out\x1b[2Jlet")
    hop = HopExplained(local("channel"), strange, (strange,), (), Explanation("allow-all", True, "all may"), joined)
    output = Output(as_json=False)
    print_hop(output, hop)
    output.close()
    shown = "out\\x1b[2Jlet"
    assert capfd.readouterr().out.splitlines() == [
        f"refused: channel -> {shown}, on its way to {shown}",
        "  leaving channel: allow-all allows: all may",
        f"  entering {shown}: all-of REFUSES: one rule refuses it",
        "    + allow-all: all may",
        "    - policy: refused: the rule is false",
        '        subject.role = "guest"',
        '        - (= subject.role "admin") is false: subject.role is "guest"',
    ]


@pytest.mark.spec("POL-53")
def test_an_outlet_says_why_it_refuses_somebody(command_line: CommandLine, target: Target) -> None:
    outlet = command_line.start("outlet", target.address, "--listen", ANY_PORT, "--allow", "role=admin", "--explain")
    inlet = command_line.start("inlet", ANY_PORT, "--node", outlet.ready()["listen"], "--explain")
    ready = inlet.ready()
    host, _, port = ready["listen"].rpartition(":")
    with socket.create_connection((host, int(port)), 10.0):
        while (hop := outlet.event("hop-explained"))["destination"] != "outlet":
            assert hop["allowed"]
    assert not hop["allowed"]
    asked = hop["incoming"]
    assert (asked["rule"], asked["allowed"]) == ("policy", False)
    assert asked["reason"].startswith("refused: subject.role is not known, so the rule has no answer; no authority")
    assert asked["inputs"]["policy"] == "role=admin"
    assert asked["inputs"]["peer"] == ready["identifier"]
    assert asked["inputs"]["subject.role"] == "not known"
    [term] = asked["parts"]
    assert term["reason"] == '(= subject.role "admin") has no answer: subject.role is not known'
    assert inlet.event("hop-explained")["allowed"]


@pytest.mark.spec("POL-53")
def test_the_same_is_told_once() -> None:
    known: OrderedDict[object, None] = OrderedDict()
    assert [is_new(known, key) for key in (1, 2, 1, 2)] == [True, True, False, False]
    assert [is_new(known, key) for key in range(2, MAX_REMEMBERED + 2)] == [False] + [True] * (MAX_REMEMBERED - 1)
    assert len(known) == MAX_REMEMBERED
    assert is_new(known, 1)
