"""The target behind every portal of these tests, and its clients: what one side sends is compared byte for byte.

The first byte of a connection says what it is for, so that one target serves every kind of check:
``E`` echo what follows; ``U`` length, data: answer with the SHA-256 of the data; ``D`` length, seed: send that much
data; anything else is taken for an HTTP request.  Lengths and seeds are 8 bytes, big endian.
"""

import hashlib
import http.client
import random
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer
from types import TracebackType
from typing import Final, Self, cast

BULK: Final = 8 * 1024 * 1024
"""Bytes each way in every cell that carries data."""

WAIT_S: Final = 30.0
_CHUNK: Final = 256 * 1024


def data_of(seed: int, length: int) -> bytes:
    """Return the same bytes for the same seed."""
    return random.Random(seed).randbytes(length)


def assert_same(expected: bytes | bytearray, got: bytes | bytearray) -> None:
    """Fail with the first difference, not with both texts."""
    if expected == got:
        return
    pairs = enumerate(zip(expected, got, strict=False))
    offset = next((at for at, (left, right) in pairs if left != right), min(len(expected), len(got)))
    raise AssertionError(f"expected {len(expected)} bytes, got {len(got)}, which differ at offset {offset}")


class Target:
    """A TCP server on a free port of the loopback interface, or on the given one; leaving the context ends it."""

    def __init__(self, name: str = "target", *, port: int = 0) -> None:
        self.name = name
        self._listener = socket.create_server(("127.0.0.1", port))
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []

    @property
    def address(self) -> str:
        """Where it listens, as ``HOST:PORT``."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Shutting down wakes the thread that waits in accept; closing alone would leave it there.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(WAIT_S)
        self._listener.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads[1:]:
            thread.join(WAIT_S)

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=self.name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._spawn(partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                self._answer(connection)
            except (OSError, EOFError):
                return

    def _answer(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = connection.recv(1, socket.MSG_PEEK)
        if kind not in {b"E", b"U", b"D"}:
            _Page(connection, connection.getpeername(), cast("BaseServer", self))
            return
        read_exactly(connection, 1)
        if kind == b"E":
            while chunk := connection.recv(_CHUNK):
                connection.sendall(chunk)
        elif kind == b"U":
            (length,) = struct.unpack(">Q", read_exactly(connection, 8))
            connection.sendall(hashlib.sha256(read_exactly(connection, length)).digest())
        else:
            length, seed = struct.unpack(">QQ", read_exactly(connection, 16))
            connection.sendall(data_of(seed, length))


class _Page(BaseHTTPRequestHandler):
    """GET answers with the name of the target, POST with the body it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply(cast("Target", self.server).name.encode())

    def do_POST(self) -> None:
        self._reply(self.rfile.read(int(self.headers["Content-Length"])))

    def _reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        del format, args


def read_exactly(connection: socket.socket, length: int) -> bytearray:
    """Read that many bytes; ``EOFError`` if the other side ends before."""
    data = bytearray(length)
    view = memoryview(data)
    got = 0
    while got < length:
        count = connection.recv_into(view[got:], min(length - got, _CHUNK))
        if count == 0:
            raise EOFError(f"the connection ended after {got} of {length} bytes")
        got += count
    return data


def connect(address: str) -> socket.socket:
    """Open a TCP connection whose every operation has a deadline."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=WAIT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def check_echo(address: str, *, length: int = BULK) -> None:
    """Send and receive at the same time, and compare."""
    data = data_of(1, length)
    with connect(address) as connection:
        sender = threading.Thread(target=lambda: connection.sendall(b"E" + data), daemon=True)
        sender.start()
        got = read_exactly(connection, length)
        sender.join(WAIT_S)
    assert_same(data, got)


def check_upload(address: str, *, length: int = BULK) -> None:
    """Send, and compare the digest of what the target received."""
    data = data_of(2, length)
    with connect(address) as connection:
        connection.sendall(b"U" + struct.pack(">Q", length) + data)
        digest = read_exactly(connection, hashlib.sha256().digest_size)
    assert digest == hashlib.sha256(data).digest()


def check_download(address: str, *, length: int = BULK) -> None:
    """Receive, compare, and see the target's end of the connection arrive after the last byte."""
    seed = 3
    with connect(address) as connection:
        connection.sendall(b"D" + struct.pack(">QQ", length, seed))
        got = read_exactly(connection, length)
        rest = connection.recv(_CHUNK)
    assert_same(data_of(seed, length), got)
    assert rest == b""


def http_get(address: str) -> str:
    """Return the body of ``GET /``: the name of the target."""
    return _request(address, "GET", None).decode()


def check_http(address: str) -> None:
    """Send two HTTP requests, one with a body that the target returns."""
    assert http_get(address)
    body = data_of(4, 100_000)
    assert_same(body, _request(address, "POST", body))


def check_portal(address: str) -> None:
    """Everything above: both ways at once, each way alone, and HTTP."""
    check_echo(address)
    check_upload(address)
    check_download(address)
    check_http(address)


def _request(address: str, method: str, body: bytes | None) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=WAIT_S)
    with closing(connection):
        connection.request(method, "/", body)
        response = connection.getresponse()
        assert response.status == http.HTTPStatus.OK
        return response.read()
