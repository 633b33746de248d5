import pytest

from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.keys import SigningKey
from ockam_ref.identities.purpose_keys import attest_credential_signing_key, attest_secure_channel_key
from ockam_ref.identities.renewal import (
    earlier_keys,
    expiry_of_new,
    usable_credential_signing_key,
    usable_secure_channel_key,
)
from ockam_ref.noise.primitives import KeyPair

NOW = 1_700_000_000
LIFE = 1000
STATIC = KeyPair.from_private_bytes(bytes(range(32))).public
FIVE_YEARS = 157_680_000


@pytest.fixture
def alice(alice_key: SigningKey) -> VerifiedIdentity:
    return create_identity(alice_key, valid_from=NOW, valid_until=NOW + 10 * LIFE)


@pytest.mark.spec("ID-34")
@pytest.mark.parametrize(
    ("at", "is_used"), [(0, True), (900, True), (901, False), (1000, False), (1001, False), (-61, False)]
)
def test_replaced_in_the_last_tenth(alice: VerifiedIdentity, alice_key: SigningKey, at: int, is_used: bool) -> None:  # noqa: FBT001
    channels = attest_secure_channel_key(alice, alice_key, STATIC, created_at=NOW, expires_at=NOW + LIFE)
    key = usable_secure_channel_key(channels, subject=alice, now=NOW + at)
    assert (key is not None) is is_used
    assert key is None or key.public == STATIC
    public = alice_key.public
    credentials = attest_credential_signing_key(alice, alice_key, public, created_at=NOW, expires_at=NOW + LIFE)
    signing = usable_credential_signing_key(credentials, subject=alice, now=NOW + at)
    assert (signing is not None) is is_used
    assert signing is None or signing.public == public


@pytest.mark.spec("ID-34")
def test_not_replaced_by_one_that_lives_no_longer(alice: VerifiedIdentity, alice_key: SigningKey) -> None:
    end = alice.valid_until
    attestation = attest_secure_channel_key(alice, alice_key, STATIC, created_at=NOW, expires_at=end)
    assert usable_secure_channel_key(attestation, subject=alice, now=end) is not None
    earlier = attest_secure_channel_key(alice, alice_key, STATIC, created_at=NOW, expires_at=end - 1)
    assert usable_secure_channel_key(earlier, subject=alice, now=end - 1) is None
    assert expiry_of_new(alice, NOW) == end


def test_a_new_one_lives_for_five_years(alice_key: SigningKey) -> None:
    identity = create_identity(alice_key, valid_from=NOW, valid_until=NOW + 2 * FIVE_YEARS)
    assert expiry_of_new(identity, NOW + 7) == NOW + 7 + FIVE_YEARS


@pytest.mark.spec("ID-34", "ID-35")
def test_void_after_a_rotation(alice: VerifiedIdentity, alice_key: SigningKey, bob_key: SigningKey) -> None:
    attestation = attest_secure_channel_key(alice, alice_key, STATIC, created_at=NOW, expires_at=NOW + LIFE)
    assert earlier_keys(alice) == ()
    rotated = rotate_identity(alice, alice_key, bob_key, valid_from=NOW, valid_until=NOW + LIFE)
    assert usable_secure_channel_key(attestation, subject=rotated, now=NOW) is None
    assert earlier_keys(rotated) == (alice_key.public,)


def test_a_key_of_the_other_purpose(alice: VerifiedIdentity, alice_key: SigningKey) -> None:
    channels = attest_secure_channel_key(alice, alice_key, STATIC, created_at=NOW, expires_at=NOW + LIFE)
    assert usable_credential_signing_key(channels, subject=alice, now=NOW) is None
