"""A link on two pipes, one for each direction."""

import asyncio
import os
import select
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from ockam_ref.machine import LinkId
from ockam_transports.base import LOW_WATER_BYTES, Chunk, LinkHost
from ockam_transports.reasons import describe

READ_BYTES: Final = 64 * 1024
CLOSE_STALL_S: Final = 5.0
"""How long a closed link waits for the other side to take one more byte, or to end."""


class PipeLink:
    """A link; without pipes it is still opening."""

    mtu: Final = None

    def __init__(self, link: LinkId, host: LinkHost) -> None:
        self.id = link
        self.is_over = False
        self.on_drop: Callable[[PipeLink], None] = lambda _: None
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._in = self._out = -1
        self._made: tuple[Path, ...] = ()
        self._waiting: deque[memoryview] = deque()
        self._given = self._sent = 0
        self._mark: int | None = None
        self._relief_asked = self._reading = self._listening = self._writing = False
        self._begun = self._finish = self._heard_end = self._closing = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- while it opens

    def make_pipes(self, stem: Path) -> tuple[Path, Path]:
        """Make the two pipes of a client; they are removed when both ends are open, or when it fails."""
        self._made = (stem.with_suffix(".up"), stem.with_suffix(".down"))
        for path in self._made:
            os.mkfifo(path, 0o600)
        return stem.with_suffix(".up"), stem.with_suffix(".down")

    def take_in(self, descriptor: int) -> int:
        """Own the pipe that is read."""
        self._in = descriptor
        return descriptor

    def take_out(self, descriptor: int) -> int:
        """Own the pipe that is written."""
        self._out = descriptor
        return descriptor

    def wait_for_answer(self, answered: Callable[[], None], timeout_s: float, failure: str | None) -> None:
        """Call back when the other side has sent its first byte."""
        self._listening = True
        self._loop.add_reader(self._in, answered)
        self._timer = self._loop.call_later(timeout_s, self.drop if failure is None else lambda: self.fail(failure))

    def begin(self) -> None:
        """Both ends are open."""
        if self._made:
            os.write(self._out, b"+")
        self._begun = True
        self._stop_waiting()
        self._loop.call_soon(self.flush)

    def fail(self, reason: str) -> None:
        """It cannot be opened."""
        if not self.is_over:
            self._free()
            self._host.link_failed(self.id, reason)

    def drop(self) -> None:
        """Forget a link of which the host has not heard."""
        self.on_drop(self)
        self._free()

    # ---- for the host

    @property
    def buffered(self) -> int:
        """How many bytes wait."""
        return self._given - self._sent

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take bytes to send."""
        if not (self.is_over or self._closing or self._finish):
            self._waiting.extend(memoryview(chunk) for chunk in chunks if chunk)
            self._given = self._sent + sum(map(len, self._waiting))

    def flush(self) -> None:
        """Send what the pipe takes now, and arrange for the rest."""
        if self._begun and not self._writing and self._out >= 0:
            self._send()
        if self._begun and not self.is_over:
            self._loop.call_soon(self._tell_progress)

    def start_reading(self) -> None:
        """Read from now on."""
        if self._begun and not (self.is_over or self._closing or self._heard_end or self._reading):
            self._reading = True
            self._loop.add_reader(self._in, self._readable)

    def stop_reading(self) -> None:
        """Leave what comes in the pipe."""
        if self._reading and not self._closing:
            self._reading = False
            self._loop.remove_reader(self._in)

    def finish_sending(self) -> None:
        """End our direction after what was written."""
        self._finish = True

    def report_drained(self) -> None:
        """Tell when all that was written so far is in the pipe."""
        self._mark = self._given

    def report_relieved(self) -> None:
        """Tell when no more than ``LOW_WATER_BYTES`` wait."""
        self._relief_asked = True

    def close(self) -> None:
        """Send what waits, end our direction, then read and forget until the other side ends too."""
        if self.is_over or self._closing:
            return
        self._closing = self._finish = True
        if not self._begun:
            self._free()
            return
        if not (self._heard_end or self._reading):
            self._reading = True
            self._loop.add_reader(self._in, self._readable)
        self._timer = self._loop.call_later(CLOSE_STALL_S, self._check_progress, self._sent)
        self._loop.call_soon(self.flush)

    def abort(self) -> None:
        """Close our reading end first: so the other side can tell this from an orderly end."""
        if not self.is_over:
            self._closing = True
            self._free()

    # ---- callbacks of the event loop

    def _readable(self) -> None:
        try:
            data = os.read(self._in, READ_BYTES)
        except BlockingIOError:
            return
        if data:
            if not self._closing:
                self._host.bytes_received(self.id, data)
            return
        self._loop.remove_reader(self._in)
        self._reading, self._heard_end = False, True
        if self._closing:
            self.flush()
        elif self._out >= 0 and _nobody_reads(self._out):
            self._break("the other side broke the link")
        else:
            self._host.link_finished(self.id)

    def _send(self) -> None:
        try:
            while self._waiting:
                sent = os.write(self._out, self._waiting[0])
                self._sent += sent
                if sent == len(self._waiting[0]):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = self._waiting[0][sent:]
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._out, self._writable)
            return
        except OSError as error:
            self._loop.call_soon(self._break, describe(error))
            return
        self._stop_writing()
        if self._finish:
            os.close(self._out)
            self._out = -1

    def _writable(self) -> None:
        self._send()
        self._tell_progress()

    def _tell_progress(self) -> None:
        if self._closing:
            if self._heard_end and self._out < 0:
                self._free()
            return
        if self._mark is not None and self._mark <= self._sent and not self.is_over:
            self._mark = None
            self._host.link_drained(self.id)
        if self._relief_asked and self.buffered <= LOW_WATER_BYTES and not (self.is_over or self._closing):
            self._relief_asked = False
            self._host.link_relieved(self.id)

    def _check_progress(self, sent_before: int) -> None:
        if self._sent == sent_before:
            self.abort()
        else:
            self._timer = self._loop.call_later(CLOSE_STALL_S, self._check_progress, self._sent)

    # ---- the end

    def _break(self, reason: str) -> None:
        if not self.is_over:
            self._free()
            if not self._closing:
                self._host.link_closed(self.id, reason)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._listening or self._reading:
            self._loop.remove_reader(self._in)
            self._listening = self._reading = False
        for path in self._made:
            path.unlink(missing_ok=True)
        self._made = ()

    def _stop_writing(self) -> None:
        if self._writing:
            self._loop.remove_writer(self._out)
            self._writing = False

    def _free(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._stop_waiting()
        self._stop_writing()
        for descriptor in (self._in, self._out):
            if descriptor >= 0:
                os.close(descriptor)
        self._in = self._out = -1
        self._waiting.clear()
        self._sent = self._given
        if self._closing:
            self._loop.call_soon(self._host.link_gone, self.id)


def _nobody_reads(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
