"""The primitives Noise is made of; every computation is done by ``cryptography`` and ``hashlib``.

Objects that hold keys show none in ``repr`` and refuse to be copied or pickled.
"""

import hashlib
import hmac
from enum import Enum, StrEnum
from struct import Struct
from typing import Final, NoReturn, Self, SupportsIndex, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from ockam_ref.errors import ErrorCode, MisuseError, PeerError

Buffer: TypeAlias = bytes | bytearray | memoryview

KEY_LENGTH: Final = 32
"""Bytes in an X25519 key, private or public, and in a cipher key."""
HASH_LENGTH: Final = 32
"""Bytes in a digest of either hash."""
TAG_LENGTH: Final = 16
"""Bytes that encryption adds."""
MAX_NONCE: Final = 2**64 - 1
"""The nonce that is reserved for rekeying and never carries a message."""

_ZEROS: Final = bytes(KEY_LENGTH)


class HashName(StrEnum):
    """The hash functions, by their ``hashlib`` names; both give 32 bytes."""

    SHA256 = "sha256"
    BLAKE2S = "blake2s"


class Cipher(Enum):
    """An AEAD with a 32-byte key, and how it lays a 64-bit counter out in its 12-byte nonce."""

    AES_256_GCM = ">4xQ"
    CHACHA20_POLY1305 = "<4xQ"


_IMPLEMENTATIONS: Final[dict[Cipher, type[AESGCM] | type[ChaCha20Poly1305]]] = {
    Cipher.AES_256_GCM: AESGCM,
    Cipher.CHACHA20_POLY1305: ChaCha20Poly1305,
}
_PACKERS: Final = {cipher: Struct(cipher.value).pack for cipher in Cipher}


def refuse_copy(holder: object) -> NoReturn:
    """Say no to a copy: two copies of a key or of a nonce counter would encrypt twice with one nonce.

    Raises:
        TypeError: always.
    """
    raise TypeError(f"a {type(holder).__name__} holds keys: it is neither copied nor pickled")


class HoldsKeys:
    """Base of what holds keys: ``copy``, ``deepcopy`` and ``pickle`` raise ``TypeError``."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        refuse_copy(self)


class KeyPair(HoldsKeys):
    """An X25519 key pair; only the public half can be seen."""

    __slots__ = ("_private", "public")

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private: Final = private
        self.public: Final = private.public_key().public_bytes_raw()

    @classmethod
    def from_private_bytes(cls, secret: Buffer) -> Self:
        """Return the pair of that 32-byte private key.

        Raises:
            MisuseError: another number of bytes.
        """
        if len(secret) != KEY_LENGTH:
            raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a private key has {KEY_LENGTH} bytes, not {len(secret)}")
        return cls(X25519PrivateKey.from_private_bytes(secret))

    def dh(self, public: Buffer) -> bytes:
        """Return the 32-byte secret shared with the owner of that public key.

        A low-order point, whose shared secret is all zeros, is refused: facts 04 section 1.7 allows it,
        and no honest peer sends one.

        Raises:
            PeerError: ``AUTHENTICATION_FAILED``, for a low-order point or a key that has not 32 bytes.
        """
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(bytes(public)))
        except ValueError:
            raise PeerError(ErrorCode.AUTHENTICATION_FAILED, "the peer's public key is refused") from None

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public.hex()})"


class SessionKey(HoldsKeys):
    """A 32-byte key and the cipher it is for; two of them are equal when both agree."""

    __slots__ = ("_secret", "cipher")
    __hash__ = None  # type: ignore[assignment]  # a hash would tell something of the key

    def __init__(self, cipher: Cipher, secret: bytes) -> None:
        if len(secret) != KEY_LENGTH:
            raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a cipher key has {KEY_LENGTH} bytes, not {len(secret)}")
        self.cipher: Final = cipher
        self._secret: Final = secret

    def expose_secret(self) -> bytes:
        """Return the key itself, for a vault that must store it; never for a message or a trace."""
        return self._secret

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SessionKey):
            return NotImplemented
        return self.cipher is other.cipher and hmac.compare_digest(self._secret, other._secret)

    def __repr__(self) -> str:
        return f"SessionKey({self.cipher.name})"


class Aead(HoldsKeys):
    """A cipher with its key, ready to use: building one costs more than a small encryption."""

    __slots__ = ("_cipher", "_pack", "_with_key")

    def __init__(self, key: SessionKey) -> None:
        self._cipher: Final = key.cipher
        self._with_key: Final = _IMPLEMENTATIONS[key.cipher](key.expose_secret())
        self._pack: Final = _PACKERS[key.cipher]

    def encrypt(self, nonce: int, associated_data: bytes, plaintext: Buffer) -> bytes:
        """Return the ciphertext and its 16-byte tag; the caller answers for a fresh ``nonce``, 0 to 2**64 - 1."""
        return self._with_key.encrypt(self._pack(nonce), plaintext, associated_data)

    def decrypt(self, nonce: int, associated_data: bytes, ciphertext: Buffer) -> bytes:
        """Return the plaintext of a ciphertext that ends with its tag.

        Raises:
            PeerError: ``AUTHENTICATION_FAILED``, whatever was wrong.
        """
        try:
            return self._with_key.decrypt(self._pack(nonce), ciphertext, associated_data)
        except InvalidTag:
            raise PeerError(ErrorCode.AUTHENTICATION_FAILED, "decryption failed") from None

    def rekeyed(self) -> "Aead":
        """Return the cipher with the next key: Noise REKEY (facts 04 section 3.4)."""
        secret = self._with_key.encrypt(self._pack(MAX_NONCE), _ZEROS, b"")[:KEY_LENGTH]
        return Aead(SessionKey(self._cipher, secret))

    def __repr__(self) -> str:
        return f"Aead({self._cipher.name})"


def hash_of(name: HashName, *parts: Buffer) -> bytes:
    """Return the 32-byte digest of the parts, one after the other."""
    digest = hashlib.new(name)
    for part in parts:
        digest.update(part)
    return digest.digest()


def hkdf2(chaining_key: bytes, key_material: bytes, *, hash_name: HashName = HashName.SHA256) -> tuple[bytes, bytes]:
    """Return the two 32-byte outputs of Noise HKDF (facts 04 section 1.3)."""
    temporary = hmac.digest(chaining_key, key_material, hash_name)
    first = hmac.digest(temporary, b"\x01", hash_name)
    return first, hmac.digest(temporary, first + b"\x02", hash_name)
