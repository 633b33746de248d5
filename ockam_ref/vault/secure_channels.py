"""What a Noise handshake and its channel compute, in software, on secrets that never leave the vault."""

import hmac
from hashlib import sha256
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ockam_ref.errors import ErrorCode, PeerError, VaultError
from ockam_ref.noise.primitives import KEY_LENGTH, HashName, HoldsKeys, KeyPair
from ockam_ref.vault.handles import (
    RANDOM_HANDLE_LENGTH,
    AeadKeyHandle,
    SecretBufferHandle,
    X25519KeyHandle,
    x25519_key_handle,
)
from ockam_ref.vault.interfaces import Entropy, HkdfOutputs, SecretsRepository

NONCE_LENGTH: Final = 12
"""Bytes in a nonce of AES-GCM."""
MAX_SECRETS_IN_MEMORY: Final = 10_000
"""Ephemeral keys, buffers and AEAD keys, of each kind, that a vault keeps at a time."""


class SoftwareVaultForSecureChannels(HoldsKeys):
    """A ``VaultForSecureChannels``; static keys are in the repository, the others in memory."""

    __slots__ = ("_aead", "_buffers", "_entropy", "_ephemeral", "_secrets")

    def __init__(self, secrets: SecretsRepository, entropy: Entropy) -> None:
        self._secrets: Final = secrets
        self._entropy: Final = entropy
        self._ephemeral: Final[dict[X25519KeyHandle, KeyPair]] = {}
        self._buffers: Final[dict[SecretBufferHandle, bytes]] = {}
        self._aead: Final[dict[AeadKeyHandle, bytes]] = {}

    # ---- X25519

    async def generate_static_x25519_secret_key(self) -> X25519KeyHandle:
        """Make a key and keep it in the repository."""
        return await self.import_static_x25519_secret_key(self._entropy(KEY_LENGTH))

    async def import_static_x25519_secret_key(self, secret: bytes) -> X25519KeyHandle:
        """Keep a static key that was made elsewhere.

        Raises:
            MisuseError: ``OUT_OF_RANGE``, other than 32 bytes.
        """
        handle = x25519_key_handle(KeyPair.from_private_bytes(secret).public)
        await self._secrets.store_x25519_secret(handle.value, secret)
        return handle

    async def delete_static_x25519_secret_key(self, handle: X25519KeyHandle) -> bool:
        """Destroy such a key; return whether it was there."""
        return await self._secrets.delete_x25519_secret(handle.value)

    async def generate_ephemeral_x25519_secret_key(self) -> X25519KeyHandle:
        """Make a key that is in memory only.

        Raises:
            VaultError: ``LIMIT_REACHED``.
        """
        pair = KeyPair.from_private_bytes(self._entropy(KEY_LENGTH))
        handle = x25519_key_handle(pair.public)
        _require_room(self._ephemeral)
        self._ephemeral[handle] = pair
        return handle

    async def delete_ephemeral_x25519_secret_key(self, handle: X25519KeyHandle) -> bool:
        """Destroy such a key; return whether it was there."""
        return self._ephemeral.pop(handle, None) is not None

    async def get_x25519_public_key(self, handle: X25519KeyHandle) -> bytes:
        """Return the public half.

        Raises:
            VaultError: ``KEY_NOT_FOUND``.
        """
        return (await self.static_key_pair(handle)).public

    async def get_x25519_secret_key_handle(self, public_key: bytes) -> X25519KeyHandle:
        """Return the handle that such a key has, whether it is here or not."""
        return x25519_key_handle(public_key)

    async def static_key_pair(self, handle: X25519KeyHandle) -> KeyPair:
        """Return an object that agrees on secrets with the key, be it ephemeral or static, and shows nothing of it.

        Raises:
            VaultError: ``KEY_NOT_FOUND``.
        """
        pair = self._ephemeral.get(handle)
        if pair is not None:
            return pair
        secret = await self._secrets.x25519_secret(handle.value)
        return _not_found("X25519 key", handle.value) if secret is None else KeyPair.from_private_bytes(secret)

    async def x25519_ecdh(self, handle: X25519KeyHandle, public_key: bytes) -> SecretBufferHandle:
        """Agree on a secret.

        Raises:
            VaultError: ``KEY_NOT_FOUND``; ``BAD_PUBLIC_KEY`` for other than 32 bytes, and for a low-order point, which
                the peer's vault takes; ``LIMIT_REACHED``.
        """
        pair = await self.static_key_pair(handle)
        try:
            shared = pair.dh(public_key)
        except PeerError as error:
            raise VaultError(ErrorCode.BAD_PUBLIC_KEY, str(error)) from None
        return await self.import_secret_buffer(shared)

    # ---- buffers and derivation

    async def hash(self, data: bytes) -> bytes:
        """Return SHA-256."""
        return sha256(data).digest()

    async def hkdf(
        self, salt: SecretBufferHandle, ikm: SecretBufferHandle | None, outputs: HkdfOutputs
    ) -> tuple[SecretBufferHandle, ...]:
        """Derive two or three new buffers: HKDF-SHA-256 with an empty info.

        Raises:
            VaultError: ``KEY_NOT_FOUND``, ``LIMIT_REACHED``.
        """
        extracted = hmac.digest(self._buffer(salt), b"" if ikm is None else self._buffer(ikm), HashName.SHA256)
        handles, piece = [], b""
        for number in range(1, outputs + 1):
            piece = hmac.digest(extracted, piece + bytes([number]), HashName.SHA256)
            handles.append(await self.import_secret_buffer(piece))
        return tuple(handles)

    async def import_secret_buffer(self, secret: bytes) -> SecretBufferHandle:
        """Keep a secret in memory.

        Raises:
            VaultError: ``LIMIT_REACHED``.
        """
        _require_room(self._buffers)
        handle = SecretBufferHandle(self._entropy(RANDOM_HANDLE_LENGTH))
        self._buffers[handle] = secret
        return handle

    async def delete_secret_buffer(self, handle: SecretBufferHandle) -> bool:
        """Destroy a buffer; return whether it was there."""
        return self._buffers.pop(handle, None) is not None

    async def convert_secret_buffer_to_aead_key(self, handle: SecretBufferHandle) -> AeadKeyHandle:
        """Destroy a buffer and make an AES-256-GCM key of its first 32 bytes.

        Raises:
            VaultError: ``KEY_NOT_FOUND``; ``OUT_OF_RANGE``, the buffer is shorter; ``LIMIT_REACHED``.
        """
        secret = self._buffer(handle)
        if len(secret) < KEY_LENGTH:
            raise VaultError(ErrorCode.OUT_OF_RANGE, f"a key has {KEY_LENGTH} bytes, the buffer {len(secret)}")
        _require_room(self._aead)
        del self._buffers[handle]
        key = AeadKeyHandle(self._entropy(RANDOM_HANDLE_LENGTH))
        self._aead[key] = secret[:KEY_LENGTH]
        return key

    def _buffer(self, handle: SecretBufferHandle) -> bytes:
        secret = self._buffers.get(handle)
        return _not_found("buffer", handle.value) if secret is None else secret

    # ---- AES-256-GCM

    async def aead_encrypt(self, handle: AeadKeyHandle, plaintext: bytes, nonce: bytes, aad: bytes) -> bytes:
        """Return ciphertext and tag; the caller answers for a fresh nonce of 12 bytes.

        Raises:
            VaultError: ``KEY_NOT_FOUND``; ``OUT_OF_RANGE``, the nonce has another length.
        """
        return self._cipher(handle, nonce).encrypt(nonce, plaintext, aad)

    async def aead_decrypt(self, handle: AeadKeyHandle, ciphertext: bytes, nonce: bytes, aad: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            VaultError: ``KEY_NOT_FOUND``; ``OUT_OF_RANGE``, the nonce has another length; ``AUTHENTICATION_FAILED``.
        """
        cipher = self._cipher(handle, nonce)
        try:
            return cipher.decrypt(nonce, ciphertext, aad)
        except InvalidTag:
            raise VaultError(ErrorCode.AUTHENTICATION_FAILED, "decryption failed") from None

    def _cipher(self, handle: AeadKeyHandle, nonce: bytes) -> AESGCM:
        if len(nonce) != NONCE_LENGTH:
            raise VaultError(ErrorCode.OUT_OF_RANGE, f"a nonce has {NONCE_LENGTH} bytes, not {len(nonce)}")
        return AESGCM(self._aead_secret(handle))

    def _aead_secret(self, handle: AeadKeyHandle) -> bytes:
        secret = self._aead.get(handle)
        return _not_found("AEAD key", handle.value) if secret is None else secret

    async def persist_aead_key(self, handle: AeadKeyHandle) -> None:
        """Write the key to the repository.

        Raises:
            VaultError: ``KEY_NOT_FOUND``.
        """
        await self._secrets.store_aead_secret(handle.value, self._aead_secret(handle))

    async def load_aead_key(self, handle: AeadKeyHandle) -> None:
        """Bring a key back from the repository.

        Raises:
            VaultError: ``KEY_NOT_FOUND``, ``LIMIT_REACHED``.
        """
        secret = await self._secrets.aead_secret(handle.value)
        if secret is None:
            _not_found("AEAD key", handle.value)
        _require_room(self._aead)
        self._aead[handle] = secret

    async def delete_aead_secret_key(self, handle: AeadKeyHandle) -> bool:
        """Destroy a key in memory and in the repository; return whether it was there."""
        in_memory = self._aead.pop(handle, None) is not None
        return await self._secrets.delete_aead_secret(handle.value) or in_memory


def _not_found(what: str, handle: bytes) -> NoReturn:
    raise VaultError(ErrorCode.KEY_NOT_FOUND, f"the vault has no {what} {handle.hex()[:16]}…")


def _require_room(
    secrets: dict[X25519KeyHandle, KeyPair] | dict[SecretBufferHandle, bytes] | dict[AeadKeyHandle, bytes],
) -> None:
    if len(secrets) >= MAX_SECRETS_IN_MEMORY:
        raise VaultError(ErrorCode.LIMIT_REACHED, f"the vault keeps {MAX_SECRETS_IN_MEMORY} of these; delete some")
