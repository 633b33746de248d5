"""Portal 04, the outlet: listens nowhere; it connects out to a hub and gets an address there.

Start a hub first: ``ockam-ref hub --listen 127.0.0.1:4000``.

    python portal_04_outlet.py 127.0.0.1:5000 [127.0.0.1:4000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(target: str, hub: str = "127.0.0.1:4000") -> None:
    """Make ``target`` reachable through the hub for everybody who opens a secure channel with us."""
    async with Node.create() as node:
        connection = await node.tcp_connect(hub)
        # What others send us comes through our own connection to the hub.
        channels = await node.create_secure_channel_listener(
            node.create_identity(), "secure_channel_listener", consumer_of=(connection,)
        )
        await node.create_outlet("outlet", target, consumer_of=(channels,))
        relay = await node.create_relay((connection,))
        print("forwarding address", relay.remote_address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
