import copy
import pickle

import pytest

from ockam_ref.identities.keys import KeyKind
from ockam_ref.vault.memory import MemorySecrets
from ockam_ref.vault.secure_channels import SoftwareVaultForSecureChannels
from ockam_ref.vault.signing import SoftwareVaultForSigning
from tests.unit.vault.steps import SECRET, counting, done, memory_vault


@pytest.mark.spec("VLT-1")
def test_its_parts_share_one_repository() -> None:
    vault = memory_vault()
    handle = done(vault.identity_vault.generate_signing_secret_key(KeyKind.ED25519))
    signature = done(vault.credential_vault.sign(handle, b"data"))
    public = done(vault.credential_vault.get_verifying_public_key(handle))
    done(vault.verifying_vault.verify_signature(public, b"data", signature))
    assert done(vault.secure_channel_vault.hash(b"data")) == done(vault.verifying_vault.sha256(b"data"))


@pytest.mark.spec("VLT-10")
def test_nothing_is_shown_or_copied() -> None:
    secrets = MemorySecrets()
    signing = SoftwareVaultForSigning(secrets, counting())
    channels = SoftwareVaultForSecureChannels(secrets, counting())
    key = done(signing.signing_key(done(signing.import_key(KeyKind.ED25519, SECRET))))
    pair = done(channels.static_key_pair(done(channels.import_static_x25519_secret_key(SECRET))))
    buffer = done(channels.import_secret_buffer(SECRET))
    aead = done(channels.convert_secret_buffer_to_aead_key(buffer))
    done(channels.persist_aead_key(aead))
    for holder in (secrets, signing, channels, key, pair):
        assert SECRET.hex()[:16] not in repr(holder)
        for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="neither copied nor pickled"):
                duplicate(holder)
