from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.identities import credentials
from ockam_ref.identities.change_history import VerifiedIdentity, rotate_identity
from ockam_ref.identities.credentials import (
    CREDENTIAL_MEMO_BYTES,
    CREDENTIAL_MEMO_ENTRIES,
    Attributes,
    Credential,
    CredentialAndPurposeKey,
    CredentialData,
    decode_credential,
    decode_credential_data,
    encode_attributes,
    encode_credential,
    encode_credential_data,
    is_void,
    issue_credential,
    read_credential,
    unverified_credential_data,
    unverified_issuer,
    verify_credential,
)
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import KeyKind, Signature, SigningKey, ed25519_from_seed, p256_from_secret
from ockam_ref.identities.purpose_keys import (
    MAX_CLOCK_SKEW_S,
    PurposeKeyAttestation,
    attest_credential_signing_key,
    attest_secure_channel_key,
)
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Cursor

START: Final = 1_700_000_000
KEY_CREATED, KEY_EXPIRES = START + 100, START + 1_000_000
CREATED, EXPIRES, NOW = START + 200, START + 300_000, START + 400
KEY: Final = ed25519_from_seed(b"c" * 32)
ATTRIBUTES: Final = {b"role": b"member", b"ockam-relay": b"*", b"a" * 30: b""}
PAIRS: Final = ((b"a" * 30, b""), (b"ockam-relay", b"*"), (b"role", b"member"))


@pytest.fixture(scope="module")
def attestation(bob: VerifiedIdentity, bob_key: SigningKey) -> PurposeKeyAttestation:
    """Bob is the authority."""
    return attest_credential_signing_key(bob, bob_key, KEY.public, created_at=KEY_CREATED, expires_at=KEY_EXPIRES)


@pytest.fixture(scope="module")
def issued(alice: VerifiedIdentity, attestation: PurposeKeyAttestation) -> bytes:
    return issue_credential(
        KEY,
        attestation,
        subject=alice.identifier,
        attributes=ATTRIBUTES,
        created_at=CREATED,
        expires_at=EXPIRES,
        subject_change_hash=alice.latest_change_hash,
    )


@pytest.fixture(scope="module")
def content(alice: VerifiedIdentity) -> CredentialData:
    return CredentialData(alice.identifier, alice.latest_change_hash, Attributes(1, PAIRS), CREATED, EXPIRES)


def signed(
    content: bytes,
    attestation: PurposeKeyAttestation,
    *,
    key: SigningKey = KEY,
    version: int = 1,
    data_type: int = 3,
) -> bytes:
    """Sign a credential, whatever it says."""
    data = cbor.encode_fields(cbor.encode_uint(version), cbor.encode_uint(data_type), cbor.encode_bytes(content))
    pair = CredentialAndPurposeKey(Credential(data, key.sign(sha256(data).digest())), attestation)
    return encode_credential(pair)


def refused(
    encoded: bytes, subject: VerifiedIdentity, authority: VerifiedIdentity, now: int = NOW
) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify_credential(encoded, subject=subject.identifier, authority=authority, now=now)
    return caught.value


# issuing


@pytest.mark.spec("CRED-1", "CRED-2", "CRED-5")
def test_issue_and_verify(alice: VerifiedIdentity, bob: VerifiedIdentity, issued: bytes) -> None:
    verified = verify_credential(issued, subject=alice.identifier, authority=bob, now=NOW)
    assert verified == (alice.identifier, PAIRS, CREATED, EXPIRES)
    assert unverified_issuer(issued) == bob.identifier
    assert unverified_credential_data(issued) == (
        alice.identifier,
        alice.latest_change_hash,
        Attributes(1, PAIRS),
        CREATED,
        EXPIRES,
    )
    assert encode_credential(decode_credential(issued)) == issued


