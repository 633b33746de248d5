"""Policies at a listener for channels and at workers of the application, over real sockets."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from time import time
from typing import Any, NamedTuple

import pytest

from ockam_ref.asyncio import Node, Routed, SecureChannel
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl, AllowByPolicy, AllowOnwardByPolicy
from tests.unit.identities.credentials_for_tests import Issuer

Run = Callable[[Coroutine[Any, Any, None]], None]
AUTHORITY = Issuer("authority of workers")
VOUCHES = Identifier(AUTHORITY.identifier)
READERS = AllowByPolicy(parse_policy("role=reader"), AUTHORITY.identifier)


class Scene(NamedTuple):
    """Bob serves ``echoer``; Alice has a connection to him."""

    bob: Node
    alice: Node
    hop: Any

    async def channel(self, role: str | None) -> SecureChannel:
        """Open a channel as somebody of whom the authority says this, or nothing."""
        identity, now = self.alice.create_identity(), int(time())
        shown = None
        if role is not None:
            shown = AUTHORITY.vouch(identity.identifier, created_at=now, expires_at=now + 600, role=role)
        return await self.alice.create_secure_channel(identity, (self.hop, "api"), credential=shown)

    async def answers(self, channel: SecureChannel) -> bool:
        try:
            await self.alice.send_and_receive((channel, "echoer"), "hello", timeout=0.5)
        except OckamError as error:
            return error.code not in (ErrorCode.TIMEOUT, ErrorCode.UNKNOWN_ADDRESS)
        return True


async def echoer(message: Routed) -> None:
    await message.reply(message.body(str))


@asynccontextmanager
async def scene(
    *, admits: AccessControl = ALLOW_ALL, incoming: AccessControl = ALLOW_ALL, outgoing: AccessControl = ALLOW_ALL
) -> AsyncIterator[Scene]:
    async with Node.create() as bob, Node.create() as alice:
        bob.learn_identity(AUTHORITY.identity.history.encoded)
        listener = await bob.tcp_listen("127.0.0.1:0")
        channels = await bob.create_secure_channel_listener(
            bob.create_identity(), "api", consumer_of=(listener,), authority=VOUCHES, admits=admits
        )
        await bob.start_worker("echoer", echoer, consumer_of=(channels,), incoming=incoming, outgoing=outgoing)
        yield Scene(bob, alice, await alice.tcp_connect(listener.address))


@pytest.mark.spec("CH-46")
def test_a_listener_admits_whom_its_policy_allows_and_for_as_long(run: Run) -> None:
    async def main() -> None:
        async with scene(admits=READERS) as it:
            for role in (None, "guest"):
                stranger = await it.channel(role)
                assert await stranger.wait_closed() == "the peer closed the channel"
            reader = await it.channel("reader")
            assert await it.answers(reader)

    run(main())


@pytest.mark.spec("CH-46", "NODE-82")
def test_a_revoked_member_loses_its_channel(run: Run) -> None:
    async def main() -> None:
        async with scene(admits=READERS) as it:
            identity, now = it.alice.create_identity(), int(time())
            shown = AUTHORITY.vouch(identity.identifier, created_at=now, expires_at=now + 600, role="reader")
            channel = await it.alice.create_secure_channel(identity, (it.hop, "api"), credential=shown)
            assert await it.answers(channel)
            it.bob.revoke_credentials(VOUCHES, {identity.identifier: now})
            assert await channel.wait_closed() == "the peer closed the channel"

    run(main())


@pytest.mark.spec("RT-27")
@pytest.mark.parametrize("direction", ["incoming", "outgoing"])
def test_any_worker_can_be_guarded_in_either_direction(run: Run, direction: str) -> None:
    async def main() -> None:
        control: AccessControl = READERS
        if direction == "outgoing":
            control = AllowOnwardByPolicy(READERS.rule, READERS.authority)
        async with scene(**{direction: control}) as it:
            assert await it.answers(await it.channel("reader"))
            assert not await it.answers(await it.channel("guest"))
            assert f"{direction}:policy" in {drop.rule for drop in it.bob.drops}

    run(main())
