"""Credentials between real nodes: an authority, a guarded service and members."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from time import time
from typing import Any, Self

import pytest

from ockam_ref.asyncio import TCP, Node, Routed, SecureChannel, Stream
from ockam_ref.asyncio.issuers import Issuer
from ockam_ref.asyncio.retrieving import CredentialSource, MemoryRetriever
from ockam_ref.asyncio.secure_client import RequestError, SecureClient
from ockam_ref.authority.services import Service
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.identities.change_history import rotate_identity
from ockam_ref.identities.credentials import issue_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.local import LocalIdentity, open_local_identity
from ockam_ref.identities.purpose_keys import attest_credential_signing_key
from ockam_ref.identities.refreshing import RefreshTiming
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.observations import CredentialAccepted, CredentialRefused, HandshakeFailed, Observation, PeerLearned
from ockam_ref.routing.access_control import AllowAttributes
from ockam_ref.wire.api import Method, Status, decode_request
from ockam_ref.wire.responses import failed, ok

Run = Callable[[Coroutine[Any, Any, None]], None]
DAY_S = 86_400


class Authority:
    """A node that issues credentials to whoever is a member, for ``life_s`` seconds."""

    async def open(self) -> None:
        self.node = Node.create()
        self.identity = self.node.create_identity()
        self.key = ed25519_from_seed(os.urandom(32))
        self.attestation = attest_credential_signing_key(
            self.identity.identity,
            self.identity.signing_key,
            self.key.public,
            created_at=self.identity.identity.valid_from,
            expires_at=self.identity.expires_at,
        )
        self.node.learn_identity(self.identity.identity.history.encoded)
        self.members: set[Identifier] = set()
        self.life_s = DAY_S
        self.asked: list[Identifier | None] = []
        self.role = b"member"
        listener = await self.node.tcp_listen("127.0.0.1:0")
        api = await self.node.create_secure_channel_listener(
            self.identity, "api", consumer_of=(listener,), authority=self.identity.identifier
        )
        await self.node.start_worker(Service.CREDENTIAL_ISSUER, self.answer, consumer_of=(api,))
        self.route = ((TCP, listener.address), "api")

    def issue(self, subject: Identifier) -> bytes:
        now = int(time())
        attributes = {b"role": self.role, b"number": str(len(self.asked)).encode()}
        return issue_credential(
            self.key,
            self.attestation,
            subject=subject,
            attributes=attributes,
            created_at=now,
            expires_at=now + self.life_s,
        )

    async def answer(self, message: Routed) -> None:
        header, _ = decode_request(message.payload)
        assert (header.method, header.path) == (Method.POST, "/")
        self.asked.append(message.peer)
        if message.peer is None or message.peer not in self.members:
            response = failed(1, header, Status.FORBIDDEN, "unauthorized member")
        else:
            response = ok(1, header.id, self.issue(message.peer))
        await message.reply(response.encode())


class Setting:
    """The authority, a server that lets its members in, and a member's node."""

    async def __aenter__(self) -> Self:
        self.authority, self.server, self.node = Authority(), Node.create(), Node.create()
        await self.authority.open()
        self.trusted = self.authority.identity.identifier
        self.server.learn_identity(self.authority.identity.identity.history.encoded)
        self.listener = await self.server.tcp_listen("127.0.0.1:0")
        self.api = await self.server.create_secure_channel_listener(
            self.server.create_identity(), "api", consumer_of=(self.listener,), authority=self.trusted
        )

        async def guarded(message: Routed) -> None:
            await message.reply("welcome")

        control = AllowAttributes(self.trusted.value, ((b"role", b"member"),))
        await self.server.start_worker("guarded", guarded, consumer_of=(self.api,), incoming=control)
        self.me = self.node.create_identity()
        self.authority.members.add(self.me.identifier)
        self.issuer = self.issuer_of()
        self.seen = self.server.observe()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.issuer.close()
        for node in (self.node, self.server, self.authority.node):
            await node.close()

    def issuer_of(self, timing: RefreshTiming | None = None) -> Issuer:
        return Issuer(
            self.node, self.authority.route, self.trusted, "project", timing=timing or RefreshTiming(), timeout=5
        )

    async def channel(self, credential: CredentialSource, identity: LocalIdentity | None = None) -> SecureChannel:
        return await self.node.create_secure_channel(
            identity or self.me, ((TCP, self.listener.address), "api"), credential=credential
        )

    async def ask(self, channel: SecureChannel, patience: float = 5) -> str:
        return (await self.node.send_and_receive((channel, "guarded"), "may I?", timeout=patience)).body(str)

    async def refused(self, channel: SecureChannel) -> bool:
        """Whether the server drops what comes through the channel; it says so at once, and silence would be slow."""
        dropped = len(self.server.drops)
        with pytest.raises(OckamError) as caught:
            await self.ask(channel, 0.2)
        rules = [drop.rule for drop in self.server.drops[dropped:]]
        return caught.value.code is ErrorCode.TIMEOUT and rules == ["incoming:attributes"]


