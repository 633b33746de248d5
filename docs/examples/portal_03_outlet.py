"""Portal 03, the outlet: reachable through secure channels only.

python portal_03_outlet.py 127.0.0.1:5000 [127.0.0.1:4000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(target: str, listen: str = "127.0.0.1:4000") -> None:
    """Make ``target`` reachable for every node that opens a secure channel with us."""
    async with Node.create() as node:
        listener = await node.tcp_listen(listen)
        # Over plain TCP a peer may reach the channel listener; through a channel, the outlet.
        channels = await node.create_secure_channel_listener(
            node.create_identity(), "secure_channel_listener", consumer_of=(listener,)
        )
        await node.create_outlet("outlet", target, consumer_of=(channels,))
        print("listener", listener.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
