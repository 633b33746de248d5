from hashlib import sha256

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, VaultError, VerificationError
from ockam_ref.identities.keys import KeyKind, PublicKey, Signature, ed25519_from_seed, verify_signature
from ockam_ref.vault.handles import SigningKeyHandle
from ockam_ref.vault.memory import MemorySecrets
from ockam_ref.vault.signing import MAX_DRAWS, SoftwareVaultForSigning, SoftwareVaultForVerifyingSignatures
from tests.unit.vault.steps import SECRET, counting, done, memory_vault

BOTH = pytest.mark.parametrize("kind", KeyKind)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@BOTH
@pytest.mark.spec("VLT-1", "VLT-2")
def test_a_key_from_birth_to_end(kind: KeyKind) -> None:
    vault = SoftwareVaultForSigning(MemorySecrets(), counting())
    handle = done(vault.generate_signing_secret_key(kind))
    public = done(vault.get_verifying_public_key(handle))
    assert handle == SigningKeyHandle(kind, sha256(public.data).digest())
    assert done(vault.get_secret_key_handle(public)) == handle
    assert done(vault.number_of_keys()) == 1
    signature = done(vault.sign(handle, b"any data"))
    verify_signature(public, b"any data", signature)
    assert done(vault.sign(handle, b"any data")) == signature
    assert done(vault.delete_signing_secret_key(handle))
    assert not done(vault.delete_signing_secret_key(handle))
    assert done(vault.number_of_keys()) == 0
    with pytest.raises(VaultError) as caught:
        done(vault.sign(handle, b"any data"))
    assert caught.value.code is ErrorCode.KEY_NOT_FOUND


@BOTH
def test_two_keys_differ(kind: KeyKind) -> None:
    vault = memory_vault().identity_vault
    assert len({done(vault.generate_signing_secret_key(kind)) for _ in range(5)}) == 5


@pytest.mark.spec("VLT-2")
def test_a_handle_can_be_had_without_the_key() -> None:
    vault = memory_vault().identity_vault
    handle = done(vault.get_secret_key_handle(ed25519_from_seed(SECRET).public))
    with pytest.raises(VaultError, match="no ED25519 key"):
        done(vault.get_verifying_public_key(handle))


def test_a_handle_of_the_other_kind() -> None:
    vault = memory_vault().identity_vault
    handle = done(vault.generate_signing_secret_key(KeyKind.ED25519))
    with pytest.raises(VaultError) as caught:
        done(vault.signing_key(SigningKeyHandle(KeyKind.P256, handle.value)))
    assert caught.value.code is ErrorCode.KEY_NOT_FOUND


@pytest.mark.parametrize("secret", [bytes(32), ORDER.to_bytes(32), SECRET[:31]])
def test_no_p256_key(secret: bytes) -> None:
    vault = SoftwareVaultForSigning(MemorySecrets(), counting())
    with pytest.raises(MisuseError) as caught:
        done(vault.import_key(KeyKind.P256, secret))
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
    assert done(vault.number_of_keys()) == 0


def test_a_number_that_is_no_p256_key_is_drawn_again() -> None:
    draws = iter([bytes(32), ORDER.to_bytes(32), SECRET])
    vault = SoftwareVaultForSigning(MemorySecrets(), lambda _: next(draws))
    assert done(vault.generate_signing_secret_key(KeyKind.P256)).kind is KeyKind.P256
    assert not list(draws)


@BOTH
def test_a_source_of_randomness_that_gives_no_key(kind: KeyKind) -> None:
    draws = []

    def draw(length: int) -> bytes:
        draws.append(length)
        return b""

    with pytest.raises(VaultError) as caught:
        done(SoftwareVaultForSigning(MemorySecrets(), draw).generate_signing_secret_key(kind))
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
    assert draws == [32] * MAX_DRAWS


@pytest.mark.spec("VLT-5")
def test_verifying() -> None:
    vault = SoftwareVaultForVerifyingSignatures()
    assert done(vault.sha256(b"data")) == sha256(b"data").digest()
    key = ed25519_from_seed(SECRET)
    signature = key.sign_data(b"data")
    done(vault.verify_signature(key.public, b"data", signature))
    faults = [
        (b"date", key.public, signature, ErrorCode.AUTHENTICATION_FAILED),
        (b"data", key.public, Signature(KeyKind.P256, signature.data), ErrorCode.KEY_MISMATCH),
        (b"data", PublicKey(KeyKind.ED25519, b"\xff" * 32), signature, ErrorCode.AUTHENTICATION_FAILED),
    ]
    for data, public, wrong, code in faults:
        with pytest.raises(VerificationError) as caught:
            done(vault.verify_signature(public, data, wrong))
        assert caught.value.code is code
