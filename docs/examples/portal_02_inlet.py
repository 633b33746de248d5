"""Portal 02, the inlet: the route to the outlet now begins with a TCP connection.  Still nothing is encrypted.

python portal_02_inlet.py 127.0.0.1:4001 [127.0.0.1:4000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(inlet_address: str, outlet_node: str = "127.0.0.1:4000") -> None:
    """Carry every client of ``inlet_address`` to the outlet of the node ``outlet_node``."""
    async with Node.create() as node:
        connection = await node.tcp_connect(outlet_node)
        inlet = await node.create_inlet(inlet_address, (connection, "outlet"))
        print("inlet", inlet.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
