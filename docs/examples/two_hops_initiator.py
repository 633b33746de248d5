"""Two hops, the initiator: one secure channel across two TCP connections, then a message through it.

python two_hops_initiator.py [127.0.0.1:3000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(middle: str = "127.0.0.1:3000") -> None:
    """Print what the echoer at the far end answers."""
    async with Node.create() as node:
        alice = node.create_identity()
        connection_to_middle = await node.tcp_connect(middle)
        channel = await node.create_secure_channel(alice, (connection_to_middle, "forward_to_bob", "bob_listener"))
        reply = await node.send_and_receive((channel, "echoer"), "Hello Ockam!")
        print("App Received:", reply.body(str), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
