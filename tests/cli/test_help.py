"""What the command is called, and what it says about itself."""

import json
import re
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.commands import run

COMMANDS = {
    "hub": (
        "--listen HOST:PORT",
        "--record FILE",
        "--channel-listener ADDRESS",
        "--forwarding-service ADDRESS",
        "--static-forwarding-service ADDRESS",
        "--echo ADDRESS",
        "--uppercase ADDRESS",
        "--relay-policy EXPRESSION",
        "--identity NAME",
        "--ephemeral",
        "--authority PROJECT",
        "--explain",
        "--json",
    ),
    "outlet": (
        "TARGET",
        "--hub HOST:PORT",
        "--relay NAME",
        "--hub-channel",
        "--listen HOST:PORT",
        "--rendezvous HOST:PORT",
        "--no-channel",
        "--outlet ADDRESS",
        "--channel-listener ADDRESS",
        "--static-forwarding-service ADDRESS",
        "--allow EXPRESSION",
        "--identity NAME",
        "--ephemeral",
        "--authority PROJECT",
        "--tls",
        "--tls-ca FILE",
        "--explain",
        "--json",
    ),
    "inlet": (
        "LISTEN [FORWARDING_ADDRESS]",
        "--hub HOST:PORT",
        "--node HOST:PORT",
        "--expect IDENTIFIER",
        "--rendezvous HOST:PORT",
        "--no-channel",
        "--outlet ADDRESS",
        "--channel-listener ADDRESS",
        "--allow EXPRESSION",
        "--identity NAME",
        "--ephemeral",
        "--authority PROJECT",
        "--tls-certificate FILE",
        "--tls-key FILE",
        "--explain",
        "--json",
    ),
    "udp-outlet": (
        "TARGET",
        "--hub HOST:PORT",
        "--relay NAME",
        "--hub-channel",
        "--listen HOST:PORT",
        "--rendezvous HOST:PORT",
        "--no-channel",
        "--outlet ADDRESS",
        "--channel-listener ADDRESS",
        "--static-forwarding-service ADDRESS",
        "--idle-timeout SECONDS",
        "--allow EXPRESSION",
        "--identity NAME",
        "--ephemeral",
        "--authority PROJECT",
        "--explain",
        "--json",
    ),
    "udp-inlet": (
        "LISTEN [FORWARDING_ADDRESS]",
        "--hub HOST:PORT",
        "--node HOST:PORT",
        "--expect IDENTIFIER",
        "--rendezvous HOST:PORT",
        "--no-channel",
        "--outlet ADDRESS",
        "--channel-listener ADDRESS",
        "--idle-timeout SECONDS",
        "--allow EXPRESSION",
        "--identity NAME",
        "--ephemeral",
        "--authority PROJECT",
        "--explain",
        "--json",
    ),
    "rendezvous": ("--listen HOST:PORT", "--health-check HOST:PORT", "--json"),
    "identity": ("create", "list", "show", "default", "rotate", "export", "import", "delete"),
    "authority": (
        "--listen HOST:PORT",
        "--public HOST:PORT",
        "--identity TEXT",
        "--project TEXT",
        "--enroller IDENTIFIER",
        "--trusted-identities JSON",
        "--credential-ttl DURATION",
        "--audit",
        "--channel-listener ADDRESS",
        "--json",
    ),
    "project": ("ticket", "enroll", "members", "list"),
    "policy": ("create", "list", "show", "delete", "check"),
    "node": ("create",),
    "send": ("ROUTE TEXT", "--timeout SECONDS", "--explain", "--json"),
    "route": ("ROUTE", "--bulk MIB", "--repeat", "--svg FILE", "--processes", "--no-channel", "--json"),
    "passphrase": ("set", "remove"),
    "transports": ("--json",),
    "demo": (),
}
SLOW_IMPORTS = {"asyncio", "construct", "cryptography", "ockam_transports", "uvloop"}


@pytest.mark.spec("CLI-2")
def test_help_names_the_commands() -> None:
    shown = run("--help")
    assert shown.code == 0
    listed = re.findall(r"^  ([\w-]+)  +\S", shown.output.partition("Commands:\n")[2], re.MULTILINE)
    assert listed == list(COMMANDS)


@pytest.mark.spec("CLI-2")
@pytest.mark.parametrize(("command", "parts"), COMMANDS.items())
def test_help_of_a_command_names_what_it_takes(command: str, parts: tuple[str, ...]) -> None:
    shown = run(command, "-h" if command == "hub" else "--help")
    assert shown.code == 0
    assert shown.output.startswith(f"Usage: ockam-ref {command} [OPTIONS]")
    missing = [part for part in parts if part not in shown.output]
    assert not missing
    options = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", shown.output, re.MULTILINE)) - {"--help"}
    assert options == {part.split()[0] for part in parts if part.startswith("--")}


@pytest.mark.spec("CLI-1")
def test_the_script_and_the_module_are_the_same() -> None:
    script = Path(sysconfig.get_path("scripts")) / "ockam-ref"
    assert run("hub", "--help", command=[str(script)]).output == run("hub", "--help").output
    assert run("--version").output == f"ockam-ref, version {version('ockam-ref')}\n"


@pytest.mark.spec("CLI-3")
def test_help_imports_nothing_that_is_slow() -> None:
    program = (
        "import json, sys\n"
        "from ockam_ref.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    imported = json.loads(run(command=[sys.executable, "-c", program]).output.splitlines()[-1])
    assert "click" in imported
    assert not {name.partition(".")[0] for name in imported} & SLOW_IMPORTS
    assert [name for name in imported if name.startswith("ockam_ref")] == [
        "ockam_ref",
        "ockam_ref.cli",
        "ockam_ref.cli.main",
    ]
