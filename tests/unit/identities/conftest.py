"""The people of these tests: Alice with one Ed25519 key, the same after a rotation, and Bob with a P-256 key."""

import pytest

from ockam_ref.identities.change_history import VerifiedIdentity, create_identity, rotate_identity
from ockam_ref.identities.keys import SigningKey, ed25519_from_seed, p256_from_secret

START, END = 1_700_000_000, 2_015_360_000


@pytest.fixture(scope="session")
def alice_key() -> SigningKey:
    return ed25519_from_seed(bytes(range(32)))


@pytest.fixture(scope="session")
def alice_new_key() -> SigningKey:
    return ed25519_from_seed(bytes(range(32, 64)))


@pytest.fixture(scope="session")
def bob_key() -> SigningKey:
    return p256_from_secret(bytes(range(1, 33)))


@pytest.fixture(scope="session")
def alice(alice_key: SigningKey) -> VerifiedIdentity:
    return create_identity(alice_key, valid_from=START, valid_until=END)


@pytest.fixture(scope="session")
def rotated_alice(alice: VerifiedIdentity, alice_key: SigningKey, alice_new_key: SigningKey) -> VerifiedIdentity:
    return rotate_identity(alice, alice_key, alice_new_key, valid_from=START + 100, valid_until=END + 100)


@pytest.fixture(scope="session")
def bob(bob_key: SigningKey) -> VerifiedIdentity:
    return create_identity(bob_key, valid_from=START, valid_until=END)
