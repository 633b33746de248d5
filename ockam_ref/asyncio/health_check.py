"""An HTTP answer for those who watch a rendezvous service: alive is one that answers pings (facts 02 section 5.1)."""

import asyncio
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.node import Node
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.puncture.limits import RENDEZVOUS_TIMEOUT_S
from ockam_ref.wire.address import UDP
from ockam_ref.wire.rendezvous_message import (
    RendezvousPong,
    RendezvousRequest,
    decode_rendezvous_response,
    encode_rendezvous_request,
)
from ockam_transports.host_port import parse_host_port
from ockam_transports.reasons import describe

MAX_REQUEST_BYTES: Final = 1024
"""Bytes of a request that are read; nobody looks at them."""

MAX_CHECKS: Final = 16
"""Connections that are looked after at the same time; a further one is closed at once."""

ALIVE: Final = b"HTTP/1.1 200 OK\r\n\r\nAlive\n"
"""The answer, as the peer writes it; a service that does not answer gets the connection closed without one."""


class HealthCheck:
    """Answers at ``listen`` (``host:port``) for the rendezvous service of ``node`` at ``server``, while it is open."""

    def __init__(self, node: Node, listen: str, server: str) -> None:
        self._node = node
        self._listen = listen
        self._server = _reachable(server)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.address = listen

    async def __aenter__(self) -> Self:
        host, port = parse_host_port(self._listen)
        try:
            self._listener = await asyncio.start_server(self._accept, host, port, limit=MAX_REQUEST_BYTES)
        except OSError as error:
            raise OckamError(ErrorCode.LINK_FAILED, f"cannot listen at {self._listen}: {describe(error)}") from None
        bound = self._listener.sockets[0].getsockname()
        self.address = f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= MAX_CHECKS:
            writer.close()
            return
        task = asyncio.ensure_future(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, OckamError):
            try:
                async with asyncio.timeout(2 * RENDEZVOUS_TIMEOUT_S):
                    if await reader.read(MAX_REQUEST_BYTES) and await self._is_alive():
                        writer.write(ALIVE)
                        await writer.drain()
            finally:
                writer.close()

    async def _is_alive(self) -> bool:
        bind = await self._node.udp_bind(_beside(self._server))
        async with bind:
            route = (bind, (UDP, self._server), "rendezvous")
            ping = encode_rendezvous_request(RendezvousRequest.PING)
            reply = await self._node.send_and_receive(route, ping, timeout=RENDEZVOUS_TIMEOUT_S)
        return isinstance(decode_rendezvous_response(reply.payload), RendezvousPong)


def _reachable(server: str) -> str:
    """Return where we reach a service that is bound there: one bound to every interface, over the loopback."""
    host, _, port = server.rpartition(":")
    address = ip_address(host.strip("[]"))
    if not address.is_unspecified:
        return server
    return f"127.0.0.1:{port}" if address.version == 4 else f"[::1]:{port}"


def _beside(server: str) -> str:
    """Return where to bind a socket that reaches the server: any interface of its family."""
    return "[::]:0" if server.startswith("[") else "0.0.0.0:0"
