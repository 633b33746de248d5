"""Secure channels a second with both ends in one process: ``python -m tests.benchmarks.channels --count N``.

One node holds the listener and opens the channels, as the Rust peer does for its figure; both run their whole host.
"""

import argparse
import asyncio
import json
import time

from ockam_ref.asyncio import Node


def main() -> None:
    """Print the figure as one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    print(json.dumps({"event": "done", "per_second": asyncio.run(measure(parser.parse_args().count))}))


async def measure(count: int) -> float:
    """Return how many channels a second one node opens to itself."""
    async with Node.create() as node:
        responder, initiator = node.create_identity(), node.create_identity()
        await node.create_secure_channel_listener(responder, "api")
        # Without the first one, as in the Rust figure: it verifies identities that are known from then on.
        await node.create_secure_channel(initiator, "api")
        begin = time.perf_counter()
        for _ in range(count):
            await node.create_secure_channel(initiator, "api")
        return count / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
