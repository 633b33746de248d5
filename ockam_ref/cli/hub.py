"""``ockam-ref hub``: where the two ends of a route meet."""

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple, TextIO

import click

from ockam_ref.asyncio import Node
from ockam_ref.cli import explaining, parameters
from ockam_ref.cli.events import print_observations
from ockam_ref.cli.ourselves import SelfOptions, become, self_options, take_self_options
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.parameters import ADDRESS, HOST_PORT, POLICY
from ockam_ref.cli.running import run
from ockam_ref.machine import LinkId
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.wire.address import Address

MAX_RECORDED_BYTES: Final = 1024 * 1024
"""Bytes that ``--record`` writes; what comes later is not recorded."""


RELAYS: Final = Resource("forwarding_service", ResourceType.RELAY)
"""What stored policies call the names of a hub; the peer's own name for it."""


class Services(NamedTuple):
    """The addresses of what a hub offers."""

    channel_listener: Address
    forwarding_service: Address
    static_forwarding_service: Address
    echo: Address
    uppercase: Address


class _Rules(NamedTuple):
    """Who we are, who may have a name, and whether what is decided is explained."""

    relay_policy: Policy | None
    ourselves: SelfOptions
    explain: bool


def _service(address: str, what: str) -> Callable[[Any], Any]:
    option = "--" + address.replace("_", "-")
    return click.option(option, type=ADDRESS, default=address, show_default=True, help=f"The {what}'s worker address.")


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
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Write the first bytes that come in to this file, one JSON object a read, to look at.",
)
@parameters.channel_listener
@_service("forwarding_service", "relay service")
@parameters.static_forwarding_service
@_service("echo", "echo service")
@_service("uppercase", "service for upper case")
@click.option(
    "--relay-policy",
    type=POLICY,
    help="Who may register a name, which it knows as relay.name. [default: the policy stored at the start for "
    "forwarding_service; else with --authority, who has the attribute ockam-relay with that name or '*']",
)
@self_options
@explaining.option
@parameters.as_json
def hub(
    *,
    listen: str,
    record: TextIO | None,
    relay_policy: Policy | None,
    explain: bool,
    as_json: bool,
    **more: Any,  # noqa: ANN401  # those of ``Services`` and ``SelfOptions``
) -> None:
    """Run a hub: others meet here, and it sees only ciphertext.

    It offers the relay service, a secure channel listener, echo and uppercase; options give them other addresses.
    """
    output = Output(as_json=as_json)
    rules = _Rules(relay_policy, take_self_options(more), explain)
    run(output, lambda: _hub(output, listen, record, rules, Services(**more)))


async def _hub(output: Output, listen: str, record: TextIO | None, rules: _Rules, services: Services) -> None:
    async with Node.create(tap=None if record is None else _recorder(record)) as node, AsyncExitStack() as stack:
        await stack.enter_async_context(explaining.explaining(node, output, wanted=rules.explain))
        observations = node.observe()
        me = await become(stack, node, rules.ourselves)
        authority = None if me.membership is None else me.membership.authority
        identity = me.identity
        listener = await node.tcp_listen(listen)
        channels = await node.create_secure_channel_listener(
            identity, services.channel_listener, consumer_of=(listener,), authority=authority
        )
        reachable = (listener, channels)
        await node.create_relay_service(
            services.forwarding_service,
            aliases=(services.static_forwarding_service,),
            consumer_of=reachable,
            relays_consumer_of=reachable,
            policy=rules.relay_policy or me.stored_policy(node, RELAYS),
            authority=authority,
        )
        await node.start_echo(services.echo, consumer_of=reachable)
        await node.start_uppercase(services.uppercase, consumer_of=reachable)
        output.ready(
            "hub",
            f"The hub listens at {listener.address}. It sees routes, sizes and times, never what is in a channel.",
            listen=listener.address,
            identifier=str(identity.identifier),
        )
        await print_observations(observations, output, links=True)


def _recorder(file: TextIO) -> Callable[[LinkId, bytes], None]:
    """Return what writes the first bytes that links bring, each read as one line."""
    left = MAX_RECORDED_BYTES

    def tap(link: LinkId, data: bytes) -> None:
        nonlocal left
        if left > 0:
            taken = data[:left]
            left -= len(taken)
            try:
                file.write(json.dumps({"link": link, "hex": taken.hex()}) + "\n")
                file.flush()
            except OSError as error:
                left = 0
                warn(f"--record: {error.strerror}; nothing more is recorded")

    return tap
