"""What a channel presents of its ends: credentials in the handshake, and what changes while it is open."""

from dataclasses import replace

import pytest

from ockam_ref.channels import initiator, listener, responder
from ockam_ref.channels.data_phase import SendingState, seal
from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.channels.responder import Responder
from ockam_ref.channels.trust import TRUST_EVERYONE
from ockam_ref.effects import ComparePeer, Follow, Guard, StartWorker, StopWorker, TellFollowers
from ockam_ref.events import AccessLost, MessageReceived, PeerCompared, PresentationChanged
from ockam_ref.identities.change_history import DEFAULT_IDENTITY_TTL_S, rotate_identity
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.local import LocalIdentity, open_local_identity
from ockam_ref.noise.primitives import MAX_NONCE, KeyPair
from ockam_ref.observations import ChannelClosed, CredentialRefused, MessageDropped
from ockam_ref.routing.access_control import DENY_ALL
from ockam_ref.wire.channel_message import RefreshCredentials, decode_channel_message, encode_channel_message
from ockam_ref.wire.local_message import LocalMessage
from tests.unit.channels.ends import (
    A_ENCRYPTOR,
    A_HOP,
    A_INTERNAL,
    A_REMOTE,
    ALICE,
    B_ENCRYPTOR,
    B_HOP,
    B_INTERNAL,
    B_REMOTE,
    BOB,
    LISTENER,
    MALLORY,
    NOW,
    End,
    Pair,
    fresh,
    messages,
    only,
    reports,
    seed,
    start_initiator,
    start_responder,
    to_initiator,
    to_responder,
)
from tests.unit.identities.credentials_for_tests import credential_of

AUTHORITY = b"authority of thirty-two bytes..."
CREDENTIAL, RENEWED = credential_of("alice", 1), credential_of("alice", 2)


def rotated(own: LocalIdentity, name: str) -> LocalIdentity:
    newer = ed25519_from_seed(seed(f"{name} newer"))
    end = NOW.unix + DEFAULT_IDENTITY_TTL_S
    identity = rotate_identity(own.identity, own.signing_key, newer, valid_from=NOW.unix, valid_until=end)
    return open_local_identity(identity, newer, KeyPair.from_private_bytes(seed(f"{name} newer static")), now=NOW.unix)


NEW_ALICE, NEW_BOB = rotated(ALICE, "alice"), rotated(BOB, "bob")


def presenting_pair(credential: bytes | None = CREDENTIAL) -> Pair:
    asking = SecureChannel(ALICE, (A_HOP, LISTENER), "A", TRUST_EVERYONE, 9, AUTHORITY, credential)
    a = End(initiator.MACHINE, asking, fresh(A_REMOTE, A_INTERNAL, A_ENCRYPTOR, secret="initiator"))
    answering = Responder(BOB, TRUST_EVERYONE, LISTENER, "SPAWNER", AUTHORITY, credential)
    b = End(responder.MACHINE, answering, fresh(B_REMOTE, B_INTERNAL, B_ENCRYPTOR, secret="responder", flow="B"))
    return Pair(a, b)


def refreshed(sender: End, receiver: End, event: PresentationChanged) -> ComparePeer | None:
    """Change what one end presents; return what the other end asks its node about."""
    sent = messages(sender.step(event))
    if not sent:
        return None
    (message,) = sent
    carried = to_responder(message) if receiver.mailboxes[0].address == B_REMOTE else to_initiator(message)
    (compare,) = only(receiver.take(carried, source=B_HOP), ComparePeer)
    return compare


@pytest.mark.spec("CH-40")
def test_each_end_presents_its_credential_and_names_its_authority() -> None:
    pair = presenting_pair()
    (compare,) = only(pair.a.take(pair.message_2()), ComparePeer)
    assert compare == ComparePeer(BOB.identity, (CREDENTIAL,), AUTHORITY)
    (third,) = messages(pair.a.step(PeerCompared(None, NOW)))
    (compare,) = only(pair.b.take(to_responder(third), source=B_HOP), ComparePeer)
    assert compare == ComparePeer(ALICE.identity, (CREDENTIAL,), AUTHORITY)


@pytest.mark.spec("CH-40")
def test_an_end_without_a_credential_presents_none() -> None:
    pair = presenting_pair(None)
    (compare,) = only(pair.a.take(pair.message_2()), ComparePeer)
    assert compare == ComparePeer(BOB.identity, (), AUTHORITY)


