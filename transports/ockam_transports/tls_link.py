"""A link on a TLS connection: the bytes inside it, with every promise that a TCP link makes.

TLS has an end of its own for each direction (close_notify), so a stream that a stranger cut short is told from one that
has ended.  Many servers never send it; whether the end of TCP alone is taken for an end, the context says.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final

from ockam_ref.machine import LinkId
from ockam_transports.base import Chunk, LinkHost
from ockam_transports.stream_socket import StreamSocketLink
from ockam_transports.tls_stream import TlsStream, describe_tls

HANDSHAKE_TIMEOUT_S: Final = 10.0
"""How long the handshake may take once the TCP connection is there."""

CUT: Final = "the other side ended the connection without the end of TLS: bytes may be missing"


class _Phase(Enum):
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()  # the host has let go of the link
    ENDED = auto()  # the host was told that the link is gone, or never knew of it


class TlsLink:
    """A link of bytes inside TLS; without a stream it is still connecting.

    ``on_open`` is called once when the handshake has succeeded, and then nothing is read before ``start_reading``;
    ``on_fail`` is called instead where it has not.
    """

    mtu: Final = None

    def __init__(
        self,
        link: LinkId,
        host: LinkHost,
        tls: TlsStream,
        *,
        loop: asyncio.AbstractEventLoop,
        on_open: Callable[["TlsLink"], None],
        on_fail: Callable[[str], None],
    ) -> None:
        self.id = link
        self._host = host
        self._tls = tls
        self._loop = loop
        self._on_open = on_open
        self._on_fail = on_fail
        self._phase = _Phase.OPENING
        self._stream: StreamSocketLink | None = None
        self._early: list[Chunk] = []
        self._early_bytes = 0
        self._early_asks: list[Callable[[], None]] = []
        self._held = b""
        self._ending: Callable[[], None] | None = None
        self._reading = False
        self._releasing = False
        self._peer_finished = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- for the host

    @property
    def buffered(self) -> int:
        """How many bytes, those of TLS included, were given to the link and have not left this process."""
        return self._early_bytes + (0 if self._stream is None else self._stream.buffered)

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take bytes to send; they leave with the next ``flush``."""
        data = b"".join(chunks)
        if self._phase is _Phase.OPENING:
            self._early.append(data)
            self._early_bytes += len(data)
        elif self._phase is _Phase.OPEN:
            self._tls.send(data)
            self._pump()

    def flush(self) -> None:
        """Send as much as the socket takes now and arrange for the rest."""
        if self._stream is not None:
            self._stream.flush()

    def start_reading(self) -> None:
        """Begin, or go on, to read."""
        if self._phase is _Phase.OPEN:
            self._reading = True
            if (self._held or self._ending is not None) and not self._releasing:
                self._releasing = True
                self._loop.call_soon(self._release)
            elif not (self._held or self._peer_finished or self._stream is None):
                self._stream.start_reading()

    def stop_reading(self) -> None:
        """Leave what comes in where it is."""
        self._reading = False
        if self._phase is _Phase.OPEN and self._stream is not None:
            self._stream.stop_reading()

    def finish_sending(self) -> None:
        """End our direction after what was written, first in TLS, then in TCP."""
        if self._phase is _Phase.OPENING:
            self._early_asks.append(self.finish_sending)
        elif self._phase is _Phase.OPEN and self._stream is not None:
            self._tls.end()
            self._pump()
            self._stream.finish_sending()

    def report_drained(self) -> None:
        """Tell the host once all that was written so far has left this process."""
        if self._phase is _Phase.OPENING:
            self._early_asks.append(self.report_drained)
        elif self._phase is _Phase.OPEN and self._stream is not None:
            self._stream.report_drained()

    def report_relieved(self) -> None:
        """Tell the host once no more than ``LOW_WATER_BYTES`` wait."""
        if self._phase is _Phase.OPENING:
            self._early_asks.append(self.report_relieved)
        elif self._phase is _Phase.OPEN and self._stream is not None:
            self._stream.report_relieved()

    def close(self) -> None:
        """Send what was written and the end of our direction; then as a TCP link does."""
        if self._phase not in (_Phase.CLOSING, _Phase.ENDED):
            was_open = self._let_go()
            self._end_stream(orderly=was_open)

    def abort(self) -> None:
        """Free the socket now, without the end of TLS."""
        if self._phase is not _Phase.ENDED:
            self._let_go()
            if self._stream is not None:
                self._stream.abort()

    def _let_go(self) -> bool:
        """Tell the host nothing more; return whether the link was open."""
        was_open = self._phase is _Phase.OPEN
        self._phase = _Phase.CLOSING
        self._reading = False
        self._ending = None
        self._held = b""
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
        self._phase = _Phase.ENDED
        self._cancel_timer()
        if self._stream is not None:
            self._stream.abort()

    def begin(self) -> None:
        """Begin the handshake: the stream is there."""
        if self._phase is _Phase.OPENING and self._stream is not None:
            late = f"no TLS handshake within {HANDSHAKE_TIMEOUT_S:g} s"
            self._timer = self._loop.call_later(HANDSHAKE_TIMEOUT_S, self._fail, late)
            self._tls.receive(b"")
            self._pump()
            self._stream.flush()
            self._stream.start_reading()

    def stream_received(self, data: bytes) -> None:
        """Take what came in: parts of the handshake, bytes, the end of the other side."""
        try:
            data = self._tls.receive(data)
        except ssl.SSLError as error:
            self._pump()  # what says so to the other side
            self._fail(describe_tls(error))
            return
        self._pump()
        if self._tls.ready and self._phase is _Phase.OPENING:
            self._opened()
        if data and self._phase is _Phase.OPEN:
            if self._reading and not self._held:
                self._host.bytes_received(self.id, data)
            else:
                self._held += data
        if self._tls.finished:
            self._finished()
        self.flush()

    def stream_failed(self, reason: str) -> None:
        """The stream could not be opened."""
        self._stream = None
        if self._phase is _Phase.OPENING:
            self._phase = _Phase.ENDED
            self._on_fail(reason)

    def stream_drained(self) -> None:
        """The answer to ``report_drained``."""
        if self._phase is _Phase.OPEN:
            self._host.link_drained(self.id)

    def stream_relieved(self) -> None:
        """The answer to ``report_relieved``."""
        if self._phase is _Phase.OPEN:
            self._host.link_relieved(self.id)

    def stream_finished(self) -> None:
        """The stream of the other side has ended before the end of TLS: somebody may have cut it."""
        if self._phase is _Phase.OPEN and self._tls.ragged:
            self._finished()
        else:
            self._fail("the other side hung up" if self._phase is _Phase.OPENING else CUT)

    def stream_closed(self, reason: str) -> None:
        """The stream broke and is gone."""
        self._stream = None
        if self._phase is _Phase.CLOSING:
            self.stream_gone()
        else:
            self._fail(reason)

    def stream_gone(self) -> None:
        """The stream has freed everything."""
        self._stream = None
        self._cancel_timer()
        if self._phase is _Phase.CLOSING:
            self._phase = _Phase.ENDED
            self._host.link_gone(self.id)

    # ---- the way through

    def _opened(self) -> None:
        if self._stream is None:
            return
        self._phase = _Phase.OPEN
        self._cancel_timer()
        self._stream.stop_reading()
        early, self._early, self._early_bytes = self._early, [], 0
        self.write(early)
        for ask in self._early_asks:
            ask()
        self._early_asks.clear()
        self._on_open(self)
        if not self._reading and self._phase is _Phase.OPEN:
            self._stream.watch()

    def _finished(self) -> None:
        """The other side sends no more; our direction still works."""
        if self._phase is _Phase.OPEN and not self._peer_finished:
            self._peer_finished = True
            if self._stream is not None:
                self._stream.stop_reading()
            self._end_when_read(lambda: self._host.link_finished(self.id))

    def _release(self) -> None:
        """Hand over what came in while the host did not read, then what ended the link, or go on reading."""
        self._releasing = False
        if self._held and self._reading:
            held, self._held = self._held, b""
            self._host.bytes_received(self.id, held)
        if self._phase is not _Phase.OPEN or not self._reading:
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

    def _pump(self) -> None:
        """Move what TLS wants to send into the stream."""
        if self._stream is not None:
            self._stream.write((self._tls.to_send(),))

    # ---- the end

    def _end_stream(self, *, orderly: bool) -> None:
        """End the stream below; what was written is sent before, and with ``orderly`` the end of TLS."""
        self._cancel_timer()
        if self._stream is not None:
            if orderly:
                self._tls.end()
                self._pump()
            self._stream.close()

    def _fail(self, reason: str) -> None:
        """The link cannot go on: end its stream, and tell the host unless it has let go of the link."""
        phase = self._phase
        self._end_stream(orderly=False)
        if phase is _Phase.OPENING:
            self._phase = _Phase.ENDED
            self._on_fail(reason)
        elif phase is _Phase.OPEN:
            self._end_when_read(lambda: self._tell_closed(reason))

    def _tell_closed(self, reason: str) -> None:
        self._phase = _Phase.ENDED
        self._host.link_closed(self.id, reason)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
