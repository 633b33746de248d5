"""The purpose keys of our own identities: kept in the store, and replaced when a new one is due (ID-34).

Several processes may use one store.  What one of them has read may be out of date when it writes; it then writes
nothing, and begins anew.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from ockam_ref.errors import ErrorCode, OckamError, VaultError, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity
from ockam_ref.identities.keys import KeyKind, SigningKey
from ockam_ref.identities.local import LocalIdentity, open_local_identity
from ockam_ref.identities.purpose_keys import (
    MAX_CLOCK_SKEW_S,
    PurposeKeyAttestation,
    attest_credential_signing_key,
    decode_attestation,
    encode_attestation,
    verify_credential_signing_key,
)
from ockam_ref.identities.renewal import (
    expiry_of_new,
    usable_credential_signing_key,
    usable_secure_channel_key,
)
from ockam_ref.noise.primitives import KeyPair
from ockam_ref.storage.identities import find_identity
from ockam_ref.storage.purpose_keys import (
    Purpose,
    PurposeKeyRepository,
    PurposeKeyRow,
    get_purpose_key,
    put_purpose_key,
)
from ockam_ref.storage.secret_keys import SecretUse, delete_secret
from ockam_ref.storage.store import Store
from ockam_ref.vault.handles import SigningKeyHandle, X25519KeyHandle, signing_key_handle, x25519_key_handle
from ockam_ref.vault.vault import Vault

USES: Final = {Purpose.SECURE_CHANNEL: SecretUse.X25519, Purpose.CREDENTIALS: SecretUse.SIGNING}
"""Under which use the secret of a purpose key is stored."""


class IssuingKey(NamedTuple):
    """What signs credentials for an identity; the attestation travels with them and ends at ``expires_at``."""

    identity: VerifiedIdentity
    signing_key: SigningKey
    attestation: PurposeKeyAttestation
    expires_at: int


class PurposeKeys:
    """The purpose keys of one store.  ``clock`` returns whole seconds since 1970."""

    def __init__(self, store: Store, vault: Vault, clock: Callable[[], int]) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._rows = PurposeKeyRepository(store)

    def now_for(self, identity: VerifiedIdentity) -> int:
        """Return the time; where the clock was set back a little, the time at which the identity's key began.

        Raises:
            VerificationError: ``BAD_ATTESTATION``, the key begins in the future.
        """
        now = self._clock()
        if identity.valid_from - now > MAX_CLOCK_SKEW_S:
            raise VerificationError(
                ErrorCode.BAD_ATTESTATION,
                f"the key of {identity.identifier} begins in {identity.valid_from - now} seconds: is the clock right?",
            )
        return max(now, identity.valid_from)

    async def for_channels(self, identity: VerifiedIdentity) -> LocalIdentity | None:
        """Return the identity with its key for secure channels, or ``None`` if it was changed meanwhile.

        Raises:
            VaultError: ``KEY_NOT_FOUND``, also if the identity was rotated or deleted meanwhile.
            VerificationError: ``BAD_ATTESTATION``, the identity's key may not attest any more.
        """
        now, channels = self.now_for(identity), self._vault.secure_channel_vault
        signing_key = await self._signing_key(identity)
        row = await self._rows.get(identity.identifier.value, Purpose.SECURE_CHANNEL)
        if row is not None:
            attestation = decode_attestation(row.attestation)
            key = usable_secure_channel_key(attestation, subject=identity, now=now)
            pair = None if key is None else await self._key_pair(x25519_key_handle(key.public))
            if key is not None and pair is not None:
                return LocalIdentity(identity, signing_key, pair, attestation, key.expires_at)
        handle = await channels.generate_static_x25519_secret_key()
        try:
            local = open_local_identity(identity, signing_key, await channels.static_key_pair(handle), now=now)
            is_written = await self._replace(identity, row, Purpose.SECURE_CHANNEL, local.attestation, handle.value)
        except OckamError:
            await channels.delete_static_x25519_secret_key(handle)
            raise
        if not is_written:
            await channels.delete_static_x25519_secret_key(handle)
        return local if is_written else None

    async def for_credentials(self, identity: VerifiedIdentity) -> IssuingKey | None:
        """Return the key with which the identity signs credentials; as ``for_channels`` in all else."""
        now, vault = self.now_for(identity), self._vault.credential_vault
        signing_key = await self._signing_key(identity)
        row = await self._rows.get(identity.identifier.value, Purpose.CREDENTIALS)
        if row is not None:
            attestation = decode_attestation(row.attestation)
            key = usable_credential_signing_key(attestation, subject=identity, now=now)
            signing = None if key is None else await self._issuing_key(signing_key_handle(key.public))
            if key is not None and signing is not None:
                return IssuingKey(identity, signing, attestation, key.expires_at)
        handle = await vault.generate_signing_secret_key(KeyKind.ED25519)
        try:
            new, expires_at = await vault.signing_key(handle), expiry_of_new(identity, now)
            attestation = attest_credential_signing_key(
                identity, signing_key, new.public, created_at=now, expires_at=expires_at
            )
            verify_credential_signing_key(attestation, subject=identity, now=now)
            is_written = await self._replace(identity, row, Purpose.CREDENTIALS, attestation, handle.value)
        except OckamError:
            await vault.delete_signing_secret_key(handle)
            raise
        if not is_written:
            await vault.delete_signing_secret_key(handle)
        return IssuingKey(identity, new, attestation, expires_at) if is_written else None

    async def _signing_key(self, identity: VerifiedIdentity) -> SigningKey:
        return await self._vault.identity_vault.signing_key(signing_key_handle(identity.latest_key))

    async def _key_pair(self, handle: X25519KeyHandle) -> KeyPair | None:
        try:
            return await self._vault.secure_channel_vault.static_key_pair(handle)
        except VaultError:  # the peer would fail with it; a new key serves as well
            return None

    async def _issuing_key(self, handle: SigningKeyHandle) -> SigningKey | None:
        try:
            return await self._vault.credential_vault.signing_key(handle)
        except VaultError:  # the peer would fail with it; a new key serves as well
            return None

    async def _replace(
        self,
        identity: VerifiedIdentity,
        old: PurposeKeyRow | None,
        purpose: Purpose,
        attestation: PurposeKeyAttestation,
        handle: bytes,
    ) -> bool:
        """Keep a new key and destroy the old one, unless the identity or the key has been changed meanwhile."""
        row = PurposeKeyRow(identity.identifier.value, purpose, encode_attestation(attestation), handle)
        is_written = await self._store.write(partial(_replace, identity=identity, old=old, new=row))
        if is_written and old is not None:
            await self._store.scrub()
        return is_written


def _replace(
    connection: sqlite3.Connection, identity: VerifiedIdentity, old: PurposeKeyRow | None, new: PurposeKeyRow
) -> bool:
    stored = find_identity(connection, new.identifier)
    if stored is None or stored.history != identity.history.encoded:
        return False
    if get_purpose_key(connection, new.identifier, new.purpose) != old:
        return False
    put_purpose_key(connection, new)
    if old is not None:
        delete_secret(connection, USES[old.purpose], old.handle)
    return True
