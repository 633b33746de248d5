"""The HTTP answer for those who watch a rendezvous service."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.health_check import ALIVE, MAX_CHECKS, HealthCheck
from ockam_ref.errors import OckamError
from tests.asyncio.conftest import connect

Run = Callable[[Coroutine[Any, Any, None]], None]


async def ask(check: HealthCheck, request: bytes) -> bytes:
    """Send a request; return everything that comes back."""
    reader, writer = await connect(check.address)
    writer.write(request)
    if not request:
        writer.write_eof()
    answer = await reader.read(-1)
    writer.close()
    return answer


@pytest.mark.spec("PUN-53")
@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"])
def test_a_living_service(run: Run, listen: str) -> None:
    async def main() -> None:
        async with Node.create() as node:
            service = await node.start_rendezvous(listen)
            async with HealthCheck(node, "127.0.0.1:0", service.address) as check:
                assert await ask(check, b"GET / HTTP/1.1\r\n\r\n") == ALIVE
                assert await ask(check, b"") == b""

    run(main())


@pytest.mark.spec("PUN-53")
def test_a_dead_service(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            service = await node.start_rendezvous("127.0.0.1:0")
            async with HealthCheck(node, "127.0.0.1:0", service.address) as check:
                await service.close()
                assert await ask(check, b"GET / HTTP/1.1\r\n\r\n") == b""

    run(main())


def test_too_many_who_ask(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node, AsyncExitStack() as stack:
            service = await node.start_rendezvous("127.0.0.1:0")
            check = await stack.enter_async_context(HealthCheck(node, "127.0.0.1:0", service.address))
            with pytest.raises(OckamError, match="cannot listen at"):
                await stack.enter_async_context(HealthCheck(node, check.address, service.address))
            waiting = [await connect(check.address) for _ in range(MAX_CHECKS)]
            assert await ask(check, b"") == b""  # accepted after the others, which therefore have their places
            for _, writer in waiting:
                writer.close()

    run(main())
