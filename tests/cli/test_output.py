"""Nobody's connections depend on who reads what a command prints, and strangers cannot write to its terminal."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ockam_ref.cli.output import MAX_WAITING_LINES, Output, printable
from tests.commands import OURS, run, start
from tests.interop.harness import ANY_PORT, Peers
from tests.interop.traffic import connect
from tests.processes import REPOSITORY

PIPE_BYTES = 64 * 1024
ESCAPE = "\x1b[2J"


@pytest.fixture
def unread_hub() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A hub of whose output only the first line is read."""
    command = [*OURS, "hub", "--listen", ANY_PORT, "--json"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    assert process.stderr is not None
    ready = process.stdout.readline().decode()
    address = ready.partition('"listen": "')[2].partition('"')[0]
    try:
        yield process, address
        process.terminate()
        assert process.wait(1.0) == 0
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def lose_links(address: str, count: int) -> None:
    """Make a hub print that many lines."""
    for _ in range(count):
        connect(address).close()


@pytest.mark.spec("CLI-36")
def test_an_output_that_nobody_reads_holds_up_nothing(unread_hub: tuple[subprocess.Popen[bytes], str]) -> None:
    _, address = unread_hub
    lose_links(address, 2 * PIPE_BYTES // len('{"event": "link-lost", "reason": "the peer closed the connection"}'))
    assert run("send", f"1#{address} => echo", "x").output == "x\n"


@pytest.mark.spec("CLI-36")
def test_an_output_that_is_closed_stops_nothing(unread_hub: tuple[subprocess.Popen[bytes], str]) -> None:
    process, address = unread_hub
    assert process.stdout is not None
    process.stdout.close()
    lose_links(address, 3)
    assert run("send", f"1#{address} => echo", "x").output == "x\n"


@pytest.mark.spec("CLI-36")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_command_without_an_output_works(peers: Peers) -> None:
    hub = start(peers, "hub", "--listen", ANY_PORT)
    address = hub.line().partition("listens at ")[2].partition(". ")[0]
    shell = f'exec "$@" send "1#{address} => echo" x >&-'
    done = run(command=["sh", "-c", shell, "sh", *OURS])
    assert (done.code, done.errors) == (0, "")


@pytest.mark.spec("CLI-36")
def test_what_did_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdout", writer)
        output = Output(as_json=True)
        line = '{"event": "a", "text": "' + "x" * 1000 + '"}\n'
        for _ in range(MAX_WAITING_LINES + 2 * PIPE_BYTES // len(line) + 1000):
            output.event("a", text="x" * 1000)
        got = [reader.readline() for _ in range(PIPE_BYTES // len(line) + 100)]
        assert {text.decode() for text in got} == {line}
        # the writer goes on as soon as it can, so that there is room for the next event
        while output._lines.qsize() >= MAX_WAITING_LINES:
            reader.readline()
        output.event("b")
        rest = []
        while (text := reader.readline()) != b'{"event": "b"}\n':
            rest.append(text)
        assert rest[-1].startswith(b'{"event": "events-left-out", "count": ')
        output.close()


@pytest.mark.spec("CLI-37")
def test_strangers_give_no_orders_to_a_terminal(peers: Peers) -> None:
    hub = start(peers, "hub", "--listen", ANY_PORT)
    address = hub.line().partition("listens at ")[2].partition(". ")[0]
    echoed = run("send", f"1#{address} => echo", f"{ESCAPE}bob\nforged\x07")
    assert echoed.output == "\\x1b[2Jbob\nforged\\x07\n"
    registered = run("send", f"1#{address} => static_forwarding_service", f"{ESCAPE}bob", "--timeout", "0.5")
    assert registered.code == 1  # no relay has such a name
    assert ESCAPE not in registered.errors
    refused = run("outlet", "127.0.0.1:9", "--listen", f"x{ESCAPE}:1")
    assert refused.code == 2
    assert ESCAPE not in refused.errors


@pytest.mark.spec("CLI-37")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
        ("a\n\tb", "a\n\tb"),
        ("\x1b]0;x\x07\r\x7f\x9b", "\\x1b]0;x\\x07\\r\\x7f\\x9b"),
        ("right\u202eto left\u2028", "right\\u202eto left\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
