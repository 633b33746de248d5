from hashlib import sha256

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.identities import change_history
from ockam_ref.identities.change_history import (
    HISTORY_MEMO_BYTES,
    HISTORY_MEMO_ENTRIES,
    Change,
    ChangeData,
    ChangeHistory,
    Comparison,
    VerifiedIdentity,
    compare_histories,
    create_identity,
    decode_change_data,
    decode_change_history,
    encode_change_data,
    read_change_history,
    rotate_identity,
    verify_change_history,
)
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import KeyKind, PublicKey, Signature, SigningKey, ed25519_from_seed
from ockam_ref.identities.purpose_keys import attest_secure_channel_key
from ockam_ref.identities.versioned_data import DataType, encode_versioned_data
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Cursor

START, END = 1_700_000_000, 2_015_360_000
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def content_of(
    key: SigningKey,
    previous: bytes | None = None,
    valid_from: int = START,
    valid_until: int = END,
    *,
    revoke: bool = False,
) -> bytes:
    return encode_change_data(ChangeData(previous, key.public, revoke, valid_from, valid_until))


def signed(
    content: bytes, key: SigningKey, previous_key: SigningKey | None = None, *, version: int = 1, data_type: int = 1
) -> Change:
    """Sign a change, whatever it says."""
    data = cbor.encode_fields(cbor.encode_uint(version), cbor.encode_uint(data_type), cbor.encode_bytes(content))
    digest = sha256(data).digest()
    return Change(data, key.sign(digest), None if previous_key is None else previous_key.sign(digest))


def refusal(*changes: Change, expected: Identifier | None = None) -> ErrorCode:
    with pytest.raises(VerificationError) as caught:
        verify_change_history(ChangeHistory(changes), expected=expected)
    return caught.value.code


# identities are made


@pytest.mark.spec("ID-1", "ID-12", "ID-13")
def test_create(alice: VerifiedIdentity, alice_key: SigningKey) -> None:
    (change,) = alice.history.changes
    assert alice.identifier.value == sha256(change.data).digest() == alice.latest_change_hash
    assert alice.latest_key == alice_key.public
    assert (alice.valid_from, alice.valid_until) == (START, END)
    assert change.previous_signature is None
    assert alice.history.encoded[:2] == b"\x81\x82"
    assert len(alice.history.encoded) == 128
    data = decode_change_data(encode_change_data(ChangeData(None, alice_key.public, False, START, END)))
    assert data == ChangeData(
        None,
        alice_key.public,
        revoke_all_purpose_keys=False,
        attestations_valid_from=START,
        attestations_valid_until=END,
    )


def test_sizes(bob: VerifiedIdentity, rotated_alice: VerifiedIdentity) -> None:
    assert len(bob.history.encoded) == 161
    assert len(rotated_alice.history.encoded) == 357


@pytest.mark.parametrize(("valid_from", "valid_until"), [(-1, END), (START, -1), (2**64, END), (START, 2**64)])
def test_times_that_cannot_be_written(alice_key: SigningKey, valid_from: int, valid_until: int) -> None:
    with pytest.raises(MisuseError) as caught:
        create_identity(alice_key, valid_from=valid_from, valid_until=valid_until)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.spec("ID-12", "ID-13", "ID-21")
def test_rotate(alice: VerifiedIdentity, rotated_alice: VerifiedIdentity, alice_new_key: SigningKey) -> None:
    first, second = rotated_alice.history.changes
    assert (first,) == alice.history.changes
    assert rotated_alice.identifier == alice.identifier
    assert rotated_alice.latest_key == alice_new_key.public
    assert rotated_alice.latest_change_hash == sha256(second.data).digest() != alice.latest_change_hash
    assert (rotated_alice.valid_from, rotated_alice.valid_until) == (START + 100, END + 100)
    assert alice.latest_change_hash in second.data
    assert second.previous_signature is not None


@pytest.mark.spec("ID-21")
def test_only_the_owner_of_the_latest_key_rotates(
    alice: VerifiedIdentity, rotated_alice: VerifiedIdentity, alice_key: SigningKey, alice_new_key: SigningKey
) -> None:
    for identity, key in ((alice, alice_new_key), (rotated_alice, alice_key)):
        with pytest.raises(MisuseError) as caught:
            rotate_identity(identity, key, alice_new_key, valid_from=END, valid_until=END)
        assert caught.value.code is ErrorCode.KEY_MISMATCH


