"""A link on a WebSocket: the state machine of the library ``websockets`` between the host and a TCP link.

The library's own connections for asyncio are not used, for they read ahead and tell nobody when their bytes have left:
here all that a TCP link promises (silence before ``start_reading``, what is buffered, progress, a bounded end) holds
for a WebSocket too, because every byte goes through one.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from ockam_ref.machine import LinkId
from ockam_transports.base import Chunk, LinkHost
from ockam_transports.layered_link import LayeredLink, Phase
from ockam_transports.tls_stream import TlsStream, describe_tls

MAX_PACKET_BYTES: Final = 16_777_216
"""Bytes of one message, in as many WebSocket frames as its sender likes; the peer's library takes no longer frame."""

OPEN_TIMEOUT_S: Final = 10.0
"""How long the handshakes of TLS and WebSocket may take once the TCP connection is there."""

CLOSE_TIMEOUT_S: Final = 2.0
"""How long a closed link waits for the other side's closing frame before it ends the TCP connection."""

PING_EVERY_S: Final = 20.0
"""Time between two pings of an open link: proxies end connections on which nothing passes, most after a minute."""

MAX_SILENT_PINGS: Final = 2
"""Pings without a sign of life, after which the next one ends the link.

Pings are not counted while we do not read, or while bytes for the other side wait: then silence means no harm.
"""

MAX_UNREAD_PONGS: Final = 1000
"""Answers to pings that may wait behind other bytes that the other side does not read."""

_ORDERLY: Final = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)


