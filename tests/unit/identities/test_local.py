import copy
import pickle

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.keys import SigningKey
from ockam_ref.identities.local import LocalIdentity, create_local_identity, open_local_identity
from ockam_ref.identities.presentation import decode_presentation, verify_presentation
from ockam_ref.noise.primitives import KeyPair

NOW = 1_700_000_000
TEN_YEARS, FIVE_YEARS = 315_360_000, 157_680_000
SIGNING_SEED, STATIC_SECRET = bytes(range(32)), bytes(range(100, 132))
STATIC = KeyPair.from_private_bytes(STATIC_SECRET)


@pytest.mark.spec("ID-27", "ID-28")
def test_create() -> None:
    local = create_local_identity(SIGNING_SEED, STATIC_SECRET, NOW)
    assert (local.identity.valid_from, local.identity.valid_until) == (NOW, NOW + TEN_YEARS)
    assert local.expires_at == NOW + FIVE_YEARS
    assert local.static.public == STATIC.public
    assert local.signing_key.public == local.identity.latest_key
    assert local.identifier == local.identity.identifier
    assert len(local.presentation) == 323
    shown = decode_presentation(local.presentation)
    assert shown.attestation == local.attestation
    peer = verify_presentation(shown, noise_static=STATIC.public, now=NOW)
    assert peer.identity == local.identity
    assert (peer.purpose_key.created_at, peer.purpose_key.expires_at) == (NOW, NOW + FIVE_YEARS)
    assert peer.credentials == ()


def test_equal_secrets_and_times_make_equal_identities() -> None:
    one, other = (create_local_identity(SIGNING_SEED, STATIC_SECRET, NOW) for _ in range(2))
    assert one.presentation == other.presentation
    assert create_local_identity(SIGNING_SEED, STATIC_SECRET, NOW + 1).identifier != one.identifier


@pytest.mark.spec("ID-10")
def test_secrets_stay_inside() -> None:
    local = create_local_identity(SIGNING_SEED, STATIC_SECRET, NOW)
    text = repr(local)
    assert str(local.identifier) in text
    for secret in (SIGNING_SEED, STATIC_SECRET):
        assert secret[:8].hex() not in text
        assert repr(secret)[2:20] not in text
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            duplicate(local)


@pytest.mark.parametrize(("signing_seed", "static_secret"), [(b"", STATIC_SECRET), (SIGNING_SEED, bytes(31))])
def test_secrets_of_another_length(signing_seed: bytes, static_secret: bytes) -> None:
    with pytest.raises(MisuseError) as caught:
        create_local_identity(signing_seed, static_secret, NOW)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


def test_a_rotated_p256_identity(bob: VerifiedIdentity, bob_key: SigningKey, alice_key: SigningKey) -> None:
    local = open_local_identity(bob, bob_key, STATIC, now=NOW)
    assert verified(local, NOW) == bob
    rotated = rotate_identity(bob, bob_key, alice_key, valid_from=NOW + 5, valid_until=NOW + TEN_YEARS)
    assert verified(open_local_identity(rotated, alice_key, STATIC, now=NOW + 5), NOW + 5) == rotated
    with pytest.raises(MisuseError) as caught:
        open_local_identity(rotated, bob_key, STATIC, now=NOW + 5)
    assert caught.value.code is ErrorCode.KEY_MISMATCH


def verified(local: LocalIdentity, now: int) -> VerifiedIdentity:
    peer = verify_presentation(decode_presentation(local.presentation), noise_static=STATIC.public, now=now)
    assert peer.purpose_key.expires_at == local.expires_at
    return peer.identity


@pytest.mark.spec("ID-27")
@pytest.mark.parametrize(
    ("age", "life"),
    [
        (0, FIVE_YEARS),
        (TEN_YEARS - FIVE_YEARS, FIVE_YEARS),
        (TEN_YEARS - FIVE_YEARS + 1, FIVE_YEARS - 1),
        (TEN_YEARS, 0),
    ],
)
def test_an_attestation_ends_with_the_key_that_made_it(alice_key: SigningKey, age: int, life: int) -> None:
    identity = create_identity(alice_key, valid_from=NOW, valid_until=NOW + TEN_YEARS)
    local = open_local_identity(identity, alice_key, STATIC, now=NOW + age)
    assert local.expires_at == NOW + age + life
    assert verified(local, NOW + age) == identity


@pytest.mark.parametrize("now", [NOW - 1, NOW + TEN_YEARS + 1])
def test_a_key_that_may_not_attest(alice_key: SigningKey, now: int) -> None:
    identity = create_identity(alice_key, valid_from=NOW, valid_until=NOW + TEN_YEARS)
    with pytest.raises(VerificationError) as caught:
        open_local_identity(identity, alice_key, STATIC, now=now)
    assert caught.value.code is ErrorCode.BAD_ATTESTATION
