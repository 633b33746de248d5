from collections.abc import Callable

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, PeerError
from ockam_ref.noise.cipher_state import CipherState, decrypt_with_ad, encrypt_with_ad, initialize_key, rekey
from ockam_ref.noise.primitives import MAX_NONCE, Aead, Cipher, SessionKey

KEY = SessionKey(Cipher.AES_256_GCM, bytes(range(32)))
AEAD = Aead(KEY)


def test_without_a_key_text_passes_through() -> None:
    empty = CipherState()
    assert encrypt_with_ad(empty, b"ad", memoryview(b"text")) == (empty, b"text")
    assert decrypt_with_ad(empty, b"ad", b"text") == (empty, b"text")
    assert rekey(empty) is empty


def test_each_message_has_the_next_nonce() -> None:
    sending, receiving = initialize_key(KEY), initialize_key(KEY)
    for nonce in range(3):
        sending, ciphertext = encrypt_with_ad(sending, b"ad", b"text")
        assert ciphertext == AEAD.encrypt(nonce, b"ad", b"text")
        receiving, plaintext = decrypt_with_ad(receiving, b"ad", ciphertext)
        assert plaintext == b"text"
        assert sending.nonce == receiving.nonce == nonce + 1


@pytest.mark.parametrize("length", range(16))
@pytest.mark.spec("NOISE-13")
def test_less_than_a_tag_is_truncated(length: int) -> None:
    with pytest.raises(PeerError) as refused:
        decrypt_with_ad(initialize_key(KEY), b"", bytes(length))
    assert refused.value.code == ErrorCode.TRUNCATED


def test_a_refused_message_uses_no_nonce() -> None:
    state = initialize_key(KEY)
    with pytest.raises(PeerError) as refused:
        decrypt_with_ad(state, b"", bytes(20))
    assert refused.value.code == ErrorCode.AUTHENTICATION_FAILED
    assert decrypt_with_ad(state, b"", AEAD.encrypt(0, b"", b"text"))[1] == b"text"


@pytest.mark.parametrize("step", [encrypt_with_ad, decrypt_with_ad])
def test_the_reserved_nonce_carries_nothing(step: Callable[[CipherState, bytes, bytes], object]) -> None:
    with pytest.raises(MisuseError) as refused:
        step(CipherState(AEAD, MAX_NONCE), b"", bytes(16))
    assert refused.value.code == ErrorCode.NONCE_EXHAUSTED


def test_the_last_nonce_is_usable() -> None:
    state, ciphertext = encrypt_with_ad(CipherState(AEAD, MAX_NONCE - 1), b"", b"text")
    assert ciphertext == AEAD.encrypt(MAX_NONCE - 1, b"", b"text")
    assert state.nonce == MAX_NONCE


def test_rekeying_keeps_the_counter() -> None:
    state = rekey(CipherState(AEAD, 5))
    assert encrypt_with_ad(state, b"", b"text")[1] == AEAD.rekeyed().encrypt(5, b"", b"text")
