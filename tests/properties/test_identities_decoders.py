"""Decoders and verifiers on any bytes: only typed errors, bounded allocation, one normal form."""

import contextlib
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ockam_ref.errors import DecodeError, VerificationError
from ockam_ref.identities.change_history import (
    Change,
    ChangeData,
    ChangeHistory,
    decode_change_data,
    decode_change_history,
    encode_change_data,
    verify_change_history,
)
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.identities.keys import (
    PUBLIC_KEY_LENGTHS,
    KeyKind,
    PublicKey,
    Signature,
    encode_public_key,
    encode_signature,
    read_public_key,
    read_signature,
)
from ockam_ref.identities.local import create_local_identity
from ockam_ref.identities.presentation import (
    Presentation,
    decode_presentation,
    encode_presentation,
    verify_presentation,
)
from ockam_ref.identities.purpose_keys import (
    AttestationData,
    CredentialSigningKey,
    PurposeKeyAttestation,
    SecureChannelKey,
    decode_attestation,
    decode_attestation_data,
    encode_attestation,
    encode_attestation_data,
    verify_secure_channel_key,
)
from ockam_ref.identities.versioned_data import decode_versioned_data
from ockam_ref.wire.cursor import Cursor

NOW: Final = 1_700_000_000
LOCAL: Final = create_local_identity(bytes(32), b"\x01" * 32, NOW)
DECODERS: Final[list[Callable[[bytes], Any]]] = [
    decode_change_history,
    decode_change_data,
    decode_attestation,
    decode_attestation_data,
    decode_presentation,
    decode_versioned_data,
]
EACH_DECODER = pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: str(decode.__name__))

kinds = st.sampled_from(KeyKind)
hashes = st.binary(min_size=32, max_size=32)
times = st.integers(0, 2**64 - 1)
signatures = st.builds(Signature, kinds, st.binary(min_size=64, max_size=64))
public_keys = kinds.flatmap(
    lambda kind: st.builds(
        PublicKey, st.just(kind), st.binary(min_size=PUBLIC_KEY_LENGTHS[kind], max_size=PUBLIC_KEY_LENGTHS[kind])
    )
)
changes = st.builds(Change, st.binary(max_size=80), signatures, st.none() | signatures)
histories = st.builds(ChangeHistory, st.lists(changes, max_size=4).map(tuple))
change_data = st.builds(ChangeData, st.none() | hashes, public_keys, st.booleans(), times, times)
attestations = st.builds(PurposeKeyAttestation, st.binary(max_size=80), signatures)
purpose_public_keys = st.builds(SecureChannelKey, hashes) | st.builds(CredentialSigningKey, public_keys)
attestation_data = st.builds(AttestationData, st.builds(Identifier, hashes), hashes, purpose_public_keys, times, times)
credentials = st.tuples(attestations, attestations).map(lambda pair: b"\x82" + b"".join(map(encode_attestation, pair)))
presentations = st.builds(Presentation, histories, attestations, st.lists(credentials, max_size=3).map(tuple))

# Bytes that look like the structures are likelier to get past the first byte.
pieces = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in (
            "80",
            "81",
            "82",
            "83",
            "85",
            "9f",
            "ff",
            "f4",
            "f6",
            "f7",
            "00",
            "01",
            "02",
            "40",
            "1818",
            "a1",
            "c1",
        )
    ]
    + [b"\x58\x20" + bytes(32), b"\x58\x40" + bytes(64), b"\x58\x41" + bytes(65), LOCAL.identity.history.encoded[2:]]
)
almost = st.lists(pieces, max_size=24).map(b"".join) | st.binary(max_size=200)


