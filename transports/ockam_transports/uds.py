"""The Unix socket adapter: links within one machine, at a path of its file system."""

import asyncio
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.machine import LinkId
from ockam_transports.base import Acceptor, LinkHost, LinkKind, TransportPlugin
from ockam_transports.connecting import CONNECT_TIMEOUT_S
from ockam_transports.reasons import describe
from ockam_transports.stream_listener import LISTEN_BACKLOG, StreamSocketListener
from ockam_transports.stream_socket import READ_BYTES, StreamSocketLink

MAX_PATH_BYTES: Final = 107 if sys.platform == "linux" else 103
"""Bytes of a path that fit the operating system's socket address, its closing zero byte left out."""

OWNER_ONLY: Final = 0o600
"""Who may connect to a socket that we listen on: programs of the same user."""

RETRY_AFTER_S: Final = 0.02
"""A listener whose queue is full gives no sign when there is room again; it is asked after this time."""

_SENTENCES: Final = {
    errno.ENOENT: "there is no such file or directory",
    errno.EACCES: "the permissions of the file, or of a directory on the way, do not allow it",
    errno.EPERM: "the file belongs to somebody else",
    errno.EROFS: "the file system is read-only",
    errno.EADDRINUSE: "another program has just taken the path",
}

SEND_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""What the kernel is asked to keep for the other side."""


class UdsTransport:
    """Unix sockets for one host on the running event loop."""

    def __init__(self, host: LinkHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(READ_BYTES))

    def open(self, link: LinkId, target: str) -> StreamSocketLink:
        """Begin to connect to the socket at the path ``target``."""

        def won(sock: socket.socket) -> None:
            _configure(sock)
            opening.attach(sock)
            opening.flush()
            self._host.link_opened(link)
            opening.watch()

        opening = self._new_link(link, lambda _: connecting.cancel())
        connecting = _Connecting(self._loop, target, won, opening.fail)
        return opening

    async def listen(self, address: str, accept: Acceptor) -> StreamSocketListener:
        """Listen at the path ``address``, for programs of the same user; the file goes away with the listener.

        A socket file on which nobody listens any more is replaced; anything else that has the path is left alone.

        Raises:
            MisuseError: ``address`` cannot be a path of a socket.
            OckamError: nobody can listen there.
        """
        try:
            _check(address)
            sock, ours = _listen_at(address)
        except MisuseError as error:
            raise MisuseError(error.code, f"cannot listen over uds: {error}") from None
        except OSError as error:
            raise OckamError(ErrorCode.LINK_FAILED, f"cannot listen on {address} over uds: {_why(error)}") from None
        return StreamSocketListener(
            self._loop,
            sock,
            address,
            self._new_accepted,
            accept,
            configure=_configure,
            on_close=partial(_remove_ours, address, ours),
        )

    def _new_accepted(self, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return self._new_link(self._host.new_link(), on_gone)

    def _new_link(self, link: LinkId, on_gone: Callable[[StreamSocketLink], None]) -> StreamSocketLink:
        return StreamSocketLink(link, self._host, loop=self._loop, buffer=self._buffer, on_gone=on_gone)


class _Connecting:
    """One attempt to reach a path; ends with exactly one of its two callbacks, never while it is made."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        path: str,
        won: Callable[[socket.socket], None],
        failed: Callable[[str], None],
    ) -> None:
        self._loop, self._path, self._won, self._failed = loop, path, won, failed
        self._until = loop.time() + CONNECT_TIMEOUT_S
        self._next: asyncio.Handle = loop.call_soon(self._try)

    def cancel(self) -> None:
        """Give up without a word; nothing happens where the attempt has ended."""
        self._next.cancel()

    def _try(self) -> None:
        try:
            _check(self._path)
            sock = _connect(self._path)
        except BlockingIOError:  # the listener's queue is full
            if self._loop.time() < self._until:
                self._next = self._loop.call_later(RETRY_AFTER_S, self._try)
            else:
                self._failed(f"no answer from {self._path} over uds within {CONNECT_TIMEOUT_S:g} s")
        except OSError as error:
            self._failed(f"cannot connect to {self._path} over uds: {_why(error)}")
        except MisuseError as error:
            self._failed(f"cannot connect over uds: {error}")
        else:
            self._won(sock)


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _configure(sock: socket.socket) -> None:
    """Let the kernel keep more than it does by itself: these sockets do not grow as those of TCP do."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


def _listen_at(path: str) -> tuple[socket.socket, os.stat_result]:
    """Return a listening socket at the path, and the file that it has made there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(sock, path)
        # nobody can connect before ``listen``, and then the permissions are what they shall be
        os.chmod(path, OWNER_ONLY)  # noqa: PTH101  # a path of a socket is a text here
        sock.listen(LISTEN_BACKLOG)
        sock.setblocking(False)
        return sock, os.lstat(path)
    except BaseException:
        sock.close()
        raise


def _bind(sock: socket.socket, path: str) -> None:
    try:
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        _remove_stale(path)
        sock.bind(path)


def _remove_stale(path: str) -> None:
    """Remove a socket file whose socket is gone; refuse to touch anything else.

    Of two programs that find the same stale file within the same few microseconds, the later one may win the path.
    """
    found = os.lstat(path)
    if not stat.S_ISSOCK(found.st_mode):
        raise _taken(path, "there is a file that is no socket, which is left alone: choose another path, or remove it")
    # a socket of another type is told whether there is a socket at all, and the program behind it notices nothing
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        outcome = probe.connect_ex(path)
    if outcome in (0, errno.EPROTOTYPE):
        raise _taken(path, "another program listens there: choose another path, or stop that program")
    if outcome != errno.ECONNREFUSED:
        raise OSError(outcome, os.strerror(outcome))
    if os.path.samestat(found, os.lstat(path)):
        os.unlink(path)  # noqa: PTH108


def _remove_ours(path: str, ours: os.stat_result) -> None:
    """Remove our socket file, unless somebody else has taken the path since."""
    with suppress(OSError):
        if os.path.samestat(ours, os.lstat(path)):
            os.unlink(path)  # noqa: PTH108


def _check(path: str) -> None:
    try:
        length = len(os.fsencode(path))
    except UnicodeEncodeError:
        length = 0
    if length == 0 or "\0" in path:
        raise MisuseError(ErrorCode.BAD_ADDRESS, f"{path!r} is no path of a socket")
    if length > MAX_PATH_BYTES:
        detail = f"the path {path} has {length} bytes; {MAX_PATH_BYTES} are the limit: choose a shorter one"
        raise MisuseError(ErrorCode.BAD_ADDRESS, detail)


def _taken(path: str, why: str) -> OckamError:
    return OckamError(ErrorCode.LINK_FAILED, f"cannot listen on {path} over uds: {why}")


def _why(error: OSError) -> str:
    return _SENTENCES.get(error.errno or 0) or describe(error)


PLUGIN: Final = TransportPlugin(
    name="uds",
    transport_type=5,
    kind=LinkKind.STREAM,
    form="uds",
    address_form="/path/of/the.sock",
    summary="Unix domain sockets, between nodes of one machine",
    create=UdsTransport,
)
