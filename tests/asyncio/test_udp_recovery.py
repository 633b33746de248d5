"""Recovery over real UDP sockets: portals over a path that loses, swaps and doubles; peers that cannot recover."""

import hashlib
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.links.impairment import Impairment
from tests.asyncio.conftest import exchange, serve_echo, serving
from tests.asyncio.lossy_proxy import lossy_proxy

Run = Callable[[Coroutine[Any, Any, None]], None]
MIB = 1024 * 1024
BAD_PATH = Impairment(loss=0.05, reorder=0.05, late_s=0.003, duplication=0.02)


@pytest.mark.spec("RCV-1")
@pytest.mark.parametrize("way", ["plain", "channel"])
def test_a_portal_over_a_bad_path(run: Run, way: str) -> None:
    data = random.Random(way).randbytes(8 * MIB + 1234)

    async def main() -> None:
        async with serving(serve_echo) as target, Node.create() as bob, Node.create() as alice:
            server = await bob.udp_bind()
            async with lossy_proxy(server.address, BAD_PATH) as proxy:
                client = await alice.udp_bind(peer=proxy.address, recovery=True)
                hops: tuple[Any, ...] = (client,)
                flow: Any = server
                if way == "channel":
                    identity = bob.create_identity()
                    flow = await bob.create_secure_channel_listener(identity, "api", consumer_of=(server,))
                    channel = await alice.create_secure_channel(
                        alice.create_identity(), (client, "api"), trust=identity.identifier
                    )
                    hops = (channel,)
                await bob.create_outlet("outlet", target.address, consumer_of=(flow,))
                inlet = await alice.create_inlet("127.0.0.1:0", (*hops, "outlet"))
                answer = await exchange(inlet.address, data)
                assert hashlib.sha256(answer).digest() == hashlib.sha256(data).digest()
                assert proxy.lost > proxy.seen // 50

    run(main())
