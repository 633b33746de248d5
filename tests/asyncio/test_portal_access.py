"""Members, a hub that has rules, and thieves: portals between real nodes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from time import time
from typing import Any

import pytest

from ockam_ref.asyncio import Access, Datagrams, InletSession, Node, OutletSession, WayMoved
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.observations import ConnectionClosed, RelayRemoved
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.resources import Resource, ResourceType
from tests.asyncio.conftest import connect, exchange, serve_echo, serving
from tests.unit.identities.credentials_for_tests import Issuer

Run = Callable[[Coroutine[Any, Any, None]], None]
AUTHORITY = Issuer("portal authority")
VOUCHES = Identifier(AUTHORITY.identifier)
READERS = parse_policy("role=reader")


def credential(identity: LocalIdentity, *, lives: int = 3600, **attributes: str) -> bytes:
    now = int(time())
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return AUTHORITY.vouch(identity.identifier, created_at=now, expires_at=now + lives, **named)


class Team:
    """A hub that believes the authority, and nodes that know it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def node(self) -> Node:
        node = await self._stack.enter_async_context(Node.create())
        node.learn_identity(AUTHORITY.identity.history.encoded)
        return node

    async def open_hub(self) -> None:
        self.hub = await self.node()
        listener = await self.hub.tcp_listen("127.0.0.1:0")
        channels = await self.hub.create_secure_channel_listener(
            self.hub.create_identity(), "api", consumer_of=(listener,), authority=VOUCHES
        )
        reachable = (listener, channels)
        await self.hub.create_relay_service(consumer_of=reachable, relays_consumer_of=reachable, authority=VOUCHES)
        self.address = listener.address

    async def outlet(self, target: str, *, name: str = "db", own: bytes | None = None, **more: Any) -> OutletSession:
        node = await self.node()
        identity = node.create_identity()
        shown = credential(identity, ockam_relay=name) if own is None else own
        access = Access(more.pop("policy", READERS), VOUCHES, shown or None)
        session = OutletSession(
            node, target, hub=self.address, identity=identity, relay=name, access=access, hub_channel="api", **more
        )
        session.node, session.identity = node, identity  # type: ignore[attr-defined]
        return await self._stack.enter_async_context(session)

    async def inlet(self, *, lives: int = 3600, role: str | None = "reader", **more: Any) -> InletSession:
        node = await self.node()
        identity = node.create_identity()
        shown = None if role is None else credential(identity, lives=lives, role=role)
        session = InletSession(
            node,
            "127.0.0.1:0",
            via=self.address,
            forwarding_address="forward_to_db",
            identity=identity,
            access=Access(None, VOUCHES, shown)._replace(policy=more.pop("policy", parse_policy("ockam-relay=db"))),
            pong_timeout_s=0.3,
            **more,
        )
        session.node, session.identity = node, identity  # type: ignore[attr-defined]
        return await self._stack.enter_async_context(session)


@asynccontextmanager
async def team() -> AsyncIterator[Team]:
    async with AsyncExitStack() as stack:
        it = Team(stack)
        await it.open_hub()
        yield it


async def is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(-1) == b""
    except ConnectionResetError:
        return True


async def until(node: Node, kind: type, *, act: Callable[[], None]) -> Any:
    observations = node.observe()
    act()
    while not isinstance(seen := await anext(observations), kind):
        pass
    return seen


