"""Handles: the names of keys inside a vault; none of them tells anything of the key (facts 03 section 2.4)."""

from hashlib import sha256
from typing import Final, NamedTuple

from ockam_ref.identities.keys import KeyKind, PublicKey

RANDOM_HANDLE_LENGTH: Final = 8
"""Random bytes in the handle of a key that has no public half."""


class SigningKeyHandle(NamedTuple):
    """A signing key of either kind; ``value`` is SHA-256 of the public key."""

    kind: KeyKind
    value: bytes


class X25519KeyHandle(NamedTuple):
    """A static or ephemeral X25519 key; ``value`` is SHA-256 of the public key."""

    value: bytes


class SecretBufferHandle(NamedTuple):
    """A secret in memory that is on its way to become a key."""

    value: bytes


class AeadKeyHandle(NamedTuple):
    """An AES-256-GCM key."""

    value: bytes


def signing_key_handle(public_key: PublicKey) -> SigningKeyHandle:
    """Return the handle under which any vault keeps the other half of that key."""
    return SigningKeyHandle(public_key.kind, sha256(public_key.data).digest())


def x25519_key_handle(public_key: bytes) -> X25519KeyHandle:
    """Return the handle under which any vault keeps the other half of that X25519 key."""
    return X25519KeyHandle(sha256(public_key).digest())
