from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.identities import purpose_keys
from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import KeyKind, Signature, SigningKey, ed25519_from_seed
from ockam_ref.identities.purpose_keys import (
    ATTESTATION_MEMO_BYTES,
    ATTESTATION_MEMO_ENTRIES,
    MAX_CLOCK_SKEW_S,
    AttestationData,
    CredentialSigningKey,
    PurposeKeyAttestation,
    SecureChannelKey,
    attest_credential_signing_key,
    attest_secure_channel_key,
    decode_attestation,
    decode_attestation_data,
    encode_attestation,
    encode_attestation_data,
    read_attestation,
    unverified_attestation_data,
    verify_credential_signing_key,
    verify_secure_channel_key,
)
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Cursor

START, END = 1_700_000_000, 2_015_360_000
CREATED, EXPIRES, NOW = START + 200, START + 300_000, START + 400
X25519 = bytes(range(100, 132))


def signed(content: bytes, key: SigningKey, *, version: int = 1, data_type: int = 2) -> PurposeKeyAttestation:
    """Sign an attestation, whatever it says."""
    data = cbor.encode_fields(cbor.encode_uint(version), cbor.encode_uint(data_type), cbor.encode_bytes(content))
    return PurposeKeyAttestation(data, key.sign(sha256(data).digest()))


@pytest.fixture(scope="module")
def content(alice: VerifiedIdentity) -> AttestationData:
    return AttestationData(alice.identifier, alice.latest_change_hash, SecureChannelKey(X25519), CREATED, EXPIRES)


@pytest.fixture(scope="module")
def attestation(alice: VerifiedIdentity, alice_key: SigningKey) -> PurposeKeyAttestation:
    return attest_secure_channel_key(alice, alice_key, X25519, created_at=CREATED, expires_at=EXPIRES)


def refusal(attestation: PurposeKeyAttestation, subject: VerifiedIdentity, now: int = NOW) -> ErrorCode:
    with pytest.raises(VerificationError) as caught:
        verify_secure_channel_key(attestation, subject=subject, now=now)
    return caught.value.code


@pytest.mark.spec("ID-23")
def test_attest_and_verify_a_secure_channel_key(alice: VerifiedIdentity, attestation: PurposeKeyAttestation) -> None:
    verified = verify_secure_channel_key(attestation, subject=alice, now=NOW)
    assert (verified.subject, verified.public) == (alice.identifier, X25519)
    assert (verified.created_at, verified.expires_at) == (CREATED, EXPIRES)
    assert len(encode_attestation(attestation)) == 193


@pytest.mark.spec("ID-23")
def test_attest_and_verify_a_credential_signing_key(
    bob: VerifiedIdentity, bob_key: SigningKey, alice_key: SigningKey
) -> None:
    for key, size in ((alice_key, 196), (bob_key, 229)):
        attestation = attest_credential_signing_key(bob, bob_key, key.public, created_at=CREATED, expires_at=EXPIRES)
        verified = verify_credential_signing_key(attestation, subject=bob, now=NOW)
        assert (verified.subject, verified.public) == (bob.identifier, key.public)
        assert (verified.created_at, verified.expires_at) == (CREATED, EXPIRES)
        assert len(encode_attestation(attestation)) == size
        assert refusal(attestation, bob) is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("ID-24")
def test_a_secure_channel_key_signs_no_credentials(alice: VerifiedIdentity, attestation: PurposeKeyAttestation) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_credential_signing_key(attestation, subject=alice, now=NOW)
    assert caught.value.code is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("ID-21", "ID-24")
def test_only_the_latest_key_attests(
    rotated_alice: VerifiedIdentity, alice_key: SigningKey, alice_new_key: SigningKey
) -> None:
    with pytest.raises(MisuseError) as caught:
        attest_secure_channel_key(rotated_alice, alice_key, X25519, created_at=CREATED, expires_at=EXPIRES)
    assert caught.value.code is ErrorCode.KEY_MISMATCH
    attestation = attest_secure_channel_key(
        rotated_alice, alice_new_key, X25519, created_at=CREATED, expires_at=EXPIRES
    )
    assert verify_secure_channel_key(attestation, subject=rotated_alice, now=NOW).public == X25519


@pytest.mark.parametrize("length", [0, 31, 33, 65])
def test_keys_of_another_length(alice: VerifiedIdentity, alice_key: SigningKey, length: int) -> None:
    with pytest.raises(MisuseError) as caught:
        attest_secure_channel_key(alice, alice_key, bytes(length), created_at=CREATED, expires_at=EXPIRES)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


