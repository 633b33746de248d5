"""Credentials, the server: an echo service for members of the production cluster.

    python credentials_server.py [127.0.0.1:4000] [127.0.0.1:5000]

The second address is that of ``credentials_issuer.py``.
"""

import asyncio
import sys

from ockam_ref.asyncio import TCP, Node, Routed
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.issuers import Issuer
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.routing.access_control import AllowByPolicy, AllowOnwardByPolicy

SERVER = bytes.fromhex(
    "81825837830101583285f682008158201d387ce453816d91159740a55e9a62ad3b58be9ecf7ef08760c42c0d885b6c2e"
    "f41a654cf9681a7818fc688200815840dc10ba498655dac0ebab81c6e1af45f465408ddd612842f10a6ced53c06d4562"
    "117e14d656be85685aa5bfbd5e5ede6f0ecf5eb41c19a5594e7a25b7a42c5c07"
)
SECRET = bytes.fromhex("5fb3663df8405379981462babed7507e3d53a8d061188105e3adbd70e0a74b8a")
ISSUER = bytes.fromhex(
    "81825837830101583285f68200815820afbca9cf5d440147450f9f0d0a038a337b3fe5c17086163f2c54509558b62ef4"
    "f41a654cf97d1a7818fc7d8200815840650c4c939b96142546559aed99c52b64aa8a2f7b242b46534f7f8d0c5cc083d2"
    "c97210b93e9bca990e9cb9301acc2b634ffb80be314025f9adc870713e6fde0d"
)
PRODUCTION = parse_policy('(= subject.cluster "production")')


async def echo(message: Routed) -> None:
    """Send every message back."""
    await message.reply(message.payload)


async def main(listen: str = "127.0.0.1:4000", issuer_address: str = "127.0.0.1:5000") -> None:
    """Serve those for whom the issuer vouches, and show them its word about ourselves."""
    async with Node.create() as node, await Home.open_in_memory() as home:
        server = await home.identities.import_(SERVER, SECRET)
        # Whom to trust is known beforehand, never learnt on the way.
        authority = node.learn_identity(ISSUER)
        async with Issuer(node, ((TCP, issuer_address), "api"), authority, "example") as issuer:
            listener = await node.tcp_listen(listen)
            channels = await node.create_secure_channel_listener(
                server,
                "api",
                consumer_of=(listener,),
                authority=authority,
                credential=issuer.retriever(server),
            )
            await node.start_worker(
                "echo",
                echo,
                consumer_of=(channels,),
                incoming=AllowByPolicy(PRODUCTION, authority.value),
                outgoing=AllowOnwardByPolicy(PRODUCTION, authority.value),
            )
            print("listener", listener.address, flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
