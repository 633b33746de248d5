"""Portal 02, the outlet: as in 01, in a program of its own that other nodes reach over TCP.

python portal_02_outlet.py 127.0.0.1:5000 [127.0.0.1:4000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(target: str, listen: str = "127.0.0.1:4000") -> None:
    """Make ``target`` reachable for every node that connects to ``listen``."""
    async with Node.create() as node:
        listener = await node.tcp_listen(listen)
        # Whoever comes through the listener may reach the outlet, and nothing else of this node.
        await node.create_outlet("outlet", target, consumer_of=(listener,))
        print("listener", listener.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
