"""Credentials, the client: shows the server what the issuer says of us, and gets an answer.

    python credentials_client.py [127.0.0.1:4000] [127.0.0.1:5000]

The addresses are those of ``credentials_server.py`` and ``credentials_issuer.py``.
"""

import asyncio
import sys

from ockam_ref.asyncio import TCP, Node
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.issuers import Issuer

CLIENT = bytes.fromhex(
    "81825837830101583285f68200815820530d1c2e9822433b679a66a60b9c2ed47c370cd0ce51cbe1a7ad847b5835a963"
    "f41a654cf98e1a7818fc8e820081584085054457d079a67778f235a90fa1b926d676bad4b1063cec3c1b869950beb01d"
    "22f930591897f761c2247938ce1d8871119488db35fb362727748407885a1608"
)
SECRET = bytes.fromhex("31ff4e1cd55f17735a633fbab4b838cf88d1252d164735cb3185a6e315438c2c")
ISSUER = bytes.fromhex(
    "81825837830101583285f68200815820afbca9cf5d440147450f9f0d0a038a337b3fe5c17086163f2c54509558b62ef4"
    "f41a654cf97d1a7818fc7d8200815840650c4c939b96142546559aed99c52b64aa8a2f7b242b46534f7f8d0c5cc083d2"
    "c97210b93e9bca990e9cb9301acc2b634ffb80be314025f9adc870713e6fde0d"
)


async def main(server_address: str = "127.0.0.1:4000", issuer_address: str = "127.0.0.1:5000") -> None:
    """Fetch a credential, show it to the server and use its service."""
    async with Node.create() as node, await Home.open_in_memory() as home:
        client = await home.identities.import_(CLIENT, SECRET)
        authority = node.learn_identity(ISSUER)
        async with Issuer(node, ((TCP, issuer_address), "api"), authority, "example") as issuer:
            connection = await node.tcp_connect(server_address)
            # The retriever fetches the credential, and verifies it before it is shown to anybody.
            channel = await node.create_secure_channel(
                client, (connection, "api"), authority=authority, credential=issuer.retriever(client)
            )
            reply = await node.send_and_receive((channel, "echo"), "Hello Ockam!")
            print("Received:", reply.body(str), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
