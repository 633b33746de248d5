"""Signing keys, public keys and signatures of the two kinds in use (facts 03 section 2.3).

What is signed is always a 32-byte SHA-256 digest; P-256 hashes it once more, as ECDSA with SHA-256 does.
The computations are done by ``cryptography``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache, partial
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, VerificationError
from ockam_ref.noise.primitives import HoldsKeys
from ockam_ref.wire import cbor
from ockam_ref.wire.cursor import Cursor

SECRET_LENGTH: Final = 32
"""Bytes in the secret of either kind."""
SIGNATURE_LENGTH: Final = 64
"""Bytes in a signature of either kind."""
DIGEST_LENGTH: Final = 32
"""Bytes that are signed."""
SIGNATURE_MEMO_ENTRIES: Final = 4096
"""Valid signatures that are remembered, about 500 bytes each: verifying one with Ed25519 dominates a handshake."""


class KeyKind(IntEnum):
    """The kinds of signing keys, by their variant number on the wire."""

    ED25519 = 0
    P256 = 1


PUBLIC_KEY_LENGTHS: Final = {KeyKind.ED25519: 32, KeyKind.P256: 65}
"""Bytes in a public key; that of P-256 is the uncompressed point."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a signing key, as received: whether it is a point of its curve shows when it is used.

    Raises:
        MisuseError: a number of bytes that is not that of the kind.
    """

    kind: KeyKind
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != PUBLIC_KEY_LENGTHS[self.kind]:
            raise MisuseError(
                ErrorCode.OUT_OF_RANGE, f"a public key of {self.kind.name} has not {len(self.data)} bytes"
            )


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature, valid or not; that of P-256 is r ‖ s.

    Raises:
        MisuseError: other than 64 bytes.
    """

    kind: KeyKind
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != SIGNATURE_LENGTH:
            raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a signature has not {len(self.data)} bytes")


class SigningKey(HoldsKeys):
    """A private key and its public half; only the latter can be seen."""

    __slots__ = ("_sign", "public")

    def __init__(self, public: PublicKey, sign: Callable[[bytes], bytes]) -> None:
        self.public: Final = public
        self._sign: Final = sign

    def sign(self, digest: bytes) -> Signature:
        """Return the signature of a 32-byte digest; equal digests give equal signatures, of either kind.

        Raises:
            MisuseError: not a digest.
        """
        if len(digest) != DIGEST_LENGTH:
            raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a digest has {DIGEST_LENGTH} bytes, not {len(digest)}")
        return self.sign_data(digest)

    def sign_data(self, data: bytes) -> Signature:
        """Return the signature of anything, for a vault; identities sign digests and nothing else."""
        return Signature(self.public.kind, self._sign(data))

    def __repr__(self) -> str:
        return f"SigningKey({self.public.kind.name}, public={self.public.data.hex()})"


def signing_key_from_secret(kind: KeyKind, secret: bytes) -> SigningKey:
    """Return the key of that kind; raises as ``ed25519_from_seed`` and ``p256_from_secret``."""
    return ed25519_from_seed(secret) if kind is KeyKind.ED25519 else p256_from_secret(secret)


def ed25519_from_seed(seed: bytes) -> SigningKey:
    """Return the Ed25519 key of a seed of 32 random bytes.

    Raises:
        MisuseError: another number of bytes.
    """
    _require_secret(seed)
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(PublicKey(KeyKind.ED25519, private.public_key().public_bytes_raw()), private.sign)


def p256_from_secret(secret: bytes) -> SigningKey:
    """Return the P-256 key of a 32-byte big-endian number; a random one almost never fails.

    Raises:
        MisuseError: another number of bytes, zero, or a number not below the order of the curve.
    """
    from ockam_ref.identities import p256  # noqa: PLC0415  # elliptic curves cost import time and are rare

    _require_secret(secret)
    private = p256.load_secret(secret)
    return SigningKey(PublicKey(KeyKind.P256, p256.public_point(private)), partial(p256.sign, private))


