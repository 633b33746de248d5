"""Service addresses are those of the peer's own command line; options override them."""

import pytest

from tests.commands import run
from tests.interop.harness import ANY_PORT, CommandLine
from tests.interop.traffic import Target, http_get


@pytest.mark.spec("CLI-4")
def test_every_service_can_have_another_address(command_line: CommandLine, target: Target) -> None:
    services = ["--channel-listener", "doorman", "--static-forwarding-service", "names", "--forwarding-service", "any"]
    hub = command_line.start("hub", "--listen", ANY_PORT, *services, "--echo", "wall", "--uppercase", "loud")
    address = hub.ready()["listen"]
    assert run("send", f"1#{address} => wall", "x").output == "x\n"
    assert run("send", f"1#{address} => loud", "x").output == "X\n"
    assert run("send", f"1#{address} => echo", "x", "--timeout", "0.3").code == 1

    ours = ["--channel-listener", "gate", "--outlet", "tap"]
    to_hub = ["--hub", address, "--relay", "bob", "--static-forwarding-service", "names"]
    command_line.start("outlet", target.address, *to_hub, *ours).ready()
    inlet = command_line.start("inlet", ANY_PORT, "--hub", address, "forward_to_bob", *ours)
    assert http_get(inlet.ready()["listen"]) == "target"


@pytest.mark.spec("CLI-4")
def test_the_addresses_without_options(command_line: CommandLine) -> None:
    """One node for each default: what is not there cannot be reached, what is there can."""
    hub = command_line.hub()["listen"]
    assert run("send", f"1#{hub} => forwarding_service", "register").output.startswith("forward_to_")
    assert run("send", f"1#{hub} => static_forwarding_service", "bob").output == "forward_to_bob\n"
    assert run("send", f"1#{hub} => echo", "x").output == "x\n"
    assert run("send", f"1#{hub} => uppercase", "x").output == "X\n"
    assert command_line.start("inlet", ANY_PORT, "--node", hub).ready()["peer"]
