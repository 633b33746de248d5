"""``ockam-ref outlet``: make a TCP service reachable."""

import asyncio
from contextlib import AsyncExitStack

import click

from ockam_ref.asyncio import Node, OutletSession
from ockam_ref.cli import parameters
from ockam_ref.cli.events import name, print_observations, print_way
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.parameters import HOST_PORT, NO_CHANNEL_WARNING, RELAY_NAME
from ockam_ref.cli.running import advising, no_node_advice, run
from ockam_ref.errors import ErrorCode
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.wire.address import Address


@click.command()
@click.argument("target", type=HOST_PORT, metavar="TARGET")
@click.option("--hub", type=HOST_PORT, help="Connect out to this hub and be reachable there.")
@click.option("--relay", type=RELAY_NAME, help="The name on the hub; without it a random one, kept over reconnects.")
@click.option("--listen", type=HOST_PORT, help="Be reachable directly, without a hub (port 0: any).")
@click.option(
    "--rendezvous",
    type=HOST_PORT,
    help="Go directly over UDP, past the hub, while that is possible; this service tells us our public address.",
)
@parameters.no_channel
@parameters.outlet_address
@parameters.channel_listener
@parameters.static_forwarding_service
@parameters.as_json
def outlet(
    *,
    target: str,
    hub: str | None,
    relay: str | None,
    listen: str | None,
    rendezvous: str | None,
    no_channel: bool,
    outlet_address: Address,
    channel_listener: Address,
    static_forwarding_service: Address,
    as_json: bool,
) -> None:
    """Make the TCP service at TARGET (HOST:PORT) reachable, through a hub or at a listener of our own.

    It prints its identifier, which is who it is, and with a hub its forwarding address, which is where it is; an inlet
    needs both.
    """
    if (hub is None) == (listen is None):
        message = "give either --hub HOST:PORT (connect out to a hub) or --listen HOST:PORT (be reachable directly)"
        raise click.UsageError(message)
    if relay is not None and hub is None:
        message = "--relay names the place on a hub: it needs --hub"
        raise click.UsageError(message)
    if rendezvous is not None and (no_channel or hub is None):
        message = "--rendezvous lets inlets past the hub, under a secure channel: it needs --hub, without --no-channel"
        raise click.UsageError(message)
    if no_channel:
        warn(NO_CHANNEL_WARNING)
    output = Output(as_json=as_json)
    if hub is not None:
        run(
            output,
            lambda: _through_hub(
                output,
                target=target,
                hub=hub,
                relay=relay,
                relay_service=static_forwarding_service,
                rendezvous=rendezvous,
                no_channel=no_channel,
                outlet_address=outlet_address,
                channel_listener=channel_listener,
            ),
        )
    elif listen is not None:
        run(
            output,
            lambda: _listening(
                output,
                target=target,
                listen=listen,
                no_channel=no_channel,
                outlet_address=outlet_address,
                channel_listener=channel_listener,
            ),
        )


async def _through_hub(
    output: Output,
    *,
    target: str,
    hub: str,
    relay: str | None,
    relay_service: Address,
    rendezvous: str | None,
    no_channel: bool,
    outlet_address: Address,
    channel_listener: Address,
) -> None:
    advice = {
        ErrorCode.LINK_FAILED: no_node_advice(hub, is_hub=True),
        ErrorCode.TIMEOUT: "Is it a hub that listens there?",
        ErrorCode.REFUSED: "Is it a hub that listens there?",
    }
    async with Node.create() as node, AsyncExitStack() as stack:
        identity = None if no_channel else node.create_identity()
        observations = node.observe()
        session = OutletSession(
            node,
            target,
            hub=hub,
            identity=identity,
            relay=relay,
            relay_service=relay_service,
            outlet=outlet_address,
            channel_listener=channel_listener,
            rendezvous=rendezvous,
        )
        with advising(advice):
            await stack.enter_async_context(session)
        where = name(session.forwarding_address)
        sentence = f"{target} can be reached through {hub}.\nForwarding address: {where}"
        _ready(output, sentence, identity, forwarding_address=where, target=target, hub=hub)
        await asyncio.gather(
            print_observations(observations, output, links=False), print_way(session.events(), output, hub)
        )


async def _listening(
    output: Output,
    *,
    target: str,
    listen: str,
    no_channel: bool,
    outlet_address: Address,
    channel_listener: Address,
) -> None:
    async with Node.create() as node:
        observations = node.observe()
        listener = await node.tcp_listen(listen)
        identity = None
        if no_channel:
            await node.create_outlet(outlet_address, target, consumer_of=(listener,))
        else:
            identity = node.create_identity()
            channels = await node.create_secure_channel_listener(identity, channel_listener, consumer_of=(listener,))
            await node.create_outlet(outlet_address, target, consumer_of=(channels,))
        sentence = f"{target} can be reached through {listener.address}."
        _ready(output, sentence, identity, listen=listener.address, target=target)
        await print_observations(observations, output, links=True)


def _ready(
    output: Output,
    sentence: str,
    identity: LocalIdentity | None,
    *,
    target: str,
    listen: str | None = None,
    forwarding_address: str | None = None,
    hub: str | None = None,
) -> None:
    identifier = None if identity is None else str(identity.identifier)
    if identifier is not None:
        sentence += f"\nIdentifier:         {identifier}"
    output.ready(
        "outlet",
        sentence,
        listen=listen,
        forwarding_address=forwarding_address,
        identifier=identifier,
        target=target,
        hub=hub,
    )
