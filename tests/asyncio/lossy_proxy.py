"""A UDP relay in this process that treats datagrams as a bad path would: everything a path may do, from a seed."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from ockam_ref.links.impairment import Impairment, Passage, let_through

SOCKET_BYTES = 4 * 1024 * 1024


class Side(asyncio.DatagramProtocol):
    """One socket of the proxy; what comes in leaves by the other one."""

    def __init__(self, proxy: "LossyProxy", number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.transport: asyncio.DatagramTransport | None = None
        self.target: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        for option in (7, 8):  # SO_SNDBUF, SO_RCVBUF: only the proxy loses, not the kernel
            transport.get_extra_info("socket").setsockopt(1, option, SOCKET_BYTES)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if self.number == 0:
            self.target = addr
        self.proxy.pass_on(self.number, data)


class LossyProxy:
    """``address`` stands for the server; one client."""

    def __init__(self, server: str, impairment: Impairment, seed: int) -> None:
        host, _, port = server.rpartition(":")
        self.impairment = impairment
        self.random = random.Random(seed)
        self.sides = (Side(self, 0), Side(self, 1))
        self.sides[1].target = (host, int(port))
        self.passages = [Passage(), Passage()]
        self.address = ""
        self.seen = 0
        self.lost = 0

    def pass_on(self, number: int, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.passages[number], arrivals = let_through(
            self.impairment, self.passages[number], len(data), now, self.random.random
        )
        self.seen += 1
        self.lost += not arrivals
        for at in arrivals:
            if at - now < 0.0005:
                self.send(1 - number, data)
            else:
                loop.call_at(at, self.send, 1 - number, data)

    def send(self, number: int, data: bytes) -> None:
        side = self.sides[number]
        if side.transport is not None and not side.transport.is_closing() and side.target is not None:
            side.transport.sendto(data, side.target)


@asynccontextmanager
async def lossy_proxy(server: str, impairment: Impairment, seed: int = 1) -> AsyncIterator[LossyProxy]:
    """Run one in front of ``server``."""
    loop = asyncio.get_running_loop()
    proxy = LossyProxy(server, impairment, seed)
    transports = []
    for side in proxy.sides:
        transport, _ = await loop.create_datagram_endpoint(lambda side=side: side, local_addr=("127.0.0.1", 0))  # type: ignore[misc]
        transports.append(transport)
    host, port = transports[0].get_extra_info("sockname")
    proxy.address = f"{host}:{port}"
    try:
        yield proxy
    finally:
        for transport in transports:
            transport.close()