class WebSocketLink(LayeredLink):
    """A link of packets on a WebSocket.

    ``path`` is the only path that a server answers to, any where it is empty.
    """

    mtu: Final = MAX_PACKET_BYTES

    def __init__(
        self,
        link: LinkId,
        host: LinkHost,
        protocol: ClientProtocol | ServerProtocol,
        tls: TlsStream | None,
        *,
        loop: asyncio.AbstractEventLoop,
        on_open: Callable[["WebSocketLink"], None],
        on_fail: Callable[[str], None],
        path: str = "",
    ) -> None:
        super().__init__(link, host, loop=loop, on_open=on_open, on_fail=on_fail)
        self._protocol = protocol
        self._tls = tls
        self._path = path
        self._begun: bytearray | None = None
        self._heard = False
        self._silent_pings = 0
        self._unread_pongs = 0

    # ---- for the host

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Take one packet, which leaves with the next ``flush``; one that is longer than ``mtu`` does not."""
        packet = b"".join(chunks)
        if len(packet) <= MAX_PACKET_BYTES:  # else the other side would have to end the link
            super().write((packet,))

    def finish_sending(self) -> None:
        """Begin to close, which is all that WebSocket has: what the other side sent before it answers is still read."""
        if self._phase is Phase.OPENING:
            self._early_asks.append(self.finish_sending)
        elif self._phase is Phase.OPEN and self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._pump()

    def close(self) -> None:
        """Send what was written and the closing frame, wait a little for the other side's, then end the stream."""
        if self._phase in (Phase.CLOSING, Phase.ENDED):
            return
        was_open = self._let_go()
        if self._stream is None:
            return
        if was_open and self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._pump()
            self._stream.flush()
            self._stream.start_reading()
            self._timer = self._loop.call_later(CLOSE_TIMEOUT_S, self._end_stream)
        else:
            self._end_stream()

    # ---- what the stream below tells, always in a turn of the loop of its own

    def begin(self) -> None:
        """Begin the handshakes: the stream is there."""
        if self._phase is not Phase.OPENING or self._stream is None:
            return
        self._timer = self._loop.call_later(
            OPEN_TIMEOUT_S, self._fail, f"no WebSocket handshake within {OPEN_TIMEOUT_S:g} s"
        )
        if self._tls is not None:
            self._tls.receive(b"")
        self._say_hello()
        self._pump()
        self._stream.flush()
        self._stream.start_reading()

    def stream_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._heard = True
        if self._tls is not None:
            was_ready = self._tls.ready
            try:
                data = self._tls.receive(data)
            except ssl.SSLError as error:
                self._pump()
                self._fail(describe_tls(error))
                return
            if self._tls.ready and not was_ready:
                self._say_hello()
        if data:
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    self._take(event)
                elif isinstance(event, Request):
                    self._answer(event)
                elif self._protocol.handshake_exc is None:
                    self._opened()
        self._pump()
        if self._stream is not None:
            self._stream.flush()
        fault = self._protocol.handshake_exc or self._protocol.parser_exc
        if fault is not None:
            self._fail(_describe(fault))

    def stream_finished(self) -> None:
        """The other side has ended its direction of the stream."""
        if self._phase is Phase.CLOSING:
            self._end_stream()
        elif self._protocol.close_rcvd is None:
            self._fail("the other side hung up")

    # ---- the handshake

    def _say_hello(self) -> None:
        """A client asks as soon as it can."""
        if isinstance(self._protocol, ClientProtocol) and (self._tls is None or self._tls.ready):
            self._protocol.send_request(self._protocol.connect())

    def _answer(self, request: Request) -> None:
        assert isinstance(self._protocol, ServerProtocol)  # only servers get requests
        if self._path and request.path.partition("?")[0] != self._path:
            response = self._protocol.reject(404, "There is nothing here.\n")
        else:
            response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if self._protocol.state is State.OPEN:
            self._opened()
        elif self._protocol.handshake_exc is None:
            self._pump()
            self._fail(f"a client asked for {request.path}")

    # ---- an open link

    def _opened(self) -> None:
        was_opening = self._phase is Phase.OPENING
        super()._opened()
        if was_opening and self._phase is Phase.OPEN:
            self._timer = self._loop.call_later(PING_EVERY_S, self._ping)

    def _send(self, data: bytes) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
            self._pump()

    def _take(self, frame: Frame) -> None:
        """Take one frame from the other side."""
        if frame.opcode is Opcode.CLOSE:
            self._take_close()
        elif frame.opcode is Opcode.PING:  # the state machine has answered it
            self._count_pong()
        elif frame.opcode is not Opcode.PONG and self._phase is Phase.OPEN:
            self._take_data(frame)

    def _take_data(self, frame: Frame) -> None:
        """Put the frames of a message together; its length was checked."""
        if self._begun is not None:
            self._begun += frame.data
        elif not frame.fin:
            self._begun = bytearray(frame.data)
        if not frame.fin:
            return
        data = bytes(frame.data if self._begun is None else self._begun)
        self._begun = None
        self._deliver(data)

    def _count_pong(self) -> None:
        if self._stream is None or not self._stream.buffered:
            self._unread_pongs = 0
            return
        self._unread_pongs += 1
        if self._unread_pongs > MAX_UNREAD_PONGS:
            self._fail("the other side sends pings and does not read the answers")

    def _take_close(self) -> None:
        received = self._protocol.close_rcvd
        if self._phase is Phase.CLOSING:
            self._end_stream()
        elif received is not None and received.code in _ORDERLY:
            self._end_when_read(lambda: self._host.link_finished(self.id))
        else:
            self._pump()
            self._fail(f"the other side closed the connection with an error: {received}")

    def _ping(self) -> None:
        if self._stream is None or self._protocol.state is not State.OPEN:
            return
        waits = bool(self._stream.buffered) or not self._reading
        self._silent_pings = 0 if self._heard or waits else self._silent_pings + 1
        self._heard = False
        if self._silent_pings > MAX_SILENT_PINGS:
            self._fail(f"the other side has not answered for {MAX_SILENT_PINGS * PING_EVERY_S:g} s")
            return
        if not self._stream.buffered:
            self._protocol.send_ping(b"")
            self._pump()
            self._stream.flush()
        self._timer = self._loop.call_later(PING_EVERY_S, self._ping)

    def _pump(self) -> None:
        stream = self._stream
        data = self._protocol.data_to_send()
        if stream is None:
            return
        if self._tls is None:
            stream.write(data)
            return
        if self._tls.ready:
            for chunk in data:
                self._tls.send(chunk)
        stream.write((self._tls.to_send(),))

    # ---- the end

    def _end_stream(self) -> None:
        """End the stream below in good order; what was written is sent before."""
        self._cancel_timer()
        if self._stream is not None:
            if self._tls is not None:
                self._tls.end()
                self._stream.write((self._tls.to_send(),))
            self._stream.close()

    def _break(self) -> None:
        self._end_stream()

    def _fail(self, reason: str) -> None:
        if self._ending is None:
            super()._fail(reason)
        else:  # the other side has closed the link in good order, and the host will hear of that
            self._end_stream()


def _describe(fault: Exception) -> str:
    if isinstance(fault, InvalidStatus):
        response = fault.response
        return f"the server answers {response.status_code} {response.reason_phrase} instead of opening a WebSocket"
    if isinstance(fault, PayloadTooBig):
        return f"the other side sent a message that is too long; {MAX_PACKET_BYTES} bytes are the limit"
    return f"the other side breaks the rules of WebSocket: {fault}"
