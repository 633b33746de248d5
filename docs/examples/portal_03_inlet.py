"""Portal 03, the inlet: the route goes through a mutually authenticated secure channel.

python portal_03_inlet.py 127.0.0.1:4001 [127.0.0.1:4000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(inlet_address: str, outlet_node: str = "127.0.0.1:4000") -> None:
    """Carry every client of ``inlet_address``, encrypted, to the outlet of the node ``outlet_node``."""
    async with Node.create() as node:
        connection = await node.tcp_connect(outlet_node)
        channel = await node.create_secure_channel(node.create_identity(), (connection, "secure_channel_listener"))
        # The channel is one hop of the route like any other.
        inlet = await node.create_inlet(inlet_address, (channel, "outlet"))
        print("inlet", inlet.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
