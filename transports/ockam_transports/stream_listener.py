"""A listening stream socket, of TCP or of the file system, driven by readiness callbacks of the event loop."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from ockam_transports.base import Acceptor
from ockam_transports.stream_socket import StreamSocketLink

MAX_ACCEPTED_LINKS: Final = 4096
"""Links that one listening socket may have accepted and not yet freed; further clients are closed at once."""

LISTEN_BACKLOG: Final = 1024
"""Clients that may wait in the kernel to be accepted; Linux caps it at net.core.somaxconn."""

ACCEPTS_PER_TURN: Final = 64
"""Clients accepted in one turn of the event loop, so that a flood of them leaves time for the others."""

ACCEPT_PAUSE_S: Final = 0.5
"""How long accepting rests after the process ran out of descriptors or memory."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

NewLink = Callable[[Callable[[StreamSocketLink], None]], StreamSocketLink]


class StreamSocketListener:
    """A listening socket; it hands every client to the host as an open link that is not read yet.

    ``configure`` sees each accepted socket first; ``on_close`` is called once, after the listening socket was closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        address: str,
        new_link: NewLink,
        accept: Acceptor,
        *,
        configure: Callable[[socket.socket], None] = lambda _: None,
        on_close: Callable[[], None] = lambda: None,
        max_accepted: int = MAX_ACCEPTED_LINKS,
    ) -> None:
        self.address = address
        self.turned_away = 0
        self._loop = loop
        self._sock = sock
        self._new_link = new_link
        self._accept = accept
        self._configure = configure
        self._on_close = on_close
        self._max_accepted = max_accepted
        self._accepted: set[StreamSocketLink] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False
        loop.add_reader(sock.fileno(), self._acceptable)

    def close(self) -> None:
        """Accept no more; accepted links live on."""
        if not self._closed:
            self._closed = True
            self._stop_accepting()
            self._sock.close()
            self._on_close()

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._closed:
                return
            try:
                sock, _ = self._sock.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._stop_accepting()
                    self._pause = self._loop.call_later(ACCEPT_PAUSE_S, self._accept_again)
                return
            if len(self._accepted) >= self._max_accepted:
                self.turned_away += 1
                sock.close()
                continue
            sock.setblocking(False)
            self._configure(sock)
            link = self._new_link(self._accepted.discard)
            link.attach(sock)
            self._accepted.add(link)
            self._accept(link)
            link.watch()

    def _stop_accepting(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        else:
            self._loop.remove_reader(self._sock.fileno())

    def _accept_again(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock.fileno(), self._acceptable)
