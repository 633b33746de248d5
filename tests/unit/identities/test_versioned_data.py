from hashlib import sha256

import pytest

from ockam_ref.errors import DecodeError, ErrorCode
from ockam_ref.identities.versioned_data import (
    DataType,
    VersionedData,
    decode_versioned_data,
    digest_of,
    encode_versioned_data,
)


@pytest.mark.spec("ID-11")
def test_bytes() -> None:
    assert encode_versioned_data(DataType.CHANGE, b"abc") == bytes.fromhex("83 01 01 43 616263")
    assert encode_versioned_data(DataType.PURPOSE_KEY_ATTESTATION, b"") == bytes.fromhex("83 01 02 40")
    assert encode_versioned_data(DataType.CREDENTIAL, b"") == bytes.fromhex("83 01 03 40")
    assert decode_versioned_data(bytes.fromhex("83 01 02 43 616263")) == VersionedData(1, 2, b"abc")


@pytest.mark.spec("ID-14")
@pytest.mark.parametrize(
    "data", ["83 01 02 40 ff", "9f 01 02 40 ff", "84 01 02 40 a0", "83 1801 190002 5a00000000", "85 01 02 40 f7 f6"]
)
def test_what_is_passed_over(data: str) -> None:
    assert decode_versioned_data(bytes.fromhex(data)) == VersionedData(1, 2, b"")


@pytest.mark.spec("ID-11", "ID-14")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", ErrorCode.TRUNCATED),
        ("82 01 40", ErrorCode.WRONG_TYPE),
        ("82 01 02", ErrorCode.MISSING_FIELD),
        ("83 190100 01 40", ErrorCode.OUT_OF_RANGE),
        ("83 01 190100 40", ErrorCode.OUT_OF_RANGE),
        ("83 01 01 60", ErrorCode.WRONG_TYPE),
        ("83 01 01 41", ErrorCode.TRUNCATED),
        ("a2 01 01 02 40", ErrorCode.WRONG_TYPE),
        ("84 01 02 40 61ff", ErrorCode.BAD_TEXT),
    ],
)
def test_what_is_none(data: str, code: ErrorCode) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_versioned_data(bytes.fromhex(data))
    assert caught.value.code is code


@pytest.mark.spec("ID-3")
def test_the_digest_is_that_of_the_bytes_as_they_are() -> None:
    data = bytes.fromhex("83 1801 01 40 ff")
    assert digest_of(data) == sha256(data).digest()
    assert digest_of(memoryview(data)) == digest_of(data)
