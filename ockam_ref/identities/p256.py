"""ECDSA with SHA-256 over P-256, in the raw form of 64 bytes r ‖ s (facts 03 section 2.3).

Kept apart so that only a program that meets such a key loads the elliptic-curve modules.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ockam_ref.errors import ErrorCode, MisuseError

_NUMBER_LENGTH: Final = 32

# Deterministic (RFC 6979), as the peer signs: no randomness is needed and equal input gives equal bytes.
_SIGNING: Final = ec.ECDSA(SHA256(), deterministic_signing=True)
_VERIFYING: Final = ec.ECDSA(SHA256())


def load_secret(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key of a 32-byte big-endian number.

    Raises:
        MisuseError: zero, or not below the order of the curve.
    """
    try:
        return ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())
    except ValueError:
        raise MisuseError(ErrorCode.OUT_OF_RANGE, "the secret is not a P-256 private key") from None


def public_point(private: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key as 65 bytes: ``04`` and both coordinates."""
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def sign(private: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return r ‖ s over SHA-256 of the message; s is left as it comes, high or low."""
    r, s = decode_dss_signature(private.sign(message, _SIGNING))
    return r.to_bytes(_NUMBER_LENGTH) + s.to_bytes(_NUMBER_LENGTH)


def is_valid(point: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether r ‖ s is the signature of the message by that key; what is no point of the curve signs nothing."""
    r, s = int.from_bytes(signature[:_NUMBER_LENGTH]), int.from_bytes(signature[_NUMBER_LENGTH:])
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        public.verify(encode_dss_signature(r, s), message, _VERIFYING)
    except (InvalidSignature, ValueError):
        return False
    return True
