"""A link on a connected stream socket, driven by readiness callbacks of the event loop.

Raw non-blocking sockets instead of asyncio transports, for three reasons: an event loop must not read before it is
asked to (uvloop does, whatever ``connection_made`` says); closing must not destroy what the other side has not read
yet; and ``sendmsg`` writes many chunks without gluing them, which doubles the throughput of a link on plain asyncio.
"""

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Final

from ockam_ref.machine import LinkId
from ockam_transports.base import LOW_WATER_BYTES, Chunk, LinkHost
from ockam_transports.reasons import describe

READ_BYTES: Final = 1024 * 1024
"""The most that one read takes; all links of a transport share one buffer of this size."""

MAX_CHUNKS_PER_WRITE: Final = 512
"""Chunks handed to the operating system in one call; Linux takes 1,024."""

MAX_PINNED_RATIO: Final = 8
"""A waiting view of a buffer more than this many times its size is copied, so that it does not keep the buffer."""

WATCH_AFTER_S: Final = 0.05
"""A link that is not read is watched for a hang-up after this time; most are read sooner."""

HANGUP_GRACE_S: Final = 1.0
"""How long an unread link whose other side sent nothing and hung up is kept, in case it only ended its direction."""

LINGER_S: Final = 2.0
"""How long a closed link waits for the other side's end, reading and forgetting, before the socket is closed."""

FLUSH_STALL_S: Final = 10.0
"""How long a closed link waits for the other side to take one more byte of what it was sent before."""

