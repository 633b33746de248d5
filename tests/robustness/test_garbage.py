"""Garbage on every listening port: those who send it are closed, and everybody else is served."""

import random
import socket
import struct
import threading
from contextlib import suppress

import pytest

from tests.benchmarks.processes import resident_mib
from tests.commands import open_portal, run
from tests.interop.harness import CommandLine, Direct
from tests.interop.traffic import Target, check_echo, check_http, connect

VERSION = b"\x01"
NOISE = random.Random(20).randbytes(100_000)
GARBAGE = {
    "nothing": b"",
    "one byte": b"\x00",
    "the version only": VERSION,
    "another version": b"\x02" + NOISE,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("16030100f8010000f40303") + NOISE[:240],
    "noise": NOISE,
    "noise after the version": VERSION + NOISE,
    "an empty frame": VERSION + bytes(4),
    "a frame without an end": VERSION + struct.pack(">I", 1_000_000) + NOISE[:1000],
    "a frame of 16 MiB announced": VERSION + struct.pack(">I", 16 * 1024 * 1024) + NOISE,
    "a frame too long": VERSION + struct.pack(">I", 0xFFFFFFFF) + NOISE,
    "a frame of noise": VERSION + struct.pack(">I", 1000) + NOISE[:1000],
    "a message for nobody": VERSION + struct.pack(">I", 12) + bytes.fromhex("8481820041788080406161"),
    "deep CBOR": VERSION + struct.pack(">I", 60_000) + b"\x81" * 60_000,
    "a long array announced": VERSION + struct.pack(">I", 9) + b"\x9b" + b"\xff" * 8,
}
GROWTH_MIB = 40


def throw(address: str, garbage: bytes, *, drip: bool) -> None:
    """Send it at once or in pieces, then wait for an end or hang up."""
    with connect(address) as client, suppress(OSError):
        client.settimeout(0.2)
        if drip:
            for start in range(0, min(len(garbage), 50), 3):
                client.sendall(garbage[start : start + 3])
        else:
            client.sendall(garbage)
        while client.recv(65536):
            pass


@pytest.mark.spec("LINK-2", "LINK-5", "LINK-9", "WIRE-1")
def test_garbage_on_every_port(command_line: CommandLine, target: Target) -> None:
    portal = open_portal(command_line, target.address)
    listening, direct = command_line.outlet(target.address)
    leading, at_direct = command_line.inlet(Direct(direct["listen"]), expect=direct["identifier"])
    processes = (*portal.processes, listening, leading)
    check_echo(portal.address)
    check_echo(at_direct["listen"])
    before = [resident_mib(process.pid) for process in processes]
    ports = (portal.at_hub["listen"], direct["listen"], portal.address, at_direct["listen"])

    with connect(portal.address) as open_before:
        open_before.sendall(b"Efirst")
        assert open_before.recv(5, socket.MSG_WAITALL) == b"first"
        threads = [
            threading.Thread(target=throw, args=(port, garbage), kwargs={"drip": drip})
            for port in ports
            for garbage in GARBAGE.values()
            for drip in (False, True)
        ]
        for thread in threads:
            thread.start()
        open_before.sendall(b"second")
        assert open_before.recv(6, socket.MSG_WAITALL) == b"second"
        for thread in threads:
            thread.join()

    for address in (portal.address, at_direct["listen"]):
        check_echo(address, length=1024 * 1024)
        check_http(address)
    assert run("send", f"1#{portal.at_hub['listen']} => uppercase", "x").output == "X\n"
    for process, size in zip(processes, before, strict=True):
        assert process.is_running
        now = resident_mib(process.pid)
        print(f"{process.name}: {size:.0f} MiB before, {now:.0f} MiB after {len(threads)} clients with garbage")
        assert now < size + GROWTH_MIB


@pytest.mark.spec("HOST-9", "LINK-7")
def test_announced_frames_cost_nothing_before_they_come(command_line: CommandLine) -> None:
    """Two hundred clients announce the longest frame and send a little of it."""
    hub = command_line.start("hub", "--listen", "127.0.0.1:0")
    address = hub.ready()["listen"]
    before = resident_mib(hub.pid)
    clients = [connect(address) for _ in range(200)]
    for client in clients:
        client.sendall(GARBAGE["a frame of 16 MiB announced"][:20_000])
    assert run("send", f"1#{address} => echo", "x").output == "x\n"
    grown = resident_mib(hub.pid) - before
    for client in clients:
        client.close()
    print(f"200 frames of 16 MiB announced: the hub grew by {grown:.1f} MiB")
    assert grown < GROWTH_MIB
