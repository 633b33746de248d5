"""What links have in common that speak a protocol of their own, TLS or WebSocket, over a TCP link.

The host may write and ask as soon as the link is there; it all waits until the protocol's handshake is over.  Nothing
is given to a host that does not read: what came in waits, and behind it what ended the link.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from functools import partial
from typing import Self

from ockam_ref.machine import LinkId
from ockam_transports.base import Chunk, LinkHost
from ockam_transports.stream_socket import StreamSocketLink


class Phase(Enum):
    """How far a link is."""

    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()  # the host has let go of the link
    ENDED = auto()  # the host was told that the link is gone, or never knew of it


class LayeredLink(ABC):
    """A link over a stream; without a stream it is still connecting.

    ``on_open`` is called once when the handshake has succeeded, and then nothing is read before ``start_reading``;
    ``on_fail`` is called instead where it has not.
    """

    def __init__(
        self,
        link: LinkId,
        host: LinkHost,
        *,
        loop: asyncio.AbstractEventLoop,
        on_open: Callable[[Self], None],
        on_fail: Callable[[str], None],
    ) -> None:
        self.id = link
        self._host = host
        self._loop = loop
        self._on_open: Callable[[], None] = partial(on_open, self)
        self._on_fail = on_fail
        self._phase = Phase.OPENING
        self._stream: StreamSocketLink | None = None
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._early_asks: list[Callable[[], None]] = []
        self._held: deque[bytes] = deque()
        self._ending: Callable[[], None] | None = None
        self._reading = False
        self._releasing = False
        self._peer_finished = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- what the protocols do

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """Send what was written in one piece."""

    @abstractmethod
    def _pump(self) -> None:
        """Move what the protocol wants to send into the stream."""

    @abstractmethod
    def _break(self) -> None:
        """End the stream: the link cannot go on."""

    # ---- for the host

    @property
    def buffered(self) -> int:
        """How many bytes, those of the protocol included, were given to the link and have not left this process."""
        return self._early_bytes + (0 if self._stream is None else self._stream.buffered)

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take what is to be sent; it leaves with the next ``flush``."""
        data = b"".join(chunks)
        if self._phase is Phase.OPENING:
            self._early.append(data)
            self._early_bytes += len(data)
        elif self._phase is Phase.OPEN:
            self._send(data)

    def flush(self) -> None:
        """Send as much as the socket takes now and arrange for the rest."""
        if self._stream is not None:
            self._stream.flush()

    def start_reading(self) -> None:
        """Begin, or go on, to read."""
        if self._phase is not Phase.OPEN:
            return
        self._reading = True
        if self._held or self._ending is not None:
            if not self._releasing:
                self._releasing = True
                self._loop.call_soon(self._release)
        elif self._stream is not None and not self._peer_finished:
            self._stream.start_reading()

    def stop_reading(self) -> None:
        """Leave what comes in where it is."""
        self._reading = False
        if self._phase is Phase.OPEN and self._stream is not None:
            self._stream.stop_reading()

    def report_drained(self) -> None:
        """Tell the host once all that was written so far has left this process."""
        if self._phase is Phase.OPENING:
            self._early_asks.append(self.report_drained)
        elif self._phase is Phase.OPEN and self._stream is not None:
            self._stream.report_drained()

    def report_relieved(self) -> None:
        """Tell the host once no more than ``LOW_WATER_BYTES`` wait."""
        if self._phase is Phase.OPENING:
            self._early_asks.append(self.report_relieved)
        elif self._phase is Phase.OPEN and self._stream is not None:
            self._stream.report_relieved()

    def abort(self) -> None:
        """Free the socket now, without any good-bye."""
        if self._phase is not Phase.ENDED:
            self._let_go()
            if self._stream is not None:
                self._stream.abort()

    def _let_go(self) -> bool:
        """Tell the host nothing more; return whether the link was open."""
        was_open = self._phase is Phase.OPEN
        self._phase = Phase.CLOSING
        self._reading = False
        self._ending = None
        self._held.clear()
        self._early.clear()
        self._early_bytes = 0
        self._cancel_timer()
        if self._stream is None:  # the link broke, and the host has not been told yet
            self._loop.call_soon(self.stream_gone)
        return was_open

    # ---- what the stream below tells, always in a turn of the loop of its own

    def attach(self, stream: StreamSocketLink) -> None:
        """Know the stream; it may still be connecting."""
        self._stream = stream

    def give_up(self) -> None:
        """End a link that the host does not know yet."""
        self._phase = Phase.ENDED
        self._cancel_timer()
        if self._stream is not None:
            self._stream.abort()

    @abstractmethod
    def begin(self) -> None:
        """Begin the handshake: the stream is there."""

    @abstractmethod
    def stream_received(self, data: bytes) -> None:
        """Bytes came in."""

    @abstractmethod
    def stream_finished(self) -> None:
        """The other side has ended its direction of the stream."""

    def stream_failed(self, reason: str) -> None:
        """The stream could not be opened."""
        self._stream = None
        if self._phase is Phase.OPENING:
            self._phase = Phase.ENDED
            self._on_fail(reason)

    def stream_drained(self) -> None:
        """The answer to ``report_drained``."""
        if self._phase is Phase.OPEN:
            self._host.link_drained(self.id)

    def stream_relieved(self) -> None:
        """The answer to ``report_relieved``."""
        if self._phase is Phase.OPEN:
            self._host.link_relieved(self.id)

    def stream_closed(self, reason: str) -> None:
        """The stream broke and is gone."""
        self._stream = None
        if self._phase is Phase.CLOSING:
            self.stream_gone()
        else:
            self._fail(reason)

    def stream_gone(self) -> None:
        """The stream has freed everything."""
        self._stream = None
        self._cancel_timer()
        if self._phase is Phase.CLOSING:
            self._phase = Phase.ENDED
            self._host.link_gone(self.id)

    # ---- the way through

    def _opened(self) -> None:
        """The handshake is over: what was written and asked early has its turn."""
        if self._stream is None or self._phase is not Phase.OPENING:
            return
        self._phase = Phase.OPEN
        self._cancel_timer()
        self._stream.stop_reading()
        self._pump()
        early, self._early, self._early_bytes = self._early, [], 0
        for data in early:
            self._send(data)
        for ask in self._early_asks:
            ask()
        self._early_asks.clear()
        self._on_open()
        if not self._reading and self._phase is Phase.OPEN:
            self._stream.watch()

    def _deliver(self, data: bytes) -> None:
        if self._reading and not self._held:
            self._host.bytes_received(self.id, data)
        else:
            self._held.append(data)

    def _release(self) -> None:
        """Hand over what came in while the host did not read, then what ended the link, or go on reading."""
        self._releasing = False
        while self._held and self._reading:
            self._host.bytes_received(self.id, self._held.popleft())
        if self._phase is not Phase.OPEN or not self._reading:
            return
        if self._ending is not None:
            ending, self._ending = self._ending, None
            ending()
        elif self._stream is not None:
            self._stream.start_reading()

    def _end_when_read(self, ending: Callable[[], None]) -> None:
        if self._held or self._ending is not None:
            self._ending = ending
        else:
            ending()

    # ---- the end

    def _fail(self, reason: str) -> None:
        """The link cannot go on: end its stream, and tell the host unless it has let go of the link."""
        phase = self._phase
        self._break()
        if phase is Phase.OPENING:
            self._phase = Phase.ENDED
            self._on_fail(reason)
        elif phase is Phase.OPEN:
            self._end_when_read(lambda: self._tell_closed(reason))

    def _tell_closed(self, reason: str) -> None:
        self._phase = Phase.ENDED
        self._host.link_closed(self.id, reason)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
