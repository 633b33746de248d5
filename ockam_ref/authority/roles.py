"""What a caller may do (facts 03 section 8.3): roles follow from the members and from the account authority."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.book import Book
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.keys import SigningKey
from ockam_ref.identities.purpose_keys import PurposeKeyAttestation

ROLE: Final = b"ockam-role"
"""The attribute that gives a member a role at its authority."""
ENROLLER: Final = b"enroller"
"""The role of those who may add members and make tickets."""
RELAY: Final = b"ockam-relay"
"""The attribute that says which relay its holder may create; ``*`` is any."""
TLS_CERTIFICATE: Final = b"ockam-tls-certificate"
"""The attribute that lets its holder have the TLS certificate of a project."""
TRUST_CONTEXT: Final = b"trust_context_id"
"""The attribute with the identifier of the project, which every credential has unless that is switched off."""

DEFAULT_CREDENTIAL_TTL_S: Final = 30 * 86_400
"""Seconds for which a credential is valid."""


def nobody(_: Identifier) -> bool:
    """Say that nobody is an admin by credential."""
    return False


@dataclass(frozen=True, slots=True)
class Settings:
    """What an authority is configured to be.

    ``is_account_admin`` tells who has shown a credential of the account authority that names this project;
    ``has_account_authority`` is whether there is one, and with ``enforce_admin_checks`` enrollers are no admins then.
    """

    identifier: Identifier
    signing_key: SigningKey = field(repr=False)
    attestation: PurposeKeyAttestation = field(repr=False)
    key_expires_at: int
    project_identifier: str | None = None
    credential_ttl_s: int = DEFAULT_CREDENTIAL_TTL_S
    has_account_authority: bool = False
    enforce_admin_checks: bool = False
    is_account_admin: Callable[[Identifier], bool] = nobody


class Roles(NamedTuple):
    """What somebody is to an authority."""

    is_member: bool
    is_enroller: bool
    is_admin: bool
    is_pre_trusted: bool


def makes_enroller(attributes: Attributes) -> bool:
    """Return whether these attributes give the role of an enroller."""
    return (ROLE, ENROLLER) in attributes


def roles_of(book: Book, settings: Settings, identifier: Identifier) -> Roles:
    """Return the roles of an identity."""
    member = book.members.get(identifier)
    is_enroller = member is not None and makes_enroller(member.attributes)
    is_pre_trusted = member is not None and member.is_pre_trusted
    if settings.has_account_authority and settings.is_account_admin(identifier):
        return Roles(is_member=True, is_enroller=True, is_admin=True, is_pre_trusted=is_pre_trusted)
    is_admin = is_enroller and not (settings.has_account_authority and settings.enforce_admin_checks)
    return Roles(member is not None, is_enroller, is_admin, is_pre_trusted)
