"""Credentials, the issuer: says of two identities that it knows that they belong to the production cluster.

    python credentials_issuer.py [127.0.0.1:5000]

Then start ``credentials_server.py`` and ``credentials_client.py``.  The three identities, with their secrets, are those
of the example "06-credentials-exchange" of the Rust implementation, so that programs of both can take each other's
place; secrets of your own belong into no program.
"""

import asyncio
import sys

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.authority import Authority, AuthorityOptions
from ockam_ref.asyncio.home import Home
from ockam_ref.identities.identifier import parse_identifier

ISSUER = bytes.fromhex(
    "81825837830101583285f68200815820afbca9cf5d440147450f9f0d0a038a337b3fe5c17086163f2c54509558b62ef4"
    "f41a654cf97d1a7818fc7d8200815840650c4c939b96142546559aed99c52b64aa8a2f7b242b46534f7f8d0c5cc083d2"
    "c97210b93e9bca990e9cb9301acc2b634ffb80be314025f9adc870713e6fde0d"
)
SECRET = bytes.fromhex("0127359911708ef4de9adaaf27c357501473c4a10a5326a69c1f7f874a0cd82e")
CLIENT = parse_identifier("Ie70dc5545d64724880257acb32b8851e7dd1dd57076838991bc343165df71bfe")
SERVER = parse_identifier("Ife42b412ecdb7fda4421bd5046e33c1017671ce7a320c3342814f0b99df9ab60")


async def main(listen: str = "127.0.0.1:5000") -> None:
    """Issue credentials to the client and to the server."""
    async with Node.create() as node, await Home.open_in_memory() as home:
        issuer = await home.identities.import_(ISSUER, SECRET)
        listener = await node.tcp_listen(listen)
        members = dict.fromkeys((CLIENT, SERVER), ((b"cluster", b"production"),))
        options = AuthorityOptions(trusted=members)
        # Only those who prove with their latest key that they are members get a credential.
        async with await Authority.start(node, home, issuer, options, consumer_of=(listener,)) as authority:
            print("issuer", authority.identifier, flush=True)
            print("listener", listener.address, flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
