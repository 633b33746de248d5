"""Identities whose secrets the tests know, so that the programs of both implementations can be them."""

import os
from collections.abc import Mapping
from time import time
from typing import Final, NamedTuple

from ockam_ref.identities.change_history import (
    DEFAULT_IDENTITY_TTL_S,
    VerifiedIdentity,
    create_identity,
    decode_change_history,
    rotate_identity,
    verify_change_history,
)
from ockam_ref.identities.credentials import issue_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import KeyKind, SigningKey, signing_key_from_secret
from ockam_ref.identities.purpose_keys import DEFAULT_PURPOSE_KEY_TTL_S, attest_credential_signing_key
from tests.interop.harness import Program

DAY_S: Final = 86_400
"""How long a credential is valid that is to be valid."""

_PREFIXES: Final = {KeyKind.ED25519: "", KeyKind.P256: "p256:"}


class Person(NamedTuple):
    """An identity and the secret of its latest key."""

    secret: bytes
    identity: VerifiedIdentity

    @property
    def identifier(self) -> Identifier:
        """Who it is."""
        return self.identity.identifier

    @property
    def history(self) -> str:
        """Its change history in hexadecimal digits."""
        return self.identity.history.encoded.hex()

    @property
    def key(self) -> SigningKey:
        """Its latest key."""
        return signing_key_from_secret(self.identity.latest_key.kind, self.secret)

    @property
    def options(self) -> list[str]:
        """The options of a program that is to be this person."""
        return ["--secret", secret_text(self.identity.latest_key.kind, self.secret), "--history", self.history]

    def rotated(self, kind: KeyKind = KeyKind.ED25519) -> "Person":
        """Return the same person with a new key."""
        secret = os.urandom(32)
        start = max(int(time()), self.identity.valid_from)
        new_key = signing_key_from_secret(kind, secret)
        identity = rotate_identity(
            self.identity, self.key, new_key, valid_from=start, valid_until=start + DEFAULT_IDENTITY_TTL_S
        )
        return Person(secret, identity)

    def issue(
        self,
        subject: "Person",
        attributes: Mapping[str, str],
        *,
        ttl_s: int = DAY_S,
        created_at: int | None = None,
        kind: KeyKind = KeyKind.ED25519,
    ) -> str:
        """Return a credential about somebody, in hexadecimal digits."""
        start = int(time()) if created_at is None else created_at
        key = signing_key_from_secret(kind, os.urandom(32))
        attestation = attest_credential_signing_key(
            self.identity, self.key, key.public, created_at=start, expires_at=start + DEFAULT_PURPOSE_KEY_TTL_S
        )
        credential = issue_credential(
            key,
            attestation,
            subject=subject.identifier,
            attributes={name.encode(): value.encode() for name, value in attributes.items()},
            created_at=start,
            expires_at=start + ttl_s,
        )
        return credential.hex()


def person(kind: KeyKind = KeyKind.ED25519) -> Person:
    """Return somebody new, whose identity began a while ago."""
    secret = os.urandom(32)
    start = int(time()) - 2 * DAY_S
    key = signing_key_from_secret(kind, secret)
    return Person(secret, create_identity(key, valid_from=start, valid_until=start + DEFAULT_IDENTITY_TTL_S))


def rust_person(rust: Program, kind: KeyKind = KeyKind.ED25519) -> Person:
    """Return somebody new whose identity the Rust implementation made."""
    secret = os.urandom(32)
    made = rust.ask("identity", "--secret", secret_text(kind, secret))
    return _as_reported(secret, made["change_history_hex"])


def rust_rotated(rust: Program, who: Person, kind: KeyKind = KeyKind.ED25519) -> Person:
    """Return the same person with a new key that the Rust implementation put into the history."""
    secret = os.urandom(32)
    made = rust.ask("identity", *who.options, "--rotate", secret_text(kind, secret))
    return _as_reported(secret, made["change_history_hex"])


def secret_text(kind: KeyKind, secret: bytes) -> str:
    """Return a secret as the options of the programs have it."""
    return _PREFIXES[kind] + secret.hex()


def _as_reported(secret: bytes, history: str) -> Person:
    return Person(secret, verify_change_history(decode_change_history(bytes.fromhex(history))))
