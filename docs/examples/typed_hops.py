"""One secure channel over unlike hops, which connect by themselves: a Unix socket, then UDP.

python typed_hops.py
"""

import asyncio
import tempfile
from pathlib import Path

from ockam_ref.asyncio import UDP, UDS, Node


async def main() -> None:
    """Run three nodes and send one message from the first to the last."""
    async with Node.create() as bob, Node.create() as middle, Node.create() as alice:
        at_bob = await bob.udp_bind("127.0.0.1:0")
        channels = await bob.create_secure_channel_listener(bob.create_identity(), "api", consumer_of=(at_bob,))
        await bob.start_uppercase("uppercase", consumer_of=(channels,))

        with tempfile.TemporaryDirectory() as folder:
            at_middle = await middle.listen("uds", str(Path(folder) / "socket"))
            await middle.allow_onward("udp", at_middle)  # a stranger's route makes a node connect nowhere, but for this

            way = ((UDS, at_middle.address), (UDP, at_bob.address), "api")
            channel = await alice.create_secure_channel(alice.create_identity(), way)
            reply = await alice.send_and_receive((channel, "uppercase"), "Hello Ockam!")
            print(reply.body(str))


if __name__ == "__main__":
    asyncio.run(main())
