"""What a vault does, in three parts that can be replaced one by one, and what it keeps its secrets in.

The names are those of facts 03 section 2.2.  Every operation may have to wait: for a disk, a smart card, a service.
No operation returns a private key.  Two give out an object that computes with one, because the machines of the core
cannot wait: ``signing_key`` and ``static_key_pair``.
"""

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from ockam_ref.identities.keys import KeyKind, PublicKey, Signature, SigningKey
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.vault.handles import AeadKeyHandle, SecretBufferHandle, SigningKeyHandle, X25519KeyHandle

Entropy: TypeAlias = Callable[[int], bytes]
"""Returns that many random bytes; hosts give ``os.urandom``."""

HkdfOutputs: TypeAlias = Literal[2, 3]
"""How many 32-byte pieces a derivation gives."""


class VaultForSigning(Protocol):
    """Keeps the keys of identities, or those that sign credentials."""

    async def sign(self, handle: SigningKeyHandle, data: bytes) -> Signature:
        """Sign; P-256 hashes the data with SHA-256, Ed25519 takes it as it is.  ``KEY_NOT_FOUND``."""
        ...

    async def generate_signing_secret_key(self, kind: KeyKind) -> SigningKeyHandle:
        """Make and keep a key."""
        ...

    async def get_verifying_public_key(self, handle: SigningKeyHandle) -> PublicKey:
        """Return the public half.  ``KEY_NOT_FOUND``."""
        ...

    async def get_secret_key_handle(self, public_key: PublicKey) -> SigningKeyHandle:
        """Return the handle that such a key has, whether it is here or not."""
        ...

    async def delete_signing_secret_key(self, handle: SigningKeyHandle) -> bool:
        """Destroy a key; return whether it was there."""
        ...

    async def signing_key(self, handle: SigningKeyHandle) -> SigningKey:
        """Return an object that signs with the key at once and shows nothing of it.  ``KEY_NOT_FOUND``."""
        ...


class VaultForVerifyingSignatures(Protocol):
    """Hashes, and verifies signatures; has no secrets and no state."""

    async def sha256(self, data: bytes) -> bytes:
        """Return the 32-byte digest."""
        ...

    async def verify_signature(self, public_key: PublicKey, data: bytes, signature: Signature) -> None:
        """Return if the signature is right.  ``AUTHENTICATION_FAILED``, ``KEY_MISMATCH``."""
        ...


class VaultForSecureChannels(Protocol):
    """Keeps X25519 keys, and computes what a Noise handshake and its channel need."""

    async def generate_static_x25519_secret_key(self) -> X25519KeyHandle:
        """Make a key and keep it in the repository."""
        ...

    async def delete_static_x25519_secret_key(self, handle: X25519KeyHandle) -> bool:
        """Destroy such a key; return whether it was there."""
        ...

    async def generate_ephemeral_x25519_secret_key(self) -> X25519KeyHandle:
        """Make a key that is in memory only."""
        ...

    async def delete_ephemeral_x25519_secret_key(self, handle: X25519KeyHandle) -> bool:
        """Destroy such a key; return whether it was there."""
        ...

    async def get_x25519_public_key(self, handle: X25519KeyHandle) -> bytes:
        """Return the public half.  ``KEY_NOT_FOUND``."""
        ...

    async def get_x25519_secret_key_handle(self, public_key: bytes) -> X25519KeyHandle:
        """Return the handle that such a key has, whether it is here or not."""
        ...

    async def static_key_pair(self, handle: X25519KeyHandle) -> KeyPair:
        """Return an object that agrees on secrets with the key and shows nothing of it.  ``KEY_NOT_FOUND``."""
        ...

    async def x25519_ecdh(self, handle: X25519KeyHandle, public_key: bytes) -> SecretBufferHandle:
        """Agree on a secret.  ``KEY_NOT_FOUND``, ``BAD_PUBLIC_KEY``."""
        ...

    async def hash(self, data: bytes) -> bytes:
        """Return SHA-256."""
        ...

    async def hkdf(
        self, salt: SecretBufferHandle, ikm: SecretBufferHandle | None, outputs: HkdfOutputs
    ) -> tuple[SecretBufferHandle, ...]:
        """Derive two or three new buffers: HKDF-SHA-256 with an empty info.  ``KEY_NOT_FOUND``."""
        ...

    async def import_secret_buffer(self, secret: bytes) -> SecretBufferHandle:
        """Keep a secret in memory."""
        ...

    async def delete_secret_buffer(self, handle: SecretBufferHandle) -> bool:
        """Destroy a buffer; return whether it was there."""
        ...

    async def convert_secret_buffer_to_aead_key(self, handle: SecretBufferHandle) -> AeadKeyHandle:
        """Destroy a buffer and make an AES-256-GCM key of its first 32 bytes.  ``KEY_NOT_FOUND``, ``OUT_OF_RANGE``."""
        ...

    async def aead_encrypt(self, handle: AeadKeyHandle, plaintext: bytes, nonce: bytes, aad: bytes) -> bytes:
        """Return ciphertext and tag; the caller answers for a fresh nonce.  ``KEY_NOT_FOUND``, ``OUT_OF_RANGE``."""
        ...

    async def aead_decrypt(self, handle: AeadKeyHandle, ciphertext: bytes, nonce: bytes, aad: bytes) -> bytes:
        """Return the plaintext.  ``KEY_NOT_FOUND``, ``OUT_OF_RANGE``, ``AUTHENTICATION_FAILED``."""
        ...

    async def persist_aead_key(self, handle: AeadKeyHandle) -> None:
        """Write the key to the repository.  ``KEY_NOT_FOUND``."""
        ...

    async def load_aead_key(self, handle: AeadKeyHandle) -> None:
        """Bring a key back from the repository.  ``KEY_NOT_FOUND``."""
        ...

    async def delete_aead_secret_key(self, handle: AeadKeyHandle) -> bool:
        """Destroy a key in memory and in the repository; return whether it was there."""
        ...


class SecretsRepository(Protocol):
    """Where a software vault keeps its secrets: nobody else reads them.  Handles are the 32 or 8 bytes alone."""

    async def store_signing_secret(self, handle: bytes, kind: int, secret: bytes) -> None:
        """Keep the 32 bytes of a signing key; ``kind`` is a ``KeyKind``."""
        ...

    async def signing_secret(self, handle: bytes) -> tuple[int, bytes] | None:
        """Return kind and secret."""
        ...

    async def delete_signing_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        ...

    async def count_signing_secrets(self) -> int:
        """Return how many there are."""
        ...

    async def store_x25519_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep the 32 bytes of an X25519 key."""
        ...

    async def x25519_secret(self, handle: bytes) -> bytes | None:
        """Return them."""
        ...

    async def delete_x25519_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        ...

    async def store_aead_secret(self, handle: bytes, secret: bytes) -> None:
        """Keep the 32 bytes of an AES-256-GCM key."""
        ...

    async def aead_secret(self, handle: bytes) -> bytes | None:
        """Return them."""
        ...

    async def delete_aead_secret(self, handle: bytes) -> bool:
        """Forget; return whether it was there."""
        ...
