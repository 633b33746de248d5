import pytest

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities import p256

MESSAGE = b"sample"


@pytest.mark.spec("ID-4", "ID-7")
def test_is_valid_for_this_key_and_this_message_only() -> None:
    one, other = p256.load_secret(bytes(31) + b"\x05"), p256.load_secret(bytes(31) + b"\x06")
    signature = p256.sign(one, MESSAGE)
    assert len(signature) == 64
    assert p256.is_valid(p256.public_point(one), MESSAGE, signature)
    assert not p256.is_valid(p256.public_point(other), MESSAGE, signature)
    assert not p256.is_valid(p256.public_point(one), b"simple", signature)
    assert not p256.is_valid(p256.public_point(one), MESSAGE, signature[32:] + signature[:32])
    assert not p256.is_valid(b"\x04" + bytes(64), MESSAGE, signature)


def test_numbers_keep_their_leading_zeros() -> None:
    key = p256.load_secret(bytes(31) + b"\x05")
    signatures = [p256.sign(key, bytes([n])) for n in range(200)]
    assert all(len(signature) == 64 for signature in signatures)
    assert any(signature[0] == 0 or signature[32] == 0 for signature in signatures), "none of them shows anything"
    assert all(p256.is_valid(p256.public_point(key), bytes([n]), signature) for n, signature in enumerate(signatures))


def test_zero_is_no_secret() -> None:
    with pytest.raises(MisuseError) as caught:
        p256.load_secret(bytes(32))
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
