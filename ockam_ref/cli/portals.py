"""What the commands at the two ends of a portal share, whether it carries streams or datagrams."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import click

from ockam_ref.asyncio import InletSession, Node, OutletSession
from ockam_ref.asyncio.admitting import OPEN_TO_ALL
from ockam_ref.asyncio.carried import Carried
from ockam_ref.channels.trust import TRUST_EVERYONE
from ockam_ref.cli import explaining, parameters
from ockam_ref.cli.events import name, print_observations, print_way
from ockam_ref.cli.ourselves import SelfOptions, allow, become, self_options, take_self_options
from ockam_ref.cli.output import Output, warn
from ockam_ref.cli.parameters import ADDRESS, HOST_PORT, IDENTIFIER, NO_CHANNEL_WARNING, RELAY_NAME
from ockam_ref.cli.running import advising, no_node_advice, run
from ockam_ref.errors import ErrorCode
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.portals.udp_session import IDLE_S
from ockam_ref.wire.address import Address, local

Command = TypeVar("Command", bound=Callable[..., Any])

idle_timeout: Final = click.option(
    "--idle-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=IDLE_S,
    metavar="SECONDS",
    show_default=True,
    help="Forget a source through which nothing came for so long.",
)


rendezvous: Final = click.option(
    "--rendezvous",
    type=HOST_PORT,
    help="Go directly over UDP, past the hub, while that is possible; this service tells us our public address.",
)


HUB_CHANNELS: Final = local("api")
"""Where a hub answers handshakes, unless it was told otherwise."""


class PortalKind(NamedTuple):
    """What the commands call this end, and how to make what its portal carries."""

    role: str
    carrying: Callable[[], Carried]


def _check_channel(no_channel: bool, allowed: Policy | None, ourselves: SelfOptions) -> None:  # noqa: FBT001
    if no_channel and (allowed is not None or ourselves != SelfOptions()):
        message = (
            "without a channel nobody proves who they are: --allow, --identity, --ephemeral and --authority cannot be "
            "had with --no-channel"
        )
        raise click.UsageError(message)


# ---- outlets


@dataclass(frozen=True, slots=True)
class OutletOptions:
    """The options of an outlet's command."""

    target: str
    hub: str | None
    relay: str | None
    listen: str | None
    rendezvous: str | None
    no_channel: bool
    outlet_address: Address
    channel_listener: Address
    static_forwarding_service: Address
    hub_channel: bool
    allow: Policy | None
    ourselves: SelfOptions
    explain: bool


def outlet_options(command: Command) -> Command:
    """Give a command the options of an outlet."""
    for option in reversed(
        (
            click.argument("target", type=HOST_PORT, metavar="TARGET"),
            click.option("--hub", type=HOST_PORT, help="Connect out to this hub and be reachable there."),
            click.option(
                "--relay",
                type=RELAY_NAME,
                help="The name on the hub; without it a random one, kept over reconnects.",
            ),
            click.option(
                "--hub-channel",
                is_flag=True,
                help="Register the name through a secure channel with the hub, where it then belongs to our identity; "
                "always so with --authority.",
            ),
            click.option("--listen", type=HOST_PORT, help="Be reachable directly, without a hub (port 0: any)."),
            rendezvous,
            allow,
            self_options,
            parameters.no_channel,
            parameters.outlet_address,
            parameters.channel_listener,
            parameters.static_forwarding_service,
            explaining.option,
        )
    ):
        command = option(command)
    return command


def run_outlet(output: Output, kind: PortalKind, given: dict[str, Any]) -> None:
    """Check what belongs together and run the outlet until it is told to end."""
    ourselves = take_self_options(given)
    options = OutletOptions(**given, ourselves=ourselves)
    _check_channel(options.no_channel, options.allow, ourselves)
    if (options.hub is None) == (options.listen is None):
        message = "give either --hub HOST:PORT (connect out to a hub) or --listen HOST:PORT (be reachable directly)"
        raise click.UsageError(message)
    if options.relay is not None and options.hub is None:
        message = "--relay names the place on a hub: it needs --hub"
        raise click.UsageError(message)
    if options.hub_channel and (options.no_channel or options.hub is None):
        message = "--hub-channel makes a name ours on a hub: it needs --hub, without --no-channel"
        raise click.UsageError(message)
    if options.rendezvous is not None and (options.no_channel or options.hub is None):
        message = "--rendezvous lets inlets past the hub, under a secure channel: it needs --hub, without --no-channel"
        raise click.UsageError(message)
    if options.no_channel:
        warn(NO_CHANNEL_WARNING)
    hub, listen = options.hub, options.listen
    if hub is not None:
        run(output, lambda: _through_hub(output, kind, options, hub))
    elif listen is not None:
        run(output, lambda: _listening(output, kind, options, listen))


