import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.identities import keys
from ockam_ref.identities.keys import (
    SIGNATURE_MEMO_ENTRIES,
    KeyKind,
    PublicKey,
    Signature,
    SigningKey,
    ed25519_from_seed,
    encode_public_key,
    encode_signature,
    p256_from_secret,
    read_fixed_bytes,
    read_optional_signature,
    read_public_key,
    read_signature,
    verify_signature,
)
from ockam_ref.wire.cursor import Cursor

DIGEST = sha256(b"what is signed").digest()
ED25519, P256 = ed25519_from_seed(bytes(range(32))), p256_from_secret(bytes(range(1, 33)))
# RFC 8032 section 7.1, test 1
RFC_8032_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_8032_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EACH_KIND = pytest.mark.parametrize("key", [ED25519, P256], ids=lambda key: key.public.kind.name)


def negated(signature: Signature) -> Signature:
    s = P256_ORDER - int.from_bytes(signature.data[32:])
    return Signature(KeyKind.P256, signature.data[:32] + s.to_bytes(32))


def refusal(key: PublicKey, signature: Signature, digest: bytes = DIGEST) -> ErrorCode:
    with pytest.raises(VerificationError) as caught:
        verify_signature(key, digest, signature)
    return caught.value.code


@EACH_KIND
@pytest.mark.spec("ID-6", "ID-7")
def test_sign_and_verify(key: SigningKey) -> None:
    signature = key.sign(DIGEST)
    verify_signature(key.public, DIGEST, signature)
    assert key.sign(DIGEST) == signature
    assert refusal(key.public, signature, sha256(b"something else").digest()) is ErrorCode.AUTHENTICATION_FAILED
    flipped = Signature(signature.kind, bytes([signature.data[0] ^ 1]) + signature.data[1:])
    assert refusal(key.public, flipped) is ErrorCode.AUTHENTICATION_FAILED


def test_public_keys_of_known_secrets() -> None:
    assert ed25519_from_seed(RFC_8032_SEED).public == PublicKey(KeyKind.ED25519, RFC_8032_PUBLIC)
    # RFC 6979 appendix A.2.5
    key = p256_from_secret(bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
    assert key.public.data.hex() == (
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )


@pytest.mark.spec("ID-4", "ID-6")
def test_p256_hashes_what_it_signs_and_writes_r_and_s_side_by_side() -> None:
    # RFC 6979 appendix A.2.5, message "sample" with SHA-256: what is given to sign is hashed once.
    from ockam_ref.identities import p256

    private = p256.load_secret(bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
    assert p256.sign(private, b"sample").hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )


@pytest.mark.spec("ID-8")
def test_both_signatures_with_s_and_minus_s_are_valid() -> None:
    signature = P256.sign(DIGEST)
    other = negated(signature)
    assert other != signature
    verify_signature(P256.public, DIGEST, signature)
    verify_signature(P256.public, DIGEST, other)


@pytest.mark.spec("ID-7")
@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (P256_ORDER, 1), (1, P256_ORDER), (2**256 - 1, 2**256 - 1)])
def test_p256_signatures_out_of_range(numbers: tuple[int, int]) -> None:
    signature = Signature(KeyKind.P256, b"".join(number.to_bytes(32) for number in numbers))
    assert refusal(P256.public, signature) is ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.spec("ID-7")
def test_keys_of_the_wrong_kind_and_no_keys() -> None:
    assert refusal(P256.public, ED25519.sign(DIGEST)) is ErrorCode.KEY_MISMATCH
    assert refusal(ED25519.public, P256.sign(DIGEST)) is ErrorCode.KEY_MISMATCH
    no_point = PublicKey(KeyKind.ED25519, b"\x02" + bytes(31))
    assert refusal(no_point, ED25519.sign(DIGEST)) is ErrorCode.AUTHENTICATION_FAILED
    for first in (0, 2, 3, 5, 6, 7):
        point = PublicKey(KeyKind.P256, bytes([first]) + P256.public.data[1:])
        assert refusal(point, P256.sign(DIGEST)) is ErrorCode.AUTHENTICATION_FAILED
    off_curve = PublicKey(KeyKind.P256, P256.public.data[:-1] + bytes([P256.public.data[-1] ^ 1]))
    assert refusal(off_curve, P256.sign(DIGEST)) is ErrorCode.AUTHENTICATION_FAILED


