import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ockam_ref.errors import ErrorCode, MisuseError, PeerError
from ockam_ref.noise.primitives import Aead, Cipher, HashName, KeyPair, SessionKey, hash_of, hkdf2

SECRET = bytes(range(32))
P = 2**255 - 19
LOW_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
    P,
    P + 1,
]


@pytest.mark.parametrize("holder", [KeyPair.from_private_bytes(SECRET), SessionKey(Cipher.AES_256_GCM, SECRET)])
@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.spec("NOISE-20")
def test_holders_of_keys_are_not_copied(holder: object, copier: Callable[[Any], object]) -> None:
    for held in (holder, Aead(SessionKey(Cipher.AES_256_GCM, SECRET))):
        with pytest.raises(TypeError, match="holds keys"):
            copier(held)


@pytest.mark.spec("NOISE-20")
def test_only_public_things_are_shown() -> None:
    pair = KeyPair.from_private_bytes(SECRET)
    key = SessionKey(Cipher.CHACHA20_POLY1305, SECRET)
    assert repr(pair) == f"KeyPair(public={pair.public.hex()})"
    assert repr(key) == "SessionKey(CHACHA20_POLY1305)"
    assert repr(Aead(key)) == "Aead(CHACHA20_POLY1305)"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_have_32_bytes(length: int) -> None:
    with pytest.raises(MisuseError) as of_pair:
        KeyPair.from_private_bytes(bytes(length))
    with pytest.raises(MisuseError) as of_key:
        SessionKey(Cipher.AES_256_GCM, bytes(length))
    with pytest.raises(PeerError) as of_peer:
        KeyPair.from_private_bytes(SECRET).dh(bytes(length))
    assert of_pair.value.code == of_key.value.code == ErrorCode.OUT_OF_RANGE
    assert of_peer.value.code == ErrorCode.AUTHENTICATION_FAILED


def test_both_ends_share_one_secret() -> None:
    one, other = (KeyPair.from_private_bytes(secret) for secret in (SECRET, bytes(range(1, 33))))
    assert one.dh(other.public) == other.dh(memoryview(one.public))


@pytest.mark.parametrize("point", LOW_ORDER)
@pytest.mark.spec("NOISE-9")
def test_low_order_points_are_refused(point: int) -> None:
    with pytest.raises(PeerError) as refused:
        KeyPair.from_private_bytes(SECRET).dh(point.to_bytes(32, "little"))
    assert refused.value.code == ErrorCode.AUTHENTICATION_FAILED
    assert refused.value.__suppress_context__


def test_session_keys_are_equal_when_key_and_cipher_are() -> None:
    key = SessionKey(Cipher.AES_256_GCM, SECRET)
    assert key == SessionKey(Cipher.AES_256_GCM, bytes(bytearray(SECRET)))
    assert key != SessionKey(Cipher.CHACHA20_POLY1305, SECRET)
    assert key != SessionKey(Cipher.AES_256_GCM, bytes(32))
    assert key != SECRET
    assert key.expose_secret() == SECRET
    with pytest.raises(TypeError):
        hash(key)


@pytest.mark.parametrize(
    ("cipher", "implementation", "byte_order"),
    [(Cipher.AES_256_GCM, AESGCM, "big"), (Cipher.CHACHA20_POLY1305, ChaCha20Poly1305, "little")],
)
@pytest.mark.spec("NOISE-6")
def test_nonce_layout(cipher: Cipher, implementation: type[AESGCM | ChaCha20Poly1305], byte_order: Any) -> None:
    aead = Aead(SessionKey(cipher, SECRET))
    nonce = 0x0102030405060708
    laid_out = bytes(4) + nonce.to_bytes(8, byte_order)
    ciphertext = implementation(SECRET).encrypt(laid_out, b"text", b"ad")
    assert aead.encrypt(nonce, b"ad", b"text") == ciphertext
    assert aead.decrypt(nonce, b"ad", memoryview(ciphertext)) == b"text"


@pytest.mark.parametrize("cipher", Cipher)
def test_what_does_not_decrypt_is_refused_with_one_code(cipher: Cipher) -> None:
    aead = Aead(SessionKey(cipher, SECRET))
    good = aead.encrypt(7, b"ad", b"text")
    bad = bytes([good[0] ^ 1]) + good[1:]
    refusals = [
        (7, b"ad", bad),
        (8, b"ad", good),
        (7, b"", good),
        (7, b"ad", good[:-1]),
        (7, b"ad", good[:15]),
        (7, b"ad", b""),
    ]
    for nonce, associated_data, ciphertext in refusals:
        with pytest.raises(PeerError) as refused:
            aead.decrypt(nonce, associated_data, ciphertext)
        assert (refused.value.code, str(refused.value)) == (ErrorCode.AUTHENTICATION_FAILED, "decryption failed")


@pytest.mark.spec("DATA-2")
def test_the_next_key_is_the_encryption_of_zeros() -> None:
    following = AESGCM(SECRET).encrypt(bytes(4) + b"\xff" * 8, bytes(32), b"")[:32]
    aead = Aead(SessionKey(Cipher.AES_256_GCM, SECRET)).rekeyed()
    assert aead.encrypt(0, b"", b"probe") == AESGCM(following).encrypt(bytes(12), b"probe", b"")


@pytest.mark.parametrize(
    ("name", "algorithm"), [(HashName.SHA256, hashes.SHA256()), (HashName.BLAKE2S, hashes.BLAKE2s(32))]
)
@pytest.mark.parametrize("material", [b"", b"input key material"])
@pytest.mark.spec("NOISE-5")
def test_hkdf_is_that_of_rfc_5869(name: HashName, algorithm: hashes.HashAlgorithm, material: bytes) -> None:
    both = HKDF(algorithm, length=64, salt=SECRET, info=b"").derive(material)
    assert hkdf2(SECRET, material, hash_name=name) == (both[:32], both[32:])


@pytest.mark.parametrize("name", HashName)
def test_hash_is_over_the_joined_parts(name: HashName) -> None:
    assert hash_of(name, b"ab", bytearray(b"c"), memoryview(b"")) == hash_of(name, b"abc")
    assert len(hash_of(name)) == 32
