import hashlib
from dataclasses import replace

import pytest

from ockam_ref.errors import ErrorCode, PeerError
from ockam_ref.noise.cipher_state import CipherState
from ockam_ref.noise.patterns import NOISE_XX_25519_AESGCM_SHA256, NOISE_XX_25519_CHACHAPOLY_BLAKE2S
from ockam_ref.noise.primitives import Aead, Cipher, SessionKey, hkdf2
from ockam_ref.noise.symmetric_state import (
    SymmetricState,
    decrypt_and_hash,
    encrypt_and_hash,
    initialize_symmetric,
    mix_hash,
    mix_key,
    split,
)

SUITE = NOISE_XX_25519_AESGCM_SHA256


@pytest.fixture
def keyed() -> SymmetricState:
    return mix_key(initialize_symmetric(SUITE), b"shared secret")


@pytest.mark.parametrize("length", [0, 31, 32])
@pytest.mark.spec("NOISE-2")
def test_a_short_name_is_padded(length: int) -> None:
    state = initialize_symmetric(replace(SUITE, protocol_name=b"n" * length))
    assert state.transcript_hash == state.chaining_key == b"n" * length + bytes(32 - length)
    assert not state.has_key


@pytest.mark.spec("NOISE-2")
def test_a_long_name_is_hashed() -> None:
    assert (
        initialize_symmetric(replace(SUITE, protocol_name=b"n" * 33)).chaining_key == hashlib.sha256(b"n" * 33).digest()
    )
    name = NOISE_XX_25519_CHACHAPOLY_BLAKE2S.protocol_name
    assert initialize_symmetric(NOISE_XX_25519_CHACHAPOLY_BLAKE2S).chaining_key == hashlib.blake2s(name).digest()


def test_mix_hash_changes_the_hash_only(keyed: SymmetricState) -> None:
    mixed = mix_hash(keyed, memoryview(b"data"))
    assert mixed.transcript_hash == hashlib.sha256(keyed.transcript_hash + b"data").digest()
    assert replace(mixed, transcript_hash=keyed.transcript_hash) == keyed


@pytest.mark.spec("NOISE-8")
def test_mix_key_begins_a_new_counter(keyed: SymmetricState) -> None:
    keyed, _ = encrypt_and_hash(keyed, b"text")
    assert keyed.cipher.nonce == 1
    mixed = mix_key(keyed, b"more")
    chaining_key, secret = hkdf2(keyed.chaining_key, b"more")
    probe = Aead(SessionKey(Cipher.AES_256_GCM, secret)).encrypt(0, mixed.transcript_hash, b"text")
    assert (mixed.chaining_key, mixed.transcript_hash) == (chaining_key, keyed.transcript_hash)
    assert encrypt_and_hash(mixed, b"text")[1] == probe


@pytest.mark.spec("NOISE-7")
def test_ciphertext_is_bound_to_the_transcript(keyed: SymmetricState) -> None:
    sent, ciphertext = encrypt_and_hash(keyed, b"text")
    received, plaintext = decrypt_and_hash(keyed, ciphertext)
    assert plaintext == b"text"
    assert sent.transcript_hash == hashlib.sha256(keyed.transcript_hash + ciphertext).digest()
    assert received == sent
    with pytest.raises(PeerError) as refused:
        decrypt_and_hash(mix_hash(keyed, b""), ciphertext)
    assert refused.value.code == ErrorCode.AUTHENTICATION_FAILED


def test_without_a_key_text_is_hashed_in_clear() -> None:
    state, text = encrypt_and_hash(initialize_symmetric(SUITE), b"text")
    assert (text, state) == (b"text", mix_hash(initialize_symmetric(SUITE), b"text"))
    assert state.cipher == CipherState()


@pytest.mark.spec("NOISE-18")
def test_split_takes_the_chaining_key_alone(keyed: SymmetricState) -> None:
    first, second = split(keyed)
    assert (first.expose_secret(), second.expose_secret()) == hkdf2(keyed.chaining_key, b"")
    assert split(mix_hash(keyed, b"something else")) == (first, second)


@pytest.mark.spec("NOISE-20")
def test_the_chaining_key_is_not_shown(keyed: SymmetricState) -> None:
    assert keyed.transcript_hash.hex() not in repr(keyed.chaining_key)
    assert repr(keyed.chaining_key) not in repr(keyed)
    assert "chaining_key" not in repr(keyed)
