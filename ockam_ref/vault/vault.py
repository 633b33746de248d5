"""A whole vault: four parts, each of which can be another one (facts 03 section 2.1)."""

from typing import NamedTuple

from ockam_ref.vault.interfaces import (
    Entropy,
    SecretsRepository,
    VaultForSecureChannels,
    VaultForSigning,
    VaultForVerifyingSignatures,
)
from ockam_ref.vault.secure_channels import SoftwareVaultForSecureChannels
from ockam_ref.vault.signing import SoftwareVaultForSigning, SoftwareVaultForVerifyingSignatures


class Vault(NamedTuple):
    """Who signs for identities, who computes for secure channels, who signs credentials, who verifies."""

    identity_vault: VaultForSigning
    secure_channel_vault: VaultForSecureChannels
    credential_vault: VaultForSigning
    verifying_vault: VaultForVerifyingSignatures


def software_vault(secrets: SecretsRepository, entropy: Entropy) -> Vault:
    """Return a vault that computes with ``cryptography`` and keeps all its secrets in one repository."""
    signing = SoftwareVaultForSigning(secrets, entropy)
    return Vault(
        signing,
        SoftwareVaultForSecureChannels(secrets, entropy),
        signing,
        SoftwareVaultForVerifyingSignatures(),
    )