@pytest.mark.spec("CRED-5")
def test_issuing_is_deterministic(
    alice: VerifiedIdentity, issued: bytes, attestation: PurposeKeyAttestation, content: CredentialData
) -> None:
    backwards = dict(reversed(ATTRIBUTES.items()))
    again = issue_credential(
        KEY,
        attestation,
        subject=alice.identifier,
        attributes=backwards,
        created_at=CREATED,
        expires_at=EXPIRES,
        subject_change_hash=alice.latest_change_hash,
    )
    assert again == issued == signed(encode_credential_data(content), attestation)


@pytest.mark.spec("CRED-2", "CRED-5")
def test_issue_with_p256_and_without_what_is_optional(
    alice: VerifiedIdentity, alice_key: SigningKey, bob: VerifiedIdentity
) -> None:
    key = p256_from_secret(b"\x07" * 32)
    attested = attest_credential_signing_key(
        alice, alice_key, key.public, created_at=KEY_CREATED, expires_at=KEY_EXPIRES
    )
    encoded = issue_credential(
        key, attested, subject=bob.identifier, attributes={}, created_at=CREATED, expires_at=EXPIRES, schema=0
    )
    assert verify_credential(encoded, subject=bob.identifier, authority=alice, now=NOW).attributes == ()
    assert unverified_credential_data(encoded).attributes == Attributes(0, ())
    assert unverified_credential_data(encoded).subject_latest_change_hash is None


def test_an_attestation_of_another_key_does_not_issue(
    alice: VerifiedIdentity,
    bob: VerifiedIdentity,
    bob_key: SigningKey,
    attestation: PurposeKeyAttestation,
) -> None:
    for_channels = attest_secure_channel_key(bob, bob_key, bytes(32), created_at=KEY_CREATED, expires_at=KEY_EXPIRES)
    for key, attested in ((bob_key, attestation), (KEY, for_channels)):
        with pytest.raises(MisuseError) as caught:
            issue_credential(
                key, attested, subject=alice.identifier, attributes={}, created_at=CREATED, expires_at=EXPIRES
            )
        assert caught.value.code is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("CRED-6")
@pytest.mark.parametrize(
    ("created_at", "expires_at"),
    [(KEY_CREATED - 1, EXPIRES), (CREATED, KEY_EXPIRES + 1), (CREATED, CREATED - 1)],
)
def test_a_life_that_nobody_would_accept_is_not_issued(
    alice: VerifiedIdentity, attestation: PurposeKeyAttestation, created_at: int, expires_at: int
) -> None:
    with pytest.raises(MisuseError, match="renew the key") as caught:
        issue_credential(
            KEY, attestation, subject=alice.identifier, attributes={}, created_at=created_at, expires_at=expires_at
        )
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


def test_the_whole_life_of_the_key_is_issued(
    alice: VerifiedIdentity, bob: VerifiedIdentity, attestation: PurposeKeyAttestation
) -> None:
    for created_at, expires_at in ((KEY_CREATED, KEY_EXPIRES), (KEY_EXPIRES, KEY_EXPIRES)):
        encoded = issue_credential(
            KEY, attestation, subject=alice.identifier, attributes={}, created_at=created_at, expires_at=expires_at
        )
        assert verify_credential(encoded, subject=alice.identifier, authority=bob, now=KEY_EXPIRES)


# verifying


@pytest.mark.spec("CRED-7", "CRED-11")
def test_somebody_elses_credential(alice: VerifiedIdentity, bob: VerifiedIdentity, issued: bytes) -> None:
    error = refused(issued, bob, bob)
    assert error.code is ErrorCode.BAD_CREDENTIAL
    assert str(alice.identifier) in str(error)


@pytest.mark.spec("CRED-7", "CRED-11")
def test_another_issuer(alice: VerifiedIdentity, bob: VerifiedIdentity, issued: bytes) -> None:
    error = refused(issued, alice, alice)
    assert error.code is ErrorCode.NOT_TRUSTED
    assert str(bob.identifier) in str(error)