async def _through_hub(output: Output, kind: PortalKind, options: OutletOptions, hub: str) -> None:
    advice = {
        ErrorCode.LINK_FAILED: no_node_advice(hub, is_hub=True),
        ErrorCode.TIMEOUT: "Is it a hub that listens there?",
        ErrorCode.REFUSED: "Is it a hub? Where one asks who we are, --hub-channel or --authority answers",
    }
    async with Node.create() as node, AsyncExitStack() as stack:
        await stack.enter_async_context(explaining.explaining(node, output, wanted=options.explain))
        observations = node.observe()
        identity, access, hub_channel, allowed = None, OPEN_TO_ALL, None, None
        if not options.no_channel:
            me = await become(stack, node, options.ourselves)
            identity, access = me.identity, me.access(node, options.allow, _outlet_resource(options))
            allowed = me.describe(node, access)
            hub_channel = HUB_CHANNELS if options.hub_channel or me.membership is not None else None
        session = OutletSession(
            node,
            options.target,
            hub=hub,
            identity=identity,
            relay=options.relay,
            relay_service=options.static_forwarding_service,
            outlet=options.outlet_address,
            channel_listener=options.channel_listener,
            rendezvous=options.rendezvous,
            carries=kind.carrying(),
            access=access,
            hub_channel=hub_channel,
        )
        with advising(advice):
            await stack.enter_async_context(session)
        where = name(session.forwarding_address)
        sentence = f"{options.target} can be reached through {hub}.\nForwarding address: {where}"
        _outlet_ready(
            output, kind, sentence, identity, allowed, forwarding_address=where, target=options.target, hub=hub
        )
        await asyncio.gather(
            print_observations(observations, output, links=False), print_way(session.events(), output, hub)
        )


async def _listening(output: Output, kind: PortalKind, options: OutletOptions, listen: str) -> None:
    target, address = options.target, options.outlet_address
    carries = kind.carrying()
    async with Node.create() as node, AsyncExitStack() as stack:
        await stack.enter_async_context(explaining.explaining(node, output, wanted=options.explain))
        observations = node.observe()
        identity, allowed = None, None
        if options.no_channel:
            listener = await node.tcp_listen(listen)
            await carries.open_outlet(node, address, target, (listener,))
        else:
            me = await become(stack, node, options.ourselves)
            identity, access = me.identity, me.access(node, options.allow, _outlet_resource(options))
            allowed = me.describe(node, access)
            listener = await node.tcp_listen(listen)
            channels = await node.create_secure_channel_listener(
                identity,
                options.channel_listener,
                consumer_of=(listener,),
                authority=access.authority,
                credential=access.credential,
            )
            await carries.open_outlet(node, address, target, (channels,), access)
        sentence = f"{target} can be reached through {listener.address}."
        _outlet_ready(output, kind, sentence, identity, allowed, listen=listener.address, target=target)
        await print_observations(observations, output, links=True)


def _outlet_resource(options: OutletOptions) -> Resource:
    return Resource(name(options.outlet_address), ResourceType.TCP_OUTLET)


def _outlet_ready(
    output: Output,
    kind: PortalKind,
    sentence: str,
    identity: LocalIdentity | None,
    allowed: str | None,
    *,
    target: str,
    listen: str | None = None,
    forwarding_address: str | None = None,
    hub: str | None = None,
) -> None:
    identifier = None if identity is None else str(identity.identifier)
    if identifier is not None:
        sentence += f"\nIdentifier:         {identifier}\nOpen to:            {allowed}"
    output.ready(
        kind.role,
        sentence,
        listen=listen,
        forwarding_address=forwarding_address,
        identifier=identifier,
        target=target,
        hub=hub,
        allowed=allowed,
    )


# ---- inlets


@dataclass(frozen=True, slots=True)
class InletOptions:
    """The options of an inlet's command."""

    listen: str
    forwarding_address: Address | None
    hub: str | None
    node: str | None
    expect: Identifier | None
    rendezvous: str | None
    no_channel: bool
    outlet_address: Address
    channel_listener: Address
    allow: Policy | None
    ourselves: SelfOptions
    explain: bool


