"""Two hops, the middle: a relay worker of our own forwards to the responder what comes in.

python two_hops_middle.py [127.0.0.1:4000 [127.0.0.1:3000]]
"""

import asyncio
import sys

from ockam_ref.asyncio import Node, NodeConnection, Routed, Worker


class Relay(Worker):
    """Put a connection in place of our own address, and stay out of the way back."""

    def __init__(self, connection: NodeConnection) -> None:
        self.connection = connection

    async def handle_message(self, message: Routed) -> None:
        """Pass the message on; both connections may then reach each other, since replies do not come through us."""
        await message.forward((self.connection, *message.onward_route[1:]), open_flow_controls=True)


async def main(responder: str = "127.0.0.1:4000", listen: str = "127.0.0.1:3000") -> None:
    """Route messages for ever."""
    async with Node.create() as node:
        connection_to_bob = await node.tcp_connect(responder)
        listener = await node.tcp_listen(listen)
        await node.start_worker("forward_to_bob", Relay(connection_to_bob), consumer_of=(listener,))
        print("listener", listener.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