# the checks, each alone


@pytest.mark.spec("ID-11", "ID-24")
def test_version_and_type(alice: VerifiedIdentity, alice_key: SigningKey, content: AttestationData) -> None:
    encoded = encode_attestation_data(content)
    for version in (0, 2, 255):
        assert refusal(signed(encoded, alice_key, version=version), alice) is ErrorCode.BAD_ATTESTATION
    for data_type in (0, 1, 3, 255):
        assert refusal(signed(encoded, alice_key, data_type=data_type), alice) is ErrorCode.WRONG_TYPE


@pytest.mark.spec("ID-11")
def test_a_change_is_no_attestation(alice: VerifiedIdentity) -> None:
    data, signature, _ = alice.history.changes[0]
    assert refusal(PurposeKeyAttestation(data, signature), alice) is ErrorCode.WRONG_TYPE


def test_signed_data_that_does_not_decode(alice: VerifiedIdentity, alice_key: SigningKey) -> None:
    attestation = signed(b"\x80", alice_key)
    assert refusal(attestation, alice) is ErrorCode.MISSING_FIELD
    with pytest.raises(VerificationError) as caught:
        unverified_attestation_data(attestation)
    assert isinstance(caught.value.__cause__, DecodeError)
    assert refusal(PurposeKeyAttestation(b"", attestation.signature), alice) is ErrorCode.TRUNCATED


@pytest.mark.spec("ID-24")
def test_another_subject(
    alice: VerifiedIdentity,
    bob: VerifiedIdentity,
    attestation: PurposeKeyAttestation,
    alice_key: SigningKey,
    content: AttestationData,
) -> None:
    assert refusal(attestation, bob) is ErrorCode.BAD_ATTESTATION
    about_nobody = content._replace(subject=Identifier(bytes(32)))
    assert refusal(signed(encode_attestation_data(about_nobody), alice_key), alice) is ErrorCode.BAD_ATTESTATION


@pytest.mark.spec("ID-24", "ID-26")
def test_keys_before_the_latest_one(  # noqa: PLR0917
    alice: VerifiedIdentity,
    rotated_alice: VerifiedIdentity,
    attestation: PurposeKeyAttestation,
    alice_key: SigningKey,
    alice_new_key: SigningKey,
    content: AttestationData,
) -> None:
    assert refusal(attestation, rotated_alice) is ErrorCode.BAD_ATTESTATION
    # The new key signs for the old change, and the old key for the new one.
    assert refusal(signed(encode_attestation_data(content), alice_new_key), rotated_alice) is ErrorCode.BAD_ATTESTATION
    newer = encode_attestation_data(content._replace(subject_latest_change_hash=rotated_alice.latest_change_hash))
    assert refusal(signed(newer, alice_key), rotated_alice) is ErrorCode.BAD_ATTESTATION
    assert verify_secure_channel_key(signed(newer, alice_new_key), subject=rotated_alice, now=NOW).public == X25519
    # Who has not heard of the rotation yet cannot verify what was attested after it.
    assert refusal(signed(newer, alice_new_key), alice) is ErrorCode.BAD_ATTESTATION


@pytest.mark.spec("ID-26")
def test_rotating_to_the_same_key_voids_attestations_too(
    alice: VerifiedIdentity, alice_key: SigningKey, attestation: PurposeKeyAttestation
) -> None:
    again = rotate_identity(alice, alice_key, alice_key, valid_from=START, valid_until=END)
    assert refusal(attestation, again) is ErrorCode.BAD_ATTESTATION


@pytest.mark.spec("ID-25")
@pytest.mark.parametrize(
    ("created_at", "expires_at", "now", "accepted"),
    [
        (CREATED, END, NOW, True),
        (CREATED, END + 1, NOW, False),
        (START, EXPIRES, NOW, True),
        (START - 1, EXPIRES, NOW, False),
        (NOW + MAX_CLOCK_SKEW_S, EXPIRES, NOW, True),
        (NOW + MAX_CLOCK_SKEW_S + 1, EXPIRES, NOW, False),
        (CREATED, NOW, NOW, True),
        (CREATED, NOW - 1, NOW, False),
        (NOW, NOW, NOW, True),
        # The peer does not compare the two: created later than it expires, and both within the bounds.
        (NOW + 1, NOW, NOW, True),
        (START, END, START - MAX_CLOCK_SKEW_S, True),
        (START, END, START - MAX_CLOCK_SKEW_S - 1, False),
        (START, END, END, True),
        (START, END, END + 1, False),
        (START, END, 0, False),
        (2**64 - 1, END, NOW, False),
    ],
)
def test_times(  # noqa: PLR0917
    alice: VerifiedIdentity,
    alice_key: SigningKey,
    created_at: int,
    expires_at: int,
    now: int,
    accepted: bool,  # noqa: FBT001
) -> None:
    attestation = attest_secure_channel_key(alice, alice_key, X25519, created_at=created_at, expires_at=expires_at)
    if accepted:
        assert verify_secure_channel_key(attestation, subject=alice, now=now).created_at == created_at
    else:
        assert refusal(attestation, alice, now) is ErrorCode.BAD_ATTESTATION


