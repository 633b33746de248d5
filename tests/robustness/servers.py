"""Servers behind a portal that do what servers should not do, or note exactly what reaches them."""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from types import TracebackType
from typing import Final, Self

from tests.interop.traffic import WAIT_S

_CHUNK: Final = 256 * 1024


def address_of(listener: socket.socket) -> str:
    """Return where a socket listens, as ``HOST:PORT``."""
    host, port = listener.getsockname()
    return f"{host}:{port}"


class Received:
    """What one connection brought to a server, and how it ended."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.end = ""
        self.ended = threading.Event()

    def digest(self) -> str:
        """Return a short name for the bytes."""
        return hashlib.sha256(self.data).hexdigest()


Serve = Callable[[socket.socket, Received], None]


class Server:
    """Serves every connection in a thread of its own and notes what came."""

    def __init__(self, serve: Serve) -> None:
        self.received: list[Received] = []
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._came = threading.Condition()
        self.address: Final = address_of(self._listener)

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(WAIT_S)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(WAIT_S)

    def connection(self, number: int) -> Received:
        """Return what came in the connection of that number, once there is one."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.received) > number, WAIT_S)
            return self.received[number]

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            received = Received()
            self._connections.append(connection)
            with self._came:
                self.received.append(received)
                self._came.notify_all()
            self._spawn(lambda connection=connection, received=received: self._run(connection, received))  # type: ignore[misc]

    def _run(self, connection: socket.socket, received: Received) -> None:
        with closing(connection):
            try:
                self._serve(connection, received)
                received.end = "finished"
            except OSError as error:
                received.end = type(error).__name__
            finally:
                received.ended.set()


def echo(connection: socket.socket, received: Received) -> None:
    """Send everything back."""
    while chunk := connection.recv(_CHUNK):
        received.data += chunk
        connection.sendall(chunk)


def sink(connection: socket.socket, received: Received) -> None:
    """Take everything."""
    while chunk := connection.recv(_CHUNK):
        received.data += chunk


@contextmanager
def stalled() -> Iterator[str]:
    """Accept everybody, read nothing."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    stack.enter_context(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield address_of(listener)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class FullListener:
    """A server that is up and does not answer: its queue is full, so the kernel drops whoever knocks."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.socket.settimeout(WAIT_S)
        self.address: Final = address_of(self.socket)
        self._fillers: list[socket.socket] = []

    def __enter__(self) -> Self:
        host, port = self.socket.getsockname()
        while True:
            filler = socket.socket()
            self._fillers.append(filler)
            filler.settimeout(0.2)
            try:
                filler.connect((host, port))
            except TimeoutError:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
        for filler in self._fillers:
            filler.close()

    def make_room(self) -> None:
        """Take and end those that filled the queue; the next that is accepted is somebody else."""
        names = {filler.getsockname() for filler in self._fillers[:-1]}
        self._fillers.pop().close()  # the one that was never answered must not be answered now
        while names:
            connection, name = self.socket.accept()
            connection.close()
            names.discard(name)

    def accept(self) -> socket.socket:
        """Return the next client."""
        connection, _ = self.socket.accept()
        connection.settimeout(WAIT_S)
        return connection
