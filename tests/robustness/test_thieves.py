"""Thieves: of a purpose key, of an old history, of a credential; what each can do, for how long, and what never."""

import asyncio
import shutil
from pathlib import Path
from typing import Final

import pytest

from ockam_ref.asyncio.home import Home
from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustIdentifier
from ockam_ref.errors import ErrorCode, MisuseError, OckamError, StorageError, VerificationError
from ockam_ref.identities.change_history import (
    DEFAULT_IDENTITY_TTL_S,
    VerifiedIdentity,
    create_identity,
    rotate_identity,
    verify_change_history,
)
from ockam_ref.identities.credentials import verify_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.local import LocalIdentity, create_local_identity, open_local_identity
from ockam_ref.identities.purpose_keys import attest_secure_channel_key, verify_secure_channel_key
from ockam_ref.machine import Mailbox
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.observations import ChannelOpened, CredentialAccepted, CredentialRefused, HandshakeFailed, MessageDropped
from ockam_ref.routing.access_control import ALLOW_ALL, AllowAttributes
from ockam_ref.storage.passphrases import PASSPHRASE_VARIABLE
from ockam_ref.wire.address import local
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.workers.application import Application
from tests.unit.channels.ends import (
    ALICE,
    BOB,
    MALLORY,
    NOW,
    Pair,
    World,
    identity,
    messages,
    observed,
    reports,
    rules,
    seed,
    start_initiator,
    start_responder,
)
from tests.unit.channels.test_presenting import NEW_ALICE
from tests.unit.identities.credentials_for_tests import Issuer

THIEFS_KEY: Final = ed25519_from_seed(seed("thief signing"))
AUTHORITY: Final = Issuer()


def thief_of_purpose_key(victim: LocalIdentity) -> LocalIdentity:
    """Return what a thief can make of the key for channels: all but the key of the identity, which is his own."""
    return LocalIdentity(victim.identity, THIEFS_KEY, victim.static, victim.attestation, victim.expires_at)


def opens(world: World, own: LocalIdentity) -> bool:
    """Whether Bob opens a channel with whoever begins one so, and takes him for Alice."""
    before = len(observed(world.bob, ChannelOpened))
    world.ask(own=own)
    world.net.run()
    opened = observed(world.bob, ChannelOpened)[before:]
    assert all(one.peer == ALICE.identifier.value for one in opened)
    return bool(opened)


# ---- the thief of a purpose key


@pytest.mark.spec("ID-25", "CH-10")
def test_a_stolen_purpose_key_is_its_owner_until_the_attestation_ends() -> None:
    """Said plainly: until then nobody can tell the thief from Alice."""
    thief = thief_of_purpose_key(ALICE)
    assert opens(World(trust=TrustIdentifier(ALICE.identifier.value)), thief)
    later = World(trust=TrustIdentifier(ALICE.identifier.value), bob=identity("later bob", now=ALICE.expires_at))
    later.net.advance(ALICE.expires_at - NOW.unix)
    assert opens(later, thief)  # the last second
    later.net.advance(1)
    assert not opens(later, thief)
    assert "expire" in observed(later.bob, HandshakeFailed)[-1].reason


@pytest.mark.spec("CH-9", "ID-26")
def test_a_rotation_shuts_the_thief_out_where_it_is_known() -> None:
    world = World(trust=TrustIdentifier(ALICE.identifier.value))
    assert opens(world, thief_of_purpose_key(ALICE))
    assert opens(world, NEW_ALICE)
    assert not opens(world, thief_of_purpose_key(ALICE))
    assert "older" in observed(world.bob, HandshakeFailed)[-1].reason
    assert opens(world, NEW_ALICE)


@pytest.mark.spec("ID-21", "ID-33")
def test_a_stolen_purpose_key_cannot_rotate_the_identity() -> None:
    thief, end = thief_of_purpose_key(ALICE), NOW.unix + DEFAULT_IDENTITY_TTL_S
    with pytest.raises(MisuseError) as failure:
        rotate_identity(thief.identity, thief.signing_key, THIEFS_KEY, valid_from=NOW.unix, valid_until=end)
    assert failure.value.code is ErrorCode.KEY_MISMATCH
    forged = forged_rotation(ALICE.identity)
    with pytest.raises(VerificationError):
        verify_change_history(forged.history)


