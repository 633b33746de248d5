"""A local socket that is reset at our end: the Rust end of the portal closes its own at once, and goes on working.

Nothing is said about a reset at the Rust end, which tells nobody.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.interop.harness import Direct, Program
from tests.interop.traffic import assert_same, connect, data_of, read_exactly

pytestmark = pytest.mark.interop

SOON_S = 5.0
RESET = struct.pack("ii", 1, 0)
PART = data_of(5, 300_000)

CHANNEL = pytest.mark.parametrize("channel", [pytest.param(True, id="channel"), pytest.param(False, id="plain")])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """The target's port; what happens to its connections is up to the test."""
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        sock.settimeout(SOON_S)
        yield sock


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"{host}:{port}"


def accept(listener: socket.socket) -> socket.socket:
    sock, _ = listener.accept()
    sock.settimeout(SOON_S)
    return sock


def carry(writer: socket.socket, reader: socket.socket, data: bytes = PART) -> None:
    writer.sendall(data)
    assert_same(data, read_exactly(reader, len(data)))


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def assert_ends(sock: socket.socket) -> None:
    """The Rust end knows no reset: how it ends is its own affair."""
    sock.settimeout(SOON_S)
    with suppress(ConnectionResetError):
        assert sock.recv(1) == b""


def check_new_connections(inlet: str, listener: socket.socket) -> None:
    for number in range(3):
        with connect(inlet) as client:
            client.sendall(b"%d" % number)
            with accept(listener) as target:
                assert read_exactly(target, 1) == b"%d" % number
                carry(client, target)
                carry(target, client)


@CHANNEL
@pytest.mark.parametrize("handshake", [pytest.param(True, id="handshake"), pytest.param(False, id="no-handshake")])
def test_a_client_of_our_inlet_is_reset(
    rust: Program, program: Program, listener: socket.socket, *, channel: bool, handshake: bool
) -> None:
    _, outlet = rust.outlet(address_of(listener), channel=channel, skip_handshake=not handshake)
    _, inlet = program.inlet(Direct(outlet["listen"]), channel=channel, skip_handshake=not handshake)
    for answered in (False, True):
        client = connect(inlet["listen"])
        client.sendall(b"x")
        with accept(listener) as target:
            assert read_exactly(target, 1) == b"x"
            carry(client, target)
            if answered:
                carry(target, client)
            reset(client)
            assert_ends(target)
    check_new_connections(inlet["listen"], listener)


@CHANNEL
@pytest.mark.parametrize("handshake", [pytest.param(True, id="handshake"), pytest.param(False, id="no-handshake")])
def test_a_target_of_our_outlet_is_reset(
    rust: Program, program: Program, listener: socket.socket, *, channel: bool, handshake: bool
) -> None:
    _, outlet = program.outlet(address_of(listener), channel=channel, skip_handshake=not handshake)
    _, inlet = rust.inlet(Direct(outlet["listen"]), channel=channel, skip_handshake=not handshake)
    for answered in (False, True):
        with connect(inlet["listen"]) as client:
            client.sendall(b"x")
            target = accept(listener)
            assert read_exactly(target, 1) == b"x"
            carry(client, target)
            if answered:
                carry(target, client)
            reset(target)
            assert_ends(client)
    check_new_connections(inlet["listen"], listener)


@CHANNEL
def test_our_inlet_is_stopped(rust: Program, program: Program, listener: socket.socket, *, channel: bool) -> None:
    _, outlet = rust.outlet(address_of(listener), channel=channel)
    peer, inlet = program.inlet(Direct(outlet["listen"]), channel=channel)
    with connect(inlet["listen"]) as client:
        client.sendall(b"x")
        with accept(listener) as target:
            assert read_exactly(target, 1) == b"x"
            peer.stop()
            assert_ends(target)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    _, inlet = program.inlet(Direct(outlet["listen"]), channel=channel)
    check_new_connections(inlet["listen"], listener)
