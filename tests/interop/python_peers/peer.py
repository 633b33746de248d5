"""What the command line of ``ockam_ref`` has no command for, with the options and reports of the Rust ``ockam-peer``.

``python -m tests.interop.python_peers.peer COMMAND``: ``node``, ``hub``, ``outlet``, ``inlet``, ``middle``, ``udp-node``,
``udp-middle``, ``rendezvous`` and ``puncture-node`` print a ``ready`` event and serve until SIGTERM or until standard
input ends; ``echo`` and ``udp-echo`` print ``done`` and end.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from ockam_ref.asyncio import Node, NodeConnection, NodeListener, Routed, SecureChannel, UdpBind
from ockam_ref.asyncio.hops import Flow, Hop
from ockam_ref.errors import OckamError
from ockam_ref.wire.address import UDP
from tests.interop.python_peers.member import Member, Options, add_options, open_member

_STDIN: Final = 0
OUTLET: Final = "outlet"
RESPONDER: Final = "forward_to_responder"
_LETTERS: Final = bytes(ord("a") + byte % 26 for byte in range(256))


Command: TypeAlias = Callable[[Node, Options], Awaitable[None]]


def main_of(parser: argparse.ArgumentParser, commands: Mapping[str, Command]) -> None:
    """Run the command that the arguments name within a node."""
    options = parser.parse_args()
    try:
        asyncio.run(run(commands[options.command], options))
    except OckamError as error:
        report("error", message=str(error))
        sys.exit(1)


async def run(command: Command, options: Options) -> None:
    """Run one command."""
    async with Node.create() as node:
        await command(node, options)


async def until_ended() -> None:
    """Return when the process is told to end, by SIGTERM or by the end of its standard input."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_reader(_STDIN, end_with_input, ended)
    await ended.wait()
    loop.remove_reader(_STDIN)


def end_with_input(ended: asyncio.Event) -> None:
    """Read standard input; at its end whoever started this process is gone."""
    if not os.read(_STDIN, 1):
        ended.set()


async def serve_node(node: Node, options: Options) -> None:
    """Listen, with everything a responder may need."""
    listener = await node.tcp_listen(options.listen)
    member = open_member(node, options)
    channels = await member.accept_channels(listener)
    await member.start_workers(listener, channels)
    if options.outlet is not None:
        flows: list[Flow] = [channels, listener] if options.no_channel else [channels]
        await create_outlet(member, options.outlet, flows, options)
    report("ready", listen=listener.address, identifier=str(member.identity.identifier))
    await until_ended()


async def serve_hub(node: Node, options: Options) -> None:
    """Listen, with a relay service; with an authority, relays need credentials."""
    listener = await node.tcp_listen(options.listen)
    member = open_member(node, options)
    channels = await member.accept_channels(listener)
    flows: list[Flow] = [listener, channels]
    await node.create_relay_service(consumer_of=flows, relays_consumer_of=flows, authority=member.authority)
    report("ready", listen=listener.address, identifier=str(member.identity.identifier))
    await until_ended()


async def serve_outlet(node: Node, options: Options) -> None:
    """Register an outlet with a hub."""
    hub: NodeConnection | SecureChannel = await node.tcp_connect(options.hub)
    member = open_member(node, options)
    if options.hub_channel:
        hub = await member.open_channel((hub,), options)
    channels = await member.accept_channels(hub)
    await member.start_workers(hub, channels)
    await create_outlet(member, options.target, [channels, hub] if options.no_channel else [channels], options)
    relay = await node.create_relay(hub, name=options.relay)
    report("ready", identifier=str(member.identity.identifier), forwarding_address=str(relay.remote_address))
    await until_ended()


async def create_outlet(member: Member, target: str, flows: Iterable[Flow], options: Options) -> None:
    """Start the outlet."""
    await member.node.create_outlet(
        OUTLET,
        target,
        consumer_of=flows,
        skip_handshake=options.skip_handshake,
        incoming=member.incoming,
        outgoing=member.outgoing,
    )


