"""A relay that changes, loses, repeats or exchanges anything: right bytes or an end, and never a wrong byte."""

import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.interop.harness import CommandLine, Direct, Relayed
from tests.interop.traffic import connect, data_of
from tests.robustness.clients import Sending, assert_beginning, until
from tests.robustness.servers import Server, echo
from tests.robustness.tampering import OF_PACKETS, OF_STREAMS, Direction, Frames, Tamper, TamperingRelay

LENGTH = 6 * 1024 * 1024
END_S = 5.0
BACK_S = 10.0
HARMLESS = {"repeat"}
"""A packet that comes twice is refused the second time, and nothing is missing."""


Portal = tuple[TamperingRelay, str]


@contextmanager
def behind_a_hub(command_line: CommandLine, target: str) -> Iterator[Portal]:
    """Put the relay between an outlet and its hub; yield it and where clients connect."""
    hub = command_line.hub()["listen"]
    with TamperingRelay(hub) as relay:
        outlet = command_line.outlet(target, hub=relay.address)[1]
        way = Relayed(hub, outlet["forwarding_address"])
        yield relay, command_line.inlet(way, expect=outlet["identifier"])[1]["listen"]


@contextmanager
def between_two_nodes(command_line: CommandLine, target: str) -> Iterator[Portal]:
    """Put the relay between an inlet and the outlet's own listener."""
    outlet = command_line.outlet(target)[1]
    with TamperingRelay(outlet["listen"]) as relay:
        yield relay, command_line.inlet(Direct(relay.address), expect=outlet["identifier"])[1]["listen"]


def exchange(address: str, data: bytes) -> tuple[bytes, bool]:
    """Send data to an echo and read until all of it is back, or the connection ends; return it, and whether it is all."""
    with connect(address) as client:
        client.settimeout(END_S)
        sending = Sending(client, data)
        got = bytearray()
        try:
            while len(got) < len(data) and (chunk := client.recv(256 * 1024)):
                got += chunk
        except ConnectionError:
            pass
        if len(got) == len(data):
            assert not sending.error()
        return bytes(got), len(got) == len(data)


@pytest.mark.spec("PT-16", "PT-36")
@pytest.mark.parametrize("tamper", OF_PACKETS)
def test_packets_of_a_channel_that_a_relay_changes(tamper: str, command_line: CommandLine) -> None:
    with Server(echo) as target, behind_a_hub(command_line, target.address) as portal:
        check_that_nothing_wrong_arrives(target, portal, tamper, OF_PACKETS[tamper])


@pytest.mark.spec("PT-16", "PT-36", "LINK-5")
@pytest.mark.parametrize("tamper", OF_STREAMS)
def test_a_stream_between_two_nodes_that_is_changed(tamper: str, command_line: CommandLine) -> None:
    with Server(echo) as target, between_two_nodes(command_line, target.address) as portal:
        check_that_nothing_wrong_arrives(target, portal, tamper, OF_STREAMS[tamper])


def check_that_nothing_wrong_arrives(target: Server, portal: Portal, name: str, tamper: Tamper) -> None:
    """Change one frame in either direction; both ends get a beginning of what was sent, and new connections work."""
    data = data_of(11, LENGTH)
    relay, address = portal
    assert exchange(address, data) == (data, True)
    for seed, direction in enumerate(Direction):
        number = len(target.received)
        relay.arm(direction, tamper, seed=seed)
        got, whole = exchange(address, data)
        assert relay.done.is_set()
        received = target.connection(number)
        assert received.ended.wait(END_S)
        assert_beginning(data, got)
        assert_beginning(data, received.data)
        assert whole is (name in HARMLESS)
        print(f"{name} {direction}: {len(received.data)} bytes reached the target, {len(got)} the client")
        until(lambda: exchange(address, b"again") == (b"again", True), timeout=BACK_S)


@pytest.mark.spec("PT-12")
def test_an_honest_relay_changes_nothing(command_line: CommandLine) -> None:
    """So that what the tests above see is the tampering."""
    data = data_of(12, LENGTH)
    with Server(echo) as target, behind_a_hub(command_line, target.address) as (relay, address):
        relay.arm(Direction.TO_HUB, lambda frame, _: [frame], seed=0)
        assert exchange(address, data) == (data, True)
        assert relay.done.is_set()


@pytest.mark.spec("LINK-3")
def test_frames_are_cut_right() -> None:
    whole = [b"\x01", struct.pack(">I", 3) + b"abc", struct.pack(">I", 0), struct.pack(">I", 1) + b"d"]
    stream = b"".join(whole)
    for size in range(1, len(stream) + 1):
        frames = Frames()
        got = [frame for at in range(0, len(stream), size) for frame in frames.take(stream[at : at + size])]
        assert got == whole


@pytest.mark.spec("LINK-3")
@pytest.mark.parametrize("tamper", [*OF_PACKETS.values(), *OF_STREAMS.values()])
def test_every_kind_of_tampering_changes_the_stream(tamper: Tamper) -> None:
    frame = struct.pack(">I", 5000) + random.Random(1).randbytes(5000)
    for seed in range(20):
        changed = tamper(frame, random.Random(seed))
        assert changed is None or b"".join(changed) != frame