@pytest.mark.spec("CRED-11")
def test_an_attestation_under_a_stolen_name(
    alice: VerifiedIdentity, alice_key: SigningKey, bob: VerifiedIdentity, content: CredentialData
) -> None:
    """Mallory, here Alice, attests a key of hers with the name of the authority in it."""
    as_bob = alice._replace(identifier=bob.identifier, latest_change_hash=bob.latest_change_hash)
    forged = attest_credential_signing_key(
        as_bob, alice_key, KEY.public, created_at=KEY_CREATED, expires_at=KEY_EXPIRES
    )
    error = refused(signed(encode_credential_data(content), forged), alice, bob)
    assert error.code is ErrorCode.KEY_MISMATCH  # Ed25519 where P-256 is due
    other_key = p256_from_secret(b"\x09" * 32)
    as_bob = as_bob._replace(latest_key=other_key.public)
    forged = attest_credential_signing_key(
        as_bob, other_key, KEY.public, created_at=KEY_CREATED, expires_at=KEY_EXPIRES
    )
    assert refused(signed(encode_credential_data(content), forged), alice, bob).code is ErrorCode.BAD_ATTESTATION


@pytest.mark.spec("CRED-11")
def test_members_cannot_issue(
    alice: VerifiedIdentity, alice_key: SigningKey, bob: VerifiedIdentity, content: CredentialData
) -> None:
    own = attest_credential_signing_key(alice, alice_key, KEY.public, created_at=KEY_CREATED, expires_at=KEY_EXPIRES)
    assert refused(signed(encode_credential_data(content), own), alice, bob).code is ErrorCode.NOT_TRUSTED


@pytest.mark.spec("CRED-7")
def test_a_secure_channel_key_issues_nothing(
    alice: VerifiedIdentity, bob: VerifiedIdentity, bob_key: SigningKey, content: CredentialData
) -> None:
    attested = attest_secure_channel_key(bob, bob_key, bytes(32), created_at=KEY_CREATED, expires_at=KEY_EXPIRES)
    error = refused(signed(encode_credential_data(content), attested), alice, bob)
    assert error.code is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("CRED-7", "CRED-11")
def test_signatures(
    alice: VerifiedIdentity, bob: VerifiedIdentity, attestation: PurposeKeyAttestation, content: CredentialData
) -> None:
    foreign = signed(encode_credential_data(content), attestation, key=ed25519_from_seed(b"s" * 32))
    assert refused(foreign, alice, bob).code is ErrorCode.BAD_CREDENTIAL
    pair = decode_credential(foreign)
    wrong_kind = pair.credential._replace(signature=Signature(KeyKind.P256, pair.credential.signature.data))
    assert refused(encode_credential(pair._replace(credential=wrong_kind)), alice, bob).code is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("CRED-7")
def test_version_type_and_content(
    alice: VerifiedIdentity, bob: VerifiedIdentity, attestation: PurposeKeyAttestation, content: CredentialData
) -> None:
    encoded = encode_credential_data(content)
    for version in (0, 2, 255):
        error = refused(signed(encoded, attestation, version=version), alice, bob)
        assert error.code is ErrorCode.UNSUPPORTED_VERSION
    for data_type in (0, 1, 2, 255):
        assert refused(signed(encoded, attestation, data_type=data_type), alice, bob).code is ErrorCode.WRONG_TYPE
    undecodable = refused(signed(b"\x80", attestation), alice, bob)
    assert undecodable.code is ErrorCode.MISSING_FIELD
    assert isinstance(undecodable.__cause__, DecodeError)


@pytest.mark.spec("CRED-3", "CRED-7")
def test_a_credential_about_nobody(
    alice: VerifiedIdentity, bob: VerifiedIdentity, attestation: PurposeKeyAttestation, content: CredentialData
) -> None:
    error = refused(signed(encode_credential_data(content._replace(subject=None)), attestation), alice, bob)
    assert (error.code, "nobody" in str(error)) == (ErrorCode.BAD_CREDENTIAL, True)