async def serve_inlet(node: Node, options: Options) -> None:
    """Open a port that leads to an outlet."""
    way, member = await connect(node, options), open_member(node, options)
    if not options.no_channel:
        way = (await member.open_channel(way, options),)
    inlet = await node.create_inlet(
        options.listen,
        (*way, OUTLET),
        skip_handshake=options.skip_handshake,
        incoming=member.incoming,
        outgoing=member.outgoing,
    )
    report("ready", listen=inlet.address)
    await until_ended()


async def serve_middle(node: Node, options: Options) -> None:
    """Pass messages for one worker on to the responder, whose answers do not pass through that worker."""
    responder = await node.tcp_connect(options.connect)
    listener = await node.tcp_listen(options.listen)

    async def forwarder(message: Routed) -> None:
        await message.forward((responder, *message.onward_route[1:]), open_flow_controls=True)

    await node.start_worker(RESPONDER, forwarder, consumer_of=[listener])
    report("ready", listen=listener.address)
    await until_ended()


async def serve_udp_node(node: Node, options: Options) -> None:
    """Serve over UDP what ``node`` serves over TCP."""
    bind = await node.udp_bind(options.bind)
    member = open_member(node, options)
    channels = await member.accept_channels(bind)
    await member.start_workers(bind, channels)
    report("ready", listen=bind.address, identifier=str(member.identity.identifier))
    await until_ended()


async def serve_udp_middle(node: Node, options: Options) -> None:
    """Pass messages on from TCP to UDP or from UDP to TCP."""
    onward: tuple[Hop, ...]
    source: NodeListener | UdpBind
    if options.udp:
        source = await node.tcp_listen(options.listen)
        onward = (await node.udp_bind(), f"2#{options.udp}")
    else:
        source = await node.udp_bind(options.bind)
        onward = (await node.tcp_connect(options.connect),)

    async def forwarder(message: Routed) -> None:
        await message.forward((*onward, *message.onward_route[1:]), open_flow_controls=True)

    await node.start_worker(RESPONDER, forwarder, consumer_of=[source])
    report("ready", listen=source.address)
    await until_ended()


async def serve_rendezvous(node: Node, options: Options) -> None:
    """Tell nodes their public addresses."""
    service = await node.start_rendezvous(options.bind)
    report("ready", listen=service.address)
    await until_ended()


async def serve_puncture_node(node: Node, options: Options) -> None:
    """Let others who connect over TCP or come through a hub puncture, and serve them over that."""
    way: Flow
    if options.hub:
        way = hub = await node.tcp_connect(options.hub)
        relay = await node.create_relay(hub)
        found = {"forwarding_address": str(relay.remote_address)}
    else:
        way = listener = await node.tcp_listen(options.listen)
        found = {"listen": listener.address}
    punctures = await node.start_puncture_listener(rendezvous=options.rendezvous, consumer_of=(way,))
    member = open_member(node, options)
    channels = await member.accept_channels(punctures)
    await member.start_workers(punctures, channels)
    report("ready", identifier=str(member.identity.identifier), **found)
    await until_ended()


async def udp_echo(node: Node, options: Options) -> None:
    """Send one message over UDP; report how many replies came."""
    bind = await node.udp_bind("0.0.0.0:0")
    replies = 0
    with suppress(OckamError):
        await node.send_and_receive((bind, (UDP, options.to), "echo"), b"hello", timeout=options.timeout)
        replies = 1
    report("done", replies=replies)


async def echo(node: Node, options: Options) -> None:
    """Send messages one after the other and compare every reply."""
    way = await connect(node, options)
    peer = None
    if options.rendezvous:
        puncture = await node.puncture((*way, "udp"), rendezvous=options.rendezvous)
        await puncture.wait_open()
        await asyncio.sleep(options.idle)
        way, peer = (puncture,), puncture.peer
    if options.channel:
        way = (await open_member(node, options).open_channel(way, options),)
    await echo_texts(node, way, options)
    generator = random.Random(options.bytes)
    sent = 0
    while sent < options.bytes:
        data = generator.randbytes(min(options.chunk, options.bytes - sent))
        if options.worker == "echo":
            text = data.translate(_LETTERS).decode()
            same = (await node.send_and_receive((*way, "echo"), text)).body(str) == text
        else:
            same = (await node.send_and_receive((*way, options.worker), data)).body(bytes) == data
        if not same:
            report("error", message=f"the reply to bytes {sent} to {sent + len(data)} of the transfer is wrong")
            sys.exit(1)
        sent += len(data)
    report("done", bytes=sent, peer=peer)


