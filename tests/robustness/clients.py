"""Clients of a portal that note exactly what they get, and how it ends."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.interop.traffic import connect, read_exactly

TOLD_S: Final = 3.0
"""Who lives on is told of an end so long after it."""

RESETS: Final = ("ConnectionResetError", "BrokenPipeError")

_CHUNK: Final = 256 * 1024
_RETRY_S: Final = 0.02
_RESET: Final = struct.pack("ii", 1, 0)


def reset(connection: socket.socket) -> None:
    """Close a connection by a reset, as the kernel does for a process that is killed with bytes unread."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def read_to_end(connection: socket.socket) -> tuple[bytearray, str]:
    """Read until the other side ends; return what came, and ``finished`` or ``reset``.

    Raises:
        TimeoutError: it neither sends nor ends.
    """
    got = bytearray()
    try:
        while chunk := connection.recv(_CHUNK):
            got += chunk
    except ConnectionError:
        return got, "reset"
    return got, "finished"


def assert_beginning(whole: bytes, got: bytes | bytearray) -> None:
    """Fail unless nothing but the beginning of ``whole`` was got."""
    if whole.startswith(got):
        return
    offset = next(at for at, (left, right) in enumerate(zip(whole, got, strict=False)) if left != right)
    raise AssertionError(f"a wrong byte at offset {offset} of {len(got)}")


def until(condition: Callable[[], bool], *, timeout: float = 20.0) -> float:
    """Wait for something that no event tells of; return how long it took."""
    began = time.monotonic()
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < began + timeout
        pause.wait(_RETRY_S)
    return time.monotonic() - began


def works(address: str, *, timeout: float) -> bool:
    """Whether a new portal connection carries a few bytes there and back."""
    with suppress(OSError, EOFError), connect(address) as client:
        client.settimeout(timeout)
        client.sendall(b"Eagain")
        return read_exactly(client, 5) == b"again"
    return False


class Sending:
    """Sends in a thread of its own, which ends with the connection at the latest."""

    def __init__(self, client: socket.socket, data: bytes) -> None:
        self._client, self._data = client, data
        self._error = ""
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        try:
            self._client.sendall(self._data)
        except OSError as error:
            self._error = type(error).__name__

    def error(self) -> str:
        """Return why not everything could be sent.  A reset is told to the sender or to the reader, not to both."""
        self._thread.join(TOLD_S)
        assert not self._thread.is_alive()
        return self._error
