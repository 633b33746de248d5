"""Our own identities in a store: names, keys that last and are replaced, rotation, what is destroyed."""

import asyncio
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.asyncio.identities import Identities
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, OckamError, VaultError, VerificationError
from ockam_ref.identities.change_history import create_identity, decode_change_history, verify_change_history
from ockam_ref.identities.credentials import issue_credential, verify_credential
from ockam_ref.identities.keys import KeyKind, ed25519_from_seed
from ockam_ref.identities.presentation import decode_presentation, verify_presentation
from ockam_ref.storage.store import Store
from ockam_ref.vault.handles import signing_key_handle, x25519_key_handle

Run = Callable[[Coroutine[Any, Any, None]], None]

NOW = 1_700_000_000
FIVE_YEARS, TEN_YEARS = 157_680_000, 315_360_000


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def with_identities(run: Run, test: Callable[[Identities, Clock], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with await Store.open(None) as store:
            clock = Clock()
            await test(Identities(store, clock=clock), clock)

    run(main())


async def refused(code: ErrorCode, operation: Coroutine[Any, Any, object]) -> str:
    with pytest.raises(OckamError) as caught:
        await operation
    assert caught.value.code is code
    return str(caught.value)


def test_names(run: Run) -> None:
    async def test(identities: Identities, _: Clock) -> None:
        assert "identity create" in await refused(ErrorCode.NOT_FOUND, identities.open())
        assert "identity create" in await refused(ErrorCode.NOT_FOUND, identities.open("work"))
        work = await identities.create("work")
        assert (await identities.open()).identifier == work.identifier
        play = await identities.create("play", kind=KeyKind.P256)
        assert play.identity.latest_key.kind is KeyKind.P256
        assert [entry.name for entry in await identities.list()] == ["play", "work"]
        assert "play, work" in await refused(ErrorCode.NOT_FOUND, identities.get("nobody"))
        await refused(ErrorCode.NAME_TAKEN, identities.create("play"))
        await refused(ErrorCode.BAD_NAME, identities.create("two words"))
        assert await identities.vault.identity_vault.number_of_keys() == 2  # type: ignore[attr-defined]
        assert (await identities.set_default("play")).is_default
        assert (await identities.get()).identity == play.identity
        assert (await identities.get(str(work.identifier))).name == "work"
        assert await identities.export("work") == work.identity.history.encoded
        third, fourth = await identities.create(), await identities.create()
        assert {entry.name for entry in await identities.list()} == {"me", "me-2", "play", "work"}
        assert third.identifier != fourth.identifier

    with_identities(run, test)


def test_made_when_it_is_needed(run: Run) -> None:
    async def test(identities: Identities, _: Clock) -> None:
        first = await identities.open(create=True)
        assert (await identities.open(create=True)).presentation == first.presentation
        named = await identities.open("work", create=True)
        assert (await identities.open("work", create=True)).identifier == named.identifier != first.identifier
        await identities.delete("me")
        # others are left, and which of them is meant is not ours to say
        assert "identity default NAME" in await refused(ErrorCode.NOT_FOUND, identities.open(create=True))

    with_identities(run, test)


@pytest.mark.spec("ID-34")
def test_a_purpose_key_lasts_and_is_replaced_in_time(run: Run) -> None:
    async def test(identities: Identities, clock: Clock) -> None:
        first = await identities.open(create=True)
        assert first.expires_at == NOW + FIVE_YEARS
        clock.now += FIVE_YEARS * 9 // 10
        assert (await identities.open()).presentation == first.presentation
        clock.now += 1
        second = await identities.open()
        assert second.static.public != first.static.public
        assert second.expires_at == int(clock.now) + FIVE_YEARS
        shown = decode_presentation(second.presentation)
        assert (
            verify_presentation(shown, noise_static=second.static.public, now=int(clock.now)).identity == first.identity
        )
        channels = identities.vault.secure_channel_vault
        await refused(ErrorCode.KEY_NOT_FOUND, channels.get_x25519_public_key(x25519_key_handle(first.static.public)))

    with_identities(run, test)


@pytest.mark.spec("ID-34")
def test_a_purpose_key_whose_secret_is_gone(run: Run) -> None:
    async def test(identities: Identities, _: Clock) -> None:
        first = await identities.open(create=True)
        await identities.vault.secure_channel_vault.delete_static_x25519_secret_key(
            x25519_key_handle(first.static.public)
        )
        assert (await identities.open()).static.public != first.static.public
        issuing = await identities.issuing_key()
        await identities.vault.credential_vault.delete_signing_secret_key(
            signing_key_handle(issuing.signing_key.public)
        )
        assert (await identities.issuing_key()).signing_key.public != issuing.signing_key.public

    with_identities(run, test)


@pytest.mark.spec("ID-34")
def test_the_key_that_signs_credentials(run: Run) -> None:
    async def test(identities: Identities, clock: Clock) -> None:
        me = await identities.create("authority", kind=KeyKind.P256)
        key = await identities.issuing_key()
        assert (await identities.issuing_key("authority")).attestation == key.attestation
        assert key.expires_at == NOW + FIVE_YEARS
        assert key.identity == me.identity
        credential = issue_credential(
            key.signing_key,
            key.attestation,
            subject=me.identifier,
            attributes={b"role": b"operator"},
            created_at=NOW,
            expires_at=NOW + 60,
        )
        verified = verify_credential(credential, subject=me.identifier, authority=me.identity, now=NOW)
        assert verified.attributes == ((b"role", b"operator"),)
        clock.now += FIVE_YEARS * 95 // 100
        renewed = await identities.issuing_key()
        assert renewed.signing_key.public != key.signing_key.public
        await identities.rotate()
        assert (await identities.issuing_key()).signing_key.public != renewed.signing_key.public

    with_identities(run, test)


@pytest.mark.spec("ID-21", "ID-26", "ID-35")
@pytest.mark.parametrize("kind", [None, KeyKind.P256])
def test_rotation(run: Run, kind: KeyKind | None) -> None:
    async def test(identities: Identities, clock: Clock) -> None:
        old = await identities.open(create=True)
        signing = await identities.issuing_key()
        clock.now -= 60  # a clock that was set back
        new = await identities.rotate(kind=kind)
        assert new.identifier == old.identifier
        assert new.identity.valid_from == old.identity.valid_from
        assert new.identity.latest_key.kind is (kind or KeyKind.ED25519)
        assert len(new.identity.history.changes) == 2
        assert new.static.public != old.static.public
        vault = identities.vault
        for destroyed in (old.signing_key.public, signing.signing_key.public):
            await refused(ErrorCode.KEY_NOT_FOUND, vault.identity_vault.signing_key(signing_key_handle(destroyed)))
        await refused(
            ErrorCode.KEY_NOT_FOUND,
            vault.secure_channel_vault.static_key_pair(x25519_key_handle(old.static.public)),
        )
        assert (await identities.open()).presentation == new.presentation

    with_identities(run, test)


def test_a_clock_of_long_ago(run: Run) -> None:
    async def test(identities: Identities, clock: Clock) -> None:
        await identities.open(create=True)
        clock.now -= 61
        for operation in (identities.open(), identities.issuing_key(), identities.rotate()):
            message = await refused(ErrorCode.BAD_ATTESTATION, operation)
            assert "is the clock right?" in message
            assert "identity rotate" not in message
        assert len((await identities.get()).identity.history.changes) == 1

    with_identities(run, test)


@pytest.mark.spec("ID-27")
def test_an_identity_whose_key_has_ended(run: Run) -> None:
    async def test(identities: Identities, clock: Clock) -> None:
        await identities.create("old")
        clock.now += TEN_YEARS + 1
        for operation in (identities.open(), identities.issuing_key("old")):
            assert "identity rotate old" in await refused(ErrorCode.BAD_ATTESTATION, operation)
        assert await identities.vault.identity_vault.number_of_keys() == 1  # type: ignore[attr-defined]
        rotated = await identities.rotate()
        assert rotated.expires_at == int(clock.now) + FIVE_YEARS

    with_identities(run, test)


def test_deletion(run: Run) -> None:
    async def test(identities: Identities, _: Clock) -> None:
        me = await identities.create("me")
        await identities.issuing_key()
        other = await identities.create("other")
        assert (await identities.delete("me")).identity == me.identity
        assert [entry.name for entry in await identities.list()] == ["other"]
        assert await identities.vault.identity_vault.number_of_keys() == 1  # type: ignore[attr-defined]
        assert (await identities.open("other")).presentation == other.presentation
        await refused(ErrorCode.NOT_FOUND, identities.delete("me"))

    with_identities(run, test)


def test_import(run: Run) -> None:
    async def test(identities: Identities, _: Clock) -> None:
        seed = bytes(range(32))
        identity = create_identity(ed25519_from_seed(seed), valid_from=NOW, valid_until=NOW + TEN_YEARS)
        history = identity.history.encoded
        await refused(ErrorCode.KEY_MISMATCH, identities.import_(history, sha256(seed).digest()))
        await refused(ErrorCode.BAD_NAME, identities.import_(history, seed, name="-"))
        assert await identities.vault.identity_vault.number_of_keys() == 0  # type: ignore[attr-defined]
        assert (await identities.import_(history, seed, name="mine")).identity == identity
        assert "mine" in await refused(ErrorCode.NAME_TAKEN, identities.import_(history, seed))
        assert (await identities.open("mine")).identity == identity
        with pytest.raises(VerificationError):
            await identities.import_(b"\x80", seed)
        with pytest.raises(DecodeError):
            await identities.import_(b"", seed)

    with_identities(run, test)


def test_a_secret_that_was_lost(run: Run) -> None:
    async def test(identities: Identities, _: Clock) -> None:
        me = await identities.create("me")
        await identities.vault.identity_vault.delete_signing_secret_key(signing_key_handle(me.identity.latest_key))
        with pytest.raises(VaultError, match="no ED25519 key"):
            await identities.open()

    with_identities(run, test)


@pytest.mark.spec("ID-39")
def test_many_at_once_in_two_processes(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        file = tmp_path / "home" / "state.db"
        async with await Store.open(file) as one, await Store.open(file) as other:
            homes = [Identities(one), Identities(other)] * 3
            opened = await asyncio.gather(*(identities.open(create=True) for identities in homes))
            assert len({local.presentation for local in opened}) == 1
            rotated = await asyncio.gather(*(identities.rotate() for identities in homes), return_exceptions=True)
            faults = [outcome for outcome in rotated if isinstance(outcome, BaseException)]
            assert len(faults) < len(homes)
            for fault in faults:
                assert isinstance(fault, MisuseError | VaultError)
            keys = await asyncio.gather(*(identities.issuing_key() for identities in homes))
            assert len({key.attestation for key in keys}) == 1
            stored = (await homes[0].get()).identity
            history = verify_change_history(decode_change_history(await homes[1].export()))
            assert history == stored
            assert len(stored.history.changes) == 1 + len(homes) - len(faults)
            # what the slower ones had made is not left behind
            assert await homes[0].vault.identity_vault.number_of_keys() == 2  # type: ignore[attr-defined]

    run(main())
