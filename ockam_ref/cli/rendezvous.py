"""``ockam-ref rendezvous``: tells nodes behind NATs under which address the world sees their sockets."""

from contextlib import AsyncExitStack

import click

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.health_check import HealthCheck
from ockam_ref.cli import parameters
from ockam_ref.cli.events import print_observations
from ockam_ref.cli.output import Output
from ockam_ref.cli.parameters import HOST_PORT
from ockam_ref.cli.running import run


@click.command()
@click.option(
    "--listen",
    type=HOST_PORT,
    default="0.0.0.0:4000",
    show_default=True,
    help="Where nodes ask, over UDP (port 0: any).",
)
@click.option(
    "--health-check",
    type=HOST_PORT,
    help="Answer HTTP requests here, over TCP, as long as the service answers pings.",
)
@parameters.as_json
def rendezvous(*, listen: str, health_check: str | None, as_json: bool) -> None:
    """Run a rendezvous service: nodes ask it for their public address before they puncture their NATs.

    It sees addresses and times, never a message between two nodes.
    """
    output = Output(as_json=as_json)
    run(output, lambda: _rendezvous(output, listen, health_check))


async def _rendezvous(output: Output, listen: str, health_check: str | None) -> None:
    async with Node.create() as node, AsyncExitStack() as stack:
        observations = node.observe()
        service = await node.start_rendezvous(listen)
        sentence = f"The rendezvous service answers at {service.address}, over UDP."
        health = None
        if health_check is not None:
            check = await stack.enter_async_context(HealthCheck(node, health_check, service.address))
            health = check.address
            sentence += f"\nIts health is told at http://{health}/."
        output.ready("rendezvous", sentence, listen=service.address, health_check=health)
        await print_observations(observations, output, links=False)