@pytest.mark.spec("ID-24")
def test_signatures(alice: VerifiedIdentity, attestation: PurposeKeyAttestation, content: AttestationData) -> None:
    foreign = signed(encode_attestation_data(content), ed25519_from_seed(b"s" * 32))
    assert refusal(foreign, alice) is ErrorCode.BAD_ATTESTATION
    other_kind = attestation._replace(signature=Signature(KeyKind.P256, attestation.signature.data))
    assert refusal(other_kind, alice) is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("ID-24")
def test_order_of_the_checks(alice: VerifiedIdentity, bob: VerifiedIdentity, alice_key: SigningKey) -> None:
    """Take everything that can be wrong, and put it right piece by piece, in the order of the checks."""
    stranger = ed25519_from_seed(b"s" * 32)
    wrong = AttestationData(bob.identifier, bytes(32), CredentialSigningKey(stranger.public), START - 1, END + 1)

    def said(
        data: AttestationData, key: SigningKey = stranger, now: int = END + 2, version: int = 1, data_type: int = 2
    ) -> str:
        attestation = signed(encode_attestation_data(data), key, version=version, data_type=data_type)
        attestation = attestation._replace(signature=Signature(KeyKind.ED25519, attestation.signature.data))
        with pytest.raises(VerificationError) as caught:
            verify_secure_channel_key(attestation, subject=alice, now=now)
        return str(caught.value)

    assert "version 3" in said(wrong, version=3, data_type=1)
    assert "type 1" in said(wrong, data_type=1)
    assert "it is about" in said(wrong)
    wrong = wrong._replace(subject=alice.identifier)
    assert "latest key" in said(wrong)
    wrong = wrong._replace(subject_latest_change_hash=alice.latest_change_hash)
    assert "outlives" in said(wrong)
    wrong = wrong._replace(expires_at=START + 5)
    assert "older than the key" in said(wrong)
    wrong = wrong._replace(created_at=START + 10)
    assert "from the future" in said(wrong, now=START - 100)
    assert "expired 2 seconds ago" in said(wrong, now=START + 7)
    assert "signature is wrong" in said(wrong, now=START + 5)
    assert "signs credentials" in said(wrong, alice_key, now=START + 5)


# bytes


@pytest.mark.spec("ID-23")
def test_bytes(alice: VerifiedIdentity, content: AttestationData, alice_key: SigningKey, bob_key: SigningKey) -> None:
    encoded = encode_attestation_data(content)
    identifier = "5820" + alice.identifier.value.hex()
    assert encoded.hex() == (f"85{identifier}{identifier}8200815820{X25519.hex()}1a{CREATED:08x}1a{EXPIRES:08x}")
    for key, middle in ((alice_key, "820181 8200815820"), (bob_key, "820181 8201815841")):
        credential = content._replace(public_key=CredentialSigningKey(key.public))
        assert bytes.fromhex(middle) + key.public.data in encode_attestation_data(credential)
        assert decode_attestation_data(encode_attestation_data(credential)) == credential
    assert decode_attestation_data(encoded) == content


