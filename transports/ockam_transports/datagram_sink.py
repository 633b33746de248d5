"""What a bound endpoint and a connected datagram link have in common: the queue in front of the socket, and reading."""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from ockam_ref.machine import LinkId
from ockam_transports.base import LOW_WATER_BYTES, Chunk, LinkHost
from ockam_transports.datagram_socket import MAX_DATAGRAM_BYTES, MAX_SEGMENTS, DatagramSocket, SocketAddress
from ockam_transports.reasons import describe

MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
"""What may wait to be sent; the host holds its sources long before, and what comes nevertheless is lost."""

READS_PER_TURN: Final = 128
"""Reads in one turn of the event loop, so that a flood of datagrams leaves time for others."""

BYTES_PER_TURN: Final = 1024 * 1024
"""No further read in a turn after so many bytes."""

FLUSH_S: Final = 1.0
"""How long a closed socket goes on to send what was given before."""

BURST_DATAGRAMS: Final = 128
"""Datagrams that leave without a pause."""

DATAGRAMS_PER_S: Final = 200_000
"""How fast further ones follow."""


class Burst:
    """Datagrams for one target, sent up to ``position``."""

    __slots__ = ("datagrams", "position", "target", "where")

    def __init__(self, target: str, where: SocketAddress | None, datagrams: Sequence[Chunk]) -> None:
        self.target = target
        self.where = where
        self.datagrams = datagrams
        self.position = 0


class Pace:
    """Lets a burst leave at once and what follows at a steady rate, so that it does not run over the other end.

    Nothing on the way of a datagram pushes back: what does not fit a receive buffer is lost without a word.
    """

    __slots__ = ("_allowed", "_at")

    def __init__(self) -> None:
        self._allowed = float(BURST_DATAGRAMS)
        self._at = 0.0

    def allowed(self, now: float) -> int:
        """Return how many datagrams may leave now."""
        self._allowed = min(float(BURST_DATAGRAMS), self._allowed + (now - self._at) * DATAGRAMS_PER_S)
        self._at = now
        return int(self._allowed)

    def spend(self, count: int) -> None:
        """Datagrams have left."""
        self._allowed -= count


class DatagramSink:
    """The side of a datagram socket that does not depend on who its targets are.

    ``_received`` and ``_told_lost`` are called in turns of the event loop of their own.
    """

    mtu: Final = MAX_DATAGRAM_BYTES

    def __init__(self, link: LinkId, host: LinkHost, loop: asyncio.AbstractEventLoop) -> None:
        self.id = link
        self.buffered = 0
        self._host = host
        self._loop = loop
        self._socket: DatagramSocket | None = None
        self._fd = -1
        self._queue: deque[Burst] = deque()
        self._pace = Pace()
        self._pause: asyncio.TimerHandle | None = None
        self._writing = False
        self._reading = False
        self._relief_asked = False
        self._closing = False
        self._gone = False
        self._deadline: asyncio.TimerHandle | None = None

    def attach(self, sock: DatagramSocket) -> None:
        """Take the bound or connected socket."""
        self._socket = sock
        self._fd = sock.fileno()

    # ---- for the host

    def flush(self) -> None:
        """Send as much as the pace and the socket allow now, and arrange for the rest."""
        if not (self._writing or self._pause or self._socket is None):
            self._send(self._socket)

    def start_reading(self) -> None:
        """Begin, or go on, to read."""
        if not (self._reading or self._closing or self._socket is None):
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def stop_reading(self) -> None:
        """Leave what comes in where it is."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def report_relieved(self) -> None:
        """Tell the host once no more than ``LOW_WATER_BYTES`` wait."""
        self._relief_asked = True
        if self.buffered <= LOW_WATER_BYTES:
            self._loop.call_soon(self._tell_progress)

    def close(self) -> None:
        """Send what was given, for ``FLUSH_S`` at most, and free the socket."""
        if not (self._closing or self._gone):
            self.stop_reading()
            self._closing = True
            self.flush()
            if not self.buffered or self._socket is None:
                self._free()
            else:
                self._deadline = self._loop.call_later(FLUSH_S, self._free)

    def abort(self) -> None:
        """Free the socket now."""
        if not self._gone:
            self._closing = True
            self._free()

    # ---- for the two kinds

    def _put(self, burst: Burst) -> None:
        """Queue datagrams whose bytes are counted already."""
        self._queue.append(burst)

    def _count(self, datagrams: Sequence[Chunk]) -> int:
        return sum(map(len, datagrams))

    def _received(self, where: SocketAddress, datagrams: list[bytes]) -> None:
        """Hand over what came from one sender."""
        raise NotImplementedError

    def _told_lost(self, target: str, count: int, reason: str) -> None:
        """Some datagrams will not arrive: tell the host in a later turn."""
        self._loop.call_soon(self._tell_lost, target, count, reason)

    def _tell_lost(self, target: str, count: int, reason: str) -> None:
        if not self._closing:
            self._host.datagrams_lost(self.id, target, count, reason)

    # ---- reading

    def _readable(self) -> None:
        sock = self._socket
        batches: dict[SocketAddress, list[bytes]] = {}
        room = BYTES_PER_TURN
        for _ in range(READS_PER_TURN):
            if sock is None or room <= 0:
                break
            try:
                found = sock.receive()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._loop.call_soon(self._end, describe(error))
                self.stop_reading()
                break
            if found is not None:
                where, datagrams = found
                room -= len(datagrams) * len(datagrams[0])
                known = batches.setdefault(where, datagrams)
                if known is not datagrams:
                    known += datagrams
        for where, datagrams in batches.items():
            if not self._closing:
                self._received(where, datagrams)

    def _end(self, reason: str) -> None:
        if not (self._closing or self._gone):
            self._free()
            self._host.link_closed(self.id, reason)

    # ---- sending

    def _send(self, sock: DatagramSocket) -> None:
        queue = self._queue
        while queue:
            burst = queue[0]
            if burst.position == len(burst.datagrams):
                queue.popleft()
                continue
            allowed = self._pace.allowed(monotonic())
            if allowed <= 0:
                self._pause = self._loop.call_later(MAX_SEGMENTS / DATAGRAMS_PER_S, self._go_on)
                break
            try:
                count = sock.send(burst.datagrams, burst.position, burst.where, min(allowed, MAX_SEGMENTS))
            except (BlockingIOError, InterruptedError):
                self._writing = True
                self._loop.add_writer(self._fd, self._writable)
                break
            except OSError as error:
                count = 1
                self._told_lost(burst.target, 1, describe(error))
            self._pace.spend(count)
            self.buffered -= self._count(burst.datagrams[burst.position : burst.position + count])
            burst.position += count
        if self._relief_asked and self.buffered <= LOW_WATER_BYTES:
            self._loop.call_soon(self._tell_progress)

    def _go_on(self) -> None:
        self._pause = None
        self._writable()

    def _writable(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)
        if self._socket is not None:
            self._send(self._socket)
        if self._closing and not self._queue:
            self._free()

    def _tell_progress(self) -> None:
        if self._relief_asked and self.buffered <= LOW_WATER_BYTES and not self._closing:
            self._relief_asked = False
            self._host.link_relieved(self.id)

    # ---- the end

    def _free(self) -> None:
        if self._gone:
            return
        self._gone = True
        self.stop_reading()
        if self._writing:
            self._loop.remove_writer(self._fd)
        for timer in (self._pause, self._deadline):
            if timer is not None:
                timer.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._queue.clear()
        self.buffered = 0
        if self._closing:
            self._loop.call_soon(self._host.link_gone, self.id)