@pytest.mark.spec("CRED-9")
def test_what_plays_no_part(
    alice: VerifiedIdentity, bob: VerifiedIdentity, attestation: PurposeKeyAttestation, content: CredentialData
) -> None:
    for change_hash in (None, bytes(32)):
        for schema in (0, 2**64 - 1):
            odd = content._replace(subject_latest_change_hash=change_hash, attributes=Attributes(schema, PAIRS))
            encoded = signed(encode_credential_data(odd), attestation)
            assert verify_credential(encoded, subject=alice.identifier, authority=bob, now=NOW).attributes == PAIRS


@pytest.mark.spec("CRED-10")
def test_a_rotation_of_the_authority_voids_it(
    alice: VerifiedIdentity, bob: VerifiedIdentity, bob_key: SigningKey, issued: bytes
) -> None:
    rotated = rotate_identity(bob, bob_key, bob_key, valid_from=START, valid_until=KEY_EXPIRES)
    assert refused(issued, alice, rotated).code is ErrorCode.BAD_ATTESTATION
    assert (is_void(issued, bob), is_void(issued, rotated)) == (False, True)


@pytest.mark.spec("CRED-8")
@pytest.mark.parametrize(
    ("created_at", "expires_at", "now", "said"),
    [
        (KEY_CREATED, EXPIRES, NOW, ""),
        (KEY_CREATED - 1, EXPIRES, NOW, "older than the key"),
        (CREATED, KEY_EXPIRES, NOW, ""),
        (CREATED, KEY_EXPIRES + 1, NOW, "outlives the key"),
        (NOW + MAX_CLOCK_SKEW_S, EXPIRES, NOW, ""),
        (NOW + MAX_CLOCK_SKEW_S + 1, EXPIRES, NOW, "61 seconds from the future"),
        (CREATED, NOW, NOW, ""),
        (CREATED, NOW - 1, NOW, "expired 1 seconds ago"),
        # The peer does not compare the two.
        (NOW + 1, NOW, NOW, ""),
        (KEY_CREATED, KEY_EXPIRES, KEY_EXPIRES, ""),
        (KEY_CREATED, KEY_EXPIRES, KEY_EXPIRES + 1, "it expired 1 seconds ago"),
        (KEY_CREATED, KEY_EXPIRES, KEY_CREATED - MAX_CLOCK_SKEW_S, ""),
        (KEY_CREATED, KEY_EXPIRES, KEY_CREATED - MAX_CLOCK_SKEW_S - 1, "from the future"),
        (CREATED, 2**64 - 1, NOW, "outlives"),
        (2**64 - 1, EXPIRES, NOW, "from the future"),
    ],
)
def test_times(  # noqa: PLR0917
    alice: VerifiedIdentity,
    bob: VerifiedIdentity,
    attestation: PurposeKeyAttestation,
    content: CredentialData,
    created_at: int,
    expires_at: int,
    now: int,
    said: str,
) -> None:
    dated = content._replace(created_at=created_at, expires_at=expires_at)
    encoded = signed(encode_credential_data(dated), attestation)
    if said:
        assert said in str(refused(encoded, alice, bob, now))
    else:
        verified = verify_credential(encoded, subject=alice.identifier, authority=bob, now=now)
        assert (verified.created_at, verified.expires_at) == (created_at, expires_at)