async def accepted(stream: Stream[Observation]) -> CredentialAccepted:
    """Wait for the next credential that counts."""
    while True:
        observation = await anext(stream)
        assert not isinstance(observation, CredentialRefused)
        if isinstance(observation, CredentialAccepted):
            return observation


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    while not condition():  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0)


def rotated(local: LocalIdentity) -> LocalIdentity:
    now, key = int(time()), ed25519_from_seed(os.urandom(32))
    identity = rotate_identity(
        local.identity, local.signing_key, key, valid_from=now, valid_until=local.identity.valid_until
    )
    return open_local_identity(identity, key, KeyPair.from_private_bytes(os.urandom(32)), now=now)


@pytest.mark.spec("CRED-13", "CRED-23")
def test_a_member_is_let_in_and_a_stranger_is_not(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            member = await setting.channel(setting.issuer.retriever(setting.me))
            assert (await accepted(setting.seen)).subject == setting.me.identifier.value
            assert await setting.ask(member) == "welcome"
            stranger = await setting.channel(None, setting.node.create_identity())
            assert await setting.refused(stranger)

    run(main())


@pytest.mark.spec("CRED-13")
def test_without_a_credential_nothing_is_opened(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            stranger = setting.node.create_identity()
            retriever = setting.issuer.retriever(stranger)
            with pytest.raises(RequestError, match="unauthorized member") as caught:
                await setting.channel(retriever, stranger)
            assert caught.value.code is ErrorCode.ACCESS_DENIED
            with pytest.raises(RequestError):
                await setting.node.create_secure_channel_listener(stranger, "mine", credential=retriever)
            await setting.authority.node.close()
            with pytest.raises(OckamError, match="is that node running"):
                await setting.channel(retriever, stranger)

    run(main())


@pytest.mark.spec("CRED-27")
def test_channels_of_one_identity_share_a_retriever(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            seen = setting.authority.node.observe()
            assert setting.issuer.retriever(setting.me) is setting.issuer.retriever(setting.me)
            channels = [await setting.channel(setting.issuer.retriever(setting.me)) for _ in range(3)]
            assert [await setting.ask(channel) for channel in channels] == ["welcome"] * 3
            assert setting.authority.asked == [setting.me.identifier]
            await setting.authority.node.close()
            met = [one async for one in seen if isinstance(one, CredentialAccepted | CredentialRefused | PeerLearned)]
            assert met == [PeerLearned(setting.me.identifier.value, setting.me.identity.history.encoded)]

    run(main())


@pytest.mark.spec("CRED-14", "CRED-25")
def test_a_new_credential_is_presented_on_every_open_channel_once(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            retriever = setting.issuer.retriever(setting.me)
            setting.authority.role = b"guest"
            channels = [await setting.channel(retriever) for _ in range(2)]
            for _ in channels:
                await accepted(setting.seen)
            assert await setting.refused(channels[0])
            setting.authority.role = b"member"
            await retriever.refresh()
            for _ in channels:
                await accepted(setting.seen)
            assert [await setting.ask(channel) for channel in channels] == ["welcome"] * 2
            await channels[0].close()
            await retriever.refresh()
            await accepted(setting.seen)
            await setting.server.close()
            assert [one async for one in setting.seen if isinstance(one, CredentialAccepted)] == []

    run(main())


@pytest.mark.spec("CRED-14")
def test_a_listener_presents_too(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            retriever = setting.issuer.retriever(setting.me)
            listener = await setting.node.tcp_listen("127.0.0.1:0")
            mine = await setting.node.create_secure_channel_listener(
                setting.me, "mine", consumer_of=(listener,), credential=retriever
            )

            async def connect() -> None:
                await setting.server.create_secure_channel(
                    setting.server.create_identity(), ((TCP, listener.address), "mine"), authority=setting.trusted
                )

            await connect()
            assert (await accepted(setting.seen)).subject == setting.me.identifier.value
            await retriever.refresh()
            await accepted(setting.seen)
            await connect()
            await accepted(setting.seen)
            await mine.close()
            await retriever.refresh()  # nobody hears of it, and nothing breaks
            await setting.server.close()
            assert [one async for one in setting.seen if isinstance(one, CredentialAccepted)] == []

    run(main())


@pytest.mark.spec("CRED-14", "CRED-24")
def test_a_member_stays_in_while_its_credentials_come_and_go(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            setting.authority.life_s = 3
            async with setting.issuer_of(RefreshTiming(1, 1, 1)) as issuer:
                channel = await setting.channel(issuer.retriever(setting.me))
                first = await accepted(setting.seen)
                while (await accepted(setting.seen)).expires_at <= first.expires_at + 1:
                    pass
                while time() < first.expires_at:
                    assert await setting.ask(channel) == "welcome"
                    await asyncio.sleep(0.05)
                assert await setting.ask(channel) == "welcome"

    run(main())


@pytest.mark.spec("CRED-15")
def test_an_expired_member_is_out_at_that_second(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            setting.authority.life_s = 2
            channel = await setting.channel(MemoryRetriever(setting.authority.issue(setting.me.identifier)))
            expires_at = (await accepted(setting.seen)).expires_at
            assert await setting.ask(channel) == "welcome"
            await asyncio.sleep(expires_at - time() + 0.01)
            assert await setting.refused(channel)
            assert not channel.closed

    run(main())


@pytest.mark.spec("CRED-14", "CRED-27")
def test_after_a_rotation_it_asks_with_the_new_keys(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            retriever = setting.issuer.retriever(setting.me)
            channel = await setting.channel(retriever)
            newer = rotated(setting.me)
            setting.node.replace_identity(newer)
            assert setting.issuer.retriever(newer) is retriever
            await retriever.refresh()
            assert await setting.ask(channel) == "welcome"
            learnt = setting.server.known_identity(setting.me.identifier)
            assert learnt is not None
            assert learnt.latest_change_hash == newer.identity.latest_change_hash
            observed = setting.authority.node.observe()
            # another node does not know of them
            client = SecureClient(setting.server, setting.me, setting.authority.route, setting.trusted, timeout=0.2)
            with pytest.raises(OckamError):
                await client.ask(Service.CREDENTIAL_ISSUER, Method.POST, "/")
            refusal = await anext(observed)
            assert isinstance(refusal, HandshakeFailed)
            assert "older than the one known" in refusal.reason

    run(main())


def test_a_node_knows_whom_it_has_met(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            assert setting.node.known_identity(setting.trusted) is None
            await setting.issuer.retriever(setting.me).retrieve()
            assert setting.node.known_identity(setting.trusted) == setting.authority.identity.identity

    run(main())


@pytest.mark.spec("CRED-20")
def test_a_client_presents_a_credential_if_it_is_given_one(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            seen = setting.authority.node.observe()
            credential = setting.authority.issue(setting.me.identifier)
            client = SecureClient(
                setting.node, setting.me, setting.authority.route, setting.trusted, credential=credential
            )
            await client.ask(Service.CREDENTIAL_ISSUER, Method.POST, "/")
            assert (await accepted(seen)).subject == setting.me.identifier.value

    run(main())


@pytest.mark.spec("CRED-14")
def test_who_has_ended_hears_of_no_more_credentials(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            retriever = setting.issuer.retriever(setting.me)
            channel = await setting.channel(retriever)
            listener = await setting.node.create_secure_channel_listener(setting.me, "mine", credential=retriever)
            assert len(retriever._subscribers) == 2
            await listener.close()
            await listener.close()
            with pytest.raises(OckamError):
                await setting.node.create_secure_channel(
                    setting.me, ((TCP, setting.listener.address), "nobody"), credential=retriever, timeout=0.05
                )
            opening = asyncio.create_task(
                setting.node.create_secure_channel(
                    setting.me, ((TCP, setting.listener.address), "nobody"), credential=retriever
                )
            )
            await until(lambda: len(retriever._subscribers) == 2)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await setting.server.close()
            await channel.wait_closed()
            await until(lambda: not retriever._subscribers)

    run(main())
