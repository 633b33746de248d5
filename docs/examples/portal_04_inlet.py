"""Portal 04, the inlet: one secure channel from end to end, over two TCP connections that meet in the hub.

python portal_04_inlet.py 127.0.0.1:4001 FORWARDING_ADDRESS [127.0.0.1:4000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(inlet_address: str, forwarding_address: str, hub: str = "127.0.0.1:4000") -> None:
    """Carry every client of ``inlet_address`` through the hub, which sees only ciphertext."""
    async with Node.create() as node:
        connection = await node.tcp_connect(hub)
        route = (connection, forwarding_address, "secure_channel_listener")
        channel = await node.create_secure_channel(node.create_identity(), route)
        inlet = await node.create_inlet(inlet_address, (channel, "outlet"))
        print("inlet", inlet.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