@pytest.mark.spec("ID-14")
def test_odd_forms(attestation: PurposeKeyAttestation) -> None:
    inner = encode_attestation(attestation)[1:]
    for data in (
        b"\x9f" + inner + b"\xff",
        b"\x98\x02" + inner,
        b"\x83" + inner + b"\xf6",
        b"\x82" + inner + b"\xff",
        b"\x82\x59\x00" + inner[1:],
    ):
        assert decode_attestation(data) == attestation
        assert encode_attestation(decode_attestation(data)) == encode_attestation(attestation)
    cursor = Cursor(b"\x82" + inner + b"\x07")
    assert read_attestation(cursor) == attestation
    assert cursor.remaining == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", ErrorCode.TRUNCATED),
        ("81 40", ErrorCode.MISSING_FIELD),
        ("82 40 f6", ErrorCode.WRONG_TYPE),
        ("82 60 8200815840" + "00" * 64, ErrorCode.WRONG_TYPE),
        ("82 40 8202815840" + "00" * 64, ErrorCode.UNKNOWN_VARIANT),
        ("82 5f40ff 8200815840" + "00" * 64, ErrorCode.WRONG_TYPE),
    ],
)
def test_what_is_no_attestation(data: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_attestation(bytes.fromhex(data))
    assert caught.value.code is code


HASH, KEY = "5820" + "11" * 32, "8200815820" + "22" * 32


@pytest.mark.spec("ID-1", "ID-23")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (f"84 {HASH}{HASH}{KEY} 00", ErrorCode.MISSING_FIELD),
        (f"85 5814{'00' * 20}{HASH}{KEY} 00 00", ErrorCode.OUT_OF_RANGE),
        (f"85 {HASH}581f{'00' * 31}{KEY} 00 00", ErrorCode.OUT_OF_RANGE),
        (f"85 f6{HASH}{KEY} 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}f6{KEY} 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH}f6 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH}8202815820{'22' * 32} 00 00", ErrorCode.UNKNOWN_VARIANT),
        (f"85 {HASH}{HASH}820081581f{'22' * 31} 00 00", ErrorCode.OUT_OF_RANGE),
        (f"85 {HASH}{HASH}8201815820{'22' * 32} 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH}820181 8202815820{'22' * 32} 00 00", ErrorCode.UNKNOWN_VARIANT),
        (f"85 {HASH}{HASH}820180 00 00", ErrorCode.MISSING_FIELD),
        (f"85 {HASH}{HASH}{KEY} 20 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH}{KEY} 00 f6", ErrorCode.WRONG_TYPE),
    ],
)
def test_what_is_no_attestation_data(data: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_attestation_data(bytes.fromhex(data))
    assert caught.value.code is code


@pytest.mark.spec("ID-14")
@pytest.mark.parametrize(
    "data",
    [
        f"86 {HASH}{HASH}{KEY} 00 01 f7",
        f"9f {HASH}{HASH}{KEY} 00 1b0000000000000001 ff",
        f"85 {HASH}{HASH} 82 00 82 5820{'22' * 32} f6 00 01 ff",
    ],
)
def test_attestation_data_that_is_odd(data: str) -> None:
    decoded = decode_attestation_data(bytes.fromhex(data))
    assert decoded == AttestationData(Identifier(b"\x11" * 32), b"\x11" * 32, SecureChannelKey(b"\x22" * 32), 0, 1)


# what is remembered


@pytest.mark.spec("ID-9")
def test_content_is_remembered_and_the_time_is_not(
    alice: VerifiedIdentity, alice_key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode: Callable[[bytes], AttestationData] = purpose_keys.decode_attestation_data

    def counting(data: bytes) -> AttestationData:
        decoded.append(data)
        return decode(data)

    monkeypatch.setattr(purpose_keys, "decode_attestation_data", counting)
    purpose_keys._remembered_attestation_data.cache_clear()
    attestation = attest_secure_channel_key(alice, alice_key, X25519, created_at=CREATED, expires_at=EXPIRES)
    for _ in range(3):
        verify_secure_channel_key(attestation, subject=alice, now=NOW)
        assert refusal(attestation, alice, EXPIRES + 1) is ErrorCode.BAD_ATTESTATION
    assert len(decoded) == 1
    padded = signed(
        encode_attestation_data(unverified_attestation_data(attestation)) + bytes(ATTESTATION_MEMO_BYTES), alice_key
    )
    decoded.clear()
    for number in range(1, 4):
        verify_secure_channel_key(padded, subject=alice, now=NOW)
        assert len(decoded) == number
    assert purpose_keys._remembered_attestation_data.cache_parameters()["maxsize"] == ATTESTATION_MEMO_ENTRIES


def test_the_longest_attestation_in_normal_form_is_remembered(bob_key: SigningKey) -> None:
    bob = create_identity(bob_key, valid_from=2**63, valid_until=2**64 - 1)
    attestation = attest_credential_signing_key(bob, bob_key, bob_key.public, created_at=2**63, expires_at=2**64 - 1)
    assert len(attestation.data) == 165 <= ATTESTATION_MEMO_BYTES


def test_values_are_frozen(attestation: PurposeKeyAttestation) -> None:
    with pytest.raises(AttributeError):
        attestation.data = b""  # type: ignore[misc]
    with pytest.raises(MisuseError):
        replace(SecureChannelKey(X25519), public=b"")
