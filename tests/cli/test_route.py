"""``ockam-ref route`` on the command line."""

import json
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from tests.commands import environment, run, start
from tests.interop.harness import Peers

QUICK = ("--repeat", "2")


@pytest.mark.spec("RX-13")
def test_a_table_and_a_picture(tmp_path: Path) -> None:
    drawing = tmp_path / "route.svg"
    done = run("route", "[laptop] tcp > [hub] udp > [server]", *QUICK, "--svg", str(drawing))
    assert done.code == 0, done.errors
    assert done.output.startswith("One secure channel from laptop to server, tcp > udp; it took ")
    assert "none could be read on any hop" in done.output
    names = [element.text for element in ET.parse(drawing).iter() if element.tag.endswith("text")]
    assert {"laptop", "hub", "server"} <= set(names)


@pytest.mark.spec("RX-1", "RX-6", "RX-13")
def test_from_a_file_as_json_in_processes(tmp_path: Path) -> None:
    file = tmp_path / "route.txt"
    file.write_text("tcp # the desk\n[cellar] uds\n", encoding="utf-8")
    done = run("route", f"@{file}", *QUICK, "--processes", "--json")
    assert done.code == 0, done.errors
    event = json.loads(done.output)
    assert (event["event"], event["processes"], event["nodes"]) == ("route", 3, ["node 1", "cellar", "node 3"])
    assert [hop["marks"] for hop in event["hops"]] == [0, 0]


@pytest.mark.spec("RX-11")
def test_without_a_channel() -> None:
    done = run("route", "memory", *QUICK, "--no-channel")
    assert (done.code, "NOTHING IS ENCRYPTED" in done.errors, "everything" in done.output) == (0, True, True)


@pytest.mark.spec("RX-2", "RX-8", "CLI-20")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["udp(loss=5)"], 2, "write a part of a hundred"),
        (["@/nowhere/at/all"], 2, "No such file"),
        (["tcp", "--bulk", "0"], 2, "not in the range"),
        (["pigeon"], 1, "no transport 'pigeon' is installed"),
        (["ble", "--processes"], 1, "cannot join two processes"),
        (["memory", *QUICK, "--svg", "/nowhere/at/all.svg"], 1, "No such file"),
    ],
)
def test_what_cannot_be_done(words: list[str], code: int, says: str) -> None:
    done = run("route", *words)
    assert done.code == code
    assert says in " ".join(done.errors.split())


@pytest.mark.spec("RX-6", "RX-8", "CLI-10")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nodes_end_with_the_command_however_that_ends(peers: Peers, number: int) -> None:
    mark = f"OCKAM_ROUTE_TEST={uuid4().hex}"
    variables = environment() | dict((mark.split("="),))
    words = ("route", "--processes", "udp > tcp > tcp", "--bulk", "1024", "--repeat", "10000")
    command = start(peers, *words, variables=variables)
    until(lambda: len(processes_with(mark)) == 5)
    command.signal(number)
    assert command.ended() == (-number if number == signal.SIGKILL else 0)
    until(lambda: not processes_with(mark))
    assert command.errors() == ""


def processes_with(mark: str) -> list[str]:
    """The processes whose environment has it."""
    found = []
    for variables in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in variables.read_text(errors="replace"):
                found.append(variables.parent.name)
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
