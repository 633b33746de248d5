"""Alice sends each line she types to Bob, end to end encrypted: ``python alice.py HUB FORWARDING_ADDRESS``."""

import asyncio
import sys

from ockam_ref.asyncio import Node


async def main(hub: str, forwarding_address: str) -> None:
    async with Node.create() as node:
        connection = await node.tcp_connect(hub)
        channel = await node.create_secure_channel(node.create_identity(), (connection, forwarding_address, "listener"))
        print("secure channel with", channel.peer, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            reply = await node.send_and_receive((channel, "echoer"), line.rstrip("\n"))
            print("echoed", reply.body(str), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