def forged_rotation(victim: VerifiedIdentity) -> VerifiedIdentity:
    """Return a rotation of the thief's own identity whose first change is exchanged for that of the victim."""
    own = create_identity(THIEFS_KEY, valid_from=NOW.unix, valid_until=NOW.unix + DEFAULT_IDENTITY_TTL_S)
    newer = ed25519_from_seed(seed("thief newer"))
    end = NOW.unix + DEFAULT_IDENTITY_TTL_S
    rotated = rotate_identity(own, THIEFS_KEY, newer, valid_from=NOW.unix, valid_until=end)
    changes = (*victim.history.changes, rotated.history.changes[-1])
    return rotated._replace(history=type(rotated.history)(changes))


@pytest.mark.spec("ID-24", "CH-7")
def test_a_stolen_purpose_key_cannot_attest_another_key() -> None:
    other = KeyPair.from_private_bytes(seed("thief static"))
    with pytest.raises(MisuseError):
        open_local_identity(ALICE.identity, THIEFS_KEY, other, now=NOW.unix)
    own = create_identity(THIEFS_KEY, valid_from=NOW.unix, valid_until=NOW.unix + DEFAULT_IDENTITY_TTL_S)
    attestation = attest_secure_channel_key(
        own, THIEFS_KEY, other.public, created_at=NOW.unix, expires_at=NOW.unix + 1000
    )
    with pytest.raises(VerificationError) as failure:
        verify_secure_channel_key(attestation, subject=ALICE.identity, now=NOW.unix)
    assert failure.value.code is ErrorCode.BAD_ATTESTATION
    forger = LocalIdentity(ALICE.identity, THIEFS_KEY, other, attestation, NOW.unix + 1000)
    assert not opens(World(), forger)


@pytest.mark.spec("CH-8")
def test_an_attestation_is_of_no_use_without_its_key() -> None:
    """Presentations are seen by every peer of Alice: whoever has one of them has not the key."""
    listener = LocalIdentity(
        ALICE.identity, THIEFS_KEY, KeyPair.from_private_bytes(seed("his own")), ALICE.attestation, ALICE.expires_at
    )
    assert not opens(World(), listener)


def test_both_purpose_keys_do_not_open_what_was_recorded() -> None:
    """The thief has the static keys of both ends, and shakes hands again: the keys of the channel are others."""
    recorded = Pair(start_initiator(secret="first"), start_responder(secret="first")).open()
    packet = recorded.seal_at_a(b"said before the theft")
    assert messages(recorded.b.take(packet))[0].payload == b"said before the theft"
    again = Pair(start_initiator(secret="second"), start_responder(secret="second")).open()
    assert not messages(again.b.take(packet))
    assert reports(tuple(again.b.history), MessageDropped)


# ---- old histories


@pytest.mark.spec("CH-9")
def test_an_owner_of_an_old_key_is_refused_once_the_rotation_is_known() -> None:
    """The old key of the identity itself was stolen, before it was rotated: it can still make attestations."""
    old = create_local_identity(seed("alice signing"), seed("thief static"), NOW.unix)
    assert old.identifier == ALICE.identifier
    world = World()
    assert opens(world, NEW_ALICE)
    assert not opens(world, old)
    assert "older" in observed(world.bob, HandshakeFailed)[-1].reason


@pytest.mark.spec("CH-9", "ID-22")
def test_a_fork_is_refused_whichever_branch_was_met_first() -> None:
    end = NOW.unix + DEFAULT_IDENTITY_TTL_S
    key = ed25519_from_seed(seed("the thief's branch"))
    fork = rotate_identity(ALICE.identity, ALICE.signing_key, key, valid_from=NOW.unix, valid_until=end)
    branch = open_local_identity(fork, key, KeyPair.from_private_bytes(seed("branch static")), now=NOW.unix)
    for first, second in ((NEW_ALICE, branch), (branch, NEW_ALICE)):
        world = World()
        assert opens(world, first)
        assert not opens(world, second)
        assert "conflict" in observed(world.bob, HandshakeFailed)[-1].reason


# ---- somebody else's credential