@EACH_KIND
@pytest.mark.spec("ID-10")
def test_a_signing_key_keeps_its_secret(key: SigningKey) -> None:
    text = repr(key)
    assert key.public.kind.name in text
    assert key.public.data.hex() in text
    assert bytes(range(8)).hex() not in text
    assert bytes(range(1, 9)).hex() not in text
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            duplicate(key)


@pytest.mark.parametrize("make", [ed25519_from_seed, p256_from_secret])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_secrets_of_another_length(make: Callable[[bytes], SigningKey], length: int) -> None:
    with pytest.raises(MisuseError) as caught:
        make(b"\x01" * length)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize("number", [0, P256_ORDER, 2**256 - 1])
def test_numbers_that_are_no_p256_secret(number: int) -> None:
    with pytest.raises(MisuseError) as caught:
        p256_from_secret(number.to_bytes(32))
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
    assert str(number) not in str(caught.value)


@EACH_KIND
@pytest.mark.spec("ID-3")
def test_only_digests_are_signed(key: SigningKey) -> None:
    for data in (b"", DIGEST[:-1], DIGEST + b"\x00"):
        with pytest.raises(MisuseError):
            key.sign(data)


@pytest.mark.spec("ID-5")
@pytest.mark.parametrize(
    "build",
    [
        lambda: PublicKey(KeyKind.ED25519, bytes(31)),
        lambda: PublicKey(KeyKind.ED25519, bytes(65)),
        lambda: PublicKey(KeyKind.P256, bytes(32)),
        lambda: PublicKey(KeyKind.P256, bytes(33)),
        lambda: Signature(KeyKind.ED25519, bytes(63)),
        lambda: Signature(KeyKind.P256, bytes(72)),
    ],
)
def test_values_of_another_length(build: Callable[[], Any]) -> None:
    with pytest.raises(MisuseError) as caught:
        build()
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.spec("ID-9")
def test_valid_signatures_are_remembered_and_failures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(public: bytes, digest: bytes, signature: bytes) -> bool:
        calls.append((public, digest, signature))
        return signature == bytes(64)

    monkeypatch.setattr(keys, "_is_valid_ed25519", counting)
    digest = sha256(b"only in this test").digest()
    good, bad = Signature(KeyKind.ED25519, bytes(64)), Signature(KeyKind.ED25519, b"\x01" * 64)
    try:
        for _ in range(3):
            verify_signature(ED25519.public, digest, good)
            refusal(ED25519.public, bad, digest)
        assert len(calls) == 4
        # Nothing of what a signature is for may be left out of what is remembered.
        refusal_of_other_digest = sha256(b"another one").digest()
        verify_signature(ED25519.public, refusal_of_other_digest, good)
        verify_signature(ed25519_from_seed(bytes(32)).public, digest, good)
        assert len(calls) == 6
    finally:
        keys._require_remembered.cache_clear()
    assert keys._require_remembered.cache_parameters()["maxsize"] == SIGNATURE_MEMO_ENTRIES


