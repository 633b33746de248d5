"""A link on a TLS connection: the bytes inside it, with every promise that a TCP link makes.

TLS has an end of its own for each direction (close_notify), so a stream that a stranger cut short is told from one that
has ended.  Many servers never send it; whether the end of TCP alone is taken for an end, the context says.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from ockam_ref.machine import LinkId
from ockam_transports.base import LinkHost
from ockam_transports.layered_link import LayeredLink, Phase
from ockam_transports.tls_stream import TlsStream, describe_tls

HANDSHAKE_TIMEOUT_S: Final = 10.0
"""How long the handshake may take once the TCP connection is there."""

CUT: Final = "the other side ended the connection without the end of TLS: bytes may be missing"


class TlsLink(LayeredLink):
    """A link of bytes inside TLS."""

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
        super().__init__(link, host, loop=loop, on_open=on_open, on_fail=on_fail)
        self._tls = tls

    # ---- for the host

    def finish_sending(self) -> None:
        """End our direction after what was written, first in TLS, then in TCP."""
        if self._phase is Phase.OPENING:
            self._early_asks.append(self.finish_sending)
        elif self._phase is Phase.OPEN and self._stream is not None:
            self._tls.end()
            self._pump()
            self._stream.finish_sending()

    def close(self) -> None:
        """Send what was written and the end of our direction; then as a TCP link does."""
        if self._phase not in (Phase.CLOSING, Phase.ENDED):
            was_open = self._let_go()
            self._end_stream(orderly=was_open)

    # ---- what the stream below tells

    def begin(self) -> None:
        """Begin the handshake: the stream is there."""
        if self._phase is Phase.OPENING and self._stream is not None:
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
        if self._tls.ready:
            self._opened()
        if data and self._phase is Phase.OPEN:
            self._deliver(data)
        if self._tls.finished:
            self._finished()
        self.flush()

    def stream_finished(self) -> None:
        """The stream of the other side has ended before the end of TLS: somebody may have cut it."""
        if self._phase is Phase.OPEN and self._tls.ragged:
            self._finished()
        else:
            self._fail("the other side hung up" if self._phase is Phase.OPENING else CUT)

    # ---- the way through

    def _send(self, data: bytes) -> None:
        self._tls.send(data)
        self._pump()

    def _pump(self) -> None:
        if self._stream is not None:
            self._stream.write((self._tls.to_send(),))

    def _finished(self) -> None:
        """The other side sends no more; our direction still works."""
        if self._phase is Phase.OPEN and not self._peer_finished:
            self._peer_finished = True
            if self._stream is not None:
                self._stream.stop_reading()
            self._end_when_read(lambda: self._host.link_finished(self.id))

    # ---- the end

    def _break(self) -> None:
        self._end_stream(orderly=False)

    def _end_stream(self, *, orderly: bool) -> None:
        """End the stream below; what was written is sent before, and with ``orderly`` the end of TLS."""
        self._cancel_timer()
        if self._stream is not None:
            if orderly:
                self._tls.end()
                self._pump()
            self._stream.close()
