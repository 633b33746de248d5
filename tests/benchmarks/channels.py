"""Secure channels a second with both ends in one process: ``python -m tests.benchmarks.channels --count N``.

One node holds the listener and opens the channels, as the Rust peer does for its figure; both run their whole host.
With ``--credentials kept`` each end presents the same credential each time and verifies the other's, with
``--credentials new`` the initiator presents one that was never seen before.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterator
from itertools import repeat
from typing import Final

from ockam_ref.asyncio import Node
from ockam_ref.identities.credentials import issue_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.identities.purpose_keys import attest_credential_signing_key

NONE: Final = "none"
KEPT: Final = "kept"
NEW: Final = "new"


def main() -> None:
    """Print the figure as one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--credentials", choices=(NONE, KEPT, NEW), default=NONE)
    options = parser.parse_args()
    rate = asyncio.run(measure(options.count, options.credentials))
    print(json.dumps({"event": "done", "per_second": rate}))


async def measure(count: int, credentials: str) -> float:
    """Return how many channels a second one node opens to itself."""
    async with Node.create() as node:
        responder, initiator, issuer = node.create_identity(), node.create_identity(), Issuer(node)
        authority = None if credentials == NONE else issuer.identifier
        own = None if credentials == NONE else next(issuer.credentials(responder.identifier, 1))
        await node.create_secure_channel_listener(responder, "api", authority=authority, credential=own)
        presented: Iterator[bytes | None] = repeat(None)
        if credentials != NONE:
            issued = list(issuer.credentials(initiator.identifier, count + 1 if credentials == NEW else 1))
            presented = iter(issued) if credentials == NEW else repeat(issued[0])
        # Without the first one, as in the Rust figure: it verifies identities that are known from then on.
        await node.create_secure_channel(initiator, "api", authority=authority, credential=next(presented))
        begin = time.perf_counter()
        for _ in range(count):
            await node.create_secure_channel(initiator, "api", authority=authority, credential=next(presented))
        return count / (time.perf_counter() - begin)


class Issuer:
    """An authority that the node knows."""

    def __init__(self, node: Node) -> None:
        own: LocalIdentity = node.create_identity()
        self._key = ed25519_from_seed(os.urandom(32))
        self._now = own.identity.valid_from
        self._attestation = attest_credential_signing_key(
            own.identity, own.signing_key, self._key.public, created_at=self._now, expires_at=own.expires_at
        )
        self.identifier = node.learn_identity(own.identity.history.encoded)

    def credentials(self, subject: Identifier, count: int) -> Iterator[bytes]:
        """Yield so many credentials, no two alike."""
        for number in range(count):
            yield issue_credential(
                self._key,
                self._attestation,
                subject=subject,
                attributes={b"role": b"member", b"number": str(number).encode()},
                created_at=self._now,
                expires_at=self._now + 86_400,
            )


if __name__ == "__main__":
    main()