def inlet_options(command: Command) -> Command:
    """Give a command the options of an inlet."""
    for option in reversed(
        (
            click.argument("listen", type=HOST_PORT, metavar="LISTEN"),
            click.argument("forwarding_address", type=ADDRESS, required=False),
            click.option("--hub", type=HOST_PORT, help="The hub at which the outlet has its forwarding address."),
            click.option("--node", type=HOST_PORT, help="The outlet's own listener, without a hub."),
            click.option("--expect", type=IDENTIFIER, help="Refuse every outlet but the one with this identifier."),
            rendezvous,
            allow,
            self_options,
            parameters.no_channel,
            parameters.outlet_address,
            parameters.channel_listener,
            explaining.option,
        )
    ):
        command = option(command)
    return command


def run_inlet(output: Output, kind: PortalKind, given: dict[str, Any]) -> None:
    """Check what belongs together and run the inlet until it is told to end."""
    ourselves = take_self_options(given)
    options = InletOptions(**given, ourselves=ourselves)
    _check_channel(options.no_channel, options.allow, ourselves)
    hub, node = options.hub, options.node
    via = hub if node is None else node
    if via is None or (hub is not None and node is not None):
        message = "give either --hub HOST:PORT and the FORWARDING_ADDRESS that the outlet printed, or --node HOST:PORT"
        raise click.UsageError(message)
    if (hub is None) != (options.forwarding_address is None):
        message = "a hub and a FORWARDING_ADDRESS belong together; with --node there is none"
        raise click.UsageError(message)
    if options.no_channel and options.expect is not None:
        message = "without a channel nobody proves who they are: --expect cannot be had with --no-channel"
        raise click.UsageError(message)
    if options.rendezvous is not None and (options.no_channel or hub is None):
        message = "--rendezvous finds a way past a hub, under a secure channel: it needs --hub, without --no-channel"
        raise click.UsageError(message)
    if options.no_channel:
        warn(NO_CHANNEL_WARNING)
    run(output, lambda: _inlet(output, kind, options, via))


async def _inlet(output: Output, kind: PortalKind, options: InletOptions, via: str) -> None:
    forwarding_address, expect = options.forwarding_address, options.expect
    advice = {
        ErrorCode.LINK_FAILED: no_node_advice(via, is_hub=forwarding_address is not None),
        ErrorCode.TIMEOUT: f"Is the outlet running? {_whereabouts(forwarding_address)}",
        ErrorCode.REFUSED: "If that is the outlet that you want, give its identifier with --expect; if not, somebody "
        "else has its place",
    }
    async with Node.create() as node, AsyncExitStack() as stack:
        await stack.enter_async_context(explaining.explaining(node, output, wanted=options.explain))
        observations = node.observe()
        identity, access = None, OPEN_TO_ALL
        if not options.no_channel:
            me = await become(stack, node, options.ourselves)
            resource = Resource("inlet", ResourceType.TCP_INLET)
            identity = me.identity
            access = me.access(node, options.allow, resource, members_only=expect is None)
        session = InletSession(
            node,
            options.listen,
            via=via,
            forwarding_address=forwarding_address,
            identity=identity,
            trust=TRUST_EVERYONE if expect is None else expect,
            outlet=options.outlet_address,
            channel_listener=options.channel_listener,
            rendezvous=options.rendezvous,
            carries=kind.carrying(),
            access=access,
        )
        with advising(advice):
            await stack.enter_async_context(session)
        peer = None if session.peer is None else str(session.peer)
        sentence = f"{session.address} leads to the outlet behind {via}."
        if peer is not None:
            sentence += f"\nThe outlet is {peer}" + ("." if expect else "; nobody asked for it (see --expect).")
        identifier = None if identity is None else str(identity.identifier)
        output.ready(kind.role, sentence, listen=session.address, identifier=identifier, via=via, peer=peer)
        await asyncio.gather(
            print_observations(observations, output, links=False), print_way(session.events(), output, via)
        )


def _whereabouts(forwarding_address: Address | None) -> str:
    if forwarding_address is None:
        return "Is it a node with a secure channel listener?"
    return f"Is {name(forwarding_address)} the forwarding address that it printed?"
