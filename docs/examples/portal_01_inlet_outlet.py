"""Portal 01: an inlet and an outlet in one program.  Nothing is encrypted yet.

python portal_01_inlet_outlet.py 127.0.0.1:4001 127.0.0.1:5000
curl http://127.0.0.1:4001
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(inlet_address: str, target: str) -> None:
    """Carry every client of ``inlet_address`` to ``target``."""
    async with Node.create() as node:
        # The outlet connects to the target, as a TCP client, whenever an inlet asks it to.
        await node.create_outlet("outlet", target)
        # The inlet is a TCP server; it knows the route to its outlet, here a single hop on the same node.
        inlet = await node.create_inlet(inlet_address, "outlet")
        print("inlet", inlet.address, flush=True)
        await asyncio.Event().wait()  # run until Ctrl-C


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