@pytest.mark.spec("PT-40", "RL-15")
def test_members_meet_on_a_hub(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            await it.outlet(target.address)
            inlet = await it.inlet()
            assert await exchange(inlet.address, b"x" * 3_000_000) == b"x" * 3_000_000

    run(main())


@pytest.mark.spec("PT-42")
@pytest.mark.parametrize("role", [None, "guest"])
def test_who_is_no_reader_reaches_nothing(run: Run, role: str | None) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            await it.outlet(target.address)
            inlet = await it.inlet(role=role)
            assert await exchange(inlet.address, b"let me in") == b""
            assert target.accepted == 0

    run(main())


@pytest.mark.spec("PT-42")
def test_an_inlet_speaks_with_no_stranger(run: Run) -> None:
    """The name on the hub is right; who answers is somebody else."""

    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            await it.outlet(target.address)
            inlet = await it.inlet(policy=parse_policy("ockam-relay=other"))
            assert await exchange(inlet.address, b"my secret") == b""
            assert target.accepted == 0

    run(main())


@pytest.mark.spec("RL-5", "RL-15", "RL-18")
def test_nobody_squats_or_steals_a_name(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            stranger = await it.node()
            me = stranger.create_identity()
            for shown, why in (
                (b"", "the rules of this hub"),
                (credential(me, ockam_relay="mine"), "the rules of this"),
            ):
                with pytest.raises(OckamError, match=why) as caught:
                    await it.outlet(target.address, own=shown)
                assert caught.value.code is ErrorCode.REFUSED
            await it.outlet(target.address)
            with pytest.raises(OckamError, match="the name belongs to another identity"):
                await it.outlet(target.address)  # vouched for the same name: who came first has it
            plain = OutletSession(stranger, target.address, hub=it.address, identity=me, relay="db")
            with pytest.raises(OckamError, match="the rules of this hub"):
                await plain.__aenter__()
            inlet = await it.inlet()
            assert await exchange(inlet.address, b"still his") == b"still his"

    run(main())


@pytest.mark.spec("PT-41", "PT-42")
@pytest.mark.parametrize("how", ["revoked", "expired", "another policy"])
def test_a_member_no_longer_loses_what_is_open(run: Run, how: str) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            outlet = await it.outlet(target.address, policy=Resource("outlet", ResourceType.TCP_OUTLET))
            node: Node = outlet.node  # type: ignore[attr-defined]
            node.policies.set_for_resource("outlet", READERS)
            inlet = await it.inlet(lives=2 if how == "expired" else 3600)
            reader, writer = await connect(inlet.address)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"

            def act() -> None:
                if how == "revoked":
                    subject = inlet.identity.identifier.value  # type: ignore[attr-defined]
                    node.attributes.revoke(subject, AUTHORITY.identifier, int(time()))
                elif how == "another policy":
                    node.policies.set_for_resource("outlet", parse_policy("role=writer"))
                node.recheck()

            async with asyncio.timeout(5):
                closed = await until(node, ConnectionClosed, act=act)
                assert closed.reason == "the peer may not pass any more (policy)"
                assert await is_cut(reader)
            writer.close()
            assert await exchange(inlet.address, b"again") == b""
            assert target.accepted == 1

    run(main())


@pytest.mark.spec("RL-17")
def test_an_owner_that_is_revoked_loses_its_name(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            outlet = await it.outlet(target.address)
            subject = outlet.identity.identifier.value  # type: ignore[attr-defined]

            def act() -> None:
                it.hub.attributes.revoke(subject, AUTHORITY.identifier, int(time()))
                it.hub.recheck()

            removed = await until(it.hub, RelayRemoved, act=act)
            assert removed.name == "forward_to_db"

    run(main())


@pytest.mark.spec("RL-9")
def test_an_outlet_finds_its_name_again(run: Run) -> None:
    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            outlet = await it.outlet(target.address)
            events = outlet.events()
            await outlet._way[-1].close()
            while type(await anext(events)).__name__ != "WayRestored":
                pass
            inlet = await it.inlet()
            assert await exchange(inlet.address, b"back") == b"back"

    run(main())


@pytest.mark.spec("PT-41")
def test_the_same_rules_on_a_direct_path(run: Run) -> None:
    """The name is registered through a channel with the hub; the portal leaves the hub all the same."""

    async def main() -> None:
        async with serving(serve_echo) as target, team() as it:
            service = await (await it.node()).start_rendezvous("127.0.0.1:0")
            outlet = await it.outlet(target.address, rendezvous=service.address)
            inlet = await it.inlet(rendezvous=service.address)
            events = inlet.events()
            while await anext(events) != WayMoved(direct=True):
                pass
            assert await exchange(inlet.address, b"x" * 1_000_000) == b"x" * 1_000_000
            reader, writer = await connect(inlet.address)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            node: Node = outlet.node  # type: ignore[attr-defined]
            subject = inlet.identity.identifier.value  # type: ignore[attr-defined]
            node.attributes.revoke(subject, AUTHORITY.identifier, int(time()))
            await until(node, ConnectionClosed, act=node.recheck)
            assert await is_cut(reader)
            writer.close()

    run(main())


@pytest.mark.spec("DP-22", "DP-23")
def test_datagrams_of_members_only(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        got: asyncio.Queue[bytes] = asyncio.Queue()

        class Sink(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: Any) -> None:
                got.put_nowait(data)

        sink, _ = await loop.create_datagram_endpoint(Sink, local_addr=("127.0.0.1", 0))
        host, port = sink.get_extra_info("sockname")
        async with team() as it:
            outlet = await it.outlet(f"{host}:{port}", carries=Datagrams())
            member, guest = await it.inlet(carries=Datagrams()), await it.inlet(role="guest", carries=Datagrams())
            source, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))

            def send(inlet: InletSession, data: bytes) -> None:
                address, _, number = inlet.address.rpartition(":")
                source.sendto(data, (address, int(number)))

            node: Node = outlet.node  # type: ignore[attr-defined]
            observations = node.observe()
            send(guest, b"from a guest")
            while getattr(await anext(observations), "rule", None) != "incoming:policy":
                pass
            send(member, b"from a member")
            assert await got.get() == b"from a member"
            node.attributes.revoke(
                member.identity.identifier.value,  # type: ignore[attr-defined]
                AUTHORITY.identifier,
                int(time()),
            )
            closed = await until(node, ConnectionClosed, act=node.recheck)
            assert closed.reason == "the peer may not pass any more (policy)"
            source.close()
        sink.close()
        assert got.empty()

    run(main())
