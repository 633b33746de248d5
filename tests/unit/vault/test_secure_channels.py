from hashlib import sha256
from typing import Final

import pytest

from ockam_ref.errors import ErrorCode, VaultError
from ockam_ref.noise.primitives import KeyPair, hkdf2
from ockam_ref.vault import secure_channels
from ockam_ref.vault.handles import AeadKeyHandle, SecretBufferHandle, X25519KeyHandle
from ockam_ref.vault.memory import MemorySecrets
from ockam_ref.vault.secure_channels import SoftwareVaultForSecureChannels
from tests.unit.vault.steps import SECRET, counting, done, exposed

NONCE: Final = bytes(12)
NOBODY: Final = bytes(8)


@pytest.fixture
def secrets() -> MemorySecrets:
    return MemorySecrets()


@pytest.fixture
def vault(secrets: MemorySecrets) -> SoftwareVaultForSecureChannels:
    return SoftwareVaultForSecureChannels(secrets, counting())


def other(secrets: MemorySecrets) -> SoftwareVaultForSecureChannels:
    """Return the vault of the next run of the program: memory is gone, the repository is not."""
    return SoftwareVaultForSecureChannels(secrets, counting())


@pytest.mark.spec("VLT-2", "VLT-3")
def test_a_static_key_is_in_the_repository(vault: SoftwareVaultForSecureChannels, secrets: MemorySecrets) -> None:
    handle = done(vault.generate_static_x25519_secret_key())
    public = done(vault.get_x25519_public_key(handle))
    assert handle.value == sha256(public).digest()
    assert done(vault.get_x25519_secret_key_handle(public)) == handle
    assert done(other(secrets).get_x25519_public_key(handle)) == public
    assert done(vault.static_key_pair(handle)).public == public
    assert not done(vault.delete_ephemeral_x25519_secret_key(handle))
    assert done(vault.delete_static_x25519_secret_key(handle))
    assert not done(vault.delete_static_x25519_secret_key(handle))
    expect(ErrorCode.KEY_NOT_FOUND, vault, handle)


@pytest.mark.spec("VLT-3")
def test_an_ephemeral_key_is_not(vault: SoftwareVaultForSecureChannels, secrets: MemorySecrets) -> None:
    handle = done(vault.generate_ephemeral_x25519_secret_key())
    assert handle.value == sha256(done(vault.get_x25519_public_key(handle))).digest()
    expect(ErrorCode.KEY_NOT_FOUND, other(secrets), handle)
    assert not done(vault.delete_static_x25519_secret_key(handle))
    assert done(vault.delete_ephemeral_x25519_secret_key(handle))
    expect(ErrorCode.KEY_NOT_FOUND, vault, handle)


def expect(code: ErrorCode, vault: SoftwareVaultForSecureChannels, handle: X25519KeyHandle) -> None:
    with pytest.raises(VaultError) as caught:
        done(vault.get_x25519_public_key(handle))
    assert caught.value.code is code


@pytest.mark.spec("VLT-6")
def test_both_sides_agree(vault: SoftwareVaultForSecureChannels, secrets: MemorySecrets) -> None:
    one = done(vault.generate_static_x25519_secret_key())
    two = done(vault.generate_ephemeral_x25519_secret_key())
    public = [done(vault.get_x25519_public_key(handle)) for handle in (one, two)]
    shared = [done(vault.x25519_ecdh(one, public[1])), done(vault.x25519_ecdh(two, public[0]))]
    assert exposed(vault, secrets, shared[0]) == exposed(vault, secrets, shared[1])


@pytest.mark.spec("VLT-6")
@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), bytes(31), b""])
def test_what_is_no_public_key(vault: SoftwareVaultForSecureChannels, public: bytes) -> None:
    handle = done(vault.generate_static_x25519_secret_key())
    with pytest.raises(VaultError) as caught:
        done(vault.x25519_ecdh(handle, public))
    assert caught.value.code is ErrorCode.BAD_PUBLIC_KEY


@pytest.mark.spec("VLT-8")
def test_derivation(vault: SoftwareVaultForSecureChannels, secrets: MemorySecrets) -> None:
    def buffer(secret: bytes) -> SecretBufferHandle:
        return done(vault.import_secret_buffer(secret))

    salt, material = buffer(b"salt"), buffer(SECRET)
    two = [exposed(vault, secrets, piece) for piece in done(vault.hkdf(salt, material, 2))]
    three = [exposed(vault, secrets, piece) for piece in done(vault.hkdf(salt, material, 3))]
    assert tuple(two) == hkdf2(b"salt", SECRET)
    assert three[:2] == two
    alone = [exposed(vault, secrets, piece) for piece in done(vault.hkdf(salt, None, 2))]
    assert tuple(alone) == hkdf2(b"salt", b"")
    assert done(vault.hash(b"data")) == sha256(b"data").digest()
    nobody = SecretBufferHandle(NOBODY)
    for first, second in ((salt, nobody), (nobody, None)):
        with pytest.raises(VaultError) as caught:
            done(vault.hkdf(first, second, 2))
        assert caught.value.code is ErrorCode.KEY_NOT_FOUND


