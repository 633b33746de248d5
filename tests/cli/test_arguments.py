"""What cannot be understood ends with exit code 2, what cannot be done with exit code 1; both with a sentence."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from ockam_ref.cli.main import main
from tests.commands import environment, run
from tests.interop.harness import ANY_PORT, CommandLine, Peers

SOMEBODY = "I" + "5a" * 32
NOWHERE = "127.0.0.1:1"

IMPATIENT = """
from ockam_ref.asyncio import inlet_session, outlet_session
from ockam_ref.cli.main import main
inlet_session.CHANNEL_TIMEOUT_S = 0.5
outlet_session.REGISTER_TIMEOUT_S = outlet_session.CHANNEL_TIMEOUT_S = 0.5
main(prog_name="ockam-ref")
"""


@pytest.fixture
def closed_port() -> Iterator[str]:
    """An address where nobody listens while the test runs."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*bound.getsockname())


@pytest.fixture
def taken_port() -> Iterator[str]:
    """An address where somebody else listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield "{}:{}".format(*listener.getsockname())


@pytest.mark.spec("CLI-20")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Usage: ockam-ref"),
        (["tunnel"], "No such command 'tunnel'"),
        (["hub", "--wrong"], "No such option"),
        (["hub", "--listen", "localhost"], "write it as 127.0.0.1:4000"),
        (["hub", "--listen", "127.0.0.1:65536"], "a port from 0 to 65535"),
        (["hub", "--echo", "a#b#c"], "more than one '#'"),
        (["hub", "--record", "/nowhere/at/all"], "No such file or directory"),
        (["outlet"], "Missing argument 'TARGET'"),
        (["outlet", "somewhere", "--hub", NOWHERE], "write it as 127.0.0.1:4000"),
        (["outlet", NOWHERE], "give either --hub HOST:PORT"),
        (["outlet", NOWHERE, "--hub", NOWHERE, "--listen", ANY_PORT], "give either --hub HOST:PORT"),
        (["outlet", NOWHERE, "--listen", ANY_PORT, "--relay", "bob"], "--relay names the place on a hub"),
        (["outlet", NOWHERE, "--hub", NOWHERE, "--relay", ""], "a name has 1 to 255 bytes"),
        (["outlet", NOWHERE, "--hub", NOWHERE, "--relay", "a#b"], "no '#'"),
        (["outlet", NOWHERE, "--hub", NOWHERE, "--relay", "register"], "is not 'register'"),
        (["inlet"], "Missing argument 'LISTEN'"),
        (["inlet", ANY_PORT], "give either --hub HOST:PORT and the FORWARDING_ADDRESS"),
        (["inlet", ANY_PORT, "--hub", NOWHERE], "belong together"),
        (["inlet", ANY_PORT, "forward_to_bob", "--node", NOWHERE], "belong together"),
        (["inlet", ANY_PORT, "forward_to_bob", "--hub", NOWHERE, "--node", NOWHERE], "give either --hub"),
        (["inlet", ANY_PORT, "--node", NOWHERE, "--expect", "Bob"], "copy the identifier that the outlet printed"),
        (["inlet", ANY_PORT, "--node", NOWHERE, "--expect", SOMEBODY, "--no-channel"], "nobody proves who they are"),
        (["udp-outlet", NOWHERE], "give either --hub HOST:PORT"),
        (["udp-outlet", NOWHERE, "--listen", ANY_PORT, "--idle-timeout", "0"], "not in the range x>0"),
        (["udp-inlet", ANY_PORT, "--hub", NOWHERE], "belong together"),
        (["udp-inlet", ANY_PORT, "--node", NOWHERE, "--idle-timeout", "soon"], "not a valid float"),
        (["send", "1#127.0.0.1:4000 => echo"], "Missing argument 'TEXT'"),
        (["send", "echo", "hello"], "it begins with a node"),
        (["send", "1#127.0.0.1:4000", "hello"], "ends with a worker"),
        (["send", "", "hello"], "ROUTE"),
        (["send", "1#127.0.0.1:4000 => x#y", "hello"], "not a number from 0 to 255"),
        (["send", "1#nowhere => echo", "hello"], "write it as 127.0.0.1:4000"),
        (["send", "1#127.0.0.1:4000 => echo", "hello", "--timeout", "soon"], "not a valid float"),
    ],
)
def test_what_cannot_be_understood(words: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which is quicker; nothing begins to run that could be left behind."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    done = CliRunner().invoke(main, words, prog_name="ockam-ref")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert sentence in " ".join(done.stderr.split())


@pytest.mark.spec("CLI-20")
def test_what_cannot_be_understood_in_a_process() -> None:
    done = run("outlet", NOWHERE)
    assert (done.code, done.output) == (2, "")
    assert "give either --hub HOST:PORT" in done.errors


@pytest.mark.spec("CLI-21")
def test_a_port_that_is_taken(taken_port: str, command_line: CommandLine) -> None:
    hub = command_line.hub()["listen"]
    outlet = command_line.outlet(NOWHERE, hub=hub)[1]
    for words in (
        ["hub", "--listen", taken_port],
        ["outlet", NOWHERE, "--listen", taken_port],
        ["inlet", taken_port, "--hub", hub, outlet["forwarding_address"]],
    ):
        done = run(*words)
        assert done.code == 1
        assert done.errors == (
            f"ockam-ref: cannot listen on {taken_port} over TCP: the port is taken: choose another one, or stop the program "
            "that has it\n"
        )


@pytest.mark.spec("CLI-21")
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["outlet", NOWHERE, "--hub", "{}"], "Start a hub there with 'ockam-ref hub --listen {}', or correct --hub"),
        (
            ["inlet", ANY_PORT, "--hub", "{}", "forward_to_bob"],
            "Start a hub there with 'ockam-ref hub --listen {}', or correct --hub",
        ),
        (["inlet", ANY_PORT, "--node", "{}"], "Start the outlet there with --listen, or correct --node"),
        (["send", "1#{} => echo", "hello"], "Is there a node, and is its address right?"),
    ],
)
def test_a_node_that_is_not_there(words: list[str], advice: str, closed_port: str) -> None:
    done = run(*(word.format(closed_port) for word in words))
    assert done.code == 1
    why = "nothing listens there (connection refused)"
    assert done.errors == f"ockam-ref: cannot connect to {closed_port} over TCP: {why}. {advice.format(closed_port)}\n"
    assert done.seconds < 5.0


@pytest.mark.spec("CLI-21")
def test_a_name_that_nobody_knows() -> None:
    done = run("outlet", NOWHERE, "--hub", "no-such-host.invalid:4000")
    assert done.code == 1
    assert "the host name is not known" in done.errors


@pytest.mark.spec("CLI-21")
def test_what_listens_there_is_no_hub(taken_port: str, command_line: CommandLine) -> None:
    """A node without a relay service, and one without the outlet asked for: silence on the wire, a sentence here."""
    node = command_line.outlet(NOWHERE)[1]["listen"]
    impatient = [sys.executable, "-c", IMPATIENT]
    outlet = run("outlet", NOWHERE, "--hub", node, command=impatient)
    inlet = run("inlet", ANY_PORT, "--hub", node, "forward_to_bob", command=impatient)
    silent = run("inlet", ANY_PORT, "--node", taken_port, command=impatient)
    assert outlet.errors.endswith("Is it a hub that listens there?\n")
    assert inlet.errors.endswith("Is the outlet running? Is forward_to_bob the forwarding address that it printed?\n")
    assert silent.errors.endswith("Is the outlet running? Is it a node with a secure channel listener?\n")
    for done in (outlet, inlet, silent):
        assert (done.code, done.output) == (1, "")
        assert "0#" not in done.errors


@pytest.mark.spec("CLI-22")
def test_a_file_that_cannot_be_written_stops_the_recording_only(command_line: CommandLine) -> None:
    hub = command_line.start("hub", "--listen", ANY_PORT, "--record", "/dev/full")
    route = f"1#{hub.ready()['listen']} => echo"
    assert run("send", route, "hello").output == "hello\n"
    assert "nothing more is recorded" in hub.errors()


@pytest.mark.spec("CLI-22")
def test_what_came_in_can_be_recorded(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "hub.jsonl"
    hub = command_line.start("hub", "--listen", ANY_PORT, "--record", str(file))
    assert run("send", f"1#{hub.ready()['listen']} => echo", "a text in the clear").code == 0
    assert b"a text in the clear".hex() in file.read_text()


@pytest.mark.spec("CLI-5")
@pytest.mark.parametrize(("loop", "loaded"), [("asyncio", False), ("uvloop", True), (None, True)])
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_event_loop_can_be_chosen(loop: str | None, *, loaded: bool) -> None:
    variables = environment(loop=loop)
    with Peers(variables) as peers:
        hub = CommandLine(peers).start("hub", "--listen", ANY_PORT)
        assert run("send", f"1#{hub.ready()['listen']} => echo", "x", variables=variables).output == "x\n"
        assert ("uvloop" in Path(f"/proc/{hub.pid}/maps").read_text()) is loaded


@pytest.mark.spec("CLI-5")
def test_an_event_loop_that_does_not_exist() -> None:
    done = run("hub", "--listen", ANY_PORT, variables=environment(loop="trio"))
    assert done.code == 2
    assert "it may be 'asyncio' or 'uvloop'" in done.errors
