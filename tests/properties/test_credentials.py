"""Credentials: any bytes, any times at every boundary, any owner of another key."""

import contextlib
from hashlib import sha256
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError, MisuseError, VerificationError
from ockam_ref.identities.change_history import create_identity
from ockam_ref.identities.credentials import (
    Attributes,
    Credential,
    CredentialAndPurposeKey,
    CredentialData,
    decode_credential,
    decode_credential_data,
    encode_credential,
    encode_credential_data,
    issue_credential,
    unverified_credential_data,
    verify_credential,
)
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import ed25519_from_seed
from ockam_ref.identities.purpose_keys import attest_credential_signing_key
from ockam_ref.identities.versioned_data import DataType, encode_versioned_data

START: Final = 10_000
END: Final = START + 1_000
KEY, ISSUER_KEY = ed25519_from_seed(b"k" * 32), ed25519_from_seed(b"i" * 32)
ISSUER: Final = create_identity(ISSUER_KEY, valid_from=START, valid_until=END)
ATTESTATION: Final = attest_credential_signing_key(ISSUER, ISSUER_KEY, KEY.public, created_at=START, expires_at=END)
ME: Final = Identifier(b"\x01" * 32)

hashes = st.binary(min_size=32, max_size=32)
uints = st.integers(0, 2**64 - 1)
attributes = st.dictionaries(st.binary(max_size=12), st.binary(max_size=12), max_size=5)
contents = st.builds(
    CredentialData,
    st.none() | st.builds(Identifier, hashes),
    st.none() | hashes,
    st.builds(Attributes, uints, attributes.map(lambda pairs: tuple(sorted(pairs.items())))),
    uints,
    uints,
)
# Around each limit, a second or two to either side.
near = st.sampled_from((0, START, START + 60, START + 500, END, END + 60, 2**64 - 3)).flatmap(
    lambda limit: st.integers(-2, 2).map(lambda offset: max(0, limit + offset))
)


def sign(content: bytes) -> bytes:
    data = encode_versioned_data(DataType.CREDENTIAL, content)
    signed = Credential(data, KEY.sign(sha256(data).digest()))
    return encode_credential(CredentialAndPurposeKey(signed, ATTESTATION))


@pytest.mark.spec("CRED-8")
@given(created_at=near, expires_at=near, now=near)
@example(created_at=START, expires_at=END, now=END)
@example(created_at=START + 560, expires_at=END, now=START + 500)
@example(created_at=START + 561, expires_at=END, now=START + 500)
@settings(max_examples=400)
def test_times_at_every_boundary(created_at: int, expires_at: int, now: int) -> None:
    """What the requirements say, as one line."""
    content = CredentialData(ME, None, Attributes(1, ()), created_at, expires_at)
    key_is_good = START - 60 <= now <= END
    is_good = key_is_good and START <= created_at <= now + 60 and now <= expires_at <= END
    try:
        verified = verify_credential(sign(encode_credential_data(content)), subject=ME, authority=ISSUER, now=now)
    except VerificationError:
        assert not is_good
    else:
        assert is_good
        assert verified == (ME, (), created_at, expires_at)


@pytest.mark.spec("CRED-6", "CRED-8")
@given(created_at=near, expires_at=near, seconds=st.integers(0, 2_000))
@settings(max_examples=200)
def test_what_is_issued_is_accepted_for_its_whole_life(created_at: int, expires_at: int, seconds: int) -> None:
    with contextlib.suppress(MisuseError):
        encoded = issue_credential(
            KEY, ATTESTATION, subject=ME, attributes={}, created_at=created_at, expires_at=expires_at
        )
        now = min(created_at + seconds, expires_at)
        assert verify_credential(encoded, subject=ME, authority=ISSUER, now=now)


@pytest.mark.spec("CRED-2", "CRED-3")
@given(content=contents)
def test_content_round_trip(content: CredentialData) -> None:
    encoded = encode_credential_data(content)
    assert decode_credential_data(encoded) == content
    signed = sign(encoded)
    assert encode_credential(decode_credential(signed)) == signed
    assert unverified_credential_data(signed) == content


@pytest.mark.spec("CRED-5")
@given(pairs=attributes)
def test_attributes_are_issued_in_one_order(pairs: dict[bytes, bytes]) -> None:
    both = [
        issue_credential(KEY, ATTESTATION, subject=ME, attributes=order, created_at=START, expires_at=END)
        for order in (pairs, dict(reversed(pairs.items())))
    ]
    assert both[0] == both[1]
    verified = verify_credential(both[0], subject=ME, authority=ISSUER, now=START)
    assert verified.attributes == tuple(sorted(pairs.items()))


ISSUED: Final = issue_credential(
    KEY, ATTESTATION, subject=ME, attributes={b"role": b"member"}, created_at=START, expires_at=END
)
pieces = st.sampled_from(
    [bytes.fromhex(text) for text in ("80", "81", "82", "83", "85", "9f", "ff", "f6", "00", "01", "a0", "a1", "4161")]
    + [b"\x58\x20" + bytes(32), bytes.fromhex("8200815840") + bytes(64), ISSUED[1:], ISSUED]
)
almost = st.lists(pieces, max_size=12).map(b"".join) | st.binary(max_size=200)


@pytest.mark.spec("CRED-4")
@given(data=almost)
@settings(max_examples=300)
def test_only_typed_errors(data: bytes) -> None:
    for decode in (decode_credential, decode_credential_data):
        with contextlib.suppress(DecodeError):
            decode(data)
    with contextlib.suppress(VerificationError):
        verify_credential(data, subject=ME, authority=ISSUER, now=START)
    with contextlib.suppress(VerificationError):
        verify_credential(sign(data), subject=ME, authority=ISSUER, now=START)


@pytest.mark.spec("CRED-4")
def test_every_truncation_is_refused() -> None:
    for length in range(len(ISSUED)):
        with pytest.raises(DecodeError):
            decode_credential(ISSUED[:length])
        with pytest.raises(VerificationError):
            verify_credential(ISSUED[:length], subject=ME, authority=ISSUER, now=START)


@pytest.mark.spec("CRED-11")
@given(position=st.integers(0, len(ISSUED) - 1), inserted=st.binary(max_size=3), removed=st.integers(0, 3))
@settings(max_examples=300)
def test_no_edit_makes_it_say_something_else(position: int, inserted: bytes, removed: int) -> None:
    data = ISSUED[:position] + inserted + ISSUED[position + removed :]
    with contextlib.suppress(VerificationError):
        verified = verify_credential(data, subject=ME, authority=ISSUER, now=START)
        assert verified == (ME, ((b"role", b"member"),), START, END)