MAX_LAST_READS: Final = 64
"""Reads that collect what the other side sent before the connection broke."""

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset."""


class StreamSocketLink:
    """A link on a stream socket; without a socket it is still opening.

    ``on_gone`` is called once, when the socket is freed, from any context; it must not call the link or its host.
    """

    __slots__ = (
        "_broken",
        "_buffer",
        "_closing",
        "_ended_sending",
        "_fd",
        "_finish",
        "_given",
        "_gone",
        "_host",
        "_loop",
        "_mark",
        "_on_gone",
        "_out",
        "_peer_finished",
        "_reading",
        "_relief_asked",
        "_sent",
        "_sock",
        "_timer",
        "_watched",
        "_writing",
        "id",
    )

    mtu: Final = None

    def __init__(
        self,
        link: LinkId,
        host: LinkHost,
        *,
        loop: asyncio.AbstractEventLoop,
        buffer: memoryview,
        on_gone: Callable[["StreamSocketLink"], None],
    ) -> None:
        self.id = link
        self._host = host
        self._loop = loop
        self._buffer = buffer
        self._on_gone = on_gone
        self._sock: socket.socket | None = None
        self._fd = -1
        self._out: deque[Chunk] = deque()
        self._given = 0
        self._sent = 0
        self._mark: int | None = None
        self._relief_asked = False
        self._reading = False
        self._watched = False
        self._writing = False
        self._finish = False
        self._ended_sending = False
        self._peer_finished = False
        self._closing = False
        self._gone = False
        self._broken = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- for the transport

    def attach(self, sock: socket.socket) -> None:
        """Take the connected, non-blocking socket."""
        self._sock = sock
        self._fd = sock.fileno()

    def fail(self, reason: str) -> None:
        """There is no socket to be had; what the host asks of the link from now on does nothing."""
        self._free()
        self._host.link_failed(self.id, reason)

    def watch(self) -> None:
        """Look out for a hang-up from now on, unless the host has begun to read."""
        if not (self._reading or self._closing or self._gone or self._broken):
            self._timer = self._loop.call_later(WATCH_AFTER_S, self._begin_watch)

    # ---- for the host

    @property
    def buffered(self) -> int:
        """How many bytes were given to the link and have not left this process."""
        return self._given - self._sent

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take bytes to send; they leave with the next ``flush``."""
        if self._closing or self._broken or self._gone:
            return
        for chunk in chunks:
            if chunk:
                self._out.append(_owned(chunk) if self._writing else chunk)
                self._given += len(chunk)

    def flush(self) -> None:
        """Send as much as the socket takes now and arrange for the rest."""
        if self._writing or self._sock is None:
            return
        if self._out and not self._send(self._sock):
            return
        if self._out:
            self._writing = True
            self._loop.add_writer(self._fd, self._writable)
            self._out = deque(map(_owned, self._out))
        else:
            if self._finish:
                self._shut_down(self._sock)
            if self._mark is not None or self._relief_asked:
                self._loop.call_soon(self._tell_progress)

    def start_reading(self) -> None:
        """Begin, or go on, to read."""
        if not (self._reading or self._closing or self._peer_finished or self._broken or self._sock is None):
            self._stop_watching()
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def stop_reading(self) -> None:
        """Leave what comes in where it is."""
        if self._reading and not self._closing:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def finish_sending(self) -> None:
        """Send the end of our direction after what was written."""
        self._finish = True

    def report_drained(self) -> None:
        """Tell the host once all that was written so far has left this process."""
        self._mark = self._given

    def report_relieved(self) -> None:
        """Tell the host once no more than ``LOW_WATER_BYTES`` wait."""
        self._relief_asked = True

    def close(self) -> None:
        """Send what was written, then the end of our direction, then wait a little for the other side's end.

        A socket closed while bytes for it still come in makes the kernel send a reset, and a reset destroys what the
        other side has not read yet; so what comes in is read and forgotten until the other side ends or time is up.
        """
        if self._closing or self._gone:
            return
        self._stop_watching()
        self._closing = True
        if self._sock is None or self._broken:
            self._free()
            return
        if not self._peer_finished:
            self._reading = True
            self._loop.add_reader(self._fd, self._discard)
        if self._ended_sending:
            self._await_end()
            return
        self._finish = True
        self.flush()
        if self._writing:
            self._timer = self._loop.call_later(FLUSH_STALL_S, self._check_progress, self._sent)

    def abort(self) -> None:
        """Free the socket now, with a reset unless all that was given and the end of our direction have been sent."""
        if not self._gone:
            has_ended = self._closing and not (self._out or self._finish)
            self._closing = True
            if self._sock is not None and not has_ended:
                with suppress(OSError):  # it is gone already
                    self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._free()

    # ---- reading

    def _readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            count = sock.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(describe(error))
            return
        if count:
            data = bytes(self._buffer[:count])
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:  # uvloop calls but once for a connection that broke, whatever there is left to read
                self._break(describe(OSError(code, os.strerror(code))))
            self._host.bytes_received(self.id, data)
        else:
            self._peer_finished = True
            self.stop_reading()
            self._host.link_finished(self.id)

    def _begin_watch(self) -> None:
        self._timer = None
        self._watched = True
        self._loop.add_reader(self._fd, self._peek)

    def _peek(self) -> None:
        """See whether the other side hung up, without taking a byte."""
        sock = self._sock
        if sock is None:
            return
        try:
            waiting = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(describe(error))
            return
        self._stop_watching()
        if not waiting:
            self._timer = self._loop.call_later(HANGUP_GRACE_S, self._end, "the other side hung up")

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._fd)

    # ---- writing

    def _writable(self) -> None:
        sock = self._sock
        if sock is None or not self._send(sock):
            return
        if not self._out:
            self._writing = False
            self._loop.remove_writer(self._fd)
            if self._finish:
                self._shut_down(sock)
        self._tell_progress()

    def _send(self, sock: socket.socket) -> bool:
        """Write once; return whether the link still works."""
        out = self._out
        try:
            if len(out) == 1:
                sent = sock.send(out[0])
            elif len(out) <= MAX_CHUNKS_PER_WRITE:
                sent = sock.sendmsg(out)
            else:
                sent = sock.sendmsg(list(islice(out, MAX_CHUNKS_PER_WRITE)))
        except (BlockingIOError, InterruptedError):
            return True
        except OSError as error:
            self._break(describe(error))
            return False
        self._sent += sent
        if self._sent == self._given:
            out.clear()
            return True
        while sent:
            first = out[0]
            if len(first) > sent:
                out[0] = memoryview(first)[sent:]
                break
            sent -= len(first)
            out.popleft()
        return True

    def _tell_progress(self) -> None:
        """Answer for the newest mark, and so for all before it; and for the low-water mark."""
        if self._mark is not None and self._mark <= self._sent and not (self._closing or self._broken):
            self._mark = None
            self._host.link_drained(self.id)
        if self._relief_asked and self.buffered <= LOW_WATER_BYTES and not (self._closing or self._broken):
            self._relief_asked = False
            self._host.link_relieved(self.id)

    def _shut_down(self, sock: socket.socket) -> None:
        """End our direction; a closing link then waits for the other side's end, or is done."""
        self._finish = False
        self._ended_sending = True
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._break(describe(error))
            return
        if self._closing:
            self._await_end()

    def _await_end(self) -> None:
        if self._peer_finished:
            self._free()
        else:
            self._stop_watching()
            self._timer = self._loop.call_later(LINGER_S, self._free)

    # ---- the end

    def _break(self, reason: str) -> None:
        """Writing failed.  The host is told in a later turn, after what the other side sent before it broke."""
        self._out.clear()
        self._sent = self._given
        self._broken = True
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)
        if self._closing:
            self._free()
        else:
            self._loop.call_soon(self._tell_broken, reason)

    def _tell_broken(self, reason: str) -> None:
        sock = self._sock
        for _ in range(MAX_LAST_READS):
            if not self._reading or self._closing or sock is None:
                break
            try:
                count = sock.recv_into(self._buffer)
            except OSError:
                break
            if not count:
                break
            self._host.bytes_received(self.id, bytes(self._buffer[:count]))
        self._end(reason)

    def _end(self, reason: str) -> None:
        """The link broke: free it and tell the host, unless the host has closed it meanwhile."""
        if self._closing or self._gone:
            self._free()
            return
        self._free()
        self._host.link_closed(self.id, reason)

    def _discard(self) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            count = sock.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._free()
            return
        if not count:
            self._peer_finished = True
            self._reading = False
            self._loop.remove_reader(self._fd)
            if not self._out:
                self._free()

    def _check_progress(self, sent_before: int) -> None:
        if self._sent == sent_before:
            self.abort()
        else:
            self._timer = self._loop.call_later(FLUSH_STALL_S, self._check_progress, self._sent)

    def _free(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._stop_watching()
        if self._sock is not None:
            if self._reading:
                self._loop.remove_reader(self._fd)
            if self._writing:
                self._loop.remove_writer(self._fd)
            self._sock.close()
            self._sock = None
        self._reading = self._writing = False
        self._out.clear()
        self._sent = self._given
        self._mark, self._relief_asked = None, False
        self._on_gone(self)
        if self._closing:
            self._loop.call_soon(self._host.link_gone, self.id)


def _owned(chunk: Chunk) -> Chunk:
    """Copy a view that would keep a much larger buffer alive while it waits."""
    if type(chunk) is memoryview and memoryview(chunk.obj).nbytes > MAX_PINNED_RATIO * chunk.nbytes:
        return bytes(chunk)
    return chunk
