"""The web server at the far end of an experiment, and the browser at the near one: as much HTTP as both need."""

import asyncio
from time import perf_counter
from typing import Final, NamedTuple

from ockam_ref.errors import ErrorCode, OckamError

FETCH_TIMEOUT_S: Final = 120.0
"""How long a whole answer may take."""

_LIMIT: Final = 1 << 20


class Fetched(NamedTuple):
    """An answer: its status line, how many bytes its body has, how many of them are right, and how long it took."""

    status: str
    length: int
    intact: bool
    seconds: float


class WebServer:
    """Answers ``GET /N`` with N bytes, in which the mark of the experiment is repeated."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._server: asyncio.Server | None = None
        self.address = ""

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ", 2)[1]
            length = int(path[1:])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % length)
            for start in range(0, length, _LIMIT):
                writer.write(marked(self._mark, min(_LIMIT, length - start)))
                await writer.drain()
        except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or does not speak HTTP
        finally:
            writer.close()


async def fetch(address: str, length: int, mark: bytes) -> Fetched:
    """Ask the server behind ``address`` for that many bytes and look at them.

    Raises:
        OckamError: no whole answer came.
    """
    host, _, port = address.rpartition(":")
    began = perf_counter()
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, int(port), limit=_LIMIT)
            try:
                writer.write(b"GET /%d HTTP/1.1\r\nHost: route\r\n\r\n" % length)
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(length)
            finally:
                writer.close()
    except TimeoutError:
        raise OckamError(ErrorCode.TIMEOUT, f"no whole answer within {FETCH_TIMEOUT_S:g} s") from None
    except (OSError, asyncio.IncompleteReadError) as error:
        raise OckamError(ErrorCode.LINK_FAILED, f"the HTTP answer was cut: {error}") from None
    seconds = perf_counter() - began
    intact = all(
        body[start : start + _LIMIT] == marked(mark, min(_LIMIT, length - start)) for start in range(0, length, _LIMIT)
    )
    return Fetched(head.partition(b"\r\n")[0].decode(errors="replace"), length, intact, seconds)


def marked(mark: bytes, length: int) -> bytes:
    """Return that many bytes, full of the mark."""
    return (mark * (length // len(mark) + 1))[:length]
