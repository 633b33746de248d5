"""Whom a node believes: the change histories it has met, and the credentials that came with them.

One of the node's rooms, behind ``ComparePeer``: steps 2e and 5 of facts 04 section 2.8.
"""

from typing import Final, NamedTuple

from ockam_ref.effects import ComparePeer
from ockam_ref.errors import DecodeError, ErrorCode, VerificationError
from ockam_ref.identities.change_history import VerifiedIdentity, verify_change_history
from ockam_ref.identities.credentials import verify_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.known_peers import KnownPeers, Met
from ockam_ref.observations import CredentialAccepted, CredentialRefused, PeerLearned
from ockam_ref.policies.subjects import SubjectAttributes, Vouched

MAX_CREDENTIALS: Final = 16
"""Credentials of one presentation that are looked at; the peer sends one."""


class Admitted(NamedTuple):
    """Why a presented identity cannot be believed, if it cannot, and what there is to report."""

    refusal: str | None
    observations: tuple[PeerLearned | CredentialAccepted | CredentialRefused, ...]


class Admission:
    """The histories that are known, and the attributes that authorities vouch for."""

    __slots__ = ("_attributes", "known_peers")

    def __init__(self, attributes: SubjectAttributes) -> None:
        self.known_peers: Final = KnownPeers()
        self._attributes = attributes

    def learn(self, identity: VerifiedIdentity) -> Admitted:
        """Take an identity that the host trusts, and never forget it.

        Raises:
            VerificationError: ``HISTORY_OLDER``, its history is older than the one known, or conflicts with it.
        """
        met = self.known_peers.learn(identity)
        if met.refusal is not None:
            raise VerificationError(ErrorCode.HISTORY_OLDER, f"{identity.identifier}: {met.refusal}")
        return Admitted(None, _news(identity, met))

    def compare(self, asked: ComparePeer, now: int) -> Admitted:
        """Compare an identity with what is known of it and keep what its credentials say; a bad one changes nothing."""
        identity: VerifiedIdentity = asked.identity
        met = self.known_peers.compare(identity)
        if met.refusal is not None:
            return Admitted(met.refusal, ())
        taken = tuple(
            self._take(identity.identifier, encoded, asked.authority, now)
            for encoded in asked.credentials[:MAX_CREDENTIALS]
        )
        return Admitted(None, (*_news(identity, met), *taken))

    def _take(
        self, subject: Identifier, encoded: bytes, authority: bytes | None, now: int
    ) -> CredentialAccepted | CredentialRefused:
        if authority is None:
            return CredentialRefused(subject.value, "no authority is configured for this channel")
        history = self.known_peers.find(Identifier(authority))
        if history is None:
            return CredentialRefused(subject.value, "the change history of the authority is not known")
        try:
            issuer = verify_change_history(history)
            credential = verify_credential(encoded, subject=subject, authority=issuer, now=now)
        except (DecodeError, VerificationError) as error:
            return CredentialRefused(subject.value, str(error))
        vouched = Vouched(credential.attributes, credential.created_at, credential.expires_at)
        if not self._attributes.store(subject.value, authority, vouched):
            return CredentialRefused(subject.value, "the authority has revoked it")
        return CredentialAccepted(subject.value, authority, credential.expires_at)


def _news(identity: VerifiedIdentity, met: Met) -> tuple[PeerLearned, ...]:
    return (PeerLearned(identity.identifier.value, identity.history.encoded),) if met.is_news else ()
