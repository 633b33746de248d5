"""``ockam-ref inlet``: open a local port that leads to an outlet."""

import asyncio
from contextlib import AsyncExitStack

import click

from ockam_ref.asyncio import InletSession, Node
from ockam_ref.channels.trust import TRUST_EVERYONE
from ockam_ref.cli import parameters
from ockam_ref.cli.events import name, print_observations, print_way
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.parameters import ADDRESS, HOST_PORT, IDENTIFIER, NO_CHANNEL_WARNING
from ockam_ref.cli.running import advising, no_node_advice, run
from ockam_ref.errors import ErrorCode
from ockam_ref.identities.identifier import Identifier
from ockam_ref.wire.address import Address


@click.command()
@click.argument("listen", type=HOST_PORT, metavar="LISTEN")
@click.argument("forwarding_address", type=ADDRESS, required=False)
@click.option("--hub", type=HOST_PORT, help="The hub at which the outlet has its forwarding address.")
@click.option("--node", type=HOST_PORT, help="The outlet's own listener, without a hub.")
@click.option("--expect", type=IDENTIFIER, help="Refuse every outlet but the one with this identifier.")
@click.option(
    "--rendezvous",
    type=HOST_PORT,
    help="Go directly over UDP, past the hub, while that is possible; this service tells us our public address.",
)
@parameters.no_channel
@parameters.outlet_address
@parameters.channel_listener
@parameters.as_json
def inlet(
    *,
    listen: str,
    forwarding_address: Address | None,
    hub: str | None,
    node: str | None,
    expect: Identifier | None,
    rendezvous: str | None,
    no_channel: bool,
    outlet_address: Address,
    channel_listener: Address,
    as_json: bool,
) -> None:
    """Open the local port LISTEN (HOST:PORT); what connects to it talks to the target of an outlet.

    The outlet is found either at a hub, under the forwarding address that it printed, or at its own listener.
    """
    via = hub if node is None else node
    if via is None or (hub is not None and node is not None):
        message = "give either --hub HOST:PORT and the FORWARDING_ADDRESS that the outlet printed, or --node HOST:PORT"
        raise click.UsageError(message)
    if (hub is None) != (forwarding_address is None):
        message = "a hub and a FORWARDING_ADDRESS belong together; with --node there is none"
        raise click.UsageError(message)
    if no_channel and expect is not None:
        message = "without a channel nobody proves who they are: --expect cannot be had with --no-channel"
        raise click.UsageError(message)
    if rendezvous is not None and (no_channel or hub is None):
        message = "--rendezvous finds a way past a hub, under a secure channel: it needs --hub, without --no-channel"
        raise click.UsageError(message)
    if no_channel:
        warn(NO_CHANNEL_WARNING)
    output = Output(as_json=as_json)
    run(
        output,
        lambda: _inlet(
            output,
            listen=listen,
            via=via,
            forwarding_address=forwarding_address,
            expect=expect,
            rendezvous=rendezvous,
            no_channel=no_channel,
            outlet_address=outlet_address,
            channel_listener=channel_listener,
        ),
    )


async def _inlet(
    output: Output,
    *,
    listen: str,
    via: str,
    forwarding_address: Address | None,
    expect: Identifier | None,
    rendezvous: str | None,
    no_channel: bool,
    outlet_address: Address,
    channel_listener: Address,
) -> None:
    advice = {
        ErrorCode.LINK_FAILED: no_node_advice(via, is_hub=forwarding_address is not None),
        ErrorCode.TIMEOUT: f"Is the outlet running? {_whereabouts(forwarding_address)}",
        ErrorCode.REFUSED: "If that is the outlet that you want, give its identifier with --expect; if not, somebody "
        "else has its place",
    }
    async with Node.create() as node, AsyncExitStack() as stack:
        identity = None if no_channel else node.create_identity()
        observations = node.observe()
        session = InletSession(
            node,
            listen,
            via=via,
            forwarding_address=forwarding_address,
            identity=identity,
            trust=TRUST_EVERYONE if expect is None else expect,
            outlet=outlet_address,
            channel_listener=channel_listener,
            rendezvous=rendezvous,
        )
        with advising(advice):
            await stack.enter_async_context(session)
        peer = None if session.peer is None else str(session.peer)
        sentence = f"{session.address} leads to the outlet behind {via}."
        if peer is not None:
            sentence += f"\nThe outlet is {peer}" + ("." if expect else "; nobody asked for it (see --expect).")
        identifier = None if identity is None else str(identity.identifier)
        output.ready("inlet", sentence, listen=session.address, identifier=identifier, via=via, peer=peer)
        await asyncio.gather(
            print_observations(observations, output, links=False), print_way(session.events(), output, via)
        )


def _whereabouts(forwarding_address: Address | None) -> str:
    if forwarding_address is None:
        return "Is it a node with a secure channel listener?"
    return f"Is {name(forwarding_address)} the forwarding address that it printed?"
