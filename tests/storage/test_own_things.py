"""What is kept of ourselves: identities, purpose keys, credentials, projects."""

from collections.abc import Awaitable

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.storage.credentials import CredentialRepository, CredentialRow
from ockam_ref.storage.identities import IdentityRepository
from ockam_ref.storage.projects import ProjectRepository, ProjectRow
from ockam_ref.storage.purpose_keys import Purpose, PurposeKeyRepository, PurposeKeyRow
from ockam_ref.storage.repository import MAX_NAME_CHARACTERS
from ockam_ref.storage.store import Store
from tests.storage.conftest import Run
from tests.storage.samples import NOW, fork, identity

ALICE, BOB = (identity(number).history.encoded for number in (1, 2))


@pytest.mark.spec("STO-30", "STO-31")
def test_identities_by_name(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            identities = IdentityRepository(store)
            assert await identities.default() is None
            alice = await identities.add("alice", ALICE)
            assert alice == ("alice", identity(1).identifier.value, ALICE, True)
            bob = await identities.add("bob", BOB)
            assert not bob.is_default
            assert await identities.list() == (alice, bob)
            assert await identities.get("bob") == await identities.find(bob.identifier) == bob
            assert await identities.get("carol") is None
            assert await identities.default() == alice
            await identities.set_default("bob")
            await identities.rename("bob", "robert")
            await identities.rename("robert", "robert")
            default = await identities.default()
            assert default == bob._replace(name="robert", is_default=True)
            assert await identities.delete("robert") == default
            assert await identities.delete("robert") is None
            assert await identities.default() is None
            assert await identities.list() == (alice._replace(is_default=False),)
            assert (await identities.add("bob", BOB)).is_default

    run(scenario())


@pytest.mark.spec("STO-30")
def test_what_is_there_or_is_not_there_is_an_error_with_a_code(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            identities = IdentityRepository(store)
            await identities.add("alice", ALICE)
            await identities.add("bob", BOB)
            refused: dict[ErrorCode, list[Awaitable[object]]] = {
                ErrorCode.NAME_TAKEN: [
                    identities.add("alice", identity(3).history.encoded),
                    identities.add("alicia", ALICE),
                    identities.rename("alice", "bob"),
                ],
                ErrorCode.NOT_FOUND: [
                    identities.rename("carol", "dora"),
                    identities.set_default("carol"),
                    identities.update_history("carol", ALICE),
                ],
                ErrorCode.BAD_NAME: [
                    identities.add("", ALICE),
                    identities.add("x" * (MAX_NAME_CHARACTERS + 1), ALICE),
                    identities.add("../alice", ALICE),
                    identities.add("al\nice", ALICE),
                    identities.rename("alice", "-x"),
                ],
            }
            for code, attempts in refused.items():
                for attempt in attempts:
                    with pytest.raises(MisuseError) as caught:
                        await attempt
                    assert caught.value.code is code
            assert [row.name for row in await identities.list()] == ["alice", "bob"]

    run(scenario())


@pytest.mark.spec("STO-32")
def test_a_history_is_replaced_by_one_that_continues_it_only(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            identities = IdentityRepository(store)
            await identities.add("alice", ALICE)
            rotated = identity(1, rotations=2).history.encoded
            await identities.update_history("alice", rotated)
            await identities.update_history("alice", rotated)
            for history, code in (
                (identity(1, rotations=1).history.encoded, ErrorCode.HISTORY_OLDER),
                (fork(1).history.encoded, ErrorCode.HISTORY_CONFLICT),
                (BOB, ErrorCode.HISTORY_CONFLICT),
            ):
                with pytest.raises(MisuseError) as caught:
                    await identities.update_history("alice", history)
                assert caught.value.code is code
            found = await identities.get("alice")
            assert found is not None
            assert found.history == rotated

    run(scenario())


@pytest.mark.parametrize(("history", "kind"), [(b"\xff", DecodeError), (b"\x80", VerificationError)])
def test_what_is_no_history_is_not_kept(run: Run, history: bytes, kind: type[Exception]) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            with pytest.raises(kind):
                await IdentityRepository(store).add("alice", history)
            await IdentityRepository(store).add("alice", ALICE)
            with pytest.raises(kind):
                await IdentityRepository(store).update_history("alice", history)

    run(scenario())


@pytest.mark.spec("STO-33")
def test_with_an_identity_go_its_attestations_and_credentials(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            alice = (await IdentityRepository(store).add("alice", ALICE)).identifier
            keys, credentials = PurposeKeyRepository(store), CredentialRepository(store)
            for owner in (alice, b"other"):
                await keys.put(PurposeKeyRow(owner, Purpose.CREDENTIALS, b"attestation", b"handle"))
                await credentials.put(CredentialRow(owner, b"issuer", "scope", b"credential", NOW))
            await IdentityRepository(store).delete("alice")
            assert await keys.list(alice) == ()
            assert len(await keys.list(b"other")) == 1
            assert [row.subject for row in await credentials.list()] == [b"other"]

    run(scenario())


def test_one_attestation_for_each_purpose(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            keys = PurposeKeyRepository(store)
            channel = PurposeKeyRow(b"alice", Purpose.SECURE_CHANNEL, b"old", b"handle 1")
            signing = PurposeKeyRow(b"alice", Purpose.CREDENTIALS, b"credentials", b"handle 2")
            for row in (channel, signing):
                await keys.put(row)
            renewed = channel._replace(attestation=b"new", handle=b"handle 3")
            await keys.put(renewed)
            assert await keys.get(b"alice", Purpose.SECURE_CHANNEL) == renewed
            assert set(await keys.list(b"alice")) == {renewed, signing}
            assert await keys.delete(b"alice", Purpose.SECURE_CHANNEL)
            assert not await keys.delete(b"alice", Purpose.SECURE_CHANNEL)
            assert await keys.get(b"alice", Purpose.SECURE_CHANNEL) is None

    run(scenario())


def test_credentials_by_subject_issuer_and_scope(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            credentials = CredentialRepository(store)
            first = CredentialRow(b"alice", b"issuer", "one", b"old", NOW)
            second = first._replace(scope="two", expires_at=NOW + 1)
            for row in (first, second):
                await credentials.put(row)
            renewed = first._replace(credential=b"new")
            await credentials.put(renewed)
            assert await credentials.get(b"alice", b"issuer", "one") == renewed
            assert await credentials.get(b"alice", b"other", "one") is None
            assert set(await credentials.list()) == {renewed, second}
            assert await credentials.delete(b"alice", b"issuer", "two")
            assert not await credentials.delete(b"alice", b"issuer", "two")

    run(scenario())


@pytest.mark.spec("STO-30", "STO-31")
def test_projects_by_name(run: Run) -> None:
    async def scenario() -> None:
        async with await Store.open(None) as store:
            projects = ProjectRepository(store)
            assert await projects.default() is None
            home = await projects.put(
                ProjectRow("home", b"authority", b"history", "/ip4/127.0.0.1/tcp/4000/service/api")
            )
            assert home.is_default
            work = await projects.put(home._replace(name="work", is_default=False, project_name="Work"))
            assert not work.is_default
            assert await projects.list() == (home, work)
            moved = await projects.put(home._replace(authority_route="/ip4/127.0.0.1/tcp/5000", is_default=False))
            assert moved.is_default  # it was the default one
            await projects.set_default("work")
            assert await projects.default() == work._replace(is_default=True)
            assert await projects.get("home") == moved._replace(is_default=False)
            chosen = await projects.put(moved)  # it says that it is the default one
            assert await projects.default() == chosen
            assert await projects.delete("home")
            assert not await projects.delete("home")
            assert await projects.default() is None
            attempts: list[tuple[Awaitable[object], ErrorCode]] = [
                (projects.set_default("home"), ErrorCode.NOT_FOUND),
                (projects.put(work._replace(name="a b")), ErrorCode.BAD_NAME),
            ]
            for attempt, code in attempts:
                with pytest.raises(MisuseError) as caught:
                    await attempt
                assert caught.value.code is code

    run(scenario())
