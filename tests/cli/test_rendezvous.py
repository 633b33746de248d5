"""``ockam-ref rendezvous``, and ``--rendezvous`` of the two ends of a portal."""

import socket
from contextlib import closing

import pytest

from tests.commands import run
from tests.interop.harness import ANY_PORT, DONE_S, CommandLine
from tests.interop.traffic import Target, http_get


def ask(address: str, request: bytes) -> bytes:
    """Send a request; return everything that comes back."""
    host, _, port = address.rpartition(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(1024):
            answer += data
    return answer


@pytest.mark.spec("PUN-53", "CLI-4")
def test_a_service_and_its_health(command_line: CommandLine) -> None:
    service = command_line.start("rendezvous", "--listen", ANY_PORT, "--health-check", ANY_PORT)
    ready = service.ready()
    assert ask(ready["health_check"], b"GET / HTTP/1.1\r\n\r\n") == b"HTTP/1.1 200 OK\r\n\r\nAlive\n"
    assert run("rendezvous", "--listen", ready["listen"]).code == 1


@pytest.mark.spec("PUN-53")
def test_everywhere_is_reached_over_the_loopback(command_line: CommandLine) -> None:
    ready = command_line.start("rendezvous", "--listen", "0.0.0.0:0", "--health-check", ANY_PORT).ready()
    assert b"Alive" in ask(ready["health_check"], b"anything")


@pytest.mark.spec("PUN-70")
def test_a_portal_leaves_the_hub(command_line: CommandLine, target: Target) -> None:
    hub = command_line.hub()["listen"]
    both = ("--hub", hub, "--rendezvous", command_line.start("rendezvous", "--listen", ANY_PORT).ready()["listen"])
    outlet = command_line.start("outlet", target.address, *both).ready()
    inlet = command_line.start("inlet", ANY_PORT, outlet["forwarding_address"], "--expect", outlet["identifier"], *both)
    address = inlet.ready()["listen"]
    assert http_get(address) == "target"
    assert inlet.event("way-moved", timeout=DONE_S)["direct"] is True
    assert http_get(address) == "target"


@pytest.mark.parametrize(
    "words",
    [
        ("outlet", "127.0.0.1:1", "--listen", ANY_PORT, "--rendezvous", "127.0.0.1:2"),
        ("outlet", "127.0.0.1:1", "--hub", "127.0.0.1:3", "--no-channel", "--rendezvous", "127.0.0.1:2"),
        ("inlet", ANY_PORT, "--node", "127.0.0.1:1", "--rendezvous", "127.0.0.1:2"),
        ("inlet", ANY_PORT, "x", "--hub", "127.0.0.1:1", "--no-channel", "--rendezvous", "127.0.0.1:2"),
    ],
)
def test_what_does_not_go_together(words: tuple[str, ...]) -> None:
    shown = run(*words)
    assert shown.code == 2
    assert "--rendezvous" in shown.errors
