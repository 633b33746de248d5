"""An active attacker on a TCP hop tries every internal address: nothing is delivered, and every drop is counted.

The idea is that of the peer's program ``mitm_node``; here the addresses come from the node itself, so that none is
forgotten, and the attack is repeated before, during and after handshakes and the traffic of portals.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from ockam_ref.asyncio import InletSession, Node, OutletSession, Routed
from ockam_ref.registry import MACHINES
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.route import Route
from tests.asyncio.conftest import Target, connect, run, serve_echo, serving
from tests.robustness.attackers import MARK, Direction, Interceptor, Victim, frame, intercepted, stranger

__all__ = ["run"]

Run = Callable[[Coroutine[Any, Any, None]], None]

OPEN_AT_HUB = {local(name) for name in ("api", "echo", "forwarding_service", "static_forwarding_service")}
CHANNELS = ("secure channel initiator", "secure channel responder")


MACHINE_NAMES = [machine.name for machine in MACHINES.values()]
NOT_THERE = {  # they come with datagrams, punctures and typed hops; the vectors of flow controls decide about theirs
    "udp inlet",
    "udp inlet session",
    "udp outlet session",
    "udp source",
    "puncture initiator",
    "puncture responder",
    "steady link initiator",
    "steady link responder",
    "typed hop",
    "datagram connector",
}


class Hub:
    """A node that offers what hubs offer, and has more that is for nobody outside."""

    def __init__(self, node: Node, address: str, secrets: list[Routed]) -> None:
        self.victim = Victim(node)
        self.address = address
        self.secrets = secrets


@asynccontextmanager
async def hub() -> AsyncIterator[Hub]:
    secrets: list[Routed] = []

    async def secret(message: Routed) -> None:
        secrets.append(message)

    async with Node.create() as node, serving(serve_echo) as target:
        listener = await node.tcp_listen("127.0.0.1:0")
        channels = await node.create_secure_channel_listener(node.create_identity(), "api", consumer_of=(listener,))
        await node.create_relay_service(consumer_of=(listener,), relays_consumer_of=(listener,))
        await node.start_echo(consumer_of=(listener,))
        await node.start_uppercase(consumer_of=(channels,))
        await node.start_hop()
        await node.start_worker("secret", secret)
        await node.create_outlet("outlet", target.address, consumer_of=(channels,))
        await node.create_udp_outlet("udp-outlet", "127.0.0.1:1", consumer_of=(channels,))
        await node.create_inlet("127.0.0.1:0", ("outlet",))
        await node.allow_onward("tcp", channels, target.address)  # a connector, for those in channels only
        await node.start_puncture_listener(rendezvous="127.0.0.1:1", consumer_of=(channels,))
        await node.steady_listen(consumer_of=(channels,))
        await node.start_rendezvous("127.0.0.1:0")
        await node.udp_bind()
        yield Hub(node, listener.address, secrets)
        assert not secrets
        assert target.accepted == 0


@pytest.mark.spec("RT-30", "LINK-33")
def test_a_stranger_reaches_nothing_but_what_the_hub_offers(run: Run) -> None:
    async def main() -> None:
        async with hub() as at, stranger(at.address) as attacker:
            refused = await at.victim.attacked(attacker.write, OPEN_AT_HUB)
            assert refused["outgoing:flow-control"] > refused["unknown-address"] > 0
            counted = at.victim.core.drop_counts
            assert counted["outgoing:flow-control"] == refused["outgoing:flow-control"]

    run(main())


# ---- a portal through the hub, with an attacker everywhere


def to_bob(hub: Victim) -> Address:
    """Return the hub's end of Bob's link: a relay opens it to those who use the relay, for the way back leads there."""
    (relay,) = hub.entrances("relay")
    state: Any = hub.core.state_of(relay)
    (hop, *_) = state.route
    assert isinstance(hop, Address)
    return hop


class Scene:
    """Bob's outlet behind a hub, Alice's inlet, an attacker on Alice's link, and one who is a stranger to all."""

    def __init__(self, at: Hub, target: Target, middle: Interceptor, attacker: asyncio.StreamWriter) -> None:
        self.at, self.target, self.middle, self.attacker = at, target, middle, attacker
        self.alice, self.bob = Victim(Node.create()), Victim(Node.create())

    @property
    def relays(self) -> Route:
        """The way to Bob."""
        return tuple(self.at.victim.entrances("relay"))

    def kinds(self) -> set[str]:
        """Return the kinds of workers that were attacked."""
        return self.at.victim.kinds() | self.bob.kinds() | self.alice.kinds()

    async def attack_all(self) -> int:
        """Try every address of the three nodes, by each way that the attackers have."""
        hub, alice, bob = self.at.victim, self.alice, self.bob
        open_at_hub = OPEN_AT_HUB | set(self.relays) | {to_bob(hub)}
        open_at_bob = {local("api")} | bob.entrances("remote relay", *CHANNELS)
        refused = await hub.attacked(self.attacker.write, open_at_hub)
        refused += await hub.attacked(self.middle.inject(Direction.TO_HUB), open_at_hub)
        refused += await bob.attacked(self.attacker.write, open_at_bob, before=self.relays)
        refused += await bob.attacked(self.middle.inject(Direction.TO_HUB), open_at_bob, before=self.relays)
        refused += await bob.attacked(self.middle.inject(Direction.TO_HUB), open_at_bob, before=(to_bob(hub),))
        refused += await alice.attacked(self.middle.inject(Direction.TO_NODE), alice.entrances(*CHANNELS))
        return refused.total()

    def was_delivered(self) -> bool:
        """Whether anything that the attackers wrote came out of a channel anywhere, or to a portal's connection."""
        portals = ("inlet connection", "outlet connection", "outlet", "udp outlet", "application worker")
        return any(
            MARK in bytes(one.message.payload) and one.destination in victim.entrances(*portals)
            for victim in (self.at.victim, self.alice, self.bob)
            for one in victim.queue.deliveries
        )


