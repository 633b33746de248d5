"""``ockam-ref hub``: where the two ends of a route meet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

import click

from ockam_ref.asyncio import Node
from ockam_ref.cli import parameters
from ockam_ref.cli.events import print_observations
from ockam_ref.cli.output import Output
from ockam_ref.cli.parameters import HOST_PORT
from ockam_ref.cli.running import run
from ockam_ref.machine import LinkId

MAX_RECORDED_BYTES: Final = 1024 * 1024
"""Bytes that ``--record`` writes; what comes later is not recorded."""


@click.command()
@click.option(
    "--listen",
    type=HOST_PORT,
    default="127.0.0.1:4000",
    show_default=True,
    help="Where others connect (port 0: any).",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the first bytes that come in to this file, one JSON object a read, to look at.",
)
@parameters.as_json
def hub(*, listen: str, record: Path | None, as_json: bool) -> None:
    """Run a hub: others meet here, and it sees only ciphertext.

    It offers the relay service (forwarding_service, static_forwarding_service), a secure channel listener (api), echo
    and uppercase.
    """
    output = Output(as_json=as_json)
    run(lambda: _hub(output, listen, record))


async def _hub(output: Output, listen: str, record: Path | None) -> None:
    file = None if record is None else record.open("w", encoding="utf-8")
    try:
        async with Node.create(tap=None if file is None else _recorder(file)) as node:
            observations = node.observe()
            listener = await node.tcp_listen(listen)
            identity = node.create_identity()
            channels = await node.create_secure_channel_listener(identity, "api", consumer_of=(listener,))
            reachable = (listener, channels)
            await node.create_relay_service(consumer_of=reachable, relays_consumer_of=reachable)
            await node.start_echo(consumer_of=reachable)
            await node.start_uppercase(consumer_of=reachable)
            output.ready(
                "hub",
                f"The hub listens at {listener.address}. It sees routes, sizes and times, never what is in a channel.",
                listen=listener.address,
                identifier=str(identity.identifier),
            )
            await print_observations(observations, output, links=True)
    finally:
        if file is not None:
            file.close()


def _recorder(file: TextIO) -> Callable[[LinkId, bytes], None]:
    """Return what writes the first bytes that links bring, each read as one line."""
    left = MAX_RECORDED_BYTES

    def tap(link: LinkId, data: bytes) -> None:
        nonlocal left
        if left > 0:
            taken = data[:left]
            left -= len(taken)
            file.write(json.dumps({"link": link, "hex": taken.hex()}) + "\n")
            file.flush()

    return tap