@EACH_DECODER
@pytest.mark.spec("ID-31")
@given(data=almost)
@settings(max_examples=100)
def test_only_typed_errors(decode: Callable[[bytes], Any], data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode(data)


@pytest.mark.spec("ID-31")
@given(data=almost)
@settings(max_examples=200)
def test_verifiers_raise_verification_errors_only(data: bytes) -> None:
    """Signed data may be anything: the signature over it can be genuine."""
    digest_signature = LOCAL.signing_key.sign(bytes(32))
    with pytest.raises(VerificationError):
        verify_change_history(ChangeHistory((Change(data, digest_signature),)))
    with pytest.raises(VerificationError):
        verify_secure_channel_key(PurposeKeyAttestation(data, digest_signature), subject=LOCAL.identity, now=NOW)


@pytest.mark.spec("ID-31")
@given(text=st.text(max_size=80) | st.text("I0123456789abcdefABCDEF ", max_size=80))
def test_identifier_parser(text: str) -> None:
    try:
        identifier = parse_identifier(text)
    except DecodeError:
        return
    assert str(identifier).lower() == text.strip().lower()


@pytest.mark.spec("ID-2")
@given(value=hashes)
def test_identifier_text_round_trip(value: bytes) -> None:
    assert parse_identifier(str(Identifier(value))).value == value


@pytest.mark.spec("ID-15")
@given(history=histories)
def test_history_round_trip(history: ChangeHistory) -> None:
    decoded = decode_change_history(history.encoded)
    assert decoded.changes == history.changes
    assert decoded.encoded == history.encoded


@given(data=change_data)
def test_change_data_round_trip(data: ChangeData) -> None:
    assert decode_change_data(encode_change_data(data)) == data


@given(attestation=attestations)
def test_attestation_round_trip(attestation: PurposeKeyAttestation) -> None:
    assert decode_attestation(encode_attestation(attestation)) == attestation


@given(data=attestation_data)
def test_attestation_data_round_trip(data: AttestationData) -> None:
    assert decode_attestation_data(encode_attestation_data(data)) == data


@pytest.mark.spec("ID-5")
@given(key=public_keys, signature=signatures)
def test_keys_round_trip(key: PublicKey, signature: Signature) -> None:
    assert read_public_key(Cursor(encode_public_key(key))) == key
    assert read_signature(Cursor(encode_signature(signature))) == signature


@given(presentation=presentations)
def test_presentation_round_trip(presentation: Presentation) -> None:
    assert decode_presentation(encode_presentation(presentation)) == presentation


@pytest.mark.spec("ID-15")
@given(data=almost)
@settings(max_examples=200)
def test_normal_form_is_normal(data: bytes) -> None:
    try:
        history = decode_change_history(data)
    except DecodeError:
        return
    again = decode_change_history(history.encoded)
    assert again.encoded == history.encoded
    assert again.changes == history.changes


@EACH_DECODER
@pytest.mark.spec("ID-31")
@pytest.mark.parametrize(
    "announced",
    [
        "9b7fffffffffffffff",
        "9bffffffffffffffff",
        "839b00000000ffffffff",
        "81825b00000000ffffffff",
        "825b7fffffffffffffff",
        "82008200815affffffff",
    ],
)
def test_announced_lengths_allocate_nothing(decode: Callable[[bytes], Any], announced: str) -> None:
    data = bytes.fromhex(announced)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000


@pytest.mark.spec("ID-29", "ID-31")
def test_every_truncation_is_refused() -> None:
    for decode, data in (
        (decode_change_history, LOCAL.identity.history.encoded),
        (decode_attestation, encode_attestation(LOCAL.attestation)),
        (decode_presentation, LOCAL.presentation),
    ):
        for length in range(len(data)):
            with pytest.raises(DecodeError):
                decode(data[:length])


@pytest.mark.spec("ID-31")
@given(position=st.integers(0, len(LOCAL.presentation) - 1), inserted=st.binary(max_size=3), removed=st.integers(0, 3))
@settings(max_examples=200)
def test_no_edit_of_a_presentation_makes_somebody_else(position: int, inserted: bytes, removed: int) -> None:
    data = LOCAL.presentation[:position] + inserted + LOCAL.presentation[position + removed :]
    try:
        peer = verify_presentation(decode_presentation(data), noise_static=LOCAL.static.public, now=NOW)
    except (DecodeError, VerificationError):
        return
    assert peer.identity.identifier == LOCAL.identifier
    assert peer.identity.latest_key == LOCAL.signing_key.public