@asynccontextmanager
async def scene() -> AsyncIterator[tuple[Scene, OutletSession]]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        at, target = await enter(hub()), await enter(serving(serve_echo))
        middle, attacker = await enter(intercepted(at.address)), await enter(stranger(at.address))
        it = Scene(at, target, middle, attacker)
        await enter(it.alice.node)
        bob = await enter(it.bob.node)
        identity = bob.create_identity()
        session = await enter(OutletSession(bob, target.address, hub=at.address, identity=identity, relay="bob"))
        yield it, session


async def talk(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], text: bytes) -> None:
    reader, writer = client
    writer.write(text)
    _, answer = await asyncio.gather(writer.drain(), reader.readexactly(len(text)))
    assert answer == text


@pytest.mark.spec("RL-12", "LINK-33", "CH-28")
def test_attackers_on_every_hop_before_during_and_after_a_portal(run: Run) -> None:
    async def main() -> None:
        async with scene() as (it, outlet), AsyncExitStack() as stack:
            tries = 0
            node = it.alice.node
            way: dict[str, Any] = {"via": it.middle.address, "forwarding_address": outlet.forwarding_address}
            it.middle.gates[Direction.TO_NODE].clear()  # Alice's handshake waits for Bob's answer
            await it.bob.attacked(
                it.attacker.write, {local("api"), *it.bob.entrances("remote relay")}, before=it.relays
            )
            session = InletSession(node, "127.0.0.1:0", identity=node.create_identity(), **way)
            opening = asyncio.ensure_future(stack.enter_async_context(session))
            await it.middle.held[Direction.TO_NODE].wait()
            tries += await it.attack_all()
            assert not opening.done()
            it.middle.gates[Direction.TO_NODE].set()
            await opening
            tries += await it.attack_all()
            client = await connect(session.address)
            await talk(client, b"before")
            tries += await it.attack_all()
            talking = asyncio.ensure_future(talk(client, bytes(8 * 1024 * 1024)))
            tries += await it.attack_all()
            await talking
            assert set(MACHINE_NAMES) - it.kinds() == NOT_THERE
            client[1].close()
            assert not it.was_delivered()
            assert it.target.accepted == 1
            print(f"{tries} messages to internal addresses, none delivered")

    run(main())


@pytest.mark.spec("CH-13")
def test_what_may_be_reached_takes_no_harm(run: Run) -> None:
    """Garbage for the outer ends of open channels: it is no packet of the other end, and the channel goes on."""

    async def main() -> None:
        async with scene() as (it, outlet):
            node = it.alice.node
            way: dict[str, Any] = {"via": it.middle.address, "forwarding_address": outlet.forwarding_address}
            async with InletSession(node, "127.0.0.1:0", identity=node.create_identity(), **way) as session:
                client = await connect(session.address)
                await talk(client, b"before")
                for number in range(50):
                    packet = number.to_bytes(8, "big") + MARK
                    for end in it.bob.entrances(*CHANNELS):
                        it.attacker.write(frame(*it.relays, end, payload=packet, way_back=(local("app"),)))
                    for end in it.alice.entrances(*CHANNELS):
                        it.middle.inject(Direction.TO_NODE)(frame(end, payload=packet, way_back=(local("app"),)))
                await talk(client, b"after")
                client[1].close()
                assert it.target.accepted == 1
                assert not it.was_delivered()

    run(main())


def test_the_record_sees_what_is_delivered(run: Run) -> None:
    """The attack is one that could succeed: where an address is reachable, the same messages arrive."""

    async def main() -> None:
        async with hub() as at, stranger(at.address) as attacker:
            with pytest.raises(AssertionError, match="nobody refused 8 to 0#echo \\(echo, 0\\)"):
                await at.victim.attacked(attacker.write, OPEN_AT_HUB - {Address(0, b"echo")}, within_s=0.5)

    run(main())
