"""A member that was removed is nobody within moments, at every node that asks; one that is back is somebody again."""

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import Self

import pytest

from ockam_ref.asyncio import TCP, Node, Routed, SecureChannel
from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.credentials import RemoteRetriever
from ockam_ref.asyncio.issuers import Issuer
from ockam_ref.asyncio.revocations import RevocationWatch
from ockam_ref.asyncio.secure_client import SecureClient
from ockam_ref.authority.messages import Revocation, encode_revocations
from ockam_ref.authority.revocations import MAX_PAGE
from ockam_ref.authority.services import Service
from ockam_ref.errors import OckamError, PeerError
from ockam_ref.identities.credentials import verify_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.routing.access_control import AllowAttributes
from ockam_ref.storage.revocations import RevocationRepository
from ockam_ref.storage.store import Store
from ockam_ref.wire.api import decode_request
from ockam_ref.wire.responses import ok
from tests.asyncio.authorities import Run, Team

SOON_S = 0.01


class Guarded:
    """A node of the team with an echo that only web people reach, and a client that is one of them."""

    def __init__(self, team: Team) -> None:
        self.team = team

    async def __aenter__(self) -> Self:
        team = self.team
        async with AsyncExitStack() as stack:
            self.store = await stack.enter_async_context(await Store.open(None))
            self.node = await stack.enter_async_context(Node.create())
            self.client = await stack.enter_async_context(Node.create())
            self.identity, self.me = self.node.create_identity(), self.client.create_identity()
            self.enroller = await stack.enter_async_context(team.asking(team.node, team.enroller))
            await self.enroller.add_member(self.identity.identifier, ())
            await self.enroller.add_member(self.me.identifier, ((b"team", b"web"),))
            authority = self.node.learn_identity(team.identity.identity.history.encoded)
            self.client.learn_identity(team.identity.identity.history.encoded)
            listener = await self.node.tcp_listen("127.0.0.1:0")
            channels = await self.node.create_secure_channel_listener(
                self.identity, "api", consumer_of=(listener,), authority=authority
            )
            guard = AllowAttributes(authority.value, ((b"team", b"web"),))
            await self.node.start_worker("guarded", _answer, consumer_of=(channels,), incoming=guard)
            self.route = ((TCP, listener.address), "api")
            self.issuer = await stack.enter_async_context(Issuer(self.client, team.route, authority, "team"))
            self.repository = RevocationRepository(self.store)
            self.stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    def watch(self, node: Node, identity: LocalIdentity, **more: object) -> RevocationWatch:
        client = self.team.client(node, identity, timeout=0.3)
        return RevocationWatch(
            node,
            client,
            self.repository,
            own=identity.identifier,
            interval_s=SOON_S,
            **more,  # type: ignore[arg-type]
        )

    async def channel(self) -> SecureChannel:
        return await self.client.create_secure_channel(
            self.me, self.route, credential=self.issuer.retriever(self.me), trust=self.identity.identifier
        )

    async def reached(self, channel: SecureChannel, *, timeout: float) -> bool:  # noqa: ASYNC109
        try:
            await self.client.send_and_receive((channel, "guarded"), b"?", timeout=timeout)
        except OckamError:
            return False
        return True

    async def until(self, channel: SecureChannel, *, reached: bool) -> None:
        async with asyncio.timeout(10):
            while await self.reached(channel, timeout=0.1) is not reached:
                pass


async def _answer(message: Routed) -> None:
    await message.reply(message.payload)