@pytest.mark.spec("CH-41")
def test_a_new_credential_is_presented_on_an_open_channel_once() -> None:
    pair = presenting_pair().open()
    changed = PresentationChanged(ALICE, RENEWED, NOW)
    assert refreshed(pair.a, pair.b, changed) == ComparePeer(ALICE.identity, (RENEWED,), AUTHORITY)
    assert refreshed(pair.a, pair.b, changed) is None
    assert refreshed(pair.a, pair.b, PresentationChanged(ALICE, None, NOW)) is None
    changed = PresentationChanged(BOB, RENEWED, NOW)
    assert refreshed(pair.b, pair.a, changed) == ComparePeer(BOB.identity, (RENEWED,), AUTHORITY)
    pair.b.take(pair.seal_at_a(b"goes on"), source=B_HOP)
    assert not reports(tuple(pair.b.history), MessageDropped)


@pytest.mark.spec("CH-41")
def test_what_was_presented_in_the_handshake_is_not_presented_again() -> None:
    pair = presenting_pair().open()
    assert refreshed(pair.a, pair.b, PresentationChanged(ALICE, CREDENTIAL, NOW)) is None
    assert refreshed(pair.b, pair.a, PresentationChanged(BOB, CREDENTIAL, NOW)) is None


@pytest.mark.spec("CH-42")
def test_a_rotated_identity_is_presented_with_the_credential_it_had() -> None:
    pair = presenting_pair().open()
    compare = refreshed(pair.a, pair.b, PresentationChanged(NEW_ALICE, None, NOW))
    assert compare == ComparePeer(NEW_ALICE.identity, (CREDENTIAL,), AUTHORITY)


@pytest.mark.spec("CH-42")
def test_who_presents_no_credential_goes_on_so() -> None:
    pair = presenting_pair(None).open()
    assert refreshed(pair.a, pair.b, PresentationChanged(ALICE, RENEWED, NOW)) is None
    compare = refreshed(pair.a, pair.b, PresentationChanged(NEW_ALICE, RENEWED, NOW))
    assert compare == ComparePeer(NEW_ALICE.identity, (), AUTHORITY)


@pytest.mark.spec("CH-43")
def test_what_changes_during_the_handshake_is_presented_when_it_is_over() -> None:
    pair = presenting_pair()
    changed_b = PresentationChanged(NEW_BOB, RENEWED, NOW)
    assert pair.b.step(changed_b) == ()
    pair.a.take(pair.message_2())
    assert pair.b.step(changed_b) == ()
    assert pair.a.step(PresentationChanged(NEW_ALICE, RENEWED, NOW)) == ()
    third, refresh = messages(pair.a.step(PeerCompared(None, NOW)))
    pair.b.take(to_responder(third), source=B_HOP)
    (from_b,) = messages(pair.b.step(PeerCompared(None, NOW)))
    assert only(pair.a.take(to_initiator(from_b)), ComparePeer) == [
        ComparePeer(NEW_BOB.identity, (RENEWED,), AUTHORITY)
    ]
    assert only(pair.b.take(to_responder(refresh), source=B_HOP), ComparePeer) == [
        ComparePeer(NEW_ALICE.identity, (RENEWED,), AUTHORITY)
    ]


@pytest.mark.spec("CH-43")
def test_an_initiator_that_waits_for_message_2_notes_what_changed() -> None:
    pair = presenting_pair()
    assert pair.a.step(PresentationChanged(ALICE, RENEWED, NOW)) == ()
    pair.a.take(pair.message_2())
    third, _ = messages(pair.a.step(PeerCompared(None, NOW)))
    (compare,) = only(pair.b.take(to_responder(third), source=B_HOP), ComparePeer)
    assert compare.credentials == (CREDENTIAL,)


def refresh_dropped(pair: Pair, refresh: RefreshCredentials) -> str:
    state = pair.a.state
    sending, packet = seal(state.sending, encode_channel_message(refresh))
    pair.a.state = replace(state, sending=sending)
    effects = pair.b.take(to_responder(LocalMessage(state.remote_route, (), packet)), source=B_HOP)
    (dropped,) = reports(effects, MessageDropped)
    assert pair.b.state_name == "Open"
    return dropped.rule


@pytest.mark.spec("CH-44")
def test_a_bad_refresh_changes_nothing() -> None:
    pair = presenting_pair().open()
    assert refresh_dropped(pair, RefreshCredentials(b"\x80", ())) == "bad-refresh"
    assert refresh_dropped(pair, RefreshCredentials(b"\xf6", ())) == "bad-refresh"
    foreign = RefreshCredentials(MALLORY.identity.history.encoded, (CREDENTIAL,))
    assert refresh_dropped(pair, foreign) == "bad-refresh"


