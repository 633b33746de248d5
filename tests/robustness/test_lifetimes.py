"""Processes that are killed: what was open ends with no wrong byte, and what is new works when they are back."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

import pytest

from tests.commands import open_portal
from tests.interop.harness import CommandLine, Direct, Peer, Peers, Relayed
from tests.interop.traffic import Target, check_echo, connect, data_of, read_exactly
from tests.robustness.clients import RESETS, TOLD_S, Sending, assert_beginning, read_to_end, reset, until, works
from tests.robustness.servers import Server, echo

BACK_S = 5.0
"""A new portal connection works so long after the hub is back."""

SILENT_NODE_BACK_S = 20.0
"""Behind a living hub a node that was replaced is only silent; the deadline for Pong, 10 seconds, finds it out."""

SOME_BYTES = 3_000_000
LENGTH = 64 * 1024 * 1024
SHORT, LONG = 100, 1024 * 1024
CLIENTS = (LONG, LONG, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT)

TARGET_PROCESS = """
import json, signal
from tests.interop.traffic import Target
with Target() as target:
    print(json.dumps({"event": "ready", "listen": target.address}), flush=True)
    signal.pause()
"""


@contextmanager
def load(address: str) -> Iterator[list[int]]:
    """Keep a portal busy with bulk and with short connections; yield how many of each client's were right so far."""
    data = data_of(7, LONG)
    stop = threading.Event()
    completed, wrong = [0] * len(CLIENTS), []

    def keep_busy(number: int, size: int) -> None:
        while not stop.wait(0.005):
            with suppress(OSError, EOFError), connect(address) as client:
                client.settimeout(TOLD_S)
                Sending(client, b"E" + data[:size])
                if read_exactly(client, size) != data[:size]:
                    wrong.append(number)
                completed[number] += 1

    threads = [threading.Thread(target=keep_busy, args=client, daemon=True) for client in enumerate(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield completed
    finally:
        stop.set()
        for thread in threads:
            thread.join(2 * TOLD_S)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


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
            client.settimeout(TOLD_S)
            assert read_to_end(client)[0] == b""  # there is no way: closed at once
        command_line.start("hub", "--listen", portal.at_hub["listen"]).ready()
        took = until(partial(works, portal.address, timeout=BACK_S), timeout=BACK_S)
        until(lambda: sum(completed) > before + 50)
    print(f"after the hub was back a new portal connection worked within {took:.2f} s")
    assert took < BACK_S
    assert portal.inlet.is_running
    assert portal.outlet.is_running
    check_echo(portal.address, length=LONG)


@pytest.mark.spec("HOST-20")
def test_a_hub_that_is_away_for_a_while(command_line: CommandLine, target: Target) -> None:
    """Pauses between attempts grow, and the longest is still short enough."""
    portal = open_portal(command_line, target.address)
    portal.hub.kill()
    threading.Event().wait(TOLD_S)
    command_line.start("hub", "--listen", portal.at_hub["listen"]).ready()
    took = until(partial(works, portal.address, timeout=BACK_S), timeout=BACK_S)
    print(f"after an absence of {TOLD_S:g} s a new portal connection worked within {took:.2f} s")
    assert took < BACK_S


@pytest.mark.spec("HOST-22", "RL-20")
def test_an_outlet_that_is_killed_and_restarted_behind_a_living_hub(command_line: CommandLine, target: Target) -> None:
    """Nobody tells the inlet: the channel's other end is gone, and a hub drops what has no way on."""
    hub = command_line.hub()["listen"]
    outlet = command_line.outlet(target.address, hub=hub, relay="bob")[0]
    inlet, at_inlet = command_line.inlet(Relayed(hub, "forward_to_bob"))
    check_echo(at_inlet["listen"], length=LONG)
    outlet.kill()
    command_line.outlet(target.address, hub=hub, relay="bob")
    took = until(partial(works, at_inlet["listen"], timeout=SILENT_NODE_BACK_S), timeout=SILENT_NODE_BACK_S)
    print(f"after the outlet was back under its name a new portal connection worked within {took:.2f} s")
    assert took < SILENT_NODE_BACK_S
    assert inlet.event("link-restored", timeout=TOLD_S)["attempts"] >= 1
    check_echo(at_inlet["listen"], length=LONG)


@pytest.mark.spec("HOST-20")
@pytest.mark.parametrize("channel", [True, False], ids=["channel", "plain"])
def test_an_outlet_that_is_killed_and_restarted_at_its_own_listener(
    command_line: CommandLine, target: Target, *, channel: bool
) -> None:
    outlet, at_outlet = command_line.outlet(target.address, channel=channel)
    at_inlet = command_line.inlet(Direct(at_outlet["listen"]), channel=channel)[1]
    assert works(at_inlet["listen"], timeout=TOLD_S)
    outlet.kill()
    again = ["--no-channel"] if not channel else []
    command_line.start("outlet", target.address, "--listen", at_outlet["listen"], *again).ready()
    took = until(partial(works, at_inlet["listen"], timeout=BACK_S), timeout=BACK_S)
    assert took < BACK_S


class Way(NamedTuple):
    """A portal, and what its ends are called."""

    address: str
    processes: dict[str, Peer]


def open_way(command_line: CommandLine, target: str, *, through_hub: bool) -> Way:
    """Start a portal with a channel."""
    if through_hub:
        portal = open_portal(command_line, target)
        return Way(portal.address, {"hub": portal.hub, "outlet": portal.outlet, "inlet": portal.inlet})
    outlet, at_outlet = command_line.outlet(target)
    inlet, at_inlet = command_line.inlet(Direct(at_outlet["listen"]), expect=at_outlet["identifier"])
    return Way(at_inlet["listen"], {"outlet": outlet, "inlet": inlet})


@pytest.mark.spec("PT-12", "PT-23", "PT-36")
@pytest.mark.parametrize(("victim", "through_hub"), [("outlet", False), ("inlet", False), ("hub", True)])
def test_a_process_that_is_killed_amid_a_transfer(victim: str, command_line: CommandLine, *, through_hub: bool) -> None:
    """Both sockets end at once, with a beginning of what was sent; a process that lives on says why."""
    data = data_of(8, LENGTH)
    with Server(echo) as target:
        way = open_way(command_line, target.address, through_hub=through_hub)
        with connect(way.address) as client:
            sending = Sending(client, data)
            got = read_exactly(client, SOME_BYTES)
            way.processes[victim].kill()
            client.settimeout(TOLD_S)
            rest, end = read_to_end(client)
            received = target.connection(0)
            assert received.ended.wait(TOLD_S)
            assert end == "reset" or sending.error() in RESETS  # a stream that was cut must not look complete
        assert received.end in RESETS
        assert_beginning(data, got + rest)
        assert_beginning(data, received.data)
        assert SOME_BYTES <= len(got + rest) < LENGTH
        for name in {"outlet", "inlet"} - {victim}:
            closed = way.processes[name].event("connection-closed", timeout=TOLD_S)
            assert closed["reason"]
            assert closed["sent"] > 0
            assert closed["received"] > 0


@pytest.mark.spec("PT-19")
def test_a_target_that_is_killed_amid_a_transfer(command_line: CommandLine, peers: Peers) -> None:
    server = peers.start("target", [sys.executable, "-c", TARGET_PROCESS])
    portal = open_portal(command_line, server.ready()["listen"])
    data = data_of(8, LENGTH)
    with connect(portal.address) as client:
        sending = Sending(client, b"E" + data)
        got = read_exactly(client, SOME_BYTES)
        server.kill()
        client.settimeout(TOLD_S)
        rest, end = read_to_end(client)
        assert end == "reset" or sending.error() in RESETS
    assert_beginning(data, got + rest)
    for process in (portal.inlet, portal.outlet):
        assert process.event("connection-closed", timeout=TOLD_S)["reason"]


@pytest.mark.spec("PT-19")
def test_a_client_that_is_killed_amid_a_transfer(command_line: CommandLine) -> None:
    data = data_of(8, LENGTH)
    with Server(echo) as target:
        portal = open_portal(command_line, target.address)
        client = connect(portal.address)
        Sending(client, data)
        read_exactly(client, SOME_BYTES)
        client.shutdown(socket.SHUT_RD)
        reset(client)
        received = target.connection(0)
        assert received.ended.wait(TOLD_S)
        assert received.end in RESETS
        assert_beginning(data, received.data)
        for process in (portal.inlet, portal.outlet):
            assert process.event("connection-closed", timeout=TOLD_S)["reason"]


@pytest.mark.spec("PT-36", "LINK-34")
@pytest.mark.parametrize("killed", ["inlet", "outlet"])
def test_a_node_that_is_killed_behind_a_living_hub_amid_a_transfer(command_line: CommandLine, killed: str) -> None:
    """The hub tells the other end, so neither client nor target waits for ever; and neither meets a wrong byte."""
    data = data_of(8, LENGTH)
    with Server(echo) as target:
        portal = open_portal(command_line, target.address)
        with connect(portal.address) as client:
            sending = Sending(client, data)
            got = read_exactly(client, SOME_BYTES)
            victim, survivor = (portal.inlet, portal.outlet) if killed == "inlet" else (portal.outlet, portal.inlet)
            victim.kill()
            client.settimeout(TOLD_S)
            more, how = read_to_end(client)
            assert how == "reset" or sending.error() in RESETS
            assert_beginning(data, got + more)
        received = target.connection(0)
        assert received.ended.wait(TOLD_S)
        assert_beginning(data, received.data)
        assert survivor.event("connection-closed", timeout=TOLD_S)["reason"]