@pytest.mark.spec("AU-60", "AU-61", "AU-62", "AU-63")
def test_a_removed_member_is_nobody_and_somebody_again_when_it_is_back(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Guarded(team) as guarded:
            channel = await guarded.channel()
            assert await guarded.reached(channel, timeout=10)
            retriever = guarded.issuer.retriever(guarded.me)
            async with (
                guarded.watch(guarded.node, guarded.identity),
                guarded.watch(guarded.client, guarded.me, retriever=retriever),
            ):
                await guarded.enroller.remove_member(guarded.me.identifier)
                await guarded.until(channel, reached=False)
                kept = await guarded.repository.list(team.identity.identifier.value)
                assert [(row.subject, row.number) for row in kept] == [(guarded.me.identifier.value, 1)]
                # a new channel with the old credential is of no use either
                assert not await guarded.reached(await guarded.channel(), timeout=0.1)
                await guarded.enroller.add_member(guarded.me.identifier, ((b"team", b"web"),))
                await guarded.until(channel, reached=True)

    run(main())


@pytest.mark.spec("AU-65")
def test_an_authority_gets_a_new_key_and_members_new_credentials(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Guarded(team) as guarded:
            channel = await guarded.channel()
            assert await guarded.reached(channel, timeout=10)
            retriever = guarded.issuer.retriever(guarded.me)
            old = await retriever.retrieve()
            async with (
                guarded.watch(guarded.node, guarded.identity),
                guarded.watch(guarded.client, guarded.me, retriever=retriever),
            ):
                rotated = await team.home.identities.rotate("authority")
                async with asyncio.timeout(10):
                    new = await _another_than(old, retriever)
                now = rotated.identity.valid_from
                assert verify_credential(new, subject=guarded.me.identifier, authority=rotated.identity, now=now)
                await guarded.until(channel, reached=True)

    run(main())


@pytest.mark.spec("AU-63")
def test_what_was_learnt_counts_after_a_restart_without_the_authority(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Team() as team, Guarded(team) as guarded:
            channel = await guarded.channel()
            assert await guarded.reached(channel, timeout=10)
            async with guarded.watch(guarded.node, guarded.identity):
                await guarded.enroller.remove_member(guarded.me.identifier)
                await guarded.until(channel, reached=False)
            async with Node.create() as later, Node.create() as nowhere:
                authority = later.learn_identity(team.identity.identity.history.encoded)
                client = SecureClient(nowhere, guarded.identity, "nobody", authority, timeout=10)
                watch = RevocationWatch(
                    later, client, guarded.repository, own=guarded.identity.identifier, interval_s=SOON_S
                )
                with caplog.at_level(logging.WARNING):
                    async with watch:
                        core = later._driver.core.attributes
                        assert core._revoked.keys() == {(guarded.me.identifier.value, authority.value)}

    run(main())


@pytest.mark.spec("AU-64")
def test_an_authority_that_is_away_is_mentioned_once(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Team() as team, Guarded(team) as guarded:
            await team.authority.close()
            with caplog.at_level(logging.WARNING, "ockam_ref.asyncio"):
                async with guarded.watch(guarded.node, guarded.identity), asyncio.timeout(10):
                    await _until_said(caplog, 1)
                    await team.start()
                    await _until_said(caplog, 2)
            assert ["not known at the moment" in text for text in caplog.messages] == [True, False]
            assert "known again" in caplog.messages[1]

    run(main())


async def _another_than(old: bytes, retriever: RemoteRetriever) -> bytes:
    renewed = asyncio.get_running_loop().create_future()
    retriever.subscribe(renewed.set_result)
    return await renewed if await retriever.retrieve() == old else await retriever.retrieve()


async def _until_said(caplog: pytest.LogCaptureFixture, count: int) -> None:
    while len(caplog.messages) < count:  # noqa: ASYNC110  # the log tells nobody
        await asyncio.sleep(SOON_S)


@pytest.mark.spec("AU-61")
def test_many_revocations_come_in_pages(run: Run) -> None:
    async def main() -> None:
        async with Team() as team:
            count = 2 * MAX_PAGE + 1
            book = {
                who: Revocation(who, 5, number)
                for number, who in ((n, Identifier(n.to_bytes(32))) for n in range(1, count + 1))
            }
            object.__setattr__(team.authority._page.book, "revocations", book)
            async with team.asking(team.node, team.enroller) as enroller:
                found = await enroller.revocations()
                assert [revocation.number for revocation in found] == list(range(1, count + 1))
                assert await enroller.revocations(count - 1) == (found[-1],)

    run(main())


@pytest.mark.spec("AU-61")
@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (AuthorityClient.revocations, b"\xff"),
        (AuthorityClient.members, b"\xff"),
        (partial(AuthorityClient.create_code, attributes=()), b"\xff"),
        (
            partial(AuthorityClient.revocations, since=9),
            encode_revocations([Revocation(Identifier(bytes(32)), 5, 5)] * MAX_PAGE),
        ),
    ],
)
def test_an_answer_that_makes_no_sense(run: Run, ask: object, body: bytes) -> None:
    async def main() -> None:
        async def nonsense(message: Routed) -> None:
            header, _ = decode_request(message.payload)
            await message.reply(ok(1, header.id, body).encode())

        async with Node.create() as node:
            identity = node.create_identity()
            channels = await node.create_secure_channel_listener(identity, "api")
            for service in Service:
                await node.start_worker(service.value, nonsense, consumer_of=(channels,))
            client = AuthorityClient(SecureClient(node, node.create_identity(), "api", identity.identifier))
            with pytest.raises(PeerError, match=r"no sense|again and again"):
                await ask(client)  # type: ignore[operator]

    run(main())
