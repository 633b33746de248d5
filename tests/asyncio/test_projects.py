"""Members of a project: how they enrol, and what a node of theirs lets in."""

import asyncio
import contextlib
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Self

import pytest

from ockam_ref.asyncio import TCP, Node, Routed, SecureChannel
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.projects import (
    Membership,
    authority_client,
    enroll,
    issue_offline_ticket,
    key_of,
    project_of,
    route_of,
    scope_of,
)
from ockam_ref.authority.attributes import to_attributes
from ockam_ref.authority.messages import OneTimeCode
from ockam_ref.authority.multi_address import format_multi_address, from_tcp_route
from ockam_ref.authority.tickets import AnyTicket, Ticket, decode_ticket, encode_offline_ticket
from ockam_ref.errors import ErrorCode, MisuseError, OckamError, VerificationError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.observations import ConnectionClosed
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.routing.access_control import AllowAttributes
from ockam_ref.wire.route import parse_route
from tests.asyncio.authorities import Run, Team


class Machine:
    """A node with a state of its own and an identity."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.home = await stack.enter_async_context(await Home.open_in_memory())
            self.node = await stack.enter_async_context(Node.create())
            await stack.enter_async_context(await self.home.attach(self.node))
            self.me = await self.home.identities.create("me")
            self.stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def enroll(self, ticket: AnyTicket, **more: str) -> Membership:
        enrolled = await enroll(self.node, self.home, self.me, ticket, **more)
        membership = Membership(self.node, self.home, self.me, enrolled.project)
        return await self.stack.enter_async_context(membership)


async def ticket_of(of: Team, **attributes: str) -> Ticket:
    code = await of.asking(of.node, of.enroller).create_code(to_attributes(attributes))
    route = format_multi_address(from_tcp_route(parse_route(f"1#{of.listener.address} => api"), resolved=True))
    return Ticket(code, "p1", "team", "/dnsaddr/p1/tcp/1", of.identity.identity, of.identity.identity, route)


async def _answer(message: Routed) -> None:
    await message.reply(message.payload)


async def guarded(machine: Machine, membership: Membership) -> str:
    """Start an echo for web people; return where the node listens."""
    listener = await machine.node.tcp_listen("127.0.0.1:0")
    channels = await machine.node.create_secure_channel_listener(
        machine.me, "api", consumer_of=(listener,), authority=membership.authority, credential=membership.retriever
    )
    incoming = AllowAttributes(membership.authority.value, ((b"team", b"web"),))
    await machine.node.start_worker("guarded", _answer, consumer_of=(channels,), incoming=incoming)
    return listener.address


async def channel_to(
    machine: Machine, membership: Membership, address: str, identity: LocalIdentity | None = None
) -> SecureChannel:
    return await machine.node.create_secure_channel(
        identity or machine.me,
        ((TCP, address), "api"),
        authority=membership.authority,
        credential=membership.retriever,
    )


@pytest.mark.spec("AU-43", "AU-50", "AU-63")
def test_a_member_reaches_what_a_stranger_does_not(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Machine() as server, Machine() as client, Machine() as stranger:
            serving = await server.enroll(await ticket_of(team))
            member = await client.enroll(await ticket_of(team, team="web"))
            other = await stranger.enroll(await ticket_of(team, team="db"))
            address = await guarded(server, serving)
            channel = await channel_to(client, member, address)
            reply = await client.node.send_and_receive((channel, "guarded"), b"hello", timeout=10)
            assert reply.payload == b"hello"
            refused = await channel_to(stranger, other, address)
            with pytest.raises(OckamError, match="no reply"):
                await stranger.node.send_and_receive((refused, "guarded"), b"hello", timeout=0.2)
            kept = await client.home.credential_cache.get(key_of(member.project, client.me.identifier))
            assert kept is not None
            assert scope_of(member.project) == "project-member-p1"
            assert (await client.home.projects.default()) == member.project

    run(main())


@pytest.mark.spec("AU-74")
def test_offline_members_reach_each_other_without_any_authority(run: Run) -> None:
    async def main() -> None:
        async with Machine() as server, Machine() as client:
            await client.home.learn(server.me.identity.history.encoded)
            await server.home.learn(client.me.identity.history.encoded)
            tickets = [
                await issue_offline_ticket(server.home, "me", who, to_attributes({"team": "web"}), project_name="us")
                for who in (server.me.identifier, client.me.identifier)
            ]
            mine, theirs = (decode_ticket(encode_offline_ticket(ticket)) for ticket in tickets)
            serving, member = await server.enroll(mine), await client.enroll(theirs)
            assert member.authority == server.me.identifier
            channel = await channel_to(client, member, await guarded(server, serving))
            reply = await client.node.send_and_receive((channel, "guarded"), b"hello", timeout=10)
            assert reply.payload == b"hello"
            with pytest.raises(MisuseError, match="no authority that could be asked"):
                authority_client(client.node, client.me, member.project)
            with pytest.raises(VerificationError, match="not about"):
                await enroll(server.node, server.home, server.me, theirs)

    run(main())


@pytest.mark.spec("AU-63", "AU-60")
def test_a_removed_member_loses_an_open_portal_within_five_seconds(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Machine() as server, Machine() as client:
            serving = await server.enroll(await ticket_of(team))
            member = await client.enroll(await ticket_of(team, team="web"))
            target = await asyncio.start_server(_echo, "127.0.0.1", 0)
            host, port = target.sockets[0].getsockname()
            listener = await server.node.tcp_listen("127.0.0.1:0")
            channels = await server.node.create_secure_channel_listener(
                server.me, "api", consumer_of=(listener,), authority=serving.authority
            )
            await server.node.create_outlet(
                "outlet",
                f"{host}:{port}",
                consumer_of=(channels,),
                policy=parse_policy("team=web"),
                authority=serving.authority,
            )
            closings = server.node.observe()
            channel = await channel_to(client, member, listener.address)
            inlet = await client.node.create_inlet("127.0.0.1:0", (channel, "outlet"))
            reader, writer = await asyncio.open_connection(*inlet.address.split(":"))
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            loop = asyncio.get_running_loop()
            began = loop.time()
            await team.asking(team.node, team.enroller).remove_member(client.me.identifier)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            assert loop.time() - began < 5
            async for observation in closings:
                if isinstance(observation, ConnectionClosed):
                    break
            reader, again = await asyncio.open_connection(*inlet.address.split(":"))
            again.write(b"hello")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError, TimeoutError)):
                async with asyncio.timeout(0.5):
                    await reader.readexactly(1)
            for one in (writer, again):
                one.close()
            target.close()

    run(main())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(1000):
            writer.write(data)
    writer.close()


@pytest.mark.spec("AU-72", "AU-41")
def test_tickets_that_are_of_no_use(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Team() as others, Machine() as client:
            ticket = await ticket_of(team)
            wrong = replace(ticket, code=OneTimeCode(bytes(32)))
            with pytest.raises(OckamError, match="ask for another one") as caught:
                await client.enroll(wrong)
            assert caught.value.code is ErrorCode.ACCESS_DENIED
            assert await client.home.projects.list() == ()
            assert (await client.enroll(ticket)).project.is_default
            assert (await enroll(client.node, client.home, client.me, wrong)).is_new is False
            with pytest.raises(MisuseError, match="of another authority"):
                await client.enroll(await ticket_of(others))
            second = await client.enroll(await ticket_of(others), name="second")
            assert (second.project.is_default, second.project.project_name) == (False, "team")
            with pytest.raises(OckamError, match="no secure channel"):
                await enroll(
                    client.node,
                    client.home,
                    client.me,
                    replace(ticket, authority=others.identity.identity),
                    name="third",
                )

    run(main())


@pytest.mark.spec("AU-65")
def test_an_old_ticket_of_an_authority_that_has_a_new_key(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Machine() as client:
            ticket, later = await ticket_of(team), await ticket_of(team)
            rotated = await team.home.identities.rotate("authority")
            await team.authority.close()
            team.identity = rotated
            await team.start()
            membership = await client.enroll(ticket)
            assert membership.project.authority_history == rotated.identity.history.encoded
            assert not (await enroll(client.node, client.home, client.me, later)).is_new
            assert project_of(later).authority_history != rotated.identity.history.encoded
            assert Identifier(membership.project.authority) == rotated.identifier
            assert route_of(membership.project)[1:] == parse_route("api")

    run(main())
