"""Bob waits behind a hub for messages that only he and their sender can read: ``python bob.py 127.0.0.1:4000``."""

import asyncio
import sys

from ockam_ref.asyncio import Node, Routed


async def echoer(message: Routed) -> None:
    """Print each text and send it back, through the channel it came by."""
    text = message.body(str)
    print("received", text, flush=True)
    await message.reply(text)


async def main(hub: str) -> None:
    async with Node.create() as node:
        connection = await node.tcp_connect(hub)
        channels = await node.create_secure_channel_listener(
            node.create_identity(), "listener", consumer_of=(connection,)
        )
        await node.start_worker("echoer", echoer, consumer_of=(channels,))
        relay = await node.create_relay((connection,))
        print("forwarding address", relay.remote_address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