@pytest.mark.spec("VLT-4", "VLT-7")
def test_an_aead_key(vault: SoftwareVaultForSecureChannels, secrets: MemorySecrets) -> None:
    buffer = done(vault.import_secret_buffer(SECRET + b"what is beyond 32 bytes is left out"))
    key = done(vault.convert_secret_buffer_to_aead_key(buffer))
    assert not done(vault.delete_secret_buffer(buffer))
    sealed = done(vault.aead_encrypt(key, b"plain", NONCE, b"aad"))
    assert len(sealed) == len(b"plain") + 16
    assert done(vault.aead_decrypt(key, sealed, NONCE, b"aad")) == b"plain"
    for wrong in (sealed[:-1], sealed[:15], b"", sealed[:-1] + bytes([sealed[-1] ^ 1])):
        fails(ErrorCode.AUTHENTICATION_FAILED, vault, key, wrong)
    fails(ErrorCode.AUTHENTICATION_FAILED, vault, key, sealed, aad=b"other")
    fails(ErrorCode.OUT_OF_RANGE, vault, key, sealed, nonce=bytes(11))
    fails(ErrorCode.KEY_NOT_FOUND, other(secrets), key, sealed)
    with pytest.raises(VaultError) as caught:
        done(other(secrets).load_aead_key(key))
    assert caught.value.code is ErrorCode.KEY_NOT_FOUND

    done(vault.persist_aead_key(key))
    later = other(secrets)
    done(later.load_aead_key(key))
    assert done(later.aead_decrypt(key, sealed, NONCE, b"aad")) == b"plain"
    assert done(other(secrets).delete_aead_secret_key(key))
    assert done(later.delete_aead_secret_key(key))
    assert not done(later.delete_aead_secret_key(key))


def fails(
    code: ErrorCode,
    vault: SoftwareVaultForSecureChannels,
    key: AeadKeyHandle,
    sealed: bytes,
    *,
    nonce: bytes = NONCE,
    aad: bytes = b"aad",
) -> None:
    with pytest.raises(VaultError) as caught:
        done(vault.aead_decrypt(key, sealed, nonce, aad))
    assert caught.value.code is code


@pytest.mark.spec("VLT-7")
def test_too_short_for_a_key(vault: SoftwareVaultForSecureChannels) -> None:
    buffer = done(vault.import_secret_buffer(SECRET[:31]))
    with pytest.raises(VaultError) as caught:
        done(vault.convert_secret_buffer_to_aead_key(buffer))
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
    assert done(vault.delete_secret_buffer(buffer))


@pytest.mark.spec("VLT-9")
def test_memory_is_bounded(
    vault: SoftwareVaultForSecureChannels, secrets: MemorySecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secure_channels, "MAX_SECRETS_IN_MEMORY", 2)
    buffers = [done(vault.import_secret_buffer(SECRET)) for _ in range(2)]
    full(lambda: done(vault.import_secret_buffer(SECRET)))
    done(secrets.store_aead_secret(NOBODY, SECRET))
    key = done(vault.convert_secret_buffer_to_aead_key(buffers[0]))
    done(vault.load_aead_key(AeadKeyHandle(NOBODY)))
    full(lambda: done(vault.convert_secret_buffer_to_aead_key(buffers[1])))
    assert done(vault.delete_aead_secret_key(key))
    done(vault.convert_secret_buffer_to_aead_key(buffers[1]))
    full(lambda: done(vault.load_aead_key(AeadKeyHandle(NOBODY))))
    for _ in range(2):
        done(vault.generate_ephemeral_x25519_secret_key())
    full(lambda: done(vault.generate_ephemeral_x25519_secret_key()))


def full(act: object) -> None:
    assert callable(act)
    with pytest.raises(VaultError) as caught:
        act()
    assert caught.value.code is ErrorCode.LIMIT_REACHED


def test_an_imported_static_key(vault: SoftwareVaultForSecureChannels) -> None:
    handle = done(vault.import_static_x25519_secret_key(SECRET))
    assert done(vault.get_x25519_public_key(handle)) == KeyPair.from_private_bytes(SECRET).public