@pytest.mark.spec("CRED-7")
def test_order_of_the_checks(
    alice: VerifiedIdentity, bob: VerifiedIdentity, bob_key: SigningKey, alice_key: SigningKey
) -> None:
    """Take everything that can be wrong, and put it right piece by piece, in the order of the checks."""
    stranger = ed25519_from_seed(b"s" * 32)
    dates: dict[str, Any] = {"created_at": KEY_CREATED, "expires_at": KEY_EXPIRES}
    wrong = CredentialData(None, None, Attributes(1, ()), KEY_CREATED - 1, KEY_EXPIRES + 1)
    late = KEY_EXPIRES + 2

    def said(attestation: PurposeKeyAttestation, now: int = NOW, key: SigningKey = KEY, **how: int) -> str:
        return str(refused(signed(encode_credential_data(wrong), attestation, key=key, **how), alice, bob, now))

    by_alice = attest_secure_channel_key(alice, alice_key, bytes(32), **dates)
    assert "not by the authority" in said(by_alice, late, stranger, version=2)
    for_channels = attest_secure_channel_key(bob, bob_key, bytes(32), **dates)
    assert "purpose key attestation: it expired" in said(for_channels, late, stranger, version=2)
    assert "one for secure channels" in said(for_channels, NOW, stranger, version=2)
    good = attest_credential_signing_key(bob, bob_key, KEY.public, **dates)
    assert "signature is wrong" in said(good, NOW, stranger, version=2)
    assert "version 2" in said(good, version=2, data_type=1)
    assert "type 1" in said(good, data_type=1)
    assert "nobody" in said(good)
    wrong = wrong._replace(subject=bob.identifier)
    assert "it is about" in said(good)
    wrong = wrong._replace(subject=alice.identifier)
    assert "older than the key" in said(good)
    wrong = wrong._replace(created_at=KEY_CREATED + 10)
    assert "outlives" in said(good)
    wrong = wrong._replace(expires_at=KEY_CREATED + 5)
    assert "from the future" in said(good, KEY_CREATED - 60)
    assert "expired 2 seconds ago" in said(good, KEY_CREATED + 7)
    assert verify_credential(
        signed(encode_credential_data(wrong), good), subject=alice.identifier, authority=bob, now=KEY_CREATED + 5
    )


# bytes


@pytest.mark.spec("CRED-2")
def test_bytes(alice: VerifiedIdentity, content: CredentialData) -> None:
    encoded = encode_credential_data(content)
    identifier = "5820" + alice.identifier.value.hex()
    pairs = f"a3 581e{'61' * 30} 40 4b{b'ockam-relay'.hex()} 412a 44{b'role'.hex()} 46{b'member'.hex()}"
    wanted = f"85 {identifier}{identifier} 82 01 {pairs} 1a{CREATED:08x} 1a{EXPIRES:08x}"
    assert encoded == bytes.fromhex(wanted)
    assert decode_credential_data(encoded) == content


@pytest.mark.spec("CRED-2")
def test_names_are_written_in_order_and_once() -> None:
    unsorted = Attributes(1, ((b"b", b"1"), (b"aa", b"2"), (b"b", b"3")))
    assert encode_attributes(unsorted) == bytes.fromhex("82 01 a2 426161 4132 4162 4133")


HASH: Final = "5820" + "11" * 32


@pytest.mark.spec("CRED-3")
@pytest.mark.parametrize(
    "data",
    [
        f"85 {HASH}{HASH} 8201a2 4161 4131 4162 4132 00 01",
        f"86 {HASH}{HASH} 8201a2 4162 4132 4161 4131 00 01 f7",
        f"9f {HASH}{HASH} 830118 0161 a2 4161 4131 4162 4132 00 1b0000000000000001 ff".replace("830118 0161 ", "8201"),
        f"85 {HASH}{HASH} 83 1801 bf 4161 4130 4162 4132 4161 4131 ff 00 00 01",
    ],
)
def test_content_that_is_odd(data: str) -> None:
    decoded = decode_credential_data(bytes.fromhex(data))
    assert decoded == (
        Identifier(b"\x11" * 32),
        b"\x11" * 32,
        Attributes(1, ((b"a", b"1"), (b"b", b"2"))),
        0,
        1,
    )