@pytest.mark.spec("CH-44")
def test_a_refresh_that_is_not_believed_is_put_on_record() -> None:
    pair = presenting_pair().open()
    effects = pair.b.step(PeerCompared("the change history is older than the one known", NOW))
    (refused,) = reports(effects, CredentialRefused)
    assert refused.subject == ALICE.identifier.value
    assert pair.b.step(PeerCompared(None, NOW)) == ()


def test_a_channel_without_nonces_left_ends_rather_than_refresh() -> None:
    pair = presenting_pair().open()
    sending = pair.a.state.sending
    pair.a.state = replace(pair.a.state, sending=SendingState(sending.aead, MAX_NONCE))
    effects = pair.a.step(PresentationChanged(ALICE, RENEWED, NOW))
    assert pair.a.state_name == "Closed"
    assert len(only(effects, StopWorker)) == 1


# ---- who is admitted


@pytest.mark.spec("CH-46")
def test_an_open_channel_is_guarded_and_ends_when_its_peer_is_admitted_no_more() -> None:
    asking = SecureChannel(ALICE, (A_HOP, LISTENER), "A", admits=DENY_ALL)
    a = End(initiator.MACHINE, asking, fresh(A_REMOTE, A_INTERNAL, A_ENCRYPTOR, secret="initiator"))
    answering = Responder(BOB, TRUST_EVERYONE, LISTENER, "SPAWNER", admits=DENY_ALL)
    b = End(responder.MACHINE, answering, fresh(B_REMOTE, B_INTERNAL, B_ENCRYPTOR, secret="responder", flow="B"))
    Pair(a, b).open()
    assert only(tuple(a.history), Guard) == [Guard(DENY_ALL, BOB.identifier.value)]
    assert only(tuple(b.history), Guard) == [Guard(DENY_ALL, ALICE.identifier.value)]
    effects = b.step(AccessLost("no more", NOW))
    assert b.state_name == "Closed"
    assert len(messages(effects)) == 1
    assert [closed.reason for closed in reports(effects, ChannelClosed)] == ["no more"]
    assert effects[-1] == StopWorker(B_REMOTE, "no more")


@pytest.mark.spec("CH-46")
def test_a_channel_that_admits_everybody_needs_no_guard() -> None:
    pair = Pair().open()
    assert not only((*pair.a.history, *pair.b.history), Guard)


# ---- the listener


def listening(credential: bytes | None) -> End:
    config = SecureChannelListener(LISTENER, BOB, "L", TRUST_EVERYONE, (), AUTHORITY, credential)
    return End(listener.MACHINE, config, fresh())


def responder_of(end: End) -> Responder:
    message = LocalMessage((LISTENER,), (A_HOP,), b"message 1")
    (start,) = only(end.step(MessageReceived(LISTENER, A_HOP, message, NOW)), StartWorker)
    assert isinstance(start.config, Responder)
    return start.config


@pytest.mark.spec("CH-45")
def test_a_listener_presents_what_is_new_and_tells_its_channels() -> None:
    end = listening(CREDENTIAL)
    assert responder_of(end) == Responder(BOB, TRUST_EVERYONE, LISTENER, "L", AUTHORITY, CREDENTIAL)
    event = PresentationChanged(NEW_BOB, RENEWED, NOW)
    assert end.step(event) == (TellFollowers(event),)
    assert responder_of(end) == Responder(NEW_BOB, TRUST_EVERYONE, LISTENER, "L", AUTHORITY, RENEWED)
    end.step(PresentationChanged(BOB, None, NOW))
    assert responder_of(end).credential == RENEWED


@pytest.mark.spec("CH-45")
def test_a_listener_that_presents_no_credential_goes_on_so() -> None:
    end = listening(None)
    end.step(PresentationChanged(NEW_BOB, RENEWED, NOW))
    assert responder_of(end) == Responder(NEW_BOB, TRUST_EVERYONE, LISTENER, "L", AUTHORITY, None)


@pytest.mark.spec("CH-45")
def test_a_responder_follows_its_listener() -> None:
    assert Follow(LISTENER) in start_responder().first_effects
    assert not only(start_initiator().first_effects, Follow)


def test_a_refresh_is_what_the_peer_sends() -> None:
    message = RefreshCredentials(ALICE.identity.history.encoded, (CREDENTIAL,))
    assert decode_channel_message(encode_channel_message(message)) == message
