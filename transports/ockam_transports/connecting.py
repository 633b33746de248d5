"""Opening a TCP connection: look the name up, try its addresses, the first that answers wins (RFC 8305)."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

from ockam_ref.errors import MisuseError
from ockam_transports.host_port import is_ip_literal, parse_host_port
from ockam_transports.reasons import describe

CONNECT_TIMEOUT_S: Final = 10.0
"""How long a connection may take, the look-up of the name included."""

NEXT_ADDRESS_AFTER_S: Final = 0.25
"""While an address does not answer, the next one of the same name is tried beside it after this time."""

_SockAddress = tuple[Any, ...]


class Connecting:
    """One attempt to reach a target; ends with exactly one of its two callbacks, never inside ``start``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._addresses: list[tuple[int, _SockAddress]] = []
        self._trying: set[socket.socket] = set()
        self._lookup: asyncio.Future[Any] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._reason = "the name has no address"
        self._target = ""
        self._ended = False

    def start(self, target: str, won: Callable[[socket.socket], None], failed: Callable[[str], None]) -> None:
        """Begin; ``won`` gets the connected non-blocking socket, ``failed`` the reason."""
        self._target, self._won, self._failed = target, won, failed
        try:
            host, port = parse_host_port(target)
        except MisuseError as error:
            self._loop.call_soon(self._fail, f"cannot connect over TCP: {error}")
            return
        late = f"no answer from {target} over TCP within {CONNECT_TIMEOUT_S:g} s"
        self._timers.append(self._loop.call_later(CONNECT_TIMEOUT_S, self._fail, late))
        if is_ip_literal(host):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._addresses = [(family, (host, port))]
            self._try_next()
        else:
            self._lookup = asyncio.ensure_future(self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            self._lookup.add_done_callback(self._found)

    def cancel(self) -> None:
        """Give up without a word; nothing happens where the attempt has ended."""
        self._ended = True
        for timer in self._timers:
            timer.cancel()
        if self._lookup is not None:
            self._lookup.cancel()
        while self._trying:
            self._forget(self._trying.pop()).close()

    def _found(self, lookup: "asyncio.Future[Any]") -> None:
        if lookup.cancelled() or self._ended:
            return
        error = lookup.exception()
        if isinstance(error, OSError):
            self._fail(f"cannot connect to {self._target} over TCP: {describe(error)}")
            return
        self._addresses = _alternate([(family, where) for family, _, _, _, where in lookup.result()])
        self._try_next()

    def _try_next(self) -> None:
        """Begin with the next address; when none is left and none is being tried, the attempt has failed."""
        if self._ended:
            return
        if not self._addresses:
            if not self._trying:
                self._loop.call_soon(self._fail, f"cannot connect to {self._target} over TCP: {self._reason}")
            return
        outcome, sock = _begin(*self._addresses.pop(0))
        if sock is None:
            self._reason = outcome
            self._try_next()
            return
        self._trying.add(sock)
        if _is_connected(sock):  # a target on this machine answers before the call returns
            self._loop.call_soon(self._answered, sock)
        else:
            self._loop.add_writer(sock.fileno(), self._answered, sock)
        if self._addresses:
            self._timers.append(self._loop.call_later(NEXT_ADDRESS_AFTER_S, self._try_next))

    def _answered(self, sock: socket.socket) -> None:
        if sock not in self._trying:
            return
        outcome = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if outcome == 0 and _is_connected_to_itself(sock):
            outcome = errno.ECONNREFUSED
        self._trying.discard(sock)
        self._forget(sock)
        if outcome:
            sock.close()
            self._reason = describe(OSError(outcome, ""))
            self._try_next()
        else:
            self.cancel()
            self._won(sock)

    def _forget(self, sock: socket.socket) -> socket.socket:
        self._loop.remove_writer(sock.fileno())
        return sock

    def _fail(self, reason: str) -> None:
        if not self._ended:
            self.cancel()
            self._failed(reason)


def _begin(family: int, where: _SockAddress) -> tuple[str, socket.socket | None]:
    """Return a socket that is connecting, or why there is none."""
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return describe(error), None
    sock.setblocking(False)
    try:
        outcome = sock.connect_ex(where)
    except OSError as error:
        sock.close()
        return describe(error), None
    if outcome in (0, errno.EINPROGRESS):
        return "", sock
    sock.close()
    return describe(OSError(outcome, "")), None


def _alternate(addresses: list[tuple[int, _SockAddress]]) -> list[tuple[int, _SockAddress]]:
    """Let the two address families take turns, beginning with the resolver's favourite."""
    favourite = addresses[0][0] if addresses else 0
    first = [address for address in addresses if address[0] == favourite]
    second = [address for address in addresses if address[0] != favourite]
    turns: list[tuple[int, _SockAddress]] = []
    while first or second:
        turns.extend(first[:1] + second[:1])
        del first[:1], second[:1]
    return turns


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _is_connected_to_itself(sock: socket.socket) -> bool:
    """A closed port of this machine that the kernel happened to choose for our end connects a socket to itself."""
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:
        return False
