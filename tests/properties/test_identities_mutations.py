"""Every bit of everything signed, turned over once."""

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest

from ockam_ref.errors import DecodeError, VerificationError
from ockam_ref.identities.change_history import (
    Comparison,
    VerifiedIdentity,
    compare_histories,
    create_identity,
    decode_change_history,
    rotate_identity,
    verify_change_history,
)
from ockam_ref.identities.credentials import issue_credential, verify_credential
from ockam_ref.identities.keys import SigningKey, ed25519_from_seed, p256_from_secret
from ockam_ref.identities.local import create_local_identity
from ockam_ref.identities.presentation import decode_presentation, encode_presentation, verify_presentation
from ockam_ref.identities.purpose_keys import (
    attest_credential_signing_key,
    decode_attestation,
    encode_attestation,
    verify_secure_channel_key,
)

NOW: Final = 1_700_000_000
ED25519, P256 = ed25519_from_seed(bytes(32)), p256_from_secret(b"\x01" * 32)
ONE: Final = create_identity(ED25519, valid_from=NOW, valid_until=NOW + 10)
ROTATED: Final = rotate_identity(ONE, ED25519, P256, valid_from=NOW, valid_until=NOW + 10)
BACK_AGAIN: Final = rotate_identity(ROTATED, P256, ED25519, valid_from=NOW, valid_until=NOW + 10)
LOCAL: Final = create_local_identity(bytes(32), b"\x01" * 32, NOW)


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


@pytest.mark.spec("ID-32")
@pytest.mark.parametrize(
    ("identity", "counts"), [(ONE, []), (ROTATED, []), (BACK_AGAIN, [2, 1])], ids=["one", "two", "three"]
)
def test_no_bit_of_a_history_can_be_changed(identity: VerifiedIdentity, counts: list[int]) -> None:
    """Only the number of changes can be lowered, since what follows a history is passed over: an older one comes out."""
    accepted = []
    for bit, data in flips(identity.history.encoded):
        try:
            other = verify_change_history(decode_change_history(data))
        except (DecodeError, VerificationError):
            continue
        assert bit < 8
        assert compare_histories(other.history, identity.history) is Comparison.OLDER
        accepted.append(len(other.history.changes))
    assert accepted == counts


@pytest.mark.spec("ID-32")
def test_no_bit_of_an_attestation_can_be_changed() -> None:
    accepted = []
    for bit, data in flips(encode_attestation(LOCAL.attestation)):
        try:
            verify_secure_channel_key(decode_attestation(data), subject=LOCAL.identity, now=NOW)
        except (DecodeError, VerificationError):
            continue
        accepted.append(bit)
    assert accepted == []


@pytest.mark.spec("ID-29", "ID-32")
def test_no_bit_of_a_presentation_can_be_changed() -> None:
    accepted = []
    for bit, data in flips(LOCAL.presentation):
        try:
            verify_presentation(decode_presentation(data), noise_static=LOCAL.static.public, now=NOW)
        except (DecodeError, VerificationError):
            continue
        accepted.append(bit)
    assert accepted == []


KEY: Final = ed25519_from_seed(b"k" * 32)
ISSUERS: Final = {
    "ed25519": (ONE, attest_credential_signing_key(ONE, ED25519, KEY.public, created_at=NOW, expires_at=NOW + 10)),
    "p256": (ROTATED, attest_credential_signing_key(ROTATED, P256, P256.public, created_at=NOW, expires_at=NOW + 10)),
}


@pytest.mark.spec("CRED-11")
@pytest.mark.parametrize(("kind", "key"), [("ed25519", KEY), ("p256", P256)])
def test_no_bit_of_a_credential_can_be_changed(kind: str, key: SigningKey) -> None:
    issuer, attestation = ISSUERS[kind]
    encoded = issue_credential(
        key,
        attestation,
        subject=LOCAL.identifier,
        attributes={b"role": b"member", b"ockam-relay": b"*"},
        created_at=NOW,
        expires_at=NOW + 10,
        subject_change_hash=LOCAL.identity.latest_change_hash,
    )
    assert verify_credential(encoded, subject=LOCAL.identifier, authority=issuer, now=NOW)
    accepted = []
    for bit, data in flips(encoded):
        with contextlib.suppress(VerificationError):
            verify_credential(data, subject=LOCAL.identifier, authority=issuer, now=NOW)
            accepted.append(bit)
    assert accepted == []


@pytest.mark.spec("ID-14", "ID-15")
def test_bits_that_do_not_matter_leave_the_identity_as_it_was() -> None:
    """In an odd form some bits can be changed, for instance in surplus items; nothing signed is among them."""
    inner = ONE.history.encoded[2:]
    odd = b"\x9f\x9f" + inner + bytes.fromhex("8217 4161 01 43 616263 ffff")
    accepted = 0
    for _, data in flips(odd):
        try:
            history = decode_change_history(data)
            identity = verify_change_history(history)
        except (DecodeError, VerificationError):
            continue
        accepted += 1
        assert identity.identifier == ONE.identifier
        assert identity.latest_key == ONE.latest_key
        assert history.changes[0].data == ONE.history.changes[0].data
        assert verify_change_history(decode_change_history(history.encoded)) == identity
    assert accepted > 20


@pytest.mark.spec("ID-30")
def test_bits_of_a_credential_pass_through() -> None:
    signed = bytes.fromhex("82 43 616263 8200815840") + bytes(64)
    shown = decode_presentation(LOCAL.presentation)._replace(credentials=(b"\x82" + signed + signed,))
    data = encode_presentation(shown)
    changed = bytearray(data)
    changed[-1] ^= 1
    peer = verify_presentation(decode_presentation(changed), noise_static=LOCAL.static.public, now=NOW)
    assert peer.credentials == (b"\x82" + signed + signed[:-1] + b"\x01",)
