"""One end of a link inside one process."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from ockam_ref.machine import LinkId
from ockam_transports.base import LOW_WATER_BYTES, Chunk, LinkHost

PACKETS_PER_TURN: Final = 64
"""Packets handed over in one turn of the event loop, so that a fast sender leaves time for the others."""

FLUSH_STALL_S: Final = 10.0
"""How long a closed link waits for the other side to take one more packet of what it was sent before."""


class MemoryLink:
    """One end of a link; it keeps the packets that the other end has not taken yet.

    All that it tells a host, it tells in a turn of the event loop of its own: ``_pump`` hands packets over, answers
    questions and passes the end on; ``_break`` tells that the other end is gone.
    """

    mtu: Final = None

    def __init__(self, link: LinkId, host: LinkHost, siblings: set["MemoryLink"] | None = None) -> None:
        self.id = link
        self.is_over = False
        self._host = host
        self._siblings = siblings
        self._loop = asyncio.get_running_loop()
        self._other: MemoryLink | None = None
        self._out: deque[bytes] = deque()
        self._given = self._sent = 0
        self._mark: int | None = None
        self._relief_asked = self._reading = self._closing = False
        self._finish = self._has_finished = self._heard_end = False
        self._pump_is_due = False
        self._stall: asyncio.TimerHandle | None = None

    # ---- for the transport

    def join(self, other: "MemoryLink") -> None:
        """From now on there is another end."""
        self._other = other
        self._wake()

    def fail(self, reason: str) -> None:
        """There is nobody to join."""
        if not self.is_over:
            self._free()
            self._host.link_failed(self.id, reason)

    def tell_opened(self) -> None:
        """Tell the host, unless it has given up meanwhile."""
        if not self._closing:
            self._host.link_opened(self.id)

    # ---- for the host

    @property
    def buffered(self) -> int:
        """How many bytes the other end has not taken yet."""
        return self._given - self._sent

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take one packet."""
        if self.is_over or self._closing or self._finish:
            return
        packet = b"".join(chunks)
        self._out.append(packet)
        self._given += len(packet)
        self._wake()

    def flush(self) -> None:
        """Hand over what there is, in a later turn."""
        self._wake()

    def start_reading(self) -> None:
        """Take packets from the other end."""
        if not (self.is_over or self._closing):
            self._reading = True
            if self._other is not None:
                self._other._wake()  # noqa: SLF001  # the two ends are one thing
                self._loop.call_soon(self._hear_end)

    def stop_reading(self) -> None:
        """Leave packets with the other end."""
        self._reading = False

    def finish_sending(self) -> None:
        """Tell the other end, after all packets, that no more come."""
        self._finish = True

    def report_drained(self) -> None:
        """Tell the host once the other end has taken all that was written so far."""
        self._mark = self._given
        self._wake()

    def report_relieved(self) -> None:
        """Tell the host once no more than ``LOW_WATER_BYTES`` wait."""
        self._relief_asked = True
        self._wake()

    def close(self) -> None:
        """Hand everything over, end, and be gone; what the other end still sends is taken and forgotten."""
        if self._closing or self.is_over:
            return
        self._reading = False
        self._closing = self._finish = True
        if self._other is None:
            self._free()
            return
        self._other._wake()  # noqa: SLF001
        self._stall = self._loop.call_later(FLUSH_STALL_S, self._check_progress, self._sent)
        self._wake()

    def abort(self) -> None:
        """Forget everything; the other end is told that the link broke."""
        if self.is_over:
            return
        self._closing = True
        self._free()
        if self._other is not None:
            self._loop.call_soon(self._other._break, "the other side aborted the link")  # noqa: SLF001

    # ---- in turns of their own

    def _wake(self) -> None:
        if not (self._pump_is_due or self.is_over or self._other is None):
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        other = self._other
        if other is None or self.is_over:
            return
        if other.is_over:
            if self._out or self._closing:
                self._break("the other side has closed the link")
            else:
                self._tell_progress()
            return
        for _ in range(PACKETS_PER_TURN):
            if not (self._out and (other._reading or other._closing)):  # noqa: SLF001
                break
            packet = self._out.popleft()
            self._sent += len(packet)
            other._take(packet)  # noqa: SLF001
        self._tell_progress()
        if self._out and other._reading:  # noqa: SLF001
            self._wake()
        elif self._finish and not self._out:
            self._pass_end(other)

    def _take(self, packet: bytes) -> None:
        if self._reading:
            self._host.bytes_received(self.id, packet)

    def _pass_end(self, other: "MemoryLink") -> None:
        """All is handed over and our end has come; the other side hears of it as soon as it reads."""
        self._has_finished = True
        other._hear_end()  # noqa: SLF001
        if self._closing:
            self._free()

    def _hear_end(self) -> None:
        other = self._other
        if other is not None and other._has_finished and self._reading and not self._heard_end:  # noqa: SLF001
            self._heard_end = True
            self._host.link_finished(self.id)

    def _tell_progress(self) -> None:
        if self._closing:
            return
        if self._mark is not None and self._mark <= self._sent:
            self._mark = None
            self._host.link_drained(self.id)
        if self._relief_asked and self.buffered <= LOW_WATER_BYTES and not self._closing:
            self._relief_asked = False
            self._host.link_relieved(self.id)

    def _break(self, reason: str) -> None:
        if self.is_over:
            return
        self._free()
        if not self._closing:
            self._host.link_closed(self.id, reason)

    def _check_progress(self, sent_before: int) -> None:
        if self._sent == sent_before:
            self.abort()
        else:
            self._stall = self._loop.call_later(FLUSH_STALL_S, self._check_progress, self._sent)

    def _free(self) -> None:
        self.is_over = True
        self._reading = False
        self._out.clear()
        self._sent = self._given
        if self._siblings is not None:
            self._siblings.discard(self)
        if self._stall is not None:
            self._stall.cancel()
        if self._closing:
            self._loop.call_soon(self._host.link_gone, self.id)
