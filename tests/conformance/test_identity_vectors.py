"""Every vector that concerns identities, and the verdicts of the Rust implementation on odd and hostile input."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from ockam_ref.errors import DecodeError, ErrorCode, VerificationError
from ockam_ref.identities.change_history import (
    ChangeData,
    Comparison,
    VerifiedIdentity,
    compare_histories,
    create_identity,
    decode_change_data,
    decode_change_history,
    encode_change_data,
    rotate_identity,
    verify_change_history,
)
from ockam_ref.identities.credentials import (
    decode_credential,
    decode_credential_data,
    encode_credential,
    encode_credential_data,
    issue_credential,
    unverified_credential_data,
    unverified_issuer,
    verify_credential,
)
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.identities.keys import (
    KeyKind,
    PublicKey,
    SigningKey,
    ed25519_from_seed,
    p256_from_secret,
    verify_signature,
)
from ockam_ref.identities.local import create_local_identity
from ockam_ref.identities.presentation import (
    Presentation,
    decode_presentation,
    encode_presentation,
    verify_presentation,
)
from ockam_ref.identities.purpose_keys import (
    CredentialSigningKey,
    SecureChannelKey,
    attest_credential_signing_key,
    attest_secure_channel_key,
    decode_attestation,
    decode_attestation_data,
    encode_attestation,
    encode_attestation_data,
    unverified_attestation_data,
    verify_credential_signing_key,
    verify_secure_channel_key,
)
from ockam_ref.identities.versioned_data import DataType, decode_versioned_data, encode_versioned_data
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.vault.handles import signing_key_handle, x25519_key_handle
from ockam_ref.vault.memory import MemorySecrets
from ockam_ref.vault.secure_channels import SoftwareVaultForSecureChannels
from ockam_ref.wire.channel_message import RefreshCredentials, decode_channel_message, encode_channel_message
from tests.unit.vault.steps import counting, done, exposed

VECTORS: Final = Path(__file__).parents[1] / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


IDENTITY: Final[dict[str, dict[str, Any]]] = {vector["name"]: vector for vector in load("identity.json")}

# What identity.json holds beyond identities, by the area that checks it.  Nothing else is left out: see
# test_no_vector_is_forgotten.
AUTHORITY_AND_TICKETS: Final = {name for name in IDENTITY if name.startswith(("api/", "ticket/"))}
VAULT: Final = {"vault/hkdf-two-outputs", "vault/aes-256-gcm", "vault/key-handle"}

CURRENT: Final = [n for n, v in IDENTITY.items() if n.startswith("current/") and "change_history" in v["inputs"]]
REFRESH: Final = "current/elixir-refresh-credentials"
OLD: Final = [n for n in IDENTITY if n.startswith("old-")]
WORKED: Final = [
    "worked/01-ed25519-identity",
    "worked/02-ed25519-rotated",
    "worked/03-rotated-to-p256-revoking",
    "worked/04-p256-identity",
]
PURPOSE_KEYS: Final = [
    "worked/05-secure-channel-purpose-key",
    "worked/06-credential-purpose-key",
    "worked/07-credential-purpose-key-p256",
]
PRESENTATIONS: Final = ["worked/09-identity-and-credentials", "worked/10-identity-without-credentials"]
NEGATIVE: Final = [n for n in IDENTITY if n.startswith("negative/")]
TOLERATED: Final = [n for n in IDENTITY if n.startswith("tolerated/")]
CREDENTIAL: Final = "worked/08-credential"
WORKED_REFRESH: Final = "worked/11-refresh-credentials"
NEGATIVE_CREDENTIAL: Final = [n for n in IDENTITY if n.startswith("negative-credential/")]
NEGATIVE_PURPOSE_KEY: Final = [n for n in IDENTITY if n.startswith("negative-purpose-key/")]

HISTORY_ERRORS: Final = {
    "IdentityVerificationFailed": ErrorCode.BAD_HISTORY,
    "UnknownIdentityVersion": ErrorCode.UNSUPPORTED_VERSION,
    "InvalidIdentityDataType": ErrorCode.WRONG_TYPE,
    "SignatureAndPublicKeyTypesDontMatch": ErrorCode.KEY_MISMATCH,
    # as the crates print them
    "public key type and signature type don't match": ErrorCode.KEY_MISMATCH,
    "public key is invalid": ErrorCode.BAD_HISTORY,
    "signature error": ErrorCode.BAD_HISTORY,
}
CREDENTIAL_ERRORS: Final = {
    "CredentialVerificationFailed": ErrorCode.BAD_CREDENTIAL,
    "UnknownAuthority": ErrorCode.NOT_TRUSTED,
    "InvalidKeyType": ErrorCode.KEY_MISMATCH,
    "UnknownCredentialVersion": ErrorCode.UNSUPPORTED_VERSION,
    "InvalidCredentialDataType": ErrorCode.WRONG_TYPE,
}
ATTESTATION_ERRORS: Final = {
    "PurposeKeyAttestationVerificationFailed": ErrorCode.BAD_ATTESTATION,
    "InvalidPurposeKeyAttestationDataType": ErrorCode.WRONG_TYPE,
    "public key type and signature type don't match": ErrorCode.KEY_MISMATCH,
}


def inputs(name: str) -> dict[str, Any]:
    return dict(IDENTITY[name]["inputs"])


def expected(name: str) -> dict[str, Any]:
    return dict(IDENTITY[name]["expected"])


def identity_of(history: str) -> VerifiedIdentity:
    return verify_change_history(decode_change_history(bytes.fromhex(history)))


def signing_key(vector: dict[str, Any], prefix: str = "") -> SigningKey:
    if f"{prefix}ed25519_secret" in vector:
        return ed25519_from_seed(bytes.fromhex(vector[f"{prefix}ed25519_secret"]))
    return p256_from_secret(bytes.fromhex(vector[f"{prefix}p256_secret"]))


def test_no_vector_is_forgotten() -> None:
    here = {
        *CURRENT,
        REFRESH,
        *OLD,
        *WORKED,
        *PURPOSE_KEYS,
        *PRESENTATIONS,
        *NEGATIVE,
        *TOLERATED,
        *NEGATIVE_PURPOSE_KEY,
        CREDENTIAL,
        WORKED_REFRESH,
        *NEGATIVE_CREDENTIAL,
        *VAULT,
    }
    elsewhere = AUTHORITY_AND_TICKETS
    assert not here & elsewhere
    assert here | elsewhere == set(IDENTITY)
    assert (len(here), len(elsewhere), len(IDENTITY)) == (95, 19, 114)


# identity.json


@pytest.mark.spec("ID-1", "ID-2", "ID-3", "ID-4", "ID-8", "ID-20")
@pytest.mark.parametrize("name", CURRENT)
def test_current(name: str) -> None:
    data, wanted = bytes.fromhex(inputs(name)["change_history"]), expected(name)
    history = decode_change_history(data)
    identity = verify_change_history(history, expected=parse_identifier(wanted["identifier"]))
    assert history.encoded == data
    assert str(identity.identifier) == wanted["identifier"]
    assert len(history.changes) == wanted["changes"] == 1
    assert identity.latest_key.kind is {"EdDSACurve25519": KeyKind.ED25519}.get(wanted["key_type"], KeyKind.P256)
    assert identity.latest_key.data.hex() == wanted["public_key"]
    assert (identity.valid_from, identity.valid_until) == (
        wanted["attestations_valid_from"],
        wanted["attestations_valid_until"],
    )
    assert history.changes[0].signature.data.hex() == wanted["signature"]
    content = decode_change_data(decode_versioned_data(history.changes[0].data).data)
    assert content.revoke_all_purpose_keys is wanted["revoke_all_purpose_keys"]


@pytest.mark.spec("ID-6", "ID-12", "ID-13")
@pytest.mark.parametrize("name", [n for n in CURRENT if "ed25519_secret" in IDENTITY[n]["inputs"]])
def test_current_with_known_secret_is_reproduced(name: str) -> None:
    wanted = expected(name)
    made = create_identity(
        signing_key(inputs(name)),
        valid_from=wanted["attestations_valid_from"],
        valid_until=wanted["attestations_valid_until"],
    )
    assert made.history.encoded.hex() == inputs(name)["change_history"]


def test_a_signature_with_high_s_is_among_them() -> None:
    signature = expected("current/orchestrator-controller-p256")["signature"]
    assert int(signature[64:], 16) > 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2


@pytest.mark.spec("ID-23")
def test_refresh_message_of_elixir() -> None:
    """Its history and what its attestation says; the credential belongs to another area."""
    message, wanted = bytes.fromhex(inputs(REFRESH)["padded_secure_channel_message"]), expected(REFRESH)
    identity = identity_of(wanted["subject_change_history"])
    assert identity.history.encoded in message
    assert str(identity.identifier) == wanted["subject"]
    assert identity.latest_change_hash.hex() == wanted["subject_latest_change_hash"]
    versioned = bytes.fromhex(wanted["purpose_key_versioned_data"])
    encoded = b"\x82\x58\x7c" + versioned + bytes.fromhex("8200815840" + wanted["purpose_key_signature"])
    assert encoded in message
    content = unverified_attestation_data(decode_attestation(encoded))
    assert isinstance(content.public_key, CredentialSigningKey)
    assert str(content.subject) == wanted["issuer"]
    assert content.subject_latest_change_hash.hex() == wanted["issuer_latest_change_hash"]
    assert content.public_key.public.data.hex() == wanted["purpose_public_key"]
    assert (content.created_at, content.expires_at) == (
        wanted["purpose_key_created_at"],
        wanted["purpose_key_expires_at"],
    )


@pytest.mark.spec("ID-1", "ID-11")
@pytest.mark.parametrize("name", OLD)
def test_retired_formats_are_refused(name: str) -> None:
    with pytest.raises((DecodeError, VerificationError)):
        identity_of(inputs(name)["change_history"])
    if len(expected(name)["identifier"]) != 65 or not expected(name)["identifier"].startswith("I"):
        with pytest.raises(DecodeError):
            parse_identifier(expected(name)["identifier"])


@pytest.mark.spec("ID-1", "ID-3", "ID-4", "ID-6", "ID-12", "ID-13")
@pytest.mark.parametrize("name", ["worked/01-ed25519-identity", "worked/04-p256-identity"])
def test_worked_identity(name: str) -> None:
    given, wanted = inputs(name), expected(name)
    key = signing_key(given)
    made = create_identity(
        key, valid_from=given["attestations_valid_from"], valid_until=given["attestations_valid_until"]
    )
    content = encode_change_data(
        ChangeData(None, key.public, given["revoke_all_purpose_keys"], made.valid_from, made.valid_until)
    )
    (change,) = made.history.changes
    assert key.public.data.hex() == wanted["public_key"]
    assert content.hex() == wanted["change_data"]
    assert encode_versioned_data(DataType.CHANGE, content) == change.data
    assert change.data.hex() == wanted["versioned_data"]
    assert made.latest_change_hash.hex() == wanted["change_hash"]
    assert change.signature.data.hex() == wanted["self_signature"]
    assert made.history.encoded.hex() == wanted["change_history"]
    assert str(made.identifier) == wanted["identifier"]
    assert sha256(key.public.data).hexdigest() == wanted["signing_key_handle"]


@pytest.mark.spec("ID-6", "ID-12", "ID-13", "ID-18", "ID-21", "ID-22")
@pytest.mark.parametrize("name", ["worked/02-ed25519-rotated", "worked/03-rotated-to-p256-revoking"])
def test_worked_rotation(name: str) -> None:
    given, wanted = inputs(name), expected(name)
    base = identity_of(expected(given["base"])["change_history"])
    new_key = signing_key(given, "new_")
    rotated = rotate_identity(
        base,
        signing_key(inputs(given["base"])),
        new_key,
        valid_from=given["attestations_valid_from"],
        valid_until=given["attestations_valid_until"],
        revoke_all_purpose_keys=given["revoke_all_purpose_keys"],
    )
    data, signature, previous_signature = rotated.history.changes[1]
    assert new_key.public.data.hex() == wanted["new_public_key"]
    assert data.hex() == wanted["second_versioned_data"]
    assert sha256(data).hexdigest() == wanted["second_change_hash"] == wanted["latest_change_hash"]
    assert rotated.latest_change_hash.hex() == wanted["latest_change_hash"]
    assert signature.data.hex() == wanted["self_signature"]
    assert previous_signature is not None
    assert previous_signature.data.hex() == wanted["previous_signature"]
    assert rotated.history.encoded.hex() == wanted["change_history"]
    assert str(rotated.identifier) == wanted["identifier"]
    assert identity_of(wanted["change_history"]) == rotated
    assert compare_histories(rotated.history, base.history) is Comparison.NEWER
    assert compare_histories(base.history, rotated.history) is Comparison.OLDER


def test_the_two_worked_rotations_conflict() -> None:
    one, other = (identity_of(expected(name)["change_history"]) for name in WORKED[1:3])
    assert one.identifier == other.identifier
    assert compare_histories(one.history, other.history) is Comparison.CONFLICT


@pytest.mark.spec("ID-3", "ID-23")
@pytest.mark.parametrize("name", PURPOSE_KEYS)
def test_worked_purpose_key(name: str) -> None:
    given, wanted = inputs(name), expected(name)
    identity = identity_of(expected(given["identity"])["change_history"])
    identity_key = signing_key(inputs(given["identity"]))
    created_at, expires_at = given["created_at"], given["expires_at"]
    if "x25519_secret" in given:
        public = KeyPair.from_private_bytes(bytes.fromhex(given["x25519_secret"])).public
        assert public.hex() == wanted["x25519_public"]
        assert sha256(public).hexdigest() == wanted["x25519_key_handle"]
        attestation = attest_secure_channel_key(
            identity, identity_key, public, created_at=created_at, expires_at=expires_at
        )
        assert verify_secure_channel_key(attestation, subject=identity, now=created_at).public == public
        assert sha256(attestation.data).hexdigest() == wanted["versioned_data_sha256"]
    else:
        key = signing_key(given).public
        assert key.data.hex() == wanted["public_key"]
        attestation = attest_credential_signing_key(
            identity, identity_key, key, created_at=created_at, expires_at=expires_at
        )
        assert verify_credential_signing_key(attestation, subject=identity, now=created_at).public == key
    assert decode_versioned_data(attestation.data).data.hex() == wanted["attestation_data"]
    assert encode_attestation_data(unverified_attestation_data(attestation)).hex() == wanted["attestation_data"]
    assert attestation.data.hex() == wanted["versioned_data"]
    assert attestation.signature.data.hex() == wanted["signature"]
    assert encode_attestation(attestation).hex() == wanted["attestation"]
    assert decode_attestation(bytes.fromhex(wanted["attestation"])) == attestation


@pytest.mark.spec("ID-28", "ID-30")
@pytest.mark.parametrize("name", PRESENTATIONS)
def test_worked_presentation(name: str) -> None:
    given, payload = inputs(name), bytes.fromhex(expected(name)["payload"])
    credentials = (
        (bytes.fromhex(expected(given["credential"])["credential_and_purpose_key"]),) if "credential" in given else ()
    )
    presentation = Presentation(
        decode_change_history(bytes.fromhex(expected(given["change_history"])["change_history"])),
        decode_attestation(bytes.fromhex(expected(given["purpose_key"])["attestation"])),
        credentials,
    )
    assert encode_presentation(presentation) == payload
    assert decode_presentation(payload) == presentation
    static = bytes.fromhex(expected(given["purpose_key"])["x25519_public"])
    peer = verify_presentation(presentation, noise_static=static, now=1_700_000_400)
    assert str(peer.identity.identifier) == expected(given["change_history"])["identifier"]
    assert peer.credentials == credentials


@pytest.mark.spec("ID-11", "ID-17", "ID-18", "ID-19", "ID-33")
@pytest.mark.parametrize("name", NEGATIVE)
def test_negative(name: str) -> None:
    history = decode_change_history(bytes.fromhex(inputs(name)["change_history"]))
    with pytest.raises(VerificationError) as caught:
        verify_change_history(history)
    error = expected(name)["error"]
    if error.startswith("decode error"):
        assert isinstance(caught.value.__cause__, DecodeError)
    else:
        assert caught.value.code is HISTORY_ERRORS[error]


@pytest.mark.spec("ID-14", "ID-15", "ID-20")
@pytest.mark.parametrize("name", TOLERATED)
def test_tolerated(name: str) -> None:
    wanted, data = expected(name), bytes.fromhex(inputs(name)["change_history"])
    history = decode_change_history(data)
    assert str(verify_change_history(history).identifier) == wanted["identifier"]
    assert history.encoded.hex() == wanted.get("re_exported", data.hex())


@pytest.mark.spec("ID-11", "ID-24", "ID-25", "ID-26")
@pytest.mark.parametrize("name", NEGATIVE_PURPOSE_KEY)
def test_negative_purpose_key(name: str) -> None:
    given, wanted = inputs(name), expected(name)
    subject = identity_of(given["identity_change_history"])
    if given["expected_subject"] is not None:
        subject = identity_of(expected("worked/04-p256-identity")["change_history"])
        assert str(subject.identifier) == given["expected_subject"]
    attestation = decode_attestation(bytes.fromhex(given["attestation"]))
    if wanted.get("accepted"):
        assert verify_secure_channel_key(attestation, subject=subject, now=given["now"]).subject == subject.identifier
    else:
        with pytest.raises(VerificationError) as caught:
            verify_secure_channel_key(attestation, subject=subject, now=given["now"])
        assert caught.value.code is ATTESTATION_ERRORS[wanted["error"]]


# credentials


@pytest.mark.spec("CRED-1", "CRED-2", "CRED-5")
def test_worked_credential() -> None:
    given, wanted = inputs(CREDENTIAL), expected(CREDENTIAL)
    subject = identity_of(expected(given["subject"])["change_history"])
    issuer = identity_of(expected(given["issuer"])["change_history"])
    encoded = issue_credential(
        signing_key(inputs(given["purpose_key"])),
        decode_attestation(bytes.fromhex(expected(given["purpose_key"])["attestation"])),
        subject=subject.identifier,
        attributes={name.encode(): value.encode() for name, value in given["attributes"].items()},
        created_at=given["created_at"],
        expires_at=given["expires_at"],
        subject_change_hash=subject.latest_change_hash,
        schema=given["schema"],
    )
    assert encoded.hex() == wanted["credential_and_purpose_key"]
    assert len(encoded) == 406
    data, signature = decode_credential(encoded).credential
    assert data.hex() == wanted["versioned_data"]
    assert sha256(data).hexdigest() == wanted["versioned_data_sha256"]
    assert decode_versioned_data(data).data.hex() == wanted["credential_data"]
    assert signature.data.hex() == wanted["signature"]
    content = decode_credential_data(bytes.fromhex(wanted["credential_data"]))
    assert encode_credential_data(content).hex() == wanted["credential_data"]
    verified = verify_credential(encoded, subject=subject.identifier, authority=issuer, now=given["created_at"])
    assert {name.decode(): value.decode() for name, value in verified.attributes} == given["attributes"]


@pytest.mark.spec("CRED-7", "CRED-8", "CRED-9")
@pytest.mark.parametrize("name", NEGATIVE_CREDENTIAL)
def test_negative_credential(name: str) -> None:
    given, wanted = inputs(name), expected(name)
    authority = identity_of(given["issuer_change_history"])
    if str(authority.identifier) not in given["authorities"]:
        authority = identity_of(expected("worked/01-ed25519-identity")["change_history"])
    assert [str(authority.identifier)] == given["authorities"]
    encoded, subject = bytes.fromhex(given["credential_and_purpose_key"]), parse_identifier(given["expected_subject"])
    if wanted.get("accepted"):
        assert verify_credential(encoded, subject=subject, authority=authority, now=given["now"]).subject == subject
        assert encode_credential(decode_credential(encoded)) == encoded
    else:
        with pytest.raises(VerificationError) as caught:
            verify_credential(encoded, subject=subject, authority=authority, now=given["now"])
        assert caught.value.code is CREDENTIAL_ERRORS[wanted["error"]]


@pytest.mark.spec("CRED-14")
def test_worked_refresh() -> None:
    given, wanted = inputs(WORKED_REFRESH), expected(WORKED_REFRESH)
    history = bytes.fromhex(expected(given["change_history"])["change_history"])
    credential = bytes.fromhex(expected(given["credential"])["credential_and_purpose_key"])
    message = RefreshCredentials(history, (credential,))
    encoded = encode_channel_message(message)
    assert encoded.hex() == wanted["padded_secure_channel_message"]
    assert bytes.fromhex(wanted["refresh_message"]) in encoded
    assert decode_channel_message(encoded) == message


@pytest.mark.spec("CRED-2", "CRED-3")
def test_refresh_message_of_elixir_carries_a_credential() -> None:
    """Its signature verifies; the history of the issuer is nowhere, so that of the key that signed does not."""
    wanted = expected(REFRESH)
    message = decode_channel_message(bytes.fromhex(inputs(REFRESH)["padded_secure_channel_message"]))
    assert isinstance(message, RefreshCredentials)
    assert message.change_history.hex() == wanted["subject_change_history"]
    (encoded,) = message.credentials
    pair, content = decode_credential(encoded), unverified_credential_data(encoded)
    assert encode_credential(pair) == encoded
    assert str(unverified_issuer(encoded)) == wanted["issuer"]
    assert pair.credential.data.hex() == wanted["credential_versioned_data"]
    assert pair.credential.signature.data.hex() == wanted["credential_signature"]
    key = unverified_attestation_data(pair.attestation).public_key
    assert isinstance(key, CredentialSigningKey)
    verify_signature(key.public, sha256(pair.credential.data).digest(), pair.credential.signature)
    assert str(content.subject) == wanted["subject"]
    assert content.attributes.schema == wanted["schema"]
    assert {name.decode(): value.decode() for name, value in content.attributes.pairs} == wanted["attributes"]
    assert (content.created_at, content.expires_at) == (
        wanted["credential_created_at"],
        wanted["credential_expires_at"],
    )


# the identity parts of other files


@pytest.mark.spec("ID-1", "ID-12")
@pytest.mark.parametrize("vector", load("noise_xx.json")["identities"], ids=lambda vector: str(vector["name"]))
def test_identities_of_the_noise_vectors(vector: dict[str, Any]) -> None:
    identity = identity_of(vector["change_history"])
    assert str(identity.identifier) == vector["identifier"]
    assert identity.history.encoded.hex() == vector["change_history"]
    if "signing_secret" in vector:
        assert ed25519_from_seed(bytes.fromhex(vector["signing_secret"])).public == identity.latest_key


@pytest.mark.spec("ID-13", "ID-23", "ID-27", "ID-28")
@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_identities_of_the_transcript(role: str) -> None:
    transcript = load("secure_channel_transcript.json")
    vector, fixed = transcript[f"{role}_identity"], transcript["fixed_inputs"]
    local = create_local_identity(
        bytes.fromhex(vector["signing_secret"]), bytes.fromhex(fixed[f"{role}_static"]), fixed["created_at"]
    )
    (change,) = local.identity.history.changes
    assert local.static.public.hex() == transcript["public_keys"][f"{role}_static"]
    assert local.signing_key.public.data.hex() == vector["primary_public_key"]
    assert decode_versioned_data(change.data).data.hex() == vector["change_data"]
    assert change.data.hex() == vector["change_versioned_data"]
    assert local.identifier == Identifier(bytes.fromhex(vector["identifier"]))
    assert str(local.identifier) == vector["identifier_string"]
    assert local.identity.history.encoded.hex() == vector["change_history"]
    assert decode_versioned_data(local.attestation.data).data.hex() == vector["attestation_data"]
    assert local.attestation.data.hex() == vector["attestation_versioned_data"]
    assert encode_attestation(local.attestation).hex() == vector["purpose_key_attestation"]
    assert local.presentation.hex() == vector["identity_and_credentials"]
    assert local.identity.valid_until == fixed["identity_valid_until"]
    assert local.expires_at == fixed["purpose_key_expires_at"]


@pytest.mark.spec("ID-27", "ID-28", "ID-29")
def test_what_a_real_node_shows() -> None:
    captured = {entry["name"]: entry["decoded"] for entry in load("captured_0150.json")}
    decoded = captured["live_channel_transcript_message_2"]
    payload = bytes.fromhex(decoded["payload_hex"])
    presentation = decode_presentation(payload)
    assert encode_presentation(presentation) == payload
    content = unverified_attestation_data(presentation.attestation)
    assert isinstance(content.public_key, SecureChannelKey)
    peer = verify_presentation(presentation, noise_static=content.public_key.public, now=content.created_at)
    assert str(peer.identity.identifier) == decoded["responder_identifier"]
    assert peer.identity.valid_until - peer.identity.valid_from == 315_360_000
    assert content.expires_at - content.created_at == 157_680_000

    sent = decode_presentation(bytes.fromhex(captured["live_channel_transcript_message_3"]["payload_hex"]))
    secrets = captured["live_channel_transcript_message_1"]
    static = KeyPair.from_private_bytes(bytes.fromhex(secrets["initiator_static_private"]))
    peer = verify_presentation(sent, noise_static=static.public, now=content.created_at)
    assert str(peer.identity.identifier) == secrets["initiator_identifier"]
    assert peer.identity.latest_key == ed25519_from_seed(bytes.fromhex(secrets["initiator_identity_private"])).public


# verdicts of the Rust implementation

VERDICTS: Final = load("identity_peer_verdicts.json")
# The codec of the peer takes a break anywhere inside an item that it passes over.
STRICTER: Final = {"surplus-map-odd", "surplus-break"}


def verdicts(kind: str) -> list[Any]:
    entries = [entry for entry in VERDICTS["entries"] if entry["kind"] == kind]
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


def test_every_verdict_is_of_a_known_kind() -> None:
    assert {entry["kind"] for entry in VERDICTS["entries"]} == {"history", "attestation", "presentation"}
    assert {entry["name"] for entry in VERDICTS["entries"]} > STRICTER


@pytest.mark.spec("ID-7", "ID-8", "ID-11", "ID-14", "ID-15", "ID-16", "ID-17", "ID-18", "ID-20", "ID-33")
@pytest.mark.parametrize("entry", verdicts("history"))
def test_verdicts_on_histories(entry: dict[str, Any]) -> None:
    data, verdict = bytes.fromhex(entry["input"]), entry["verdict"]
    if verdict == "undecodable" or entry["name"] in STRICTER:
        with pytest.raises(DecodeError):
            decode_change_history(data)
        return
    history = decode_change_history(data)
    if verdict == "accepted":
        assert str(verify_change_history(history).identifier) == entry["identifier"]
        assert history.encoded.hex() == entry.get("normal_form", entry["input"])
        return
    with pytest.raises(VerificationError) as caught:
        verify_change_history(history)
    check_cause(caught.value, entry["cause"], HISTORY_ERRORS)


@pytest.mark.spec("ID-11", "ID-14", "ID-24", "ID-25", "ID-26")
@pytest.mark.parametrize("entry", verdicts("attestation"))
def test_verdicts_on_attestations(entry: dict[str, Any]) -> None:
    data, verdict = bytes.fromhex(entry["input"]), entry["verdict"]
    if verdict == "undecodable":
        with pytest.raises(DecodeError):
            decode_attestation(data)
        return
    subject, attestation, now = identity_of(entry["change_history"]), decode_attestation(data), VERDICTS["judged_at"]
    if verdict == "accepted":
        content = unverified_attestation_data(attestation)
        if isinstance(content.public_key, SecureChannelKey):
            verify_secure_channel_key(attestation, subject=subject, now=now)
        else:
            verify_credential_signing_key(attestation, subject=subject, now=now)
        assert encode_attestation(attestation).hex() == entry.get("normal_form", entry["input"])
        return
    with pytest.raises(VerificationError) as caught:
        verify_secure_channel_key(attestation, subject=subject, now=now)
    check_cause(caught.value, entry["cause"], ATTESTATION_ERRORS)


@pytest.mark.spec("ID-14", "ID-28", "ID-29", "ID-30")
@pytest.mark.parametrize("entry", verdicts("presentation"))
def test_verdicts_on_presentations(entry: dict[str, Any]) -> None:
    data = bytes.fromhex(entry["input"])
    if entry["verdict"] == "undecodable":
        with pytest.raises(DecodeError):
            decode_presentation(data)
        return
    presentation = decode_presentation(data)
    encoded = encode_presentation(presentation).hex()
    if presentation.credentials:
        # Credentials are kept as they came, the peer brings them into normal form.
        assert decode_presentation(bytes.fromhex(encoded)) == presentation
    else:
        assert encoded == entry.get("normal_form", entry["input"])


def check_cause(error: VerificationError, cause: str, codes: dict[str, ErrorCode]) -> None:
    if cause == "decode error":
        assert isinstance(error.__cause__, DecodeError)
    else:
        assert error.code is codes[cause]


def test_decoded_content_encodes_back() -> None:
    """The content of every accepted attestation in normal form, as a check of the reading of all fields."""
    for entry in VERDICTS["entries"]:
        if entry["kind"] == "attestation" and entry["name"] in {
            "attestation-canonical",
            "attestation-key-credential-p256",
        }:
            content = decode_versioned_data(decode_attestation(bytes.fromhex(entry["input"])).data).data
            assert encode_attestation_data(decode_attestation_data(content)) == content


@pytest.mark.spec("VLT-2")
def test_vault_key_handle() -> None:
    public, handle = bytes.fromhex(inputs("vault/key-handle")["public_key"]), expected("vault/key-handle")["handle"]
    assert x25519_key_handle(public).value.hex() == handle
    assert signing_key_handle(PublicKey(KeyKind.ED25519, public)).value.hex() == handle


@pytest.mark.spec("VLT-8")
def test_vault_derivation() -> None:
    given, wanted = inputs("vault/hkdf-two-outputs"), expected("vault/hkdf-two-outputs")
    secrets = MemorySecrets()
    vault = SoftwareVaultForSecureChannels(secrets, counting())
    salt, material = (done(vault.import_secret_buffer(bytes.fromhex(given[name]))) for name in ("salt", "ikm"))
    pieces = [exposed(vault, secrets, piece).hex() for piece in done(vault.hkdf(salt, material, 2))]
    assert pieces == [wanted["output_1"], wanted["output_2"]]


@pytest.mark.spec("VLT-7")
def test_vault_aead() -> None:
    given, wanted = inputs("vault/aes-256-gcm"), expected("vault/aes-256-gcm")
    vault = SoftwareVaultForSecureChannels(MemorySecrets(), counting())
    buffer = done(vault.import_secret_buffer(bytes.fromhex(given["key"])))
    key = done(vault.convert_secret_buffer_to_aead_key(buffer))
    nonce, plaintext, aad = bytes.fromhex(given["nonce"]), given["plaintext"].encode(), given["aad"].encode()
    sealed = done(vault.aead_encrypt(key, plaintext, nonce, aad))
    assert sealed.hex() == wanted["ciphertext_and_tag"]
    assert done(vault.aead_decrypt(key, sealed, nonce, aad)) == plaintext
