"""Project Wycheproof against the software vault: edge cases of curves, forged signatures, damaged tags."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ockam_ref.errors import ErrorCode, MisuseError, OckamError, VaultError, VerificationError
from ockam_ref.identities.keys import KeyKind, PublicKey, Signature
from ockam_ref.vault.memory import MemorySecrets
from ockam_ref.vault.secure_channels import SoftwareVaultForSecureChannels
from ockam_ref.vault.signing import SoftwareVaultForVerifyingSignatures
from tests.unit.vault.steps import counting, done, exposed

VECTORS: Final = Path(__file__).parents[1] / "vectors" / "wycheproof"

AEAD_KEY_BITS, NONCE_BITS = 256, 96
LONGEST_DERIVATION: Final = 96


def vectors(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    content = json.loads((VECTORS / f"{name}_test.json").read_text())
    found = [(group, test) for group in content["testGroups"] for test in group["tests"]]
    assert len(found) == content["numberOfTests"]
    yield from found


def named(found: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[Any]:
    return [pytest.param(group, test, id=f"{test['tcId']}") for group, test in found]


ED25519: Final = named(list(vectors("ed25519")))
P256: Final = named(list(vectors("ecdsa_secp256r1_sha256_p1363")))
X25519: Final = named(list(vectors("x25519")))
AES_GCM: Final = [(g, t) for g, t in vectors("aes_gcm") if g["keySize"] == AEAD_KEY_BITS]
DERIVATIONS: Final = [(g, t) for g, t in vectors("hkdf_sha256") if not t["info"] and t["size"] <= LONGEST_DERIVATION]


def test_as_many_as_the_readme_says() -> None:
    assert (len(ED25519), len(P256), len(X25519), len(AES_GCM), len(DERIVATIONS)) == (151, 262, 518, 105, 31)


def verify(kind: KeyKind, public: str, test: dict[str, Any]) -> None:
    vault = SoftwareVaultForVerifyingSignatures()
    signature = Signature(kind, bytes.fromhex(test["sig"]))
    done(vault.verify_signature(PublicKey(kind, bytes.fromhex(public)), bytes.fromhex(test["msg"]), signature))


def check(kind: KeyKind, public: str, test: dict[str, Any]) -> None:
    if test["result"] == "valid":
        verify(kind, public, test)
        return
    # a signature of another length cannot even be written down
    with pytest.raises((VerificationError, MisuseError)) as caught:
        verify(kind, public, test)
    assert caught.value.code in (ErrorCode.AUTHENTICATION_FAILED, ErrorCode.OUT_OF_RANGE)
    assert (caught.value.code is ErrorCode.OUT_OF_RANGE) is (len(test["sig"]) != 128)


@pytest.mark.spec("VLT-5")
@pytest.mark.parametrize(("group", "test"), ED25519)
def test_ed25519(group: dict[str, Any], test: dict[str, Any]) -> None:
    check(KeyKind.ED25519, group["publicKey"]["pk"], test)


@pytest.mark.spec("VLT-5")
@pytest.mark.parametrize(("group", "test"), P256)
def test_ecdsa_p256(group: dict[str, Any], test: dict[str, Any]) -> None:
    check(KeyKind.P256, group["publicKey"]["uncompressed"], test)


def vault_for_secure_channels() -> tuple[SoftwareVaultForSecureChannels, MemorySecrets]:
    secrets = MemorySecrets()
    return SoftwareVaultForSecureChannels(secrets, counting()), secrets


@pytest.mark.spec("VLT-6")
@pytest.mark.parametrize(("group", "test"), X25519)
def test_x25519(group: dict[str, Any], test: dict[str, Any]) -> None:
    assert group["curve"] == "curve25519"
    vault, secrets = vault_for_secure_channels()
    handle = done(vault.import_static_x25519_secret_key(bytes.fromhex(test["private"])))
    public, shared = bytes.fromhex(test["public"]), bytes.fromhex(test["shared"])
    if not any(shared):
        with pytest.raises(VaultError) as caught:
            done(vault.x25519_ecdh(handle, public))
        assert caught.value.code is ErrorCode.BAD_PUBLIC_KEY
        return
    assert exposed(vault, secrets, done(vault.x25519_ecdh(handle, public))) == shared


@pytest.mark.spec("VLT-7")
@pytest.mark.parametrize(("group", "test"), named(AES_GCM))
def test_aes_256_gcm(group: dict[str, Any], test: dict[str, Any]) -> None:
    vault, _ = vault_for_secure_channels()
    buffer = done(vault.import_secret_buffer(bytes.fromhex(test["key"])))
    key = done(vault.convert_secret_buffer_to_aead_key(buffer))
    plaintext, sealed = bytes.fromhex(test["msg"]), bytes.fromhex(test["ct"] + test["tag"])
    nonce, aad = bytes.fromhex(test["iv"]), bytes.fromhex(test["aad"])
    if group["ivSize"] != NONCE_BITS or test["result"] == "invalid":
        with pytest.raises(OckamError) as caught:
            done(vault.aead_decrypt(key, sealed, nonce, aad))
        is_nonce = group["ivSize"] != NONCE_BITS
        assert caught.value.code is (ErrorCode.OUT_OF_RANGE if is_nonce else ErrorCode.AUTHENTICATION_FAILED)
        return
    assert done(vault.aead_encrypt(key, plaintext, nonce, aad)) == sealed
    assert done(vault.aead_decrypt(key, sealed, nonce, aad)) == plaintext


@pytest.mark.spec("VLT-8")
@pytest.mark.parametrize(("group", "test"), named(DERIVATIONS))
def test_hkdf(group: dict[str, Any], test: dict[str, Any]) -> None:
    assert group["type"] == "HkdfTest"
    vault, secrets = vault_for_secure_channels()
    salt = done(vault.import_secret_buffer(bytes.fromhex(test["salt"])))
    material = done(vault.import_secret_buffer(bytes.fromhex(test["ikm"])))
    pieces = [exposed(vault, secrets, piece) for piece in done(vault.hkdf(salt, material, 3))]
    assert b"".join(pieces)[: test["size"]].hex() == test["okm"]