def verify_signature(public_key: PublicKey, digest: bytes, signature: Signature) -> None:
    """Return if the owner of that key signed the digest; valid signatures are remembered, wrong ones never.

    Anything but a digest can be verified too, and is not remembered.

    Raises:
        VerificationError: ``KEY_MISMATCH`` if the kinds differ, ``AUTHENTICATION_FAILED`` for a signature that
            is wrong and for a key that is none.
    """
    if public_key.kind is not signature.kind:
        raise VerificationError(
            ErrorCode.KEY_MISMATCH, f"a signature of {signature.kind.name} for a key of {public_key.kind.name}"
        )
    require = _require_remembered if len(digest) == DIGEST_LENGTH else _require_valid
    require(public_key.kind, public_key.data, digest, signature.data)


def _require_valid(kind: KeyKind, public: bytes, digest: bytes, signature: bytes) -> None:
    # Nothing is returned and failures are raised, because a memo of exceptions does not exist.
    valid = _is_valid_ed25519 if kind is KeyKind.ED25519 else _is_valid_p256
    if not valid(public, digest, signature):
        raise VerificationError(ErrorCode.AUTHENTICATION_FAILED, "the signature is wrong")


_require_remembered = lru_cache(maxsize=SIGNATURE_MEMO_ENTRIES)(_require_valid)


def _is_valid_ed25519(public: bytes, digest: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, digest)
    except InvalidSignature:
        return False
    return True


def _is_valid_p256(public: bytes, digest: bytes, signature: bytes) -> bool:
    from ockam_ref.identities import p256  # noqa: PLC0415  # as above

    return p256.is_valid(public, digest, signature)


def encode_public_key(key: PublicKey) -> bytes:
    """Return the enum of facts 03 section 2.3: ``82 00 81 58 20`` or ``82 01 81 58 41`` and the key."""
    return cbor.encode_variant(key.kind, cbor.encode_bytes(key.data))


def read_public_key(cursor: Cursor) -> PublicKey:
    """Read a public key and leave what follows it.

    Raises:
        DecodeError: no such enum (``UNKNOWN_VARIANT`` for a kind that is not known), or a key of the wrong length.
    """
    kind = _read_kind(cursor)
    return PublicKey(kind, read_only_field(cursor, PUBLIC_KEY_LENGTHS[kind]))


def encode_signature(signature: Signature) -> bytes:
    """Return the enum of facts 03 section 2.3: ``82 kk 81 58 40`` and the signature."""
    return cbor.encode_variant(signature.kind, cbor.encode_bytes(signature.data))


def read_signature(cursor: Cursor) -> Signature:
    """Read a signature and leave what follows it; raises as ``read_public_key``."""
    return Signature(_read_kind(cursor), read_only_field(cursor, SIGNATURE_LENGTH))


def read_optional_signature(cursor: Cursor) -> Signature | None:
    """Read a signature or null; one of an unknown kind is passed over as if absent (facts 03 section 1.2).

    Raises:
        DecodeError: neither.
    """
    try:
        return cbor.read_null_or(cursor, read_signature)
    except DecodeError as error:
        if error.code is not ErrorCode.UNKNOWN_VARIANT:
            raise
    cbor.skip(cursor)
    return None


def read_fixed_bytes(cursor: Cursor, length: int) -> bytes:
    """Read a byte string of exactly that length; ``DecodeError`` (``OUT_OF_RANGE``) for another one."""
    start = cursor.position
    data = cbor.read_bytes_view(cursor)
    if len(data) != length:
        cursor.position = start
        raise cursor.fail(ErrorCode.OUT_OF_RANGE, f"{length} bytes expected, found {len(data)}")
    return bytes(data)


def read_only_field(cursor: Cursor, length: int) -> bytes:
    """Read the fields of an enum variant that has one, a byte string of that length; surplus ones are passed over."""
    fields = cbor.Fields(cursor, "enum variant")
    data = fields.required(lambda inner: read_fixed_bytes(inner, length))
    fields.finish()
    return data


def _read_kind(cursor: Cursor) -> KeyKind:
    number = cbor.read_enum_head(cursor)
    if number > KeyKind.P256:
        raise cursor.fail(ErrorCode.UNKNOWN_VARIANT, f"there is no kind of key {number}")
    return KeyKind(number)


def _require_secret(secret: bytes) -> None:
    if len(secret) != SECRET_LENGTH:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, f"a secret has {SECRET_LENGTH} bytes, not {len(secret)}")
