"""Targets that refuse, that are slow, and clients that do not wait for them."""

import socket
import time
from contextlib import closing

import pytest

from tests.commands import open_portal
from tests.interop.harness import CommandLine, Direct
from tests.interop.traffic import Target, check_http, connect, http_get, read_exactly
from tests.robustness.clients import read_to_end
from tests.robustness.servers import FullListener, Received, Server, echo

AT_ONCE_S = 1.0
PATIENCE_S = 8.0
"""A kernel repeats its knocking after 1 and 3 seconds."""


def ended(data: bytes) -> tuple[bytearray, str]:
    """Return what ``read_to_end`` returns when nothing is missing."""
    return bytearray(data), "finished"


@pytest.mark.spec("PT-6", "CLI-32")
def test_a_target_that_refuses(command_line: CommandLine) -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        host, port = bound.getsockname()
        portal = open_portal(command_line, f"{host}:{port}")
        for _ in range(3):
            began = time.monotonic()
            with connect(portal.address) as client:
                client.sendall(b"E into the void")
                assert read_to_end(client)[0] == b""
            took = time.monotonic() - began
            assert took < AT_ONCE_S
            at_outlet = portal.outlet.event("connection-closed", timeout=AT_ONCE_S)
            assert "the target could not be reached: cannot connect" in at_outlet["reason"]
            assert "nothing listens there" in at_outlet["reason"]
            at_inlet = portal.inlet.event("connection-closed", timeout=AT_ONCE_S)
            assert at_inlet["reason"] == "the outlet could not reach its target, or refused the connection"
            for closed in (at_outlet, at_inlet):
                assert (closed["sent"], closed["received"]) == (0, 0)
    print(f"the client of a target that refuses was told after {took * 1000:.0f} ms")
    with Target("late", port=port):
        check_http(portal.address)


@pytest.mark.spec("PT-2", "PT-4")
def test_a_target_that_is_slow_to_accept(command_line: CommandLine) -> None:
    """What a client sends meanwhile waits in its socket and arrives whole."""
    data = bytes(range(256)) * 4096
    with FullListener() as target:
        outlet = command_line.outlet(target.address)[1]
        inlet, ready = command_line.inlet(Direct(outlet["listen"]))
        with connect(ready["listen"]) as client:
            client.sendall(data[:100_000])
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
            assert "connection-opened" not in [event["event"] for event in inlet.seen]
            target.make_room()
            with target.accept() as accepted:
                inlet.event("connection-opened", timeout=PATIENCE_S)
                client.settimeout(PATIENCE_S)
                client.sendall(data[100_000:])
                assert read_exactly(accepted, len(data)) == data
                accepted.sendall(b"welcome")
                assert read_exactly(client, 7) == b"welcome"


@pytest.mark.spec("PT-8", "HOST-2")
def test_a_client_that_is_gone_before_its_target_answers(command_line: CommandLine) -> None:
    """It is noticed while the target still has not answered, and the target then sees an end and no byte."""
    with FullListener() as target:
        outlet, at_outlet = command_line.outlet(target.address)
        inlet, at_inlet = command_line.inlet(Direct(at_outlet["listen"]))
        connect(at_inlet["listen"]).close()
        closed = inlet.event("connection-closed", timeout=3.0)
        assert closed["reason"] == "the other side hung up"
        target.make_room()
        with target.accept() as accepted:
            assert read_to_end(accepted)[0] == b""
        assert outlet.event("connection-closed", timeout=PATIENCE_S)["reason"]
        with connect(at_inlet["listen"]) as client, target.accept() as accepted:
            client.sendall(b"the next one")
            assert read_exactly(accepted, 12) == b"the next one"


@pytest.mark.spec("PT-21", "PT-22")
@pytest.mark.parametrize("repeat", range(3))
def test_a_client_that_finishes_gets_the_whole_answer(repeat: int, command_line: CommandLine) -> None:
    answer = bytes(8 * 1024 * 1024 - 1) + b"."
    asked = [b"", b"GET", bytes(3_000_000)][repeat]

    def answer_at_the_end(connection: socket.socket, received: Received) -> None:
        received.data, received.end = read_to_end(connection)
        connection.sendall(answer)

    with Server(answer_at_the_end) as target:
        portal = open_portal(command_line, target.address)
        with connect(portal.address) as client:
            client.sendall(asked)
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(client) == ended(answer)
        assert target.connection(0).data == asked
        for process in (portal.inlet, portal.outlet):
            assert process.event("connection-closed", timeout=PATIENCE_S)["reason"] == "both sides have finished"


@pytest.mark.spec("PT-21", "HOST-3")
def test_a_target_that_finishes_gets_the_whole_question(command_line: CommandLine) -> None:
    question = bytes(8 * 1024 * 1024 - 1) + b"?"

    def finish_first(connection: socket.socket, received: Received) -> None:
        assert read_exactly(connection, 5) == b"hello"
        connection.sendall(b"go on")
        connection.shutdown(socket.SHUT_WR)
        received.data, received.end = read_to_end(connection)

    with Server(finish_first) as target:
        portal = open_portal(command_line, target.address)
        with connect(portal.address) as client:
            client.sendall(b"hello")
            assert read_to_end(client) == ended(b"go on")
            client.sendall(question)
            client.shutdown(socket.SHUT_WR)
            received = target.connection(0)
            assert received.ended.wait(PATIENCE_S)
            assert received.data == question
        for process in (portal.inlet, portal.outlet):
            assert process.event("connection-closed", timeout=PATIENCE_S)["reason"] == "both sides have finished"


@pytest.mark.spec("PT-12")
def test_the_servers_of_these_tests_notice_everything() -> None:
    with Server(echo) as server, connect(server.address) as client:
        client.sendall(b"abc")
        assert read_exactly(client, 3) == b"abc"
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == ended(b"")
        received = server.connection(0)
        assert received.ended.wait(PATIENCE_S)
        assert (bytes(received.data), received.end) == (b"abc", "finished")
    assert http_get_fails_without_server(server.address)


def http_get_fails_without_server(address: str) -> bool:
    """Whether the server is gone after its context."""
    try:
        http_get(address)
    except ConnectionRefusedError:
        return True
    return False
