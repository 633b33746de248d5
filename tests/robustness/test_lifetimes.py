"""Processes that are killed: what was open ends with no wrong byte, and what is new works when they are back."""

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.commands import Portal, open_portal
from tests.interop.harness import CommandLine, Direct, Peer, Relayed
from tests.interop.traffic import Target, check_echo, connect, data_of, read_exactly
from tests.robustness.servers import Server, assert_beginning, echo, read_to_end, reset, sink

BACK_S = 5.0
"""A new portal connection works so long after the hub is back."""

SILENT_NODE_BACK_S = 15.0
"""Behind a living hub a node that was replaced is only silent; the deadline for Pong, 10 seconds, finds it out."""

TOLD_S = 3.0
SOME_BYTES = 3_000_000
LENGTH = 64 * 1024 * 1024
RETRY_S = 0.02

TARGET = """
import json, signal
from tests.interop.traffic import Target
with Target() as target:
    print(json.dumps({"event": "ready", "listen": target.address}), flush=True)
    signal.pause()
"""


def works(address: str, *, timeout: float) -> bool:
    """Whether a new portal connection carries a few bytes there and back."""
    try:
        with connect(address) as client:
            client.settimeout(timeout)
            client.sendall(b"Eagain")
            return read_exactly(client, 5) == b"again"
    except (OSError, EOFError):
        return False


def until_it_works(address: str, *, deadline_s: float) -> float:
    """Open portal connections until one works; return how long that took."""
    began = time.monotonic()
    pause = threading.Event()
    while not works(address, timeout=deadline_s):
        took = time.monotonic() - began
        assert took < deadline_s, f"nothing works after {took:.1f} s"
        pause.wait(RETRY_S)
    return time.monotonic() - began


@contextmanager
def load(address: str) -> Iterator[list[int]]:
    """Keep a portal busy: two clients with bulk, six with short connections; every byte that comes back is right."""
    data = data_of(7, 1024 * 1024)
    stop = threading.Event()
    completed, wrong = [0] * 8, []

    def keep_busy(number: int) -> None:
        size = len(data) if number < 2 else 100
        while not stop.wait(0.005):
            with suppress(OSError, EOFError), connect(address) as client:
                client.settimeout(TOLD_S)
                threading.Thread(target=lambda client=client: send(client, b"E" + data[:size]), daemon=True).start()
                got = read_exactly(client, size)
                if got != data[:size]:
                    wrong.append(number)
                completed[number] += 1

    threads = [threading.Thread(target=keep_busy, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield completed
    finally:
        stop.set()
        for thread in threads:
            thread.join(TOLD_S * 2)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


def send(client: socket.socket, data: bytes) -> None:
    """Send as much as the other side takes."""
    with suppress(OSError):
        client.sendall(data)


@pytest.mark.spec("HOST-20", "HOST-21", "CLI-34")
def test_a_hub_that_is_killed_and_restarted_under_load(command_line: CommandLine, target: Target) -> None:
    portal = open_portal(command_line, target.address)
    with load(portal.address) as completed:
        until(lambda: min(completed) > 0)
        portal.hub.kill()
        for process in (portal.inlet, portal.outlet):
            process.event("link-lost", timeout=TOLD_S)
        before = sum(completed)
        with connect(portal.address) as client:
            assert read_to_end(client)[0] == b""  # there is no way: closed at once
        hub = command_line.start("hub", "--listen", portal.at_hub["listen"])
        hub.ready()
        took = until_it_works(portal.address, deadline_s=BACK_S)
        until(lambda: sum(completed) > before + 50)
    print(f"after the restart of the hub a new portal connection worked within {took:.2f} s, {sum(completed)} done")
    assert portal.inlet.is_running
    assert portal.outlet.is_running
    check_echo(portal.address, length=1024 * 1024)


def until(condition: "threading._PyCondition | object", *, timeout: float = 20.0) -> None:
    """Wait for something that other threads bring about."""
    assert callable(condition)
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(RETRY_S)