async def echo_texts(node: Node, way: tuple[Hop, ...], options: Options) -> None:
    """Send the text that the options name, once or, after a pause, twice."""
    if options.text is None:
        return
    pauses = (0.0,) if options.again_after is None else (0.0, options.again_after)
    for pause in pauses:
        await asyncio.sleep(pause)
        reply = await node.send_and_receive((*way, "echo"), options.text, timeout=options.timeout)
        if reply.body(str) != options.text:
            report("error", message="the reply to a text is another text")
            sys.exit(1)


async def connect(node: Node, options: Options) -> tuple[Hop, ...]:
    """Return the route that leads to the workers of the other node."""
    if options.udp:
        bind = await node.udp_bind(peer=options.udp if options.fixed_peer else None)
        way: tuple[Hop, ...] = (bind,) if options.fixed_peer else (bind, f"2#{options.udp}")
        return (*way, options.hop) if options.hop else way
    connection: NodeConnection = await node.tcp_connect(options.node or options.hub or options.via)
    hop = options.forwarding_address or options.hop
    return (connection, hop) if hop else (connection,)


COMMANDS: Final[Mapping[str, Command]] = {
    "node": serve_node,
    "hub": serve_hub,
    "outlet": serve_outlet,
    "inlet": serve_inlet,
    "middle": serve_middle,
    "udp-node": serve_udp_node,
    "udp-middle": serve_udp_middle,
    "rendezvous": serve_rendezvous,
    "puncture-node": serve_puncture_node,
    "udp-echo": udp_echo,
    "echo": echo,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    whole = argparse.ArgumentParser()
    commands = whole.add_subparsers(dest="command", required=True)
    found = {name: commands.add_parser(name) for name in COMMANDS}
    for name in ("node", "hub", "inlet", "middle"):
        found[name].add_argument("--listen", required=True)
    for name in ("node", "outlet", "inlet"):
        found[name].add_argument("--no-channel", action="store_true")
        found[name].add_argument("--skip-handshake", action="store_true")
    for name in ("inlet", "echo"):
        for option in ("--node", "--hub", "--forwarding-address", "--via", "--hop", "--udp", "--expect"):
            found[name].add_argument(option)
        found[name].add_argument("--fixed-peer", action="store_true")
    found["udp-node"].add_argument("--bind", required=True)
    for option in ("--listen", "--udp", "--bind", "--connect"):
        found["udp-middle"].add_argument(option)
    found["node"].add_argument("--outlet")
    found["middle"].add_argument("--connect", required=True)
    found["outlet"].add_argument("--target", required=True)
    found["outlet"].add_argument("--hub", required=True)
    found["outlet"].add_argument("--relay")
    found["outlet"].add_argument("--expect")
    found["outlet"].add_argument("--hub-channel", action="store_true")
    found["rendezvous"].add_argument("--bind", required=True)
    found["udp-echo"].add_argument("--to", required=True)
    found["udp-echo"].add_argument("--timeout", type=float, required=True)
    for name in ("outlet", "inlet", "echo"):
        found[name].add_argument("--timeout", type=float, default=30.0)
    for name in ("node", "hub", "outlet", "inlet", "udp-node", "puncture-node", "echo"):
        add_options(found[name])
    found["echo"].add_argument("--text")
    found["echo"].add_argument("--again-after", type=float)
    found["puncture-node"].add_argument("--rendezvous", required=True)
    found["puncture-node"].add_argument("--listen")
    found["puncture-node"].add_argument("--hub")
    found["echo"].add_argument("--rendezvous")
    found["echo"].add_argument("--idle", type=float, default=0.0)
    found["echo"].add_argument("--channel", action="store_true")
    found["echo"].add_argument("--worker", choices=["echo", "echo_bytes"], default="echo")
    found["echo"].add_argument("--bytes", type=int, default=0)
    found["echo"].add_argument("--chunk", type=int, default=1024)
    return whole


def report(event: str, **fields: object) -> None:
    """Print one event."""
    with suppress(BrokenPipeError):
        print(json.dumps({"event": event, **fields}), flush=True)


if __name__ == "__main__":
    main_of(parser(), COMMANDS)
