"""A node that follows a store: what another process changes counts within two seconds, and what it learns is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.asyncio import Node, attachment
from ockam_ref.asyncio.credentials import CachedCredential, CredentialKey
from ockam_ref.asyncio.home import Home
from ockam_ref.errors import ErrorCode, OckamError, VerificationError
from ockam_ref.identities.change_history import (
    Comparison,
    VerifiedIdentity,
    create_identity,
    rotate_identity,
)
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.storage.projects import ProjectRow
from ockam_ref.storage.revocations import RevocationRow

Run = Callable[[Coroutine[Any, Any, None]], None]

NOW = 1_700_000_000
FAR = 4_000_000_000


@asynccontextmanager
async def two_processes(folder: Path) -> AsyncIterator[tuple[Home, Home]]:
    """Two homes in one file know nothing of each other, as two processes do."""
    file = folder / "home" / "state.db"
    async with await Home.open(file) as one, await Home.open(file) as other:
        yield one, other


async def until(condition: Callable[[], object], *, within_s: float = 2.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # the tables of a node tell nobody when they change
            await asyncio.sleep(0.01)


def strangers(seed: int) -> tuple[VerifiedIdentity, VerifiedIdentity, VerifiedIdentity]:
    """Return an identity, a rotation of it, and another rotation that conflicts with the first."""
    keys = [ed25519_from_seed(bytes([seed, number]) * 16) for number in range(3)]
    first = create_identity(keys[0], valid_from=NOW, valid_until=FAR)
    rotated, fork = (rotate_identity(first, keys[0], key, valid_from=NOW, valid_until=FAR) for key in keys[1:])
    return first, rotated, fork


@pytest.mark.spec("ID-36")
def test_peers_are_remembered_over_restarts(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with await Home.open(tmp_path / "home" / "state.db") as home, Node.create() as node:
            await home.attach(node)
            async with Node.create() as peer:
                stranger = peer.create_identity()
                listener = await peer.tcp_listen("127.0.0.1:0")
                await peer.create_secure_channel_listener(stranger, "api", consumer_of=[listener])
                me = await home.identities.open(create=True)
                connection = await node.tcp_connect(listener.address)
                await node.create_secure_channel(me, (connection, "api"))
            peer_id = stranger.identifier
        async with await Home.open(tmp_path / "home" / "state.db") as home:
            assert await home.peers.get(peer_id.value) == stranger.identity.history.encoded
            async with Node.create() as node:
                await home.attach(node)
                known = node.known_identity(peer_id)
                assert known == stranger.identity

    run(main())


@pytest.mark.spec("ID-37")
def test_another_process_rotates_our_identity(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with two_processes(tmp_path) as (home, other), Node.create() as node, Node.create() as peer:
            await home.attach(node)
            me = await home.identities.open(create=True)
            listener = await node.tcp_listen("127.0.0.1:0")
            channels = await node.create_secure_channel_listener(me, "api", consumer_of=[listener])
            await node.start_echo(consumer_of=[channels])
            connection = await peer.tcp_connect(listener.address)
            channel = await peer.create_secure_channel(peer.create_identity(), (connection, "api"), trust=me.identifier)
            rotated = await other.identities.rotate()

            def peer_knows() -> bool:
                known = peer.known_identity(me.identifier)
                return known is not None and known == rotated.identity

            await until(peer_knows)  # the open channel has told it
            assert (await peer.send_and_receive((channel, "echo"), "still open")).body(str) == "still open"
            again = await peer.tcp_connect(listener.address)
            await peer.create_secure_channel(peer.create_identity(), (again, "api"), trust=me.identifier)
            [presented] = node.presented_identities()
            assert presented.identity == rotated.identity
            # what is opened with the identity as it was presents the newest keys all the same
            back = await peer.tcp_listen("127.0.0.1:0")
            await peer.create_secure_channel_listener(peer.create_identity(), "api", consumer_of=[back])
            way = await node.tcp_connect(back.address)
            await node.create_secure_channel(me, (way, "api"))

    run(main())


@pytest.mark.spec("ID-34", "ID-37")
def test_a_purpose_key_is_renewed_while_the_node_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with await Home.open_in_memory() as home, Node.create() as node:
            me = await home.identities.open(create=True)
            await node.create_secure_channel_listener(me, "api")
            monkeypatch.setattr(attachment, "RENEWAL_CHECK_S", 0.05)
            await home.attach(node)
            late = me.expires_at - 1000
            monkeypatch.setattr(home.identities, "_clock", lambda: late)
            await until(lambda: node.presented_identities()[0].expires_at > me.expires_at)
            [presented] = node.presented_identities()
            assert presented.identity == me.identity
            assert presented.static.public != me.static.public

    run(main())


@pytest.mark.spec("ID-37")
def test_another_process_changes_rules(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        echo = Resource("echo", ResourceType.ECHOER)
        async with two_processes(tmp_path) as (home, other), Node.create() as node:
            await other.policies.set_for_resource("echo", "role=operator")
            async with await home.attach(node):
                found = node.policies.find(echo)
                assert found is not None
                await other.policies.set_for_resource("echo", "role=")  # nobody can read that
                await until(lambda: node.policies.find(echo) != found)
                refused = node.policies.find(echo)
                assert refused is not None
                assert str(refused) == "false"
                await other.policies.set_for_type("echoer", "role=member")
                await other.policies.set_for_type("of a later release", "role=member")
                await other.policies.delete_for_resource("echo")
                await until(lambda: str(node.policies.find(echo)) not in ("false", str(found)))
                await other.policies.delete_for_type("echoer")
                await other.policies.delete_for_type("of a later release")
                await until(lambda: node.policies.find(echo) is None)
            await other.policies.set_for_type("echoer", "role=member")
            await home.store.read(lambda _: None)
            assert node.policies.find(echo) is None  # nobody follows any more

    run(main())


@pytest.mark.spec("ID-37")
def test_another_process_learns_of_identities(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        first, rotated, _ = strangers(1)
        authority, newer_authority, _ = strangers(2)
        subject = bytes(32)
        async with two_processes(tmp_path) as (home, other), Node.create() as node:
            following = await home.attach(node)
            await other.learn(first.history.encoded)
            await until(lambda: node.known_identity(first.identifier) == first)
            await other.learn(rotated.history.encoded)
            await until(lambda: node.known_identity(first.identifier) == rotated)
            row = ProjectRow("team", authority.identifier.value, authority.history.encoded, "")
            await other.projects.put(row)
            await until(lambda: node.known_identity(authority.identifier) == authority)
            node.learn_identity(newer_authority.history.encoded)
            await other.revocations.learn([RevocationRow(authority.identifier.value, subject, NOW, 1)])
            await until(lambda: is_revoked(node, subject, authority.identifier.value))
            assert node.known_identity(authority.identifier) == newer_authority
            assert not following.closed
        assert following.closed

    run(main())


def is_revoked(node: Node, subject: bytes, authority: bytes) -> bool:
    from ockam_ref.policies.subjects import Vouched

    stored = node.attributes.store(subject, authority, Vouched((), NOW, FAR))
    if stored:
        node.attributes.revoke(subject, authority, NOW - 1)
    return not stored


@pytest.mark.spec("ID-38")
def test_a_fork_and_a_rollback_are_named(run: Run) -> None:
    async def main() -> None:
        first, rotated, fork = strangers(3)
        async with await Home.open_in_memory() as home:
            assert await home.learn(first.history.encoded) == (first, None)
            assert await home.learn(first.history.encoded) == (first, Comparison.EQUAL)
            assert await home.learn(rotated.history.encoded) == (rotated, Comparison.NEWER)
            for history, code, word in (
                (first.history, ErrorCode.HISTORY_OLDER, "rollback"),
                (fork.history, ErrorCode.HISTORY_CONFLICT, "fork"),
            ):
                with pytest.raises(VerificationError, match=word) as caught:
                    await home.learn(history.encoded)
                assert caught.value.code is code
            assert await home.peers.get(first.identifier.value) == rotated.history.encoded

    run(main())


def test_a_cache_of_credentials(run: Run) -> None:
    async def main() -> None:
        first, rotated, _ = strangers(4)
        async with await Home.open_in_memory() as home:
            cache = home.credential_cache
            key = CredentialKey(first.identifier, rotated.identifier, "team")
            assert await cache.get(key) is None
            await cache.put(key, CachedCredential(b"one", NOW))
            await cache.put(key, CachedCredential(b"two", NOW + 1))
            assert await cache.get(key) == CachedCredential(b"two", NOW + 1)
            await cache.delete(key)
            assert await cache.get(key) is None

    run(main())


def test_a_store_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        folder = tmp_path / "home"
        folder.mkdir(mode=0o755)
        with pytest.raises(OckamError, match="chmod"):
            await Home.open(folder / "state.db")

    run(main())