def test_ed25519_alone_loads_nothing_of_p256() -> None:
    program = (
        "import sys; from ockam_ref.identities.local import create_local_identity;"
        "create_local_identity(bytes(32), b'1' * 32, 1_700_000_000);"
        "sys.exit('ockam_ref.identities.p256' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# bytes


@pytest.mark.spec("ID-5")
def test_encodings() -> None:
    assert encode_public_key(ED25519.public) == bytes.fromhex("8200815820") + ED25519.public.data
    assert encode_public_key(P256.public) == bytes.fromhex("8201815841") + P256.public.data
    assert encode_signature(Signature(KeyKind.ED25519, bytes(64))) == bytes.fromhex("8200815840") + bytes(64)
    assert encode_signature(Signature(KeyKind.P256, bytes(64))) == bytes.fromhex("8201815840") + bytes(64)


@EACH_KIND
@pytest.mark.spec("ID-5")
def test_reading_leaves_what_follows(key: SigningKey) -> None:
    cursor = Cursor(encode_public_key(key.public) + encode_signature(key.sign(DIGEST)) + b"\x00")
    assert read_public_key(cursor) == key.public
    assert read_signature(cursor) == key.sign(DIGEST)
    assert cursor.remaining == 1


@pytest.mark.spec("ID-14")
@pytest.mark.parametrize(
    "prefix",
    [
        "82 00 81 5840",
        "9802 00 81 5840",
        "82 1800 9801 590040",
        "82 1b0000000000000000 81 5b0000000000000040",
    ],
)
def test_longer_heads_than_needed(prefix: str) -> None:
    assert read_signature(Cursor(bytes.fromhex(prefix) + bytes(64))) == Signature(KeyKind.ED25519, bytes(64))


@pytest.mark.spec("ID-14")
@pytest.mark.parametrize(
    ("before", "after"),
    [("82 00 82 5840", "f6"), ("82 01 83 5840", "01 02"), ("82 00 9f 5840", "ff"), ("82 00 9f 5840", "6161 ff")],
)
def test_surplus_items_of_a_variant(before: str, after: str) -> None:
    cursor = Cursor(bytes.fromhex(before) + bytes(64) + bytes.fromhex(after))
    assert read_signature(cursor).data == bytes(64)
    assert cursor.remaining == 0


@pytest.mark.spec("ID-5", "ID-14")
@pytest.mark.parametrize(
    ("prefix", "length", "code"),
    [
        ("82 02 81 5840", 64, ErrorCode.UNKNOWN_VARIANT),
        ("82 1affffffff 81 5840", 64, ErrorCode.UNKNOWN_VARIANT),
        ("82 1b0000000100000000 81 5840", 64, ErrorCode.OUT_OF_RANGE),
        ("82 20 81 5840", 64, ErrorCode.WRONG_TYPE),
        ("83 00 81 5840", 64, ErrorCode.WRONG_TYPE),
        ("81 00", 0, ErrorCode.WRONG_TYPE),
        ("9f 00 81 5840", 64, ErrorCode.WRONG_TYPE),
        ("a1 00 81 5840", 64, ErrorCode.WRONG_TYPE),
        ("82 00 80", 0, ErrorCode.MISSING_FIELD),
        ("82 00 9f ff", 0, ErrorCode.MISSING_FIELD),
        ("82 00 f6", 0, ErrorCode.WRONG_TYPE),
        ("82 00 5840", 64, ErrorCode.WRONG_TYPE),
        ("82 00 81 583f", 63, ErrorCode.OUT_OF_RANGE),
        ("82 00 81 5841", 65, ErrorCode.OUT_OF_RANGE),
        ("82 00 81 7840", 64, ErrorCode.WRONG_TYPE),
        ("82 00 81 5840", 63, ErrorCode.TRUNCATED),
        ("c1 82 00 81 5840", 64, ErrorCode.WRONG_TYPE),
        ("f6", 0, ErrorCode.WRONG_TYPE),
        ("", 0, ErrorCode.TRUNCATED),
    ],
)
def test_what_is_no_signature(prefix: str, length: int, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        read_signature(Cursor(bytes.fromhex(prefix) + bytes(length)))
    assert caught.value.code is code


@pytest.mark.spec("ID-14")
@pytest.mark.parametrize("item", ["f6", "82 02 00", "82 02 80", "82 1903e8 a1 01 02", "82 17 5f 41 61 ff"])
def test_an_absent_or_unknown_optional_signature_is_none(item: str) -> None:
    cursor = Cursor(bytes.fromhex(item) + b"\x07")
    assert read_optional_signature(cursor) is None
    assert cursor.remaining == 1


@pytest.mark.spec("ID-14")
@pytest.mark.parametrize(
    "item", ["", "f7", "f4", "00", "82 02", "82 02 ff", "82 1b0000000100000000 00", "82 00 81 40", "83 02 00 00"]
)
def test_what_is_no_optional_signature(item: str) -> None:
    with pytest.raises(DecodeError):
        read_optional_signature(Cursor(bytes.fromhex(item)))


def test_an_error_points_at_the_item() -> None:
    cursor = Cursor(b"\x00\x42ab")
    cursor.take(1)
    with pytest.raises(DecodeError) as caught:
        read_fixed_bytes(cursor, 3)
    assert caught.value.offset == 1
