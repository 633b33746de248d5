"""Ctrl-C and SIGTERM end every command within a second, with exit code 0, whatever is open."""

import signal
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from tests.commands import environment, open_portal, start
from tests.interop.harness import ANY_PORT, CommandLine, Peers
from tests.interop.traffic import Target, connect, http_get
from tests.processes import Process
from tests.robustness.servers import stalled

END_S = 1.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def has_ended(client: socket.socket) -> bool:
    """Whether the other side ended the connection, in good order or by a reset."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def end_all(processes: tuple[Process, ...], number: int) -> dict[str, float]:
    """Send the signal to all at once; return how long each took to end in good order."""
    began = time.monotonic()
    took = {}
    for process in processes:
        process.signal(number)
    waiting = list(processes)
    while waiting:
        for process in [process for process in waiting if not process.is_running]:
            waiting.remove(process)
            took[process.name] = time.monotonic() - began
            assert process.ended() == 0, process.errors()
        with suppress(AssertionError):
            waiting[0].ended(timeout=0.01) if waiting else None
    return took


@pytest.mark.spec("CLI-10", "HOST-19")
@pytest.mark.parametrize(("number", "loop"), [(signal.SIGINT, "asyncio"), (signal.SIGTERM, "uvloop")])
def test_idle(number: int, loop: str, target: Target) -> None:
    with Peers(environment(loop=loop)) as peers:
        portal = open_portal(CommandLine(peers), target.address)
        assert http_get(portal.address) == "target"
        took = end_all(portal.processes, number)
        assert max(took.values()) < END_S, took
        assert not any(process.errors() for process in portal.processes)


@pytest.mark.spec("CLI-10", "HOST-19")
@pytest.mark.parametrize(("number", "loop"), [(signal.SIGINT, "uvloop"), (signal.SIGTERM, "asyncio")])
def test_with_open_connections_and_bytes_that_nobody_takes(number: int, loop: str) -> None:
    with Peers(environment(loop=loop)) as peers, stalled() as target, ExitStack() as clients:
        portal = open_portal(CommandLine(peers), target)
        for _ in range(20):
            clients.enter_context(connect(portal.address))
            portal.inlet.event("connection-opened")
        pushing = clients.enter_context(connect(portal.address))
        portal.inlet.event("connection-opened")
        pushing.settimeout(0.2)
        with suppress(TimeoutError):
            pushing.sendall(bytes(32 * 1024 * 1024))
        took = end_all(portal.processes, number)
        assert max(took.values()) < END_S, took
        assert not any(process.errors() for process in portal.processes)


@pytest.mark.spec("CLI-10")
@pytest.mark.parametrize("number", SIGNALS)
def test_one_after_the_other(number: int, command_line: CommandLine, target: Target) -> None:
    """Those that are left lose their way, and still end in time while they look for another."""
    portal = open_portal(command_line, target.address)
    with connect(portal.address) as client:
        portal.inlet.event("connection-opened")
        for process in portal.processes:
            assert end_all((process,), number)[process.name] < END_S
        assert has_ended(client)


@pytest.mark.spec("CLI-10")
@pytest.mark.parametrize("number", SIGNALS)
def test_while_a_command_still_waits_for_somebody(number: int, peers: Peers) -> None:
    """Neither is ready: the far ends take the connection and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        silent.settimeout(10.0)
        for words in (
            ("outlet", "127.0.0.1:9", "--hub", address),
            ("inlet", ANY_PORT, "--node", address),
            ("send", f"1#{address} => echo", "x"),
        ):
            process = start(peers, *words)
            with silent.accept()[0]:
                assert end_all((process,), number)[process.name] < END_S
            assert process.errors() == ""


@pytest.mark.spec("CLI-10")
def test_a_second_signal_does_no_harm(command_line: CommandLine, target: Target) -> None:
    portal = open_portal(command_line, target.address)
    with connect(portal.address):
        for process in portal.processes:
            process.signal(signal.SIGINT)
            process.signal(signal.SIGTERM)
        for process in portal.processes:
            assert process.ended(timeout=END_S) == 0
            assert process.errors() == ""