def guarded_world() -> World:
    """Bob believes the authority, and has a worker for members only."""
    world = World()
    world.bob.node.learn(AUTHORITY.identity, NOW)
    bobs = SecureChannelListener(
        local("members"), BOB, "MEMBERS", TRUST_EVERYONE, consumer_of=("TCP",), authority=AUTHORITY.identifier
    )
    world.bob.start(bobs)
    for_members = AllowAttributes(AUTHORITY.identifier, ((b"role", b"member"),))
    world.bob.start(Application((Mailbox(local("guarded"), for_members, ALLOW_ALL),), ("MEMBERS",)))
    return world


def sends(world: World, own: LocalIdentity, credential: bytes | None) -> list[str]:
    """Open a channel with that credential and send to the guarded worker; return the rules that refused it."""
    config = SecureChannel(own, (world.hop, local("members")), next_flow(world), TRUST_EVERYONE, 9, None, credential)
    worker = world.alice.start(config)
    world.net.run()
    (opened,) = (one for one in observed(world.alice, ChannelOpened) if one.worker == worker)
    before = len(world.bob.node.drops)
    world.alice.send(world.app_a, LocalMessage((opened.encryptor, local("guarded")), (), b"let me in"))
    world.net.run()
    return rules(world.bob)[before:]


def next_flow(world: World) -> str:
    return f"GUARDED-{next(world.flows)}"


@pytest.mark.spec("NODE-95")
def test_a_credential_helps_nobody_but_its_subject() -> None:
    world = guarded_world()
    of_alice = AUTHORITY.vouch(ALICE.identifier, created_at=NOW.unix, expires_at=NOW.unix + 60, role="member")
    assert sends(world, ALICE, of_alice) == []
    assert observed(world.bob, CredentialAccepted)
    assert sends(world, MALLORY, of_alice) == ["incoming:attributes"]
    (refused,) = observed(world.bob, CredentialRefused)
    assert refused.subject == MALLORY.identifier.value
    assert sends(world, MALLORY, None) == ["incoming:attributes"]


@pytest.mark.spec("NODE-95")
def test_nobody_vouches_for_himself() -> None:
    world = guarded_world()
    self_made = Issuer("mallory").vouch(
        MALLORY.identifier, created_at=NOW.unix, expires_at=NOW.unix + 60, role="member"
    )
    assert sends(world, MALLORY, self_made) == ["incoming:attributes"]
    with pytest.raises(OckamError):
        verify_credential(self_made, subject=MALLORY.identifier, authority=AUTHORITY.identity, now=NOW.unix)


@pytest.mark.spec("NODE-90", "NODE-95")
def test_a_replayed_credential_counts_until_it_ends_and_no_longer() -> None:
    world = guarded_world()
    of_alice = AUTHORITY.vouch(ALICE.identifier, created_at=NOW.unix, expires_at=NOW.unix + 60, role="member")
    assert sends(world, ALICE, of_alice) == []
    world.net.advance(61)
    assert sends(world, ALICE, of_alice) == ["incoming:attributes"]


# ---- the thief of the store


async def state_with_an_identity(path: Path, passphrase: bytes | None) -> Identifier:
    async with await Home.open(path) as home:
        if passphrase is not None:
            await home.store.set_passphrase(passphrase)
        return (await home.identities.create("alice")).identifier


@pytest.mark.spec("STO-20", "ID-35")
def test_a_copied_store_is_its_owner_unless_it_has_a_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said plainly: without a passphrase the thief is Alice for ever, and can even rotate her identity away."""

    async def main(passphrase: bytes | None) -> None:
        folder = tmp_path / f"with-{passphrase is not None}"
        alice = await state_with_an_identity(folder / "hers" / "state.db", passphrase)
        stolen = folder / "stolen"
        shutil.copytree(folder / "hers", stolen)
        if passphrase is None:
            async with await Home.open(stolen / "state.db") as home:
                assert (await home.identities.rotate("alice")).identifier == alice
            return
        monkeypatch.setenv(PASSPHRASE_VARIABLE, "a guess")
        with pytest.raises(StorageError) as failure:
            await Home.open(stolen / "state.db")
        assert failure.value.code is ErrorCode.WRONG_PASSPHRASE

    asyncio.run(main(None))
    asyncio.run(main(b"correct horse"))
