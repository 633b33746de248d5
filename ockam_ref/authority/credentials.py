"""The service ``credential_issuer``: members get what they show to others (facts 03 section 8.4)."""

from ockam_ref.authority.answers import UNKNOWN, Asked, Broken, Granted, Refused, Verdict
from ockam_ref.authority.roles import RELAY, TLS_CERTIFICATE, TRUST_CONTEXT
from ockam_ref.errors import OckamError
from ockam_ref.identities.credentials import issue_credential
from ockam_ref.wire.api import Method


def serve_credential_issuer(asked: Asked) -> Verdict:
    """Answer somebody who wants a credential; the body, if there is one, is ignored."""
    if asked.method is not Method.POST or asked.path not in ("/", "/credential"):
        return UNKNOWN
    attributes, settings = _attributes_of(asked), asked.settings
    if attributes is None:
        return Refused("unauthorized member")
    # one that was removed and is back within the same second must not get a credential that is void
    revoked = asked.book.revocations.get(asked.who)
    created_at = asked.now if revoked is None else max(asked.now, revoked.not_after + 1)
    try:
        credential = issue_credential(
            settings.signing_key,
            settings.attestation,
            subject=asked.who,
            attributes=attributes,
            created_at=created_at,
            expires_at=min(created_at + settings.credential_ttl_s, settings.key_expires_at),
            subject_change_hash=asked.caller.latest_change_hash,
        )
    except OckamError as error:
        return Broken(str(error))
    return Granted(credential)


def _attributes_of(asked: Asked) -> dict[bytes, bytes] | None:
    settings = asked.settings
    project = settings.project_identifier
    attributes = {} if project is None else {TRUST_CONTEXT: project.encode()}
    if settings.has_account_authority and settings.is_account_admin(asked.who):
        return attributes | {RELAY: b"*", TLS_CERTIFICATE: b"true"}
    member = asked.book.members.get(asked.who)
    return None if member is None else attributes | dict(member.attributes)
