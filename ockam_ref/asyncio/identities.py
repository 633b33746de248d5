"""Our own identities in a store: made once, opened by name in every run, rotated, deleted.

Several processes may use one store; every change is one transaction, and what another one did meanwhile is not lost.
"""

import os
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from time import time
from typing import Final, NamedTuple, TypeVar

from ockam_ref.asyncio.purpose_keys import USES, IssuingKey, PurposeKeys
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, OckamError, VaultError, VerificationError
from ockam_ref.identities.change_history import (
    DEFAULT_IDENTITY_TTL_S,
    VerifiedIdentity,
    create_identity,
    decode_change_history,
    rotate_identity,
    verify_change_history,
)
from ockam_ref.identities.identifier import Identifier, parse_identifier
from ockam_ref.identities.keys import KeyKind, signing_key_from_secret
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.identities.purpose_keys import AttestationData, decode_attestation, unverified_attestation_data
from ockam_ref.identities.renewal import earlier_keys
from ockam_ref.storage.identities import (
    IdentityRepository,
    IdentityRow,
    delete_identity,
    get_identity,
    update_identity,
)
from ockam_ref.storage.purpose_keys import PurposeKeyRepository, delete_purpose_key, list_purpose_keys
from ockam_ref.storage.secret_keys import SecretRepository, SecretUse, delete_secret
from ockam_ref.storage.store import Store
from ockam_ref.vault.handles import signing_key_handle
from ockam_ref.vault.interfaces import Entropy
from ockam_ref.vault.vault import software_vault

T = TypeVar("T")

DEFAULT_NAME: Final = "me"
"""The name of an identity that was made because one was needed."""

MAX_ATTEMPTS: Final = 8
"""How often an operation begins anew because another process was quicker each time."""


class StoredIdentity(NamedTuple):
    """One of our identities, by the name that people use."""

    name: str
    identity: VerifiedIdentity
    is_default: bool


