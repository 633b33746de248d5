"""Retrievers, on a clock that the test moves; nothing is waited for and no authority is there."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from ockam_ref.asyncio.credentials import (
    MAX_SLEEP_S,
    CachedCredential,
    CachedRetriever,
    CredentialKey,
    RemoteRetriever,
)
from ockam_ref.asyncio.retrieving import MemoryRetriever, credential_of
from ockam_ref.errors import ErrorCode, MisuseError, OckamError, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.credentials import issue_credential, unverified_credential_data
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.purpose_keys import PurposeKeyAttestation, attest_credential_signing_key
from ockam_ref.identities.refreshing import RefreshTiming

NOW: Final = 1_700_000_000
KEY: Final = ed25519_from_seed(b"k" * 32)
ISSUER_KEY: Final = ed25519_from_seed(b"i" * 32)
ISSUER: Final = create_identity(ISSUER_KEY, valid_from=NOW, valid_until=NOW + 10**9)
ATTESTATION: Final = attest_credential_signing_key(
    ISSUER, ISSUER_KEY, KEY.public, created_at=NOW, expires_at=NOW + 10**8
)
ME: Final = Identifier(b"\x01" * 32)
CREDENTIAL: Final = CredentialKey(ME, ISSUER.identifier, "project")
DAY_S: Final = 86_400
GONE: Final = OckamError(ErrorCode.LINK_FAILED, "nothing listens there")


def issue(now: int, life_s: int, subject: Identifier = ME, attestation: PurposeKeyAttestation = ATTESTATION) -> bytes:
    return issue_credential(KEY, attestation, subject=subject, attributes={}, created_at=now, expires_at=now + life_s)


class World:
    """A clock that stands still until it is moved, an issuer, and a cache."""

    def __init__(self) -> None:
        self.now = NOW
        self.fetches: list[int] = []
        self.answers: Callable[[], bytes] = lambda: issue(self.now, DAY_S)
        self.issuer: VerifiedIdentity | None = ISSUER
        self.hold: asyncio.Event | None = None
        self.kept: dict[CredentialKey, CachedCredential] = {}
        self.broken: OckamError | None = None
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    # ---- the clock

    async def sleep(self, delay: float) -> None:
        assert 0 < delay <= MAX_SLEEP_S
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + delay, woken))
        await woken

    async def move_to(self, when: int) -> None:
        while True:
            await settle()
            self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]
            at, woken = min(self._sleepers, default=(when + 1.0, None), key=lambda sleeper: sleeper[0])
            if at > when or woken is None:
                break
            self.now = max(self.now, int(at))
            woken.set_result(None)
        self.now = when
        await settle()

    # ---- the issuer

    async def fetch(self) -> bytes:
        self.fetches.append(self.now - NOW)
        if self.hold is not None:
            await self.hold.wait()
        return self.answers()

    # ---- the cache

    async def get(self, key: CredentialKey) -> CachedCredential | None:
        return self.kept.get(key)

    async def put(self, key: CredentialKey, cached: CachedCredential) -> None:
        if self.broken is not None:
            raise self.broken
        self.kept[key] = cached

    async def delete(self, key: CredentialKey) -> None:
        del self.kept[key]

    def keep(self, life_s: int) -> bytes:
        credential = issue(self.now, life_s)
        self.kept[CREDENTIAL] = CachedCredential(credential, self.now + life_s)
        return credential

    def remote(self, *, cached: bool = False, timing: RefreshTiming | None = None) -> RemoteRetriever:
        return RemoteRetriever(
            CREDENTIAL,
            self.fetch,
            lambda: self.issuer,
            cache=self if cached else None,
            timing=timing or RefreshTiming(),
            clock=lambda: self.now,
            sleep=self.sleep,
        )


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def refuse(error: OckamError) -> Callable[[], bytes]:
    def answer() -> bytes:
        raise error

    return answer


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def checked() -> None:
        await coroutine
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(checked())


@pytest.fixture
def world() -> World:
    return World()


# ---- memory and cache


@pytest.mark.spec("CRED-22")
def test_memory_gives_what_it_has() -> None:
    async def main() -> None:
        expired = issue(NOW, 0)
        async with MemoryRetriever(expired) as retriever:
            assert await retriever.retrieve() == expired
            assert await credential_of(retriever) == expired
        assert await credential_of(expired) == expired
        assert await credential_of(None) is None

    run(main())


@pytest.mark.spec("CRED-22")
def test_the_cache_gives_what_has_not_expired(world: World) -> None:
    async def main() -> None:
        retriever = CachedRetriever(CREDENTIAL, world, clock=lambda: world.now)
        with pytest.raises(OckamError, match="none is kept") as caught:
            await retriever.retrieve()
        assert caught.value.code is ErrorCode.NO_CREDENTIAL
        credential = world.keep(10)
        world.now += 9
        assert await retriever.retrieve() == credential
        world.now += 1
        with pytest.raises(OckamError, match="has expired") as caught:
            await retriever.retrieve()
        assert caught.value.code is ErrorCode.NO_CREDENTIAL
        assert not world.kept

    run(main())


# ---- remote


@pytest.mark.spec("CRED-23", "CRED-25")
def test_the_first_one_is_fetched_and_kept(world: World) -> None:
    async def main() -> None:
        async with world.remote(cached=True) as retriever:
            assert world.fetches == []
            credential = await retriever.retrieve()
            assert world.kept == {CREDENTIAL: CachedCredential(credential, NOW + DAY_S)}
            world.now += DAY_S - 61
            assert await retriever.retrieve() == credential
            assert world.fetches == [0]

    run(main())


@pytest.mark.spec("CRED-23")
@pytest.mark.parametrize(("left", "fetches"), [(59, [0]), (60, [0]), (61, [])])
def test_what_the_cache_holds_is_taken_if_it_lasts(world: World, left: int, fetches: list[int]) -> None:
    async def main() -> None:
        kept = world.keep(left)
        async with world.remote(cached=True) as retriever:
            assert (await retriever.retrieve() == kept) == (not fetches)
            assert world.fetches == fetches

    run(main())


@pytest.mark.spec("CRED-24")
def test_what_the_cache_holds_is_replaced_at_once_if_it_is_due(world: World) -> None:
    async def main() -> None:
        kept = world.keep(120)
        async with world.remote(cached=True) as retriever:
            assert await retriever.retrieve() == kept
            await settle()
            assert world.fetches == [0]
            assert await retriever.retrieve() != kept

    run(main())


@pytest.mark.spec("CRED-24")
def test_it_is_fetched_again_before_it_expires(world: World) -> None:
    async def main() -> None:
        async with world.remote() as retriever:
            await retriever.retrieve()
            await world.move_to(NOW + DAY_S - 121)
            assert world.fetches == [0]
            await world.move_to(NOW + DAY_S - 120)
            assert world.fetches == [0, DAY_S - 120]
            await world.move_to(NOW + 2 * DAY_S)
            assert world.fetches == [0, DAY_S - 120, 2 * (DAY_S - 120)]

    run(main())


@pytest.mark.spec("CRED-24")
def test_failures_are_repeated_for_ever(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world.remote() as retriever:
            first = await retriever.retrieve()
            world.answers = refuse(GONE)
            await world.move_to(NOW + DAY_S - 120 + 35)
            assert [at - (DAY_S - 120) for at in world.fetches[1:]] == [0, 10, 20, 30]
            assert await retriever.retrieve() == first
            await world.move_to(NOW + DAY_S)
            with pytest.raises(OckamError, match="nothing listens"):
                await retriever.retrieve()
            world.answers = lambda: issue(world.now, DAY_S)
            await world.move_to(NOW + DAY_S + 10)
            assert await retriever.retrieve() != first
            tries = len(world.fetches)
            await world.move_to(NOW + DAY_S + 1_000)
            assert len(world.fetches) == tries

    with caplog.at_level(logging.WARNING, "ockam_ref.asyncio"):
        run(main())
    assert "the next try follows: nothing listens there" in caplog.text


@pytest.mark.spec("CRED-24")
def test_credentials_that_live_shorter_than_the_gaps_do_not_make_it_race(world: World) -> None:
    async def main() -> None:
        world.answers = lambda: issue(world.now, 30)
        async with world.remote() as retriever:
            assert unverified_credential_data(await retriever.retrieve()).expires_at == NOW + 30
            await world.move_to(NOW + 35)
            assert world.fetches == [0, 10, 20, 30]
            await retriever.retrieve()  # who asks gets one that is as fresh as can be
            assert world.fetches[-1] == 35

    run(main())


@pytest.mark.spec("CRED-24")
def test_other_timing(world: World) -> None:
    async def main() -> None:
        world.answers = lambda: issue(world.now, 30)
        async with world.remote(timing=RefreshTiming(0, 5, 1)) as retriever:
            await retriever.retrieve()
            await world.move_to(NOW + 60)
            assert world.fetches == [0, 25, 50]

    run(main())


@pytest.mark.spec("CRED-24")
def test_a_machine_that_slept(world: World) -> None:
    async def main() -> None:
        async with world.remote() as retriever:
            first = await retriever.retrieve()
            await settle()
            world.now += 2 * DAY_S  # and no timer has fired
            assert await retriever.retrieve() != first
            assert world.fetches == [0, 2 * DAY_S]
            await world.move_to(world.now + int(MAX_SLEEP_S))  # the refresh wakes up, and sees that all is well
            assert world.fetches == [0, 2 * DAY_S]

    run(main())


@pytest.mark.spec("CRED-24")
def test_the_clock_was_set_forward(world: World) -> None:
    async def main() -> None:
        async with world.remote() as retriever:
            await retriever.retrieve()
            await settle()
            world.now += 2 * DAY_S
            await world.move_to(world.now + int(MAX_SLEEP_S))
            assert len(world.fetches) == 2

    run(main())


@pytest.mark.spec("CRED-23")
def test_all_who_ask_at_once_wait_for_one_fetch(world: World) -> None:
    async def main() -> None:
        world.hold = asyncio.Event()
        async with world.remote() as retriever:
            asking = [asyncio.create_task(retriever.retrieve()) for _ in range(5)]
            await settle()
            world.hold.set()
            assert len(set(await asyncio.gather(*asking))) == 1
            assert world.fetches == [0]

    run(main())


@pytest.mark.spec("CRED-13")
def test_the_first_fetch_fails(world: World) -> None:
    async def main() -> None:
        world.answers = refuse(GONE)
        async with world.remote() as retriever:
            with pytest.raises(OckamError, match="nothing listens"):
                await retriever.retrieve()
            world.answers = lambda: issue(world.now, DAY_S)
            assert await retriever.retrieve()
            assert world.fetches == [0, 0]

    run(main())


@pytest.mark.spec("CRED-25")
def test_what_is_not_ours_or_not_the_issuers_does_not_count(world: World) -> None:
    async def main() -> None:
        async with world.remote(cached=True) as retriever:
            world.answers = lambda: issue(world.now, DAY_S, Identifier(b"\x02" * 32))
            with pytest.raises(VerificationError, match="it is about"):
                await retriever.retrieve()
            world.answers = lambda: b"\x80"
            with pytest.raises(VerificationError):
                await retriever.retrieve()
            world.answers = lambda: issue(world.now, DAY_S)
            for stranger in (create_identity(KEY, valid_from=NOW, valid_until=NOW + 10**9), None):
                world.issuer = stranger
                with pytest.raises(VerificationError, match="is not known") as caught:
                    await retriever.retrieve()
                assert caught.value.code is ErrorCode.NOT_TRUSTED
            assert not world.kept

    run(main())


@pytest.mark.spec("CRED-28")
def test_the_issuer_has_rotated(world: World) -> None:
    newer = rotate_identity(ISSUER, ISSUER_KEY, KEY, valid_from=NOW, valid_until=NOW + 10**9)
    attested = attest_credential_signing_key(newer, KEY, KEY.public, created_at=NOW, expires_at=NOW + 10**8)

    async def main() -> None:
        async with world.remote() as retriever:
            first = await retriever.retrieve()
            await world.move_to(NOW + 100)
            world.issuer = newer
            world.answers = refuse(GONE)
            await world.move_to(NOW + 155)  # it is noticed at the next look, then tried as after any failure
            assert world.fetches == [0, 120, 130, 140, 150]
            world.answers = lambda: issue(world.now, DAY_S, attestation=attested)
            second = await retriever.retrieve()  # who asks need not wait
            assert world.fetches[-1] == 155
            assert second != first
            await world.move_to(NOW + 1_000)
            assert world.fetches[-1] == 155

    run(main())


@pytest.mark.spec("CRED-28")
def test_what_the_cache_holds_is_void_after_a_rotation(world: World) -> None:
    async def main() -> None:
        world.keep(DAY_S)
        world.issuer = rotate_identity(ISSUER, ISSUER_KEY, KEY, valid_from=NOW, valid_until=NOW + 10**9)
        world.answers = refuse(GONE)
        async with world.remote(cached=True) as retriever:
            with pytest.raises(OckamError, match="nothing listens"):
                await retriever.retrieve()
            assert not world.kept

    run(main())


@pytest.mark.spec("CRED-25")
def test_a_broken_cache_does_no_harm(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world.broken = OckamError(ErrorCode.MISUSE, "the disk is full")
        async with world.remote(cached=True) as retriever:
            assert await retriever.retrieve()

    with caplog.at_level(logging.WARNING, "ockam_ref.asyncio"):
        run(main())
    assert "could not be kept: the disk is full" in caplog.text


@pytest.mark.spec("CRED-25", "CRED-26")
def test_subscribers(world: World) -> None:
    async def main() -> None:
        async with world.remote() as retriever:
            told: list[bytes] = []
            retriever.subscribe(told.append)
            with pytest.raises(MisuseError):
                retriever.subscribe(told.append)
            first = await retriever.retrieve()
            world.now += 1
            second = await retriever.refresh()
            assert told == [first, second]
            assert first != second
            retriever.unsubscribe(told.append)
            with pytest.raises(MisuseError):
                retriever.unsubscribe(told.append)
            world.now += 1
            await retriever.refresh()
            assert len(told) == 2

    run(main())


def test_a_refresh_by_hand_moves_the_next_one(world: World) -> None:
    async def main() -> None:
        async with world.remote() as retriever:
            await retriever.retrieve()
            await world.move_to(NOW + 1_000)
            await retriever.refresh()
            await world.move_to(NOW + DAY_S)
            assert world.fetches == [0, 1_000]
            await world.move_to(NOW + DAY_S + 1_000)
            assert world.fetches == [0, 1_000, 1_000 + DAY_S - 120]

    run(main())


def test_it_is_closed(world: World) -> None:
    async def main() -> None:
        async with world.remote() as retriever:
            first = await retriever.retrieve()
            world.hold = asyncio.Event()
            await world.move_to(NOW + DAY_S - 120)  # a fetch is under way
            await retriever.close()
            await retriever.close()
            assert await retriever.retrieve() == first
            with pytest.raises(OckamError) as caught:
                await retriever.refresh()
            assert caught.value.code is ErrorCode.CLOSED

    run(main())
