"""TLS as a filter on bytes: what comes in and goes out passes through it, whoever holds the socket."""

import ssl
from contextlib import suppress
from typing import Final

_READ_BYTES: Final = 256 * 1024


class TlsStream:
    """One side of a TLS connection: ``ready`` after the handshake, ``finished`` when the other side sends no more.

    ``ragged`` says whether the end of the stream below is an end as good as that of TLS, which a stranger cannot forge:
    the context's option ``OP_IGNORE_UNEXPECTED_EOF``.
    """

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        self.ready = False
        self.finished = False
        self.ragged: Final = bool(context.options & ssl.OP_IGNORE_UNEXPECTED_EOF)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the socket, none to begin with; return those that were inside, and see ``to_send``.

        Raises:
            ssl.SSLError: the other side cannot be trusted, or breaks the rules; ``describe_tls`` says why in words.
        """
        self._incoming.write(data)
        chunks: list[bytes] = []
        try:
            if not self.ready:
                self._tls.do_handshake()
                self.ready = True
            while chunk := self._tls.read(_READ_BYTES):
                chunks.append(chunk)
            self.finished = True
        except ssl.SSLWantReadError:
            pass  # all has been read
        except ssl.SSLZeroReturnError:  # the other side sends no more, after we had said the same
            self.finished = True
        return b"".join(chunks)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes for the other side, once ``ready``."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]

    def end(self) -> None:
        """Say that no more bytes will be sent."""
        with suppress(ssl.SSLError):  # the answer has not come, or there is nobody to say it to
            self._tls.unwrap()

    def to_send(self) -> bytes:
        """Return what now has to go to the socket."""
        return self._outgoing.read()


def describe_tls(error: ssl.SSLError) -> str:
    """Return what went wrong, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    return f"TLS failed: {(error.reason or 'the other side breaks its rules').lower().replace('_', ' ')}"