@pytest.mark.spec("ID-17")
def test_a_rotation_into_the_past_is_refused(
    alice: VerifiedIdentity, alice_key: SigningKey, alice_new_key: SigningKey
) -> None:
    with pytest.raises(VerificationError) as caught:
        rotate_identity(alice, alice_key, alice_new_key, valid_from=START - 1, valid_until=END)
    assert caught.value.code is ErrorCode.BAD_HISTORY


@pytest.mark.spec("ID-20")
def test_what_a_rotation_may_do(alice: VerifiedIdentity, alice_key: SigningKey, bob_key: SigningKey) -> None:
    same_key = rotate_identity(alice, alice_key, alice_key, valid_from=START, valid_until=START)
    after_a_gap = rotate_identity(
        same_key, alice_key, bob_key, valid_from=END + 1, valid_until=0, revoke_all_purpose_keys=True
    )
    assert after_a_gap.identifier == alice.identifier
    assert (after_a_gap.valid_from, after_a_gap.valid_until) == (END + 1, 0)
    assert b"\xf5" in after_a_gap.history.changes[-1].data
    assert len(after_a_gap.history.changes) == 3


# bytes


@pytest.mark.spec("ID-12", "ID-15")
def test_decode_and_encode(alice: VerifiedIdentity, rotated_alice: VerifiedIdentity, bob: VerifiedIdentity) -> None:
    for identity in (alice, rotated_alice, bob):
        history = decode_change_history(identity.history.encoded)
        assert history == identity.history
        assert history.changes == identity.history.changes
        assert history.encoded == identity.history.encoded


def test_read_leaves_what_follows(alice: VerifiedIdentity) -> None:
    cursor = Cursor(alice.history.encoded + b"\x07")
    assert read_change_history(cursor) == alice.history
    assert cursor.remaining == 1


def test_histories_are_equal_when_their_normal_form_is(alice: VerifiedIdentity, bob: VerifiedIdentity) -> None:
    same = ChangeHistory(alice.history.changes)
    assert same == alice.history
    assert hash(same) == hash(alice.history)
    assert alice.history != bob.history
    assert ChangeHistory(()).encoded == b"\x80"


@pytest.mark.spec("ID-14", "ID-15")
def test_odd_forms_have_the_same_normal_form(alice: VerifiedIdentity) -> None:
    change = alice.history.encoded[2:]
    odd = [
        b"\x9f\x82" + change + b"\xff",
        b"\x98\x01\x98\x02" + change,
        b"\x81\x9f" + change + b"\xff",
        b"\x81\x9f" + change + b"\xf6\x01\xff",
        b"\x81\x83" + change + b"\xf6",
        b"\x81\x83" + change + b"\x82\x05\xa0",
        b"\x81\x84" + change + b"\xf6\xf7",
        b"\x81\x84" + change + b"\xf6\x5f\x41a\xff",
        b"\x81\x82" + change + b"\x00\xff",
        b"\x81\x82\x59\x00" + change[1:],
    ]
    for data in odd:
        history = decode_change_history(data)
        assert history.encoded == alice.history.encoded
        assert verify_change_history(history) == alice


@pytest.mark.spec("ID-14", "ID-16")
@pytest.mark.parametrize(
    "suffix",
    [
        "f7",
        "00",
        "f4",
        "40",
        "82 00 80",
        "8200815840",
        "c6 f6",
        "9f 00 00 ff",
        "f6 61ff",
        "f6 ff",
        "f6 1c",
        "f6" + "81" * 32 + "00",
    ],
)
def test_third_items_that_are_refused(alice: VerifiedIdentity, suffix: str) -> None:
    third = bytes.fromhex(suffix)
    count = 4 if third[0] == 0xF6 else 3
    with pytest.raises(DecodeError):
        decode_change_history(bytes((0x81, 0x80 | count)) + alice.history.encoded[2:] + third)