class Identities:
    """The identities of one store, and a software vault over its secrets.

    ``clock`` returns seconds since 1970, ``entropy`` random bytes.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time, entropy: Entropy = os.urandom) -> None:
        self._store = store
        self._clock = clock
        self._rows = IdentityRepository(store)
        self._secrets = SecretRepository(store)
        self.vault: Final = software_vault(self._secrets, entropy)
        self._purpose_keys = PurposeKeys(store, self.vault, self._now)

    # ---- which there are

    async def list(self) -> tuple[StoredIdentity, ...]:
        """Return all, by name."""
        return tuple(map(_verified, await self._rows.list()))

    async def get(self, name: str | None = None) -> StoredIdentity:
        """Return an identity by its name or identifier, or the default one.

        Raises:
            MisuseError: ``NOT_FOUND``, with what to do.
        """
        row = await self._find(name)
        if row is None:
            raise await self._not_found(name)
        return _verified(row)

    async def set_default(self, name: str) -> StoredIdentity:
        """Make an identity the one that is meant when none is named.

        Raises:
            MisuseError: ``NOT_FOUND``.
        """
        stored = await self.get(name)
        await self._rows.set_default(stored.name)
        return stored._replace(is_default=True)

    async def export(self, name: str | None = None) -> bytes:
        """Return the change history, which everybody may see.

        Raises:
            MisuseError: ``NOT_FOUND``.
        """
        return (await self.get(name)).identity.history.encoded

    async def attested(self, name: str | None = None) -> tuple[AttestationData, ...]:
        """Return what an identity attests of its purpose keys; whether that still counts is not looked at.

        Raises:
            MisuseError: ``NOT_FOUND``.
        """
        rows = await PurposeKeyRepository(self._store).list((await self.get(name)).identity.identifier.value)
        return tuple(unverified_attestation_data(decode_attestation(row.attestation)) for row in rows)

    # ---- making, opening

    async def create(
        self, name: str | None = None, *, kind: KeyKind = KeyKind.ED25519, ttl_s: int = DEFAULT_IDENTITY_TTL_S
    ) -> LocalIdentity:
        """Make an identity and keep it; the first one is the default one.

        Raises:
            MisuseError: ``NAME_TAKEN``, ``BAD_NAME``.
        """
        signing = self.vault.identity_vault
        handle = await signing.generate_signing_secret_key(kind)
        now = self._now()
        identity = create_identity(await signing.signing_key(handle), valid_from=now, valid_until=now + ttl_s)
        try:
            await self._rows.add(name or await self._free_name(), identity.history.encoded)
        except OckamError:
            await signing.delete_signing_secret_key(handle)
            raise
        return await self.open(str(identity.identifier))

    async def open(self, name: str | None = None, *, create: bool = False) -> LocalIdentity:
        """Return an identity, by name, identifier or default, ready for secure channels.

        Its key for secure channels is kept, and replaced when a new one is due (ID-34).

        Args:
            name: a name or an identifier; ``None`` is the default identity.
            create: make the identity if there is none of that name, or none at all.

        Raises:
            MisuseError: ``NOT_FOUND``, with what to do.
            VerificationError: ``BAD_ATTESTATION``, the identity's key may not attest any more: it has to be rotated.
        """
        try:
            stored = await self.get(name)
        except MisuseError:
            if not create or (name is None and await self._rows.list()):
                raise
            return await self._create_wanted(name or DEFAULT_NAME)
        return await self._until_current(stored.name, self._purpose_keys.for_channels)

    async def issuing_key(self, name: str | None = None) -> IssuingKey:
        """Return the key with which an identity signs credentials; made, kept and replaced as that for channels is.

        Raises:
            MisuseError: ``NOT_FOUND``, with what to do.
            VerificationError: ``BAD_ATTESTATION``, the identity's key may not attest any more: it has to be rotated.
        """
        return await self._until_current((await self.get(name)).name, self._purpose_keys.for_credentials)

    async def import_(self, history: bytes, secret: bytes, *, name: str | None = None) -> LocalIdentity:
        """Take over an identity that was made elsewhere, with the 32 bytes of its latest secret key.

        Raises:
            DecodeError: no history.
            VerificationError: a history that does not hold, or whose latest key begins in the future.
            MisuseError: ``KEY_MISMATCH``, that is not its latest key; ``NAME_TAKEN``, ``BAD_NAME``.
        """
        identity = verify_change_history(decode_change_history(history))
        kind = identity.latest_key.kind
        if signing_key_from_secret(kind, secret).public != identity.latest_key:
            raise MisuseError(ErrorCode.KEY_MISMATCH, "the secret key is not the latest one of that change history")
        self._purpose_keys.now_for(identity)
        handle = signing_key_handle(identity.latest_key)
        known = await self._rows.find(identity.identifier.value)
        if known is not None:
            raise MisuseError(ErrorCode.NAME_TAKEN, f"this identity is there already, as {known.name!r}")
        await self._secrets.store_signing_secret(handle.value, kind, secret)
        try:
            row = await self._rows.add(name or await self._free_name(), identity.history.encoded)
        except OckamError:
            await self._secrets.delete_signing_secret(handle.value)
            raise
        return await self.open(row.name)

    # ---- changing

    async def rotate(
        self, name: str | None = None, *, kind: KeyKind | None = None, ttl_s: int = DEFAULT_IDENTITY_TTL_S
    ) -> LocalIdentity:
        """Give an identity a new key, of the same kind unless told otherwise, and destroy the old one.

        What the old key attested is void; whoever presents the identity has to present what is returned.

        Raises:
            MisuseError: ``NOT_FOUND``; ``HISTORY_CONFLICT``, another process has rotated it at the same moment.
            VerificationError: ``BAD_ATTESTATION``, the key that there is begins in the future.
        """
        stored = await self.get(name)
        old, signing = stored.identity, self.vault.identity_vault
        old_key = await signing.signing_key(signing_key_handle(old.latest_key))
        start = self._purpose_keys.now_for(old)
        handle = await signing.generate_signing_secret_key(old.latest_key.kind if kind is None else kind)
        new_key = await signing.signing_key(handle)
        rotated = rotate_identity(old, old_key, new_key, valid_from=start, valid_until=start + ttl_s)
        try:
            await self._store.write(partial(_rotate, name=stored.name, rotated=rotated))
        except OckamError:
            await signing.delete_signing_secret_key(handle)
            raise
        await self._store.scrub()
        return await self.open(stored.name)

    async def delete(self, name: str) -> StoredIdentity:
        """Forget an identity and destroy its keys; nobody can ever be it again.

        Raises:
            MisuseError: ``NOT_FOUND``.
        """
        stored = await self.get(name)
        await self._store.write(partial(_delete, name=stored.name))
        await self._store.scrub()
        return stored

    # ---- inside

    def _now(self) -> int:
        return int(self._clock())

    async def _find(self, name: str | None) -> IdentityRow | None:
        if name is None:
            return await self._rows.default()
        try:
            identifier = parse_identifier(name)
        except DecodeError:
            return await self._rows.get(name)
        return await self._rows.find(identifier.value)

    async def _not_found(self, name: str | None) -> MisuseError:
        names = ", ".join(row.name for row in await self._rows.list())
        if name is not None:
            there = f"there are: {names}" if names else "there is none at all: 'ockam-ref identity create' makes one"
            return MisuseError(ErrorCode.NOT_FOUND, f"there is no identity {name!r}; {there}")
        advice = (
            f"'ockam-ref identity default NAME' chooses one of: {names}"
            if names
            else "'ockam-ref identity create' makes one"
        )
        return MisuseError(ErrorCode.NOT_FOUND, f"there is no default identity; {advice}")

    async def _free_name(self) -> str:
        names = {row.name for row in await self._rows.list()}
        count = 1
        while (name := DEFAULT_NAME if count == 1 else f"{DEFAULT_NAME}-{count}") in names:
            count += 1
        return name

    async def _create_wanted(self, name: str) -> LocalIdentity:
        try:
            return await self.create(name)
        except MisuseError as error:
            if error.code is not ErrorCode.NAME_TAKEN:
                raise
        return await self.open(name)  # another process needed one too

    async def _until_current(self, name: str, attempt: Callable[[VerifiedIdentity], Awaitable[T | None]]) -> T:
        """Repeat the attempt until no other process has changed the identity while it ran."""
        for _ in range(MAX_ATTEMPTS):
            identity = (await self.get(name)).identity
            try:
                found = await attempt(identity)
            except VaultError:
                if (await self.get(name)).identity == identity:
                    raise
                continue
            except VerificationError as error:
                if self._now() < identity.valid_from:
                    raise
                advice = f"'ockam-ref identity rotate {name}' gives the identity a new key"
                raise VerificationError(error.code, f"{error}; {advice}") from error
            if found is not None:
                return found
        raise OckamError(ErrorCode.LIMIT_REACHED, f"other processes keep changing the identity {name!r}")


def _verified(row: IdentityRow) -> StoredIdentity:
    identity = verify_change_history(decode_change_history(row.history), expected=Identifier(row.identifier))
    return StoredIdentity(row.name, identity, row.is_default)


def _rotate(connection: sqlite3.Connection, name: str, rotated: VerifiedIdentity) -> None:
    update_identity(connection, name, rotated.history.encoded)
    _destroy_keys(connection, rotated, with_latest=False)


def _delete(connection: sqlite3.Connection, name: str) -> None:
    row = get_identity(connection, name)  # another process may have rotated it meanwhile
    if row is not None:
        _destroy_keys(connection, _verified(row).identity, with_latest=True)
        delete_identity(connection, name)


def _destroy_keys(connection: sqlite3.Connection, identity: VerifiedIdentity, *, with_latest: bool) -> None:
    for row in list_purpose_keys(connection, identity.identifier.value):
        delete_secret(connection, USES[row.purpose], row.handle)
        delete_purpose_key(connection, row.identifier, row.purpose)
    keys = earlier_keys(identity) + ((identity.latest_key,) if with_latest else ())
    for key in keys:
        delete_secret(connection, SecretUse.SIGNING, signing_key_handle(key).value)
