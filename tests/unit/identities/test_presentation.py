import pytest

from ockam_ref.errors import DecodeError, ErrorCode, VerificationError
from ockam_ref.identities import presentation
from ockam_ref.identities.change_history import Change, ChangeHistory, VerifiedIdentity
from ockam_ref.identities.keys import KeyKind, Signature, SigningKey
from ockam_ref.identities.presentation import (
    PRESENTATION_MEMO_BYTES,
    PRESENTATION_MEMO_ENTRIES,
    Presentation,
    decode_presentation,
    encode_presentation,
    verify_presentation,
)
from ockam_ref.identities.purpose_keys import (
    PurposeKeyAttestation,
    attest_credential_signing_key,
    attest_secure_channel_key,
    encode_attestation,
)

START, END = 1_700_000_000, 2_015_360_000
CREATED, EXPIRES, NOW = START + 200, START + 300_000, START + 400
X25519 = bytes(range(100, 132))
SIGNED = bytes.fromhex("82 41 00 8200815840") + bytes(64)
CREDENTIAL = b"\x82" + SIGNED + SIGNED


@pytest.fixture(scope="module")
def attestation(alice: VerifiedIdentity, alice_key: SigningKey) -> PurposeKeyAttestation:
    return attest_secure_channel_key(alice, alice_key, X25519, created_at=CREATED, expires_at=EXPIRES)


@pytest.fixture(scope="module")
def shown(alice: VerifiedIdentity, attestation: PurposeKeyAttestation) -> Presentation:
    return Presentation(alice.history, attestation)


def refusal(shown: Presentation, noise_static: bytes = X25519, now: int = NOW) -> ErrorCode:
    with pytest.raises(VerificationError) as caught:
        verify_presentation(shown, noise_static=noise_static, now=now)
    return caught.value.code


@pytest.mark.spec("ID-28")
def test_bytes(alice: VerifiedIdentity, shown: Presentation, attestation: PurposeKeyAttestation) -> None:
    data = encode_presentation(shown)
    assert data == b"\x83" + alice.history.encoded + encode_attestation(attestation) + b"\x80"
    assert len(data) == 323
    assert decode_presentation(data) == shown


@pytest.mark.spec("ID-28", "ID-30")
@pytest.mark.parametrize("count", [1, 2, 30])
def test_credentials_pass_through(shown: Presentation, count: int) -> None:
    with_credentials = shown._replace(credentials=(CREDENTIAL,) * count)
    data = encode_presentation(with_credentials)
    assert decode_presentation(data) == with_credentials
    peer = verify_presentation(with_credentials, noise_static=X25519, now=NOW)
    assert peer.credentials == (CREDENTIAL,) * count


@pytest.mark.spec("ID-30")
def test_odd_credentials_pass_through_as_they_are(shown: Presentation) -> None:
    odd = (
        b"\x83" + SIGNED + SIGNED + b"\xf7",
        b"\x9f" + SIGNED + SIGNED + b"\xff",
        b"\x82\x83" + SIGNED[1:] + b"\x00" + SIGNED,
        b"\x82" + SIGNED + bytes.fromhex("9f 580100 821800 9f 5840") + bytes(64) + b"\xff\xff",
    )
    head, body = encode_presentation(shown)[:-1], b"".join(odd)
    for data in (head + b"\x84" + body, head + b"\x9f" + body + b"\xff"):
        assert decode_presentation(data).credentials == odd


@pytest.mark.spec("ID-29")
@pytest.mark.parametrize(
    "credential",
    [
        "00",
        "f6",
        "80",
        "40",
        "81 SIGNED",
        "82 SIGNED f6",
        "82 f6 SIGNED",
        "82 SIGNED 8140",
        "82 8240f6 SIGNED",
        "a1 SIGNED SIGNED",
        "c1 82 SIGNED SIGNED",
    ],
)
def test_what_has_not_the_form_of_a_credential(shown: Presentation, credential: str) -> None:
    data = encode_presentation(shown)[:-1] + b"\x81" + bytes.fromhex(credential.replace("SIGNED", SIGNED.hex()))
    with pytest.raises(DecodeError):
        decode_presentation(data)


@pytest.mark.spec("ID-14")
def test_odd_forms(shown: Presentation) -> None:
    inner = encode_presentation(shown)[1:]
    for data in (
        b"\x9f" + inner + b"\xff",
        b"\x98\x03" + inner,
        b"\x84" + inner + b"\xf7",
        b"\x83" + inner + b"\xff\xff",
    ):
        assert decode_presentation(data) == shown


