"""The load of the benchmarks: a server that costs next to nothing, and clients that cost as little.

Run as a program it is the server, behind all tunnels: ``python -m tests.benchmarks.load``.  Every request has 64 bytes:
``E`` is echoed, ``D`` and ``U`` with a length ask for data and announce data, ``GET `` is answered as HTTP.

Bulk data is sent by ``sendfile`` from memory and thrown away by ``recv`` with ``MSG_TRUNC``, so that neither end
copies it through Python; that what arrives is right is checked apart from the measurements.
"""

import json
import os
import random
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

SIZE: Final = 64
_REQUEST: Final = struct.Struct(">cQ55x")
_HTTP_REQUEST: Final = b"GET / HTTP/1.0\r\nX-Pad: ".ljust(SIZE - 4, b"-") + b"\r\n\r\n"
_HTTP_REPLY: Final = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"

PATTERN_BYTES: Final = 8 * 1024 * 1024
CHECKED_BYTES: Final = PATTERN_BYTES + 1234
_DISCARD: Final = memoryview(bytearray(4 * 1024 * 1024))
_WAIT_S: Final = 60


def pattern() -> bytes:
    """Return what the server sends, over and over."""
    return random.Random(64).randbytes(PATTERN_BYTES)


class PatternFile:
    """The pattern as a file in memory."""

    def __init__(self) -> None:
        self._file = os.memfd_create("pattern")
        os.write(self._file, pattern())

    def send(self, connection: socket.socket, length: int) -> None:
        """Send the first ``length`` bytes of its endless repetition."""
        sink, sent = connection.fileno(), 0
        while sent < length:
            offset = sent % PATTERN_BYTES
            sent += os.sendfile(sink, self._file, offset, min(length - sent, PATTERN_BYTES - offset))


def discard(connection: socket.socket, length: int) -> None:
    """Receive that many bytes without looking at them."""
    left = length
    while left:
        got = connection.recv_into(_DISCARD, min(left, len(_DISCARD)), socket.MSG_TRUNC)
        if got == 0:
            raise EOFError(f"the connection ended {left} bytes early")
        left -= got


def receive(connection: socket.socket, length: int) -> bytearray:
    """Receive exactly that many bytes."""
    data = bytearray(length)
    view, got = memoryview(data), 0
    while got < length:
        count = connection.recv_into(view[got:])
        if count == 0:
            raise EOFError(f"the connection ended after {got} of {length} bytes")
        got += count
    return data


def listen() -> socket.socket:
    """Listen on a free port."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)


def serve() -> None:
    """Serve until standard input ends."""
    file = PatternFile()
    selector = selectors.DefaultSelector()
    listener = listen()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(json.dumps({"event": "ready", "listen": "{}:{}".format(*listener.getsockname())}), flush=True)
    while True:
        for key, _ in selector.select():
            ready = key.fileobj
            if ready is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
            elif isinstance(ready, socket.socket):
                if not _answer(ready, file):
                    selector.unregister(ready)
                    ready.close()
            elif not os.read(sys.stdin.fileno(), 1):
                return


def _answer(connection: socket.socket, file: PatternFile) -> bool:
    """Answer one request; return whether the connection goes on."""
    try:
        request = connection.recv(SIZE, socket.MSG_WAITALL)
        if len(request) < SIZE:
            return False
        if request.startswith(b"GET "):
            connection.sendall(_HTTP_REPLY)
            return False
        kind, length = _REQUEST.unpack(request)
        if kind == b"D":
            file.send(connection, length)
            return True
        if kind == b"U":
            discard(connection, length)
        connection.sendall(request)
    except (OSError, EOFError):
        return False
    return True


# ---- clients


def connect(address: str) -> socket.socket:
    """Open a connection without delays of its own; its deadlines are the kernel's, which cost no system call."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=_WAIT_S)
    connection.setblocking(True)
    for side in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, side, struct.pack("ll", _WAIT_S, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def first_byte(address: str) -> None:
    """Make an HTTP request and wait for the first byte of the answer."""
    with connect(address) as connection:
        connection.sendall(_HTTP_REQUEST)
        if connection.recv(1) != b"H":
            raise EOFError("no HTTP answer")


def check(address: str) -> None:
    """Fail unless a download is right byte for byte and an upload of the same size is acknowledged."""
    with connect(address) as connection:
        connection.sendall(_REQUEST.pack(b"D", CHECKED_BYTES))
        got = receive(connection, CHECKED_BYTES)
    expected = pattern()
    if got[:PATTERN_BYTES] != expected or got[PATTERN_BYTES:] != expected[: CHECKED_BYTES - PATTERN_BYTES]:
        raise ValueError("the data that came through is wrong")


def download(address: str, length: int) -> float:
    """Return the seconds that this many bytes take from the server to here, on a connection that is already open."""

    def transfer(connection: socket.socket) -> None:
        connection.sendall(_REQUEST.pack(b"D", length))
        discard(connection, length)

    return _timed(address, transfer)


def upload(address: str, length: int) -> float:
    """Return the seconds that this many bytes take from here to the server, its acknowledgement included."""
    file = PatternFile()

    def transfer(connection: socket.socket) -> None:
        connection.sendall(_REQUEST.pack(b"U", length))
        file.send(connection, length)
        receive(connection, SIZE)

    return _timed(address, transfer)


def _timed(address: str, transfer: Callable[[socket.socket], None]) -> float:
    with connect(address) as connection:
        _round_trip(connection)
        begin = time.perf_counter()
        transfer(connection)
        return time.perf_counter() - begin


def round_trips(address: str, count: int, warm_up: int = 200) -> list[float]:
    """Return the seconds of each round trip of 64 bytes on one connection, ascending."""
    with connect(address) as connection:
        for _ in range(warm_up):
            _round_trip(connection)
        return sorted(_round_trip(connection) for _ in range(count))


def connections(address: str, count: int) -> float:
    """Return how many connections a second one caller opens, uses for one round trip, and closes."""
    begin = time.perf_counter()
    for _ in range(count):
        with connect(address) as connection:
            _round_trip(connection)
    return count / (time.perf_counter() - begin)


_ECHO: Final = _REQUEST.pack(b"E", 0)


def _round_trip(connection: socket.socket) -> float:
    begin = time.perf_counter()
    connection.sendall(_ECHO)
    reply = connection.recv(SIZE)
    if len(reply) < SIZE:
        reply += receive(connection, SIZE - len(reply))
    seconds = time.perf_counter() - begin
    if reply != _ECHO:
        raise ValueError("the echo is wrong")
    return seconds


if __name__ == "__main__":
    serve()