@pytest.mark.spec("CRED-3")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (f"84 {HASH}{HASH} 8201a0 00", ErrorCode.MISSING_FIELD),
        (f"85 5814{'00' * 20}{HASH} 8201a0 00 00", ErrorCode.OUT_OF_RANGE),
        (f"85 {HASH}581f{'00' * 31} 8201a0 00 00", ErrorCode.OUT_OF_RANGE),
        (f"85 f7{HASH} 8201a0 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} f6 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8101 00 00", ErrorCode.MISSING_FIELD),
        (f"85 {HASH}{HASH} 820180 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8201a1 6161 4131 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8201a1 4161 6131 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8201a1 811861 811831 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8201a2 4161 4131 00 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8201a0 20 00", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8201a0 00 f6", ErrorCode.WRONG_TYPE),
        (f"85 {HASH}{HASH} 8201a0 00", ErrorCode.TRUNCATED),
    ],
)
def test_what_is_no_content(data: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_credential_data(bytes.fromhex(data))
    assert caught.value.code is code


@pytest.mark.spec("CRED-3")
def test_odd_forms_of_the_pair(alice: VerifiedIdentity, bob: VerifiedIdentity, issued: bytes) -> None:
    for data in (
        b"\x9f" + issued[1:] + b"\xff",
        b"\x98\x02" + issued[1:],
        b"\x83" + issued[1:] + b"\xf6",
        issued + b"\xff",
    ):
        assert decode_credential(data) == decode_credential(issued)
        assert encode_credential(decode_credential(data)) == issued
        assert verify_credential(data, subject=alice.identifier, authority=bob, now=NOW).attributes == PAIRS
    cursor = Cursor(issued + b"\x07")
    assert read_credential(cursor) == decode_credential(issued)
    assert cursor.remaining == 1


@pytest.mark.spec("CRED-4")
@pytest.mark.parametrize("data", ["", "80", "8180", "82 8140 f6", "82 8240 8200815840" + "00" * 64 + "80", "f6", "ff"])
def test_what_is_no_credential(alice: VerifiedIdentity, bob: VerifiedIdentity, data: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_credential(bytes.fromhex(data))
    error = refused(bytes.fromhex(data), alice, bob)
    assert error.code is caught.value.code
    for look in (unverified_issuer, unverified_credential_data):
        with pytest.raises(VerificationError):
            look(bytes.fromhex(data))


# what is remembered


@pytest.mark.spec("CRED-12")
def test_content_is_remembered_and_the_time_is_not(  # noqa: PLR0917
    alice: VerifiedIdentity,
    bob: VerifiedIdentity,
    issued: bytes,
    attestation: PurposeKeyAttestation,
    content: CredentialData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def counting(name: str) -> None:
        real: Callable[[bytes], Any] = getattr(credentials, name)

        def count(data: bytes) -> object:
            calls.append(name)
            return real(data)

        monkeypatch.setattr(credentials, name, count)

    counting("decode_credential")
    counting("decode_credential_data")
    credentials._open_remembered.cache_clear()
    credentials._decode_content_remembered.cache_clear()
    for _ in range(3):
        verify_credential(issued, subject=alice.identifier, authority=bob, now=NOW)
        assert "expired" in str(refused(issued, alice, bob, EXPIRES + 1))
    assert sorted(calls) == ["decode_credential", "decode_credential_data"]
    long = content._replace(attributes=Attributes(1, ((b"name", bytes(CREDENTIAL_MEMO_BYTES)),)))
    encoded = signed(encode_credential_data(long), attestation)
    calls.clear()
    for _ in range(3):
        assert verify_credential(encoded, subject=alice.identifier, authority=bob, now=NOW)
    assert len(calls) == 6
    for memo in (credentials._open_remembered, credentials._decode_content_remembered):
        assert memo.cache_parameters()["maxsize"] == CREDENTIAL_MEMO_ENTRIES
