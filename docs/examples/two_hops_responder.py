"""Two hops, the responder: an echoer that can be reached through secure channels only.

python two_hops_responder.py [127.0.0.1:4000]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node, Routed


async def echoer(message: Routed) -> None:
    """Send each text back."""
    await message.reply(message.body(str))


async def main(listen: str = "127.0.0.1:4000") -> None:
    """Wait for messages for ever."""
    async with Node.create() as node:
        bob = node.create_identity()
        listener = await node.tcp_listen(listen)
        channels = await node.create_secure_channel_listener(bob, "bob_listener", consumer_of=(listener,))
        await node.start_worker("echoer", echoer, consumer_of=(channels,))
        print("listener", listener.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
