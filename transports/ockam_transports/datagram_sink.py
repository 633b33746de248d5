"""What a bound endpoint and a connected datagram link have in common: the queue in front of the socket, and reading."""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from ockam_ref.machine import LinkId
from ockam_transports.base import LOW_WATER_BYTES, Chunk, LinkHost
from ockam_transports.datagram_socket import MAX_DATAGRAM_BYTES, DatagramSocket, SocketAddress
from ockam_transports.reasons import describe

MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
"""What may wait to be sent; the host holds its sources long before, and what comes nevertheless is lost."""

READS_PER_TURN: Final = 128
"""Reads in one turn of the event loop, so that a flood of datagrams leaves time for others."""

BYTES_PER_TURN: Final = 1024 * 1024
"""No further read in a turn after so many bytes."""

FLUSH_S: Final = 1.0
"""How long a closed socket goes on to send what was given before."""

LONG_MESSAGE_DATAGRAMS: Final = 160
"""More datagrams than this for one target at once are one long message, and leave with pauses.

Nothing on the way of a datagram pushes back: what does not fit a receive buffer is lost without a word, and with it all
of its message.  A buffer of the size that Linux gives by itself, which is what the peer has, takes about so many.
"""

DATAGRAMS_PER_PAUSE: Final = 96
"""Datagrams of a long message between two pauses: about 40 MB/s, at which a message of 1 MiB reaches the peer whole."""

PAUSE_S: Final = 0.001
"""How long a pause is at least; event loops know no shorter time."""


class Burst:
    """Datagrams for one target, sent up to ``position``."""

    __slots__ = ("datagrams", "is_long", "position", "target", "where")

    def __init__(
        self, target: str, where: SocketAddress | None, datagrams: Sequence[Chunk], *, paced: bool = False
    ) -> None:
        self.target = target
        self.where = where
        self.datagrams = datagrams
        self.position = 0
        self.is_long = not paced and len(datagrams) > LONG_MESSAGE_DATAGRAMS


class Lane:
    """What waits for one target, in order; nothing leaves before ``due``."""

    __slots__ = ("bursts", "due")

    def __init__(self) -> None:
        self.bursts: deque[Burst] = deque()
        self.due = 0.0


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
        self._lanes: dict[SocketAddress | None, Lane] = {}
        self._pause: asyncio.TimerHandle | None = None
        self._writing = False
        self._reading = False
        self._unread: deque[tuple[SocketAddress, list[bytes]]] = deque()
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
        """Send as much as the socket takes now, and arrange for the rest."""
        if not (self._writing or self._socket is None):
            self._send(self._socket)

    def start_reading(self) -> None:
        """Begin, or go on, to read."""
        if not (self._reading or self._closing or self._socket is None):
            self._reading = True
            if self._unread:
                self._loop.call_soon(self._hand_over)
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
        lane = self._lanes.get(burst.where)
        if lane is None:
            lane = self._lanes[burst.where] = Lane()
        lane.bursts.append(burst)

    def _count(self, datagrams: Sequence[Chunk]) -> int:
        return sum(map(len, datagrams))

    def _received(self, where: SocketAddress, datagrams: list[bytes]) -> list[bytes]:
        """Hand over what came from one sender; return what must wait because the host has stopped reading."""
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
        has_news = False
        for _ in range(READS_PER_TURN):
            if sock is None or room <= 0:
                break
            try:
                found = sock.receive()
            except (BlockingIOError, InterruptedError):
                has_news = has_news or not batches
                break
            except OSError as error:
                self._loop.call_soon(self._end, describe(error))
                self.stop_reading()
                break
            if found is None:
                has_news = True
                continue
            where, datagrams = found
            room -= len(datagrams) * len(datagrams[0])
            known = batches.setdefault(where, datagrams)
            if known is not datagrams:
                known += datagrams
        if has_news and self._reading:  # uvloop calls no reader any more after news of a datagram that did not arrive
            self._loop.remove_reader(self._fd)
            self._loop.add_reader(self._fd, self._readable)
        self._unread.extend(batches.items())
        self._hand_over()

    def _hand_over(self) -> None:
        """Tell what was read, as long as the host reads: it may stop in the middle."""
        while self._unread and self._reading:
            where, datagrams = self._unread.popleft()
            left = self._received(where, datagrams)
            if left:
                self._unread.appendleft((where, left))

    def _end(self, reason: str) -> None:
        if not (self._closing or self._gone):
            self._free()
            self._host.link_closed(self.id, reason)

    # ---- sending

    def _send(self, sock: DatagramSocket) -> None:
        """Let the targets take turns, a burst each or a part of a long one, until all pause or nothing is left."""
        soonest = 0.0
        while self._lanes and not self._writing:
            now = monotonic()
            ready = [(where, lane) for where, lane in self._lanes.items() if lane.due <= now]
            if not ready:
                soonest = min(lane.due for lane in self._lanes.values()) - now
                break
            for where, lane in ready:
                if not self._send_some(sock, lane):
                    break
                if not lane.bursts:
                    del self._lanes[where]
        if soonest and self._pause is None:
            self._pause = self._loop.call_later(soonest, self._go_on)
        if self._relief_asked and self.buffered <= LOW_WATER_BYTES:
            self._loop.call_soon(self._tell_progress)

    def _send_some(self, sock: DatagramSocket, lane: Lane) -> bool:
        """Send the first burst of a lane, or a part of it; return whether the socket takes more."""
        burst = lane.bursts[0]
        datagrams, stop = burst.datagrams, len(burst.datagrams)
        if burst.is_long:
            stop = min(stop, burst.position + DATAGRAMS_PER_PAUSE)
            lane.due = monotonic() + PAUSE_S
        while burst.position < stop:
            try:
                count = sock.send(datagrams, burst.position, burst.where, stop - burst.position)
            except (BlockingIOError, InterruptedError):
                self._writing = True
                self._loop.add_writer(self._fd, self._writable)
                return False
            except OSError as error:
                count = 1
                self._told_lost(burst.target, 1, describe(error))
            self.buffered -= self._count(datagrams[burst.position : burst.position + count])
            burst.position += count
        if stop == len(datagrams):
            lane.bursts.popleft()
        return True

    def _go_on(self) -> None:
        self._pause = None
        if not self._writing:
            self._writable()

    def _writable(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)
        if self._socket is not None:
            self._send(self._socket)
        if self._closing and not self._lanes:
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
        self._lanes.clear()
        self._unread.clear()
        self.buffered = 0
        if self._closing:
            self._loop.call_soon(self._host.link_gone, self.id)
