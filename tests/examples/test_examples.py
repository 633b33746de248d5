"""Every program of ``docs/examples`` and the one in the README, as a reader would run them: each a process of its own."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import environment
from tests.interop.harness import CommandLine, Peers
from tests.interop.traffic import Target, check_echo, check_http, connect, http_get
from tests.processes import REPOSITORY, Process

EXAMPLES = REPOSITORY / "docs" / "examples"
ANY_PORT = "127.0.0.1:0"
MAX_LINES = 30
FINISH_S = 20.0

Start = Callable[..., Process]


@pytest.fixture
def start(peers: Peers) -> Start:
    """Start a program of the folder."""

    def start_it(name: str, *words: str) -> Process:
        command = [sys.executable, str(EXAMPLES / f"{name}.py"), *words]
        return peers.add(Process(name, command, environment=environment()))

    return start_it


def value(process: Process, name: str) -> str:
    """Return the last word of the line that begins with the name."""
    return process.line(name).split()[-1]


@pytest.mark.spec("CLI-70")
def test_every_program_has_a_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    untested = [path.stem for path in EXAMPLES.glob("*.py") if f'"{path.stem}"' not in source]
    assert not untested


@pytest.mark.spec("CLI-70")
def test_portal_01(start: Start, target: Target) -> None:
    program = start("portal_01_inlet_outlet", ANY_PORT, target.address)
    check_portal(value(program, "inlet"))


@pytest.mark.spec("CLI-70")
@pytest.mark.parametrize("number", ["02", "03"])
def test_portals_02_and_03(number: str, start: Start, target: Target) -> None:
    names = {"02": ("portal_02_outlet", "portal_02_inlet"), "03": ("portal_03_outlet", "portal_03_inlet")}
    outlet, inlet = names[number]
    listener = value(start(outlet, target.address, ANY_PORT), "listener")
    check_portal(value(start(inlet, ANY_PORT, listener), "inlet"))


@pytest.mark.spec("CLI-70")
def test_portal_04(start: Start, target: Target, command_line: CommandLine) -> None:
    hub = command_line.hub()["listen"]
    forwarding_address = value(start("portal_04_outlet", target.address, hub), "forwarding address")
    assert forwarding_address.removeprefix("0#").startswith("forward_to_")
    check_portal(value(start("portal_04_inlet", ANY_PORT, forwarding_address, hub), "inlet"))


def check_portal(address: str) -> None:
    """Send real HTTP requests, and bulk, and see two connections at once stay apart."""
    assert http_get(address) == "target"
    check_http(address)
    with connect(address) as first, connect(address) as second:
        for client, text in ((first, b"one"), (second, b"two")):
            client.sendall(b"E" + text)
        assert (second.recv(3), first.recv(3)) == (b"two", b"one")
    check_echo(address, length=1024 * 1024)


@pytest.mark.spec("CLI-70")
def test_alice_and_bob(start: Start, command_line: CommandLine) -> None:
    hub = command_line.hub()["listen"]
    bob = start("bob", hub)
    alice = start("alice", hub, value(bob, "forwarding address"))
    assert re.fullmatch(r"secure channel with I[0-9a-f]{64}", alice.line())
    for text in ("Hello Bob", "Grüße, 世界", ""):
        alice.write(f"{text}\n")
        assert bob.line() == f"received {text}"
        assert alice.line() == f"echoed {text}"


@pytest.mark.spec("CLI-71")
@pytest.mark.parametrize("name", ["alice", "bob"])
def test_alice_and_bob_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.spec("CLI-70")
def test_two_hops(start: Start) -> None:
    responder = value(start("two_hops_responder", ANY_PORT), "listener")
    middle = value(start("two_hops_middle", responder, ANY_PORT), "listener")
    initiator = start("two_hops_initiator", middle)
    assert initiator.line() == "App Received: Hello Ockam!"
    assert initiator.ended() == 0


@pytest.mark.spec("CLI-70", "HOP-8")
def test_typed_hops(start: Start) -> None:
    program = start("typed_hops")
    assert program.line() == "HELLO OCKAM!"
    assert program.ended() == 0
    assert program.errors() == ""


@pytest.mark.spec("CLI-70")
def test_a_host_without_asyncio(start: Start, command_line: CommandLine) -> None:
    program = start("sync_host", command_line.hub()["listen"])
    assert program.line() == "HELLO OCKAM"
    assert program.ended() == 0
    assert program.errors() == ""


@pytest.mark.spec("CLI-70")
def test_credentials(start: Start) -> None:
    issuer = value(start("credentials_issuer", ANY_PORT), "listener")
    server = value(start("credentials_server", ANY_PORT, issuer), "listener")
    client = start("credentials_client", server, issuer)
    assert client.line() == "Received: Hello Ockam!"
    assert client.ended() == 0
    assert client.errors() == ""


@pytest.mark.spec("CLI-70")
def test_the_program_of_the_readme(tmp_path: Path) -> None:
    programs = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(programs) == 1
    file = tmp_path / "readme.py"
    file.write_text(programs[0], encoding="utf-8")
    assert run_program(file) == "Hello Ockam!\n"


def run_program(file: Path) -> str:
    """Run a program that ends by itself; return what it prints."""
    command = [sys.executable, "-W", "error", str(file)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=FINISH_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.spec("CLI-72")
def test_no_program_needs_more_than_the_public_host() -> None:
    """All but the host of one's own, and those about credentials, import one module of ours."""
    for path in EXAMPLES.glob("*.py"):
        if path.stem != "sync_host" and not path.stem.startswith("credentials_"):
            modules = set(re.findall(r"^from (ockam_\S+) import", path.read_text(encoding="utf-8"), re.MULTILINE))
            assert modules == {"ockam_ref.asyncio"}, path.name