@pytest.mark.spec("ID-29")
def test_what_is_no_presentation(alice: VerifiedIdentity, attestation: PurposeKeyAttestation) -> None:
    history, attested = alice.history.encoded, encode_attestation(attestation)
    for data, code in (
        (b"", ErrorCode.TRUNCATED),
        (b"\xf6", ErrorCode.WRONG_TYPE),
        (history, ErrorCode.WRONG_TYPE),
        (b"\x81" + history, ErrorCode.MISSING_FIELD),
        (b"\x82" + history + attested, ErrorCode.MISSING_FIELD),
        (b"\x83" + history + attested, ErrorCode.TRUNCATED),
        (b"\x83" + history + attested + b"\xf6", ErrorCode.WRONG_TYPE),
        (b"\x83" + history + attested + b"\xa0", ErrorCode.WRONG_TYPE),
        (b"\x83" + history + b"\xf6\x80", ErrorCode.WRONG_TYPE),
        (b"\x83" + attested + history + b"\x80", ErrorCode.WRONG_TYPE),
        (b"\x83" + history + attested + b"\x9b" + b"\xff" * 8, ErrorCode.TRUNCATED),
    ):
        with pytest.raises(DecodeError) as caught:
            decode_presentation(data)
        assert caught.value.code is code


def test_a_view_decodes_as_well(shown: Presentation) -> None:
    buffer = bytearray(encode_presentation(shown))
    decoded = decode_presentation(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert decoded == shown


@pytest.mark.spec("ID-29")
def test_verify(alice: VerifiedIdentity, shown: Presentation) -> None:
    peer = verify_presentation(shown, noise_static=X25519, now=NOW)
    assert peer.identity == alice
    assert peer.purpose_key.public == X25519
    assert peer.credentials == ()


@pytest.mark.spec("ID-29")
@pytest.mark.parametrize("noise_static", [b"", bytes(32), X25519[:-1], X25519 + b"\x00", X25519[::-1]])
def test_another_static_key(shown: Presentation, noise_static: bytes) -> None:
    """A peer that shows somebody else's attestation does not hold the attested key."""
    assert refusal(shown, noise_static) is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("ID-29")
def test_each_part_is_verified(  # noqa: PLR0917
    alice: VerifiedIdentity,
    bob: VerifiedIdentity,
    rotated_alice: VerifiedIdentity,
    shown: Presentation,
    alice_key: SigningKey,
    bob_key: SigningKey,
) -> None:
    data, _, _ = alice.history.changes[0]
    unsigned = ChangeHistory((Change(data, Signature(KeyKind.ED25519, bytes(64))),))
    assert refusal(shown._replace(history=unsigned)) is ErrorCode.BAD_HISTORY
    assert refusal(shown._replace(history=ChangeHistory(()))) is ErrorCode.BAD_HISTORY
    assert refusal(shown._replace(history=bob.history)) is ErrorCode.BAD_ATTESTATION
    assert refusal(shown._replace(history=rotated_alice.history)) is ErrorCode.BAD_ATTESTATION
    assert refusal(shown, now=EXPIRES + 1) is ErrorCode.BAD_ATTESTATION
    by_bob = attest_secure_channel_key(bob, bob_key, X25519, created_at=CREATED, expires_at=EXPIRES)
    assert refusal(shown._replace(attestation=by_bob)) is ErrorCode.BAD_ATTESTATION
    for_credentials = attest_credential_signing_key(
        alice, alice_key, alice_key.public, created_at=CREATED, expires_at=EXPIRES
    )
    assert refusal(shown._replace(attestation=for_credentials)) is ErrorCode.KEY_MISMATCH
    # The history comes first.
    assert refusal(Presentation(unsigned, for_credentials), bytes(32)) is ErrorCode.BAD_HISTORY
    assert refusal(shown, bytes(32), now=EXPIRES + 1) is ErrorCode.BAD_ATTESTATION


@pytest.mark.spec("ID-9")
def test_what_is_remembered_is_bounded(shown: Presentation) -> None:
    remembered = presentation._decode_remembered
    remembered.cache_clear()
    short = encode_presentation(shown)
    long = encode_presentation(shown._replace(credentials=(CREDENTIAL,) * 6))
    assert len(short) <= PRESENTATION_MEMO_BYTES < len(long)
    for _ in range(3):
        decode_presentation(short)
        decode_presentation(long)
        with pytest.raises(DecodeError):
            decode_presentation(short[:-1])
    assert remembered.cache_info().hits == 2
    assert remembered.cache_info().currsize == 1
    assert remembered.cache_parameters()["maxsize"] == PRESENTATION_MEMO_ENTRIES
