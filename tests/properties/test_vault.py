"""The vault computes what the handshakes of the core compute, and signs what the core verifies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ockam_ref.errors import VaultError, VerificationError
from ockam_ref.identities.keys import KeyKind, verify_signature
from ockam_ref.noise.primitives import Aead, Cipher, KeyPair, SessionKey, hkdf2
from ockam_ref.vault.memory import MemorySecrets
from ockam_ref.vault.secure_channels import SoftwareVaultForSecureChannels
from ockam_ref.vault.signing import SoftwareVaultForSigning
from tests.unit.vault.steps import counting, done, exposed

SECRETS = st.binary(min_size=32, max_size=32)
SECRETS_OF_P256 = st.integers(1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550).map(
    lambda number: number.to_bytes(32)
)


@pytest.mark.spec("VLT-6", "VLT-7", "VLT-8")
@given(st.tuples(SECRETS, SECRETS, SECRETS), st.integers(0, 2**64 - 1), st.binary(max_size=64), st.binary(max_size=64))
def test_as_in_a_handshake(secret_bytes: tuple[bytes, bytes, bytes], nonce: int, plaintext: bytes, aad: bytes) -> None:
    mine, theirs, chaining_key = secret_bytes
    secrets = MemorySecrets()
    vault = SoftwareVaultForSecureChannels(secrets, counting())
    handle = done(vault.import_static_x25519_secret_key(mine))
    peer = KeyPair.from_private_bytes(theirs)
    shared = done(vault.x25519_ecdh(handle, peer.public))
    salt = done(vault.import_secret_buffer(chaining_key))
    following, key = done(vault.hkdf(salt, shared, 2))
    aead = done(vault.convert_secret_buffer_to_aead_key(key))
    sealed = done(vault.aead_encrypt(aead, plaintext, nonce.to_bytes(12), aad))

    secret = peer.dh(KeyPair.from_private_bytes(mine).public)
    expected, cipher_key = hkdf2(chaining_key, secret)
    cipher = Aead(SessionKey(Cipher.AES_256_GCM, cipher_key))
    assert exposed(vault, secrets, following) == expected
    assert sealed == cipher.encrypt(nonce, aad, plaintext)
    assert cipher.decrypt(nonce, aad, sealed) == plaintext


@pytest.mark.spec("VLT-7")
@given(SECRETS, st.binary(max_size=40), st.data())
def test_no_bit_of_a_ciphertext_can_be_changed(secret: bytes, plaintext: bytes, data: st.DataObject) -> None:
    vault = SoftwareVaultForSecureChannels(MemorySecrets(), counting())
    key = done(vault.convert_secret_buffer_to_aead_key(done(vault.import_secret_buffer(secret))))
    sealed = bytearray(done(vault.aead_encrypt(key, plaintext, bytes(12), b"")))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultError):
        done(vault.aead_decrypt(key, bytes(sealed), bytes(12), b""))


@pytest.mark.spec("VLT-2", "VLT-5")
@given(SECRETS, SECRETS_OF_P256, st.binary(max_size=100), st.binary(max_size=100))
def test_what_one_key_signs_it_has_signed_and_nothing_else(
    seed: bytes, number: bytes, data: bytes, other: bytes
) -> None:
    vault = SoftwareVaultForSigning(MemorySecrets(), counting())
    for kind, secret in ((KeyKind.ED25519, seed), (KeyKind.P256, number)):
        handle = done(vault.import_key(kind, secret))
        public, signature = done(vault.get_verifying_public_key(handle)), done(vault.sign(handle, data))
        verify_signature(public, data, signature)
        assert done(vault.get_secret_key_handle(public)) == handle
        if other != data:
            with pytest.raises(VerificationError):
                verify_signature(public, other, signature)