@pytest.mark.spec("ID-16")
def test_how_deep_surplus_items_nest(alice: VerifiedIdentity) -> None:
    surplus = b"\x81" * (cbor.MAX_DEPTH - 1) + b"\x00"
    history = decode_change_history(b"\x81\x84" + alice.history.encoded[2:] + b"\xf6" + surplus)
    assert history == alice.history


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", ErrorCode.TRUNCATED),
        ("40", ErrorCode.WRONG_TYPE),
        ("f6", ErrorCode.WRONG_TYPE),
        ("a0", ErrorCode.WRONG_TYPE),
        ("81", ErrorCode.TRUNCATED),
        ("81 80", ErrorCode.MISSING_FIELD),
        ("81 81 40", ErrorCode.MISSING_FIELD),
        ("81 a1 40", ErrorCode.WRONG_TYPE),
        ("81 82 60", ErrorCode.WRONG_TYPE),
        ("81 82 40 82 02 00", ErrorCode.UNKNOWN_VARIANT),
        ("9b ffffffffffffffff", ErrorCode.TRUNCATED),
        ("81 82 5b ffffffffffffffff", ErrorCode.TRUNCATED),
        ("9f", ErrorCode.TRUNCATED),
    ],
)
def test_what_is_no_history(data: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_change_history(bytes.fromhex(data))
    assert caught.value.code is code


@pytest.mark.spec("ID-13")
@pytest.mark.parametrize(
    "content",
    [
        "84 f6 KEY f4 00",
        "85 f7 KEY f4 00 00",
        "84 KEY f4 00 00",
        "85 5814" + "00" * 20 + " KEY f4 00 00",
        "85 f6 f6 f4 00 00",
        "85 f6 KEY f6 00 00",
        "85 f6 KEY 00 00 00",
        "85 f6 KEY f4 20 00",
        "85 f6 KEY f4 00 c100",
        "85 f6 KEY f4 00 f6",
    ],
)
def test_what_is_no_change_data(alice_key: SigningKey, content: str) -> None:
    data = bytes.fromhex(content.replace("KEY", "8200815820" + alice_key.public.data.hex()))
    with pytest.raises(DecodeError):
        decode_change_data(data)


# verification


@pytest.mark.spec("ID-20")
def test_the_clock_plays_no_part(alice_key: SigningKey) -> None:
    for valid_from, valid_until in ((0, 0), (2**64 - 1, 2**64 - 1), (END, START)):
        identity = create_identity(alice_key, valid_from=valid_from, valid_until=valid_until)
        assert (identity.valid_from, identity.valid_until) == (valid_from, valid_until)


@pytest.mark.spec("ID-19")
def test_no_change_at_all() -> None:
    assert refusal() is ErrorCode.BAD_HISTORY


@pytest.mark.spec("ID-19")
def test_expected_identifier(alice: VerifiedIdentity, bob: VerifiedIdentity) -> None:
    for _ in range(2):  # also when the history is remembered
        assert verify_change_history(alice.history, expected=alice.identifier) == alice
        assert refusal(*alice.history.changes, expected=bob.identifier) is ErrorCode.BAD_HISTORY


@pytest.mark.spec("ID-11", "ID-17")
def test_version_and_type(alice_key: SigningKey, alice: VerifiedIdentity) -> None:
    content = content_of(alice_key)
    for version in (0, 2, 255):
        assert refusal(signed(content, alice_key, version=version)) is ErrorCode.UNSUPPORTED_VERSION
    for data_type in (0, 2, 3, 255):
        assert refusal(signed(content, alice_key, data_type=data_type)) is ErrorCode.WRONG_TYPE
    # The version is looked at before the type, and both before what is inside.
    assert refusal(signed(b"", alice_key, version=2, data_type=2)) is ErrorCode.UNSUPPORTED_VERSION
    assert refusal(signed(b"", alice_key, data_type=2)) is ErrorCode.WRONG_TYPE
    rotation = content_of(alice_key, alice.latest_change_hash)
    assert (
        refusal(*alice.history.changes, signed(rotation, alice_key, alice_key, version=2))
        is ErrorCode.UNSUPPORTED_VERSION
    )


@pytest.mark.spec("ID-11")
def test_an_attestation_is_no_change(alice: VerifiedIdentity, alice_key: SigningKey) -> None:
    attestation = attest_secure_channel_key(alice, alice_key, bytes(32), created_at=START, expires_at=END)
    assert refusal(Change(attestation.data, attestation.signature)) is ErrorCode.WRONG_TYPE


def test_signed_data_that_does_not_decode(alice_key: SigningKey) -> None:
    for content, code in (
        (b"", ErrorCode.TRUNCATED),
        (b"\x84\xf6", ErrorCode.TRUNCATED),
        (b"\x80", ErrorCode.MISSING_FIELD),
    ):
        change = signed(content, alice_key)
        assert refusal(change) is code
    with pytest.raises(VerificationError) as caught:
        verify_change_history(ChangeHistory((Change(b"\x82\x01\x40", alice_key.sign(bytes(32))),)))
    assert isinstance(caught.value.__cause__, DecodeError)
    assert "change 0" in str(caught.value)


@pytest.mark.spec("ID-13", "ID-17")
def test_broken_chains(
    alice: VerifiedIdentity, rotated_alice: VerifiedIdentity, alice_key: SigningKey, alice_new_key: SigningKey
) -> None:
    first = alice.history.changes[0]
    previous = alice.latest_change_hash

    def rotation(hash_before: bytes | None, valid_from: int = START) -> Change:
        return signed(content_of(alice_new_key, hash_before, valid_from), alice_new_key, alice_key)

    assert verify_change_history(ChangeHistory((first, rotation(previous)))).valid_from == START
    for second in (rotation(None), rotation(bytes(32)), rotation(previous, START - 1)):
        assert refusal(first, second) is ErrorCode.BAD_HISTORY
    assert refusal(signed(content_of(alice_key, bytes(32)), alice_key)) is ErrorCode.BAD_HISTORY
    assert refusal(rotated_alice.history.changes[1]) is ErrorCode.BAD_HISTORY
    assert refusal(*reversed(rotated_alice.history.changes)) is ErrorCode.BAD_HISTORY
    assert refusal(*rotated_alice.history.changes, rotated_alice.history.changes[1]) is ErrorCode.BAD_HISTORY


@pytest.mark.spec("ID-17", "ID-18")
def test_the_chain_is_checked_before_any_signature(alice: VerifiedIdentity, alice_key: SigningKey) -> None:
    data, signature, _ = alice.history.changes[0]
    forged = Change(data, Signature(KeyKind.ED25519, bytes(64)))
    assert refusal(forged) is ErrorCode.BAD_HISTORY
    later = signed(content_of(alice_key, alice.latest_change_hash), alice_key, alice_key, version=9)
    assert refusal(forged, later) is ErrorCode.UNSUPPORTED_VERSION
    wrong_kind = Change(data, Signature(KeyKind.P256, signature.data))
    broken = signed(content_of(alice_key), alice_key, alice_key)
    assert refusal(wrong_kind) is ErrorCode.KEY_MISMATCH
    assert refusal(wrong_kind, broken) is ErrorCode.BAD_HISTORY


@pytest.mark.spec("ID-18", "ID-33")
def test_signatures_of_a_rotation(
    alice: VerifiedIdentity, rotated_alice: VerifiedIdentity, alice_key: SigningKey, alice_new_key: SigningKey
) -> None:
    first, (data, own, by_previous) = rotated_alice.history.changes
    assert by_previous is not None
    stranger = ed25519_from_seed(b"s" * 32)
    digest = sha256(data).digest()
    foreign = stranger.sign(digest)
    for second in (
        Change(data, own),
        Change(data, own, own),
        Change(data, by_previous, by_previous),
        Change(data, by_previous, own),
        Change(data, own, foreign),
        Change(data, foreign, by_previous),
    ):
        assert refusal(first, second) is ErrorCode.BAD_HISTORY
    for second in (
        Change(data, own, Signature(KeyKind.P256, by_previous.data)),
        Change(data, Signature(KeyKind.P256, own.data), by_previous),
    ):
        assert refusal(first, second) is ErrorCode.KEY_MISMATCH
    # A stranger appends a key of his own: the previous signature cannot be had.
    taken_over = content_of(stranger, alice.latest_change_hash)
    assert refusal(first, signed(taken_over, stranger, stranger)) is ErrorCode.BAD_HISTORY
    # The first key signs for the third, though it was replaced.
    third = signed(content_of(stranger, rotated_alice.latest_change_hash, END), stranger, alice_key)
    assert refusal(*rotated_alice.history.changes, third) is ErrorCode.BAD_HISTORY
    third = signed(content_of(stranger, rotated_alice.latest_change_hash, END), stranger, alice_new_key)
    assert verify_change_history(ChangeHistory((*rotated_alice.history.changes, third))).latest_key == stranger.public


@pytest.mark.spec("ID-33")
def test_a_change_cannot_follow_itself(alice: VerifiedIdentity) -> None:
    """The two signatures of a change are not told apart by what is signed; the hash of the change before is."""
    data, signature, _ = alice.history.changes[0]
    assert refusal(Change(data, signature), Change(data, signature, signature)) is ErrorCode.BAD_HISTORY


@pytest.mark.spec("ID-33")
def test_altered_content_of_a_first_change(alice: VerifiedIdentity, alice_key: SigningKey) -> None:
    """Whoever alters the first change, with or without the key, does not get its identifier."""
    data, signature, _ = alice.history.changes[0]
    altered = encode_versioned_data(DataType.CHANGE, content_of(alice_key, valid_until=END + 1))
    assert refusal(Change(altered, signature)) is ErrorCode.BAD_HISTORY
    resigned = Change(altered, alice_key.sign(sha256(altered).digest()))
    assert verify_change_history(ChangeHistory((resigned,))).identifier != alice.identifier
    assert refusal(resigned, expected=alice.identifier) is ErrorCode.BAD_HISTORY
    assert data != altered


@pytest.mark.spec("ID-20")
def test_a_previous_signature_on_the_first_change_is_not_looked_at(alice: VerifiedIdentity) -> None:
    data, signature, _ = alice.history.changes[0]
    history = ChangeHistory((Change(data, signature, Signature(KeyKind.P256, bytes(64))),))
    assert verify_change_history(history).identifier == alice.identifier
    assert history.encoded != alice.history.encoded
    assert compare_histories(history, alice.history) is Comparison.EQUAL


@pytest.mark.spec("ID-7")
def test_a_key_that_is_none(alice_key: SigningKey) -> None:
    content = encode_change_data(ChangeData(None, PublicKey(KeyKind.P256, b"\x04" + bytes(64)), False, START, END))
    data = encode_versioned_data(DataType.CHANGE, content)
    assert refusal(Change(data, Signature(KeyKind.P256, bytes(64)))) is ErrorCode.BAD_HISTORY
    assert refusal(Change(data, alice_key.sign(sha256(data).digest()))) is ErrorCode.KEY_MISMATCH


# what is remembered


@pytest.mark.spec("ID-9")
def test_short_histories_are_remembered_and_failures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    check = change_history._check_signatures

    def counting(*arguments: list[object]) -> None:
        checked.append(arguments)
        check(*arguments)  # type: ignore[arg-type]

    key = ed25519_from_seed(b"r" * 32)
    identity = create_identity(key, valid_from=START, valid_until=END)
    change_history._verify_remembered.cache_clear()
    monkeypatch.setattr(change_history, "_check_signatures", counting)
    for _ in range(3):
        assert verify_change_history(decode_change_history(identity.history.encoded)) == identity
    assert len(checked) == 1
    data, signature, _ = identity.history.changes[0]
    forged = Change(data, Signature(KeyKind.ED25519, signature.data[:63] + b"\x00"))
    for number in range(1, 4):
        assert refusal(forged) is ErrorCode.BAD_HISTORY
        assert len(checked) == 1 + number
    long = identity
    while len(long.history.encoded) <= HISTORY_MEMO_BYTES:
        long = rotate_identity(long, key, key, valid_from=START, valid_until=END)
    before = len(checked)
    for number in range(1, 4):
        assert verify_change_history(long.history) == long
        assert len(checked) == before + number
    assert change_history._verify_remembered.cache_parameters()["maxsize"] == HISTORY_MEMO_ENTRIES


# comparison


@pytest.mark.spec("ID-22")
def test_compare(
    alice: VerifiedIdentity,
    rotated_alice: VerifiedIdentity,
    bob: VerifiedIdentity,
    alice_key: SigningKey,
    bob_key: SigningKey,
) -> None:
    fork = rotate_identity(alice, alice_key, bob_key, valid_from=START + 100, valid_until=END)
    assert compare_histories(alice.history, alice.history) is Comparison.EQUAL
    assert compare_histories(rotated_alice.history, alice.history) is Comparison.NEWER
    assert compare_histories(alice.history, rotated_alice.history) is Comparison.OLDER
    assert compare_histories(fork.history, rotated_alice.history) is Comparison.CONFLICT
    assert compare_histories(alice.history, bob.history) is Comparison.CONFLICT
    longer_fork = rotate_identity(fork, bob_key, bob_key, valid_from=END, valid_until=END)
    assert compare_histories(longer_fork.history, rotated_alice.history) is Comparison.CONFLICT
    assert compare_histories(rotated_alice.history, longer_fork.history) is Comparison.CONFLICT
    assert compare_histories(longer_fork.history, alice.history) is Comparison.NEWER


@pytest.mark.spec("ID-8", "ID-22")
def test_a_history_with_another_valid_signature_compares_as_equal(bob: VerifiedIdentity) -> None:
    data, signature, _ = bob.history.changes[0]
    s = P256_ORDER - int.from_bytes(signature.data[32:])
    other = ChangeHistory((Change(data, Signature(KeyKind.P256, signature.data[:32] + s.to_bytes(32))),))
    assert other != bob.history
    assert verify_change_history(other).identifier == bob.identifier
    assert compare_histories(other, bob.history) is Comparison.EQUAL
    assert compare_histories(bob.history, other) is Comparison.EQUAL
