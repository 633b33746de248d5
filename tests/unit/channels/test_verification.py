"""One refusal for each row of the table of checks (facts 04 section 2.8), at both ends."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from ockam_ref.channels.initiator import SecureChannel
from ockam_ref.channels.listener import SecureChannelListener
from ockam_ref.effects import ComparePeer, Forward, StopWorker
from ockam_ref.events import PeerCompared
from ockam_ref.identities.change_history import (
    Change,
    ChangeData,
    ChangeHistory,
    VerifiedIdentity,
    create_identity,
    encode_change_data,
    rotate_identity,
)
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import KeyKind, Signature, SigningKey, ed25519_from_seed, p256_from_secret
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.identities.presentation import Presentation, encode_presentation
from ockam_ref.identities.purpose_keys import (
    AttestationData,
    CredentialSigningKey,
    PurposeKeyAttestation,
    PurposePublicKey,
    SecureChannelKey,
    encode_attestation,
    encode_attestation_data,
)
from ockam_ref.links.link_listener import LinkListener
from ockam_ref.observations import ChannelOpened, HandshakeFailed
from ockam_ref.testing.memory_host import MemoryHost, MemoryNetwork
from ockam_ref.wire import cbor
from ockam_ref.wire.address import local
from tests.unit.channels.ends import (
    ALICE,
    BOB,
    NOW,
    Pair,
    at,
    identity,
    messages,
    observed,
    only,
    reports,
    seed,
    start_initiator,
    start_responder,
)

YEAR = 365 * 86_400
KEY, NEXT_KEY, OTHER_KEY = (ed25519_from_seed(seed(name)) for name in ("key", "next key", "other key"))
STATIC = identity("liar").static.public
VALID_FROM, VALID_UNTIL = NOW.unix - YEAR, NOW.unix + YEAR


def versioned(version: int, data_type: int, data: bytes) -> bytes:
    return cbor.encode_fields(cbor.encode_uint(version), cbor.encode_uint(data_type), cbor.encode_bytes(data))


def sign(key: SigningKey, data: bytes) -> Signature:
    return key.sign(sha256(data).digest())


def change(
    key: SigningKey = KEY,
    *,
    previous: bytes | None = None,
    signer: SigningKey | None = None,
    previous_signer: SigningKey | None = None,
    version: int = 1,
    data_type: int = 1,
    valid_from: int = VALID_FROM,
    content: bytes | None = None,
) -> Change:
    content = content or encode_change_data(ChangeData(previous, key.public, False, valid_from, VALID_UNTIL))
    data = versioned(version, data_type, content)
    return Change(data, sign(signer or key, data), sign(previous_signer, data) if previous_signer else None)


def change_hash(one: Change) -> bytes:
    return sha256(one.data).digest()


FIRST = change()
HASH = change_hash(FIRST)
HISTORY = ChangeHistory((FIRST,))


def attest(
    *,
    key: SigningKey = KEY,
    subject: bytes = HASH,
    latest: bytes | None = None,
    public: PurposePublicKey | None = None,
    created_at: int = NOW.unix,
    expires_at: int = NOW.unix + 1000,
    version: int = 1,
    data_type: int = 2,
    content: bytes | None = None,
) -> PurposeKeyAttestation:
    data = AttestationData(
        Identifier(subject), latest or subject, public or SecureChannelKey(STATIC), created_at, expires_at
    )
    signed = versioned(version, data_type, content or encode_attestation_data(data))
    return PurposeKeyAttestation(signed, sign(key, signed))


def present(
    history: ChangeHistory = HISTORY,
    attestation: PurposeKeyAttestation | None = None,
    credentials: tuple[bytes, ...] = (),
) -> bytes:
    return encode_presentation(Presentation(history, attestation or attest(), credentials))


def histories(*changes: Change, key: SigningKey = KEY) -> bytes:
    """A presentation of these changes, with the attestation that would fit."""
    hashes = [change_hash(one) for one in changes] or [HASH]
    return present(ChangeHistory(changes), attest(key=key, subject=hashes[0], latest=hashes[-1]))


def second(**settings: object) -> Change:
    usual: dict[str, object] = {"previous": HASH, "previous_signer": KEY}
    return change(NEXT_KEY, **(usual | settings))  # type: ignore[arg-type]


def flipped(signature: Signature) -> Signature:
    return Signature(signature.kind, bytes((signature.data[0] ^ 1, *signature.data[1:])))


ROTATED = ChangeHistory((FIRST, second()))
P256 = p256_from_secret(seed("p256"))

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "1: nothing": (lambda: b"", "byte"),
    "1: no presentation": (lambda: b"\x00" * 323, ""),
    "1: two fields": (lambda: b"\x82" + present()[1:-1], ""),
    "1: a credential without its form": (lambda: present()[:-1] + b"\x81\x00", ""),
    "2a: signed data that does not decode": (
        lambda: present(ChangeHistory((Change(b"\x00", sign(KEY, b"\x00")),))),
        "change 0",
    ),
    "2a: version 2": (lambda: histories(change(version=2)), "version 2"),
    "2a: data of another type": (lambda: histories(change(data_type=2)), "type 2"),
    "2a: content that does not decode": (lambda: histories(change(content=b"\x80")), "change 0"),
    "2b: the first change follows another": (lambda: histories(change(previous=bytes(32))), "the first change"),
    "2b: the second change follows nothing": (lambda: histories(FIRST, second(previous=None), key=NEXT_KEY), "follow"),
    "2b: the second change follows another": (
        lambda: histories(FIRST, second(previous=bytes(32)), key=NEXT_KEY),
        "follow",
    ),
    "2b: a key valid before the one it replaces": (
        lambda: histories(FIRST, second(valid_from=VALID_FROM - 1), key=NEXT_KEY),
        "before the one",
    ),
    "2c: signed by another key": (lambda: histories(change(signer=OTHER_KEY)), "own key"),
    "2c: a flipped signature": (
        lambda: histories(FIRST._replace(signature=flipped(FIRST.signature))),
        "own key",
    ),
    "2c: a signature of another kind": (
        lambda: histories(FIRST._replace(signature=Signature(KeyKind.P256, FIRST.signature.data))),
        "own key",
    ),
    "2c: no previous signature": (
        lambda: histories(FIRST, second()._replace(previous_signature=None), key=NEXT_KEY),
        "did not sign",
    ),
    "2c: a previous signature by another key": (
        lambda: histories(FIRST, second(previous_signer=NEXT_KEY), key=NEXT_KEY),
        "previous key",
    ),
    "2c: its own signature in both places": (
        lambda: histories(FIRST, FIRST._replace(previous_signature=FIRST.signature)),
        "follow",
    ),
    "2d: no change at all": (histories, "at least one change"),
    "3a: version 2": (lambda: present(attestation=attest(version=2)), "version 2"),
    "3a: a change in its place": (lambda: present(attestation=attest(data_type=1)), "type 1"),
    "3a: a credential in its place": (lambda: present(attestation=attest(data_type=3)), "type 3"),
    "3a: content that does not decode": (lambda: present(attestation=attest(content=b"\x80")), "attestation"),
    "3b: another subject": (lambda: present(attestation=attest(subject=bytes(32))), "is about"),
    "3c: made before the last rotation": (lambda: present(ROTATED, attest()), "latest key"),
    "3d: it outlives its key": (lambda: present(attestation=attest(expires_at=VALID_UNTIL + 1)), "outlives"),
    "3d: older than its key": (lambda: present(attestation=attest(created_at=VALID_FROM - 1)), "older"),
    "3e: 61 seconds from the future": (lambda: present(attestation=attest(created_at=NOW.unix + 61)), "future"),
    "3e: expired": (lambda: present(attestation=attest(expires_at=NOW.unix - 1)), "expired"),
    "3f: signed by another key": (lambda: present(attestation=attest(key=OTHER_KEY)), "attestation"),
    "3f: a signature of another kind": (lambda: present(attestation=attest(key=P256)), "attestation"),
    "3g: a key that signs credentials": (
        lambda: present(attestation=attest(public=CredentialSigningKey(KEY.public))),
        "secure channel key expected",
    ),
    "3h: another key than that of the handshake": (
        lambda: present(attestation=attest(public=SecureChannelKey(BOB.static.public))),
        "static key of the handshake",
    ),
}

JUNK_CREDENTIAL = cbor.encode_fields(encode_attestation(attest()), encode_attestation(attest()))
ACCEPTED: dict[str, Callable[[], bytes]] = {
    "the usual": present,
    "two changes": lambda: present(ROTATED, attest(key=NEXT_KEY, latest=change_hash(ROTATED.changes[1]))),
    "60 seconds from the future": lambda: present(attestation=attest(created_at=NOW.unix + 60)),
    "expires now": lambda: present(attestation=attest(expires_at=NOW.unix)),
    "a credential of nobody": lambda: present(credentials=(JUNK_CREDENTIAL,)),
    "three of them": lambda: present(credentials=(JUNK_CREDENTIAL,) * 3),
    "bytes after the presentation": lambda: present() + b"more",
}


def liar(presentation: bytes) -> LocalIdentity:
    """An end that knows the static key ``STATIC`` and presents whatever it likes."""
    one = identity("liar")
    object.__setattr__(one, "presentation", presentation)
    return one


@pytest.mark.spec("CH-6", "CH-7", "CH-8")
@pytest.mark.parametrize(("presentation", "reason"), REFUSED.values(), ids=REFUSED)
def test_the_initiator_refuses(presentation: Callable[[], bytes], reason: str) -> None:
    pair = Pair(b=start_responder(own=liar(presentation())))
    effects = pair.a.take(pair.message_2())
    (failed,) = reports(effects, HandshakeFailed)
    assert reason in failed.reason
    assert pair.a.state_name == "Closed"
    assert effects[-1] == StopWorker(failed.worker, failed.reason)
    assert len(pair.a.sent()) == 1  # message 1: the initiator did not show itself


@pytest.mark.spec("CH-7", "CH-8")
@pytest.mark.parametrize(("presentation", "reason"), REFUSED.values(), ids=REFUSED)
def test_the_responder_refuses(presentation: Callable[[], bytes], reason: str) -> None:
    pair = Pair(start_initiator(own=liar(presentation())))
    effects = pair.b.take(pair.message_3())
    (failed,) = reports(effects, HandshakeFailed)
    assert reason in failed.reason
    assert pair.b.state_name == "Closed"
    assert not messages(effects)


@pytest.mark.spec("CH-7", "CH-11")
@pytest.mark.parametrize("presentation", ACCEPTED.values(), ids=ACCEPTED)
def test_both_accept(presentation: Callable[[], bytes]) -> None:
    pair = Pair(b=start_responder(own=liar(presentation())))
    assert len(only(pair.a.take(pair.message_2()), ComparePeer)) == 1
    assert len(only(pair.a.step(PeerCompared(None, NOW)), Forward)) == 1
    assert pair.a.state.peer == HASH
    assert [info.data[-32:] for info in pair.a.state.local_info] == [HASH]  # no attribute of a credential is kept
    pair = Pair(start_initiator(own=liar(presentation())))
    assert len(only(pair.b.take(pair.message_3()), ComparePeer)) == 1


@pytest.mark.spec("CH-7", "CH-8")
def test_an_attested_key_that_the_liar_does_not_hold() -> None:
    """Bob's own, correct presentation, shown by somebody who has not the secret of Bob's static key."""
    pair = Pair(b=start_responder(own=liar(BOB.presentation)))
    (failed,) = reports(pair.a.take(pair.message_2()), HandshakeFailed)
    assert "static key of the handshake" in failed.reason


# ---- 2e: what the node remembers


def bob(history: VerifiedIdentity, key: SigningKey) -> LocalIdentity:
    one = identity("liar")
    attestation = attest(key=key, subject=history.identifier.value, latest=history.latest_change_hash)
    return LocalIdentity(history, key, one.static, attestation, NOW.unix + 1000)


ORIGINAL = create_identity(KEY, valid_from=VALID_FROM, valid_until=VALID_UNTIL)
NEWER, FORK = (
    rotate_identity(ORIGINAL, KEY, key, valid_from=VALID_FROM, valid_until=VALID_UNTIL) for key in (NEXT_KEY, OTHER_KEY)
)
SHOWN = {"original": bob(ORIGINAL, KEY), "newer": bob(NEWER, NEXT_KEY), "fork": bob(FORK, OTHER_KEY)}


def shake_hands(*, initiator: MemoryHost, own: LocalIdentity, responder: MemoryHost, answering: LocalIdentity) -> None:
    listener = local(f"listener of {initiator.name}")
    tcp = responder.start(LinkListener(f"TCP of {initiator.name}"))
    responder.start(SecureChannelListener(listener, answering, "CHANNELS", consumer_of=(f"TCP of {initiator.name}",)))
    hop = initiator.network.connect(initiator, responder, tcp)
    initiator.start(SecureChannel(own, (hop, listener), f"FLOW to {responder.name}"))
    initiator.network.run()


@pytest.mark.spec("CH-6", "CH-7", "CH-9")
@pytest.mark.parametrize(
    ("known", "shown", "reason"),
    [
        ("original", "original", None),
        ("original", "newer", None),
        ("newer", "newer", None),
        ("newer", "original", "older"),
        ("newer", "fork", "conflicts"),
    ],
)
@pytest.mark.parametrize("alice_asks", [True, False])
def test_histories_that_the_node_has_met(known: str, shown: str, reason: str | None, *, alice_asks: bool) -> None:
    """Alice meets an identity twice, the second time showing another history or the same."""
    net = MemoryNetwork()
    alice = net.host("alice")
    for number, name in enumerate((known, shown)):
        other = net.host(f"{name} {number}")
        if alice_asks:
            shake_hands(initiator=alice, own=ALICE, responder=other, answering=SHOWN[name])
        else:
            shake_hands(initiator=other, own=SHOWN[name], responder=alice, answering=ALICE)
    opened, failures = observed(alice, ChannelOpened), observed(alice, HandshakeFailed)
    assert len(opened) == (1 if reason else 2)
    assert {one.peer for one in opened} == {ORIGINAL.identifier.value}
    assert [reason in failed.reason for failed in failures if reason] == ([True] if reason else [])
    assert len(failures) == (1 if reason else 0)


@pytest.mark.spec("CH-9")
def test_a_refused_history_does_not_take_the_place_of_the_known_one() -> None:
    net = MemoryNetwork()
    alice = net.host("alice")
    for number, name in enumerate(("newer", "original", "fork", "newer")):
        shake_hands(initiator=alice, own=ALICE, responder=net.host(f"{name} {number}"), answering=SHOWN[name])
    assert (len(observed(alice, ChannelOpened)), len(observed(alice, HandshakeFailed))) == (2, 2)


@pytest.mark.spec("CH-9")
def test_a_history_is_remembered_only_once_it_is_believed() -> None:
    """Whoever shows a newer history of somebody but cannot shake hands for it changes nothing."""
    net = MemoryNetwork()
    alice = net.host("alice")
    thief = liar(SHOWN["newer"].presentation)
    object.__setattr__(thief, "static", BOB.static)
    for number, answering in enumerate((SHOWN["original"], thief, SHOWN["original"])):
        shake_hands(initiator=alice, own=ALICE, responder=net.host(str(number)), answering=answering)
    assert (len(observed(alice, ChannelOpened)), len(observed(alice, HandshakeFailed))) == (2, 1)


def test_time_is_that_of_the_event() -> None:
    pair = Pair(b=start_responder(own=liar(present(attestation=attest(expires_at=NOW.unix + 10)))))
    second_message = pair.message_2()
    (failed,) = reports(pair.a.take(second_message, now=at(NOW, 11)), HandshakeFailed)
    assert "expired" in failed.reason
