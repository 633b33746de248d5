"""A stream that was cut looks cut, and one that came to its end looks complete, at either end of a portal."""

import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.commands import Portal, open_portal
from tests.interop.harness import CommandLine
from tests.interop.traffic import BULK, assert_same, connect, data_of, read_exactly
from tests.processes import Process

WAIT_S = 10.0
CHUNK = 256 * 1024
RESET = struct.pack("ii", 1, 0)

Pair = tuple[socket.socket, socket.socket]
SIDES = pytest.mark.parametrize("side", ["client", "target"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """The target's port; what happens to its connections is up to the test."""
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        sock.settimeout(WAIT_S)
        yield sock


@pytest.fixture
def portal(command_line: CommandLine, listener: socket.socket) -> Portal:
    host, port = listener.getsockname()
    return open_portal(command_line, f"{host}:{port}")


def pair(portal: Portal, listener: socket.socket) -> Pair:
    """A client and the target's end of its connection, which have exchanged something."""
    client = connect(portal.address)
    client.sendall(b"?")
    target, _ = listener.accept()
    for sock in (client, target):
        sock.settimeout(WAIT_S)
    assert read_exactly(target, 1) == b"?"
    target.sendall(b"!")
    assert read_exactly(client, 1) == b"!"
    return client, target


def read_to_the_end(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(CHUNK), b""))


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.spec("PT-12", "PT-21", "PT-38")
@SIDES
def test_an_orderly_end_is_complete(portal: Portal, listener: socket.socket, side: str) -> None:
    """Also of a side that closes both its directions at once."""
    data = data_of(6, BULK)
    for close_at_once in (False, True):
        client, target = pair(portal, listener)
        writer, reader = (client, target) if side == "client" else (target, client)

        def write(writer: socket.socket = writer, *, close_at_once: bool = close_at_once) -> None:
            writer.sendall(data)
            if close_at_once:
                writer.close()
            else:
                writer.shutdown(socket.SHUT_WR)

        with client, target:
            writing = in_background(write)
            got = read_to_the_end(reader)
            writing.join(WAIT_S)
            assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
            if not close_at_once:
                reader.sendall(b"thanks")
                reader.close()
                assert read_to_the_end(writer) == b"thanks"


@pytest.mark.spec("PT-19", "PT-38", "PT-39")
@SIDES
def test_a_reset_in_the_middle_is_a_reset_at_the_other_end(portal: Portal, listener: socket.socket, side: str) -> None:
    data = data_of(7, 1024 * 1024)
    client, target = pair(portal, listener)
    writer, reader = (client, target) if side == "client" else (target, client)
    with client, target:
        writing = in_background(lambda: writer.sendall(data))
        assert_same(data[:CHUNK], read_exactly(reader, CHUNK))
        writing.join(WAIT_S)
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.close()
        with pytest.raises(ConnectionResetError):
            read_to_the_end(reader)
    client, target = pair(portal, listener)
    client.close()
    assert read_to_the_end(target) == b""
    target.close()


def terminate(process: Process) -> None:
    process.stop()


def kill(process: Process) -> None:
    process.kill()


@pytest.mark.spec("PT-38", "PT-39")
@pytest.mark.parametrize(
    ("number", "end"),
    [
        pytest.param(0, kill, id="hub is killed"),
        pytest.param(0, terminate, id="hub is told to end"),
        pytest.param(1, terminate, id="outlet is told to end"),
        pytest.param(2, terminate, id="inlet is told to end"),
    ],
)
def test_a_node_that_ends_during_a_download_cuts_it(
    portal: Portal, listener: socket.socket, number: int, end: Callable[[Process], None]
) -> None:
    client, target = pair(portal, listener)
    ends: list[type[BaseException]] = []

    def write() -> None:
        try:
            while True:
                target.sendall(bytes(CHUNK))
        except OSError as error:
            ends.append(type(error))

    with client, target:
        writing = in_background(write)
        read_exactly(client, 4 * 1024 * 1024)
        end(portal.processes[number])
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)
        writing.join(WAIT_S)
        assert ends in ([ConnectionResetError], [BrokenPipeError])


@pytest.mark.spec("PT-24", "PT-39")
def test_both_ends_give_the_same_account_of_a_node_that_was_told_to_end(
    portal: Portal, listener: socket.socket
) -> None:
    """Its connections say so before the channel that they are in is closed."""
    client, target = pair(portal, listener)
    with client, target:
        portal.inlet.stop()
        assert portal.outlet.event("connection-closed")["reason"] == "the other end broke off"
        with pytest.raises(ConnectionResetError):
            read_to_the_end(target)
