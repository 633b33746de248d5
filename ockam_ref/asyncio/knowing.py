"""What a node knows, and its rules look at: policies, attributes of peers, their histories, and our own newest keys."""

from ockam_ref.asyncio.presented import PresentedIdentities
from ockam_ref.asyncio.running import Running
from ockam_ref.identities.known_peers import KnownPeers
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.policies.resources import Policies
from ockam_ref.policies.subjects import SubjectAttributes


class Knowing(Running):
    """The tables of a node.  Whoever changes policies or attributes calls ``recheck`` afterwards."""

    _presented: PresentedIdentities

    @property
    def policies(self) -> Policies:
        """The policies of resources and of their types."""
        return self._driver.core.policies

    @property
    def attributes(self) -> SubjectAttributes:
        """What authorities vouch for, and what they have revoked."""
        return self._driver.core.attributes

    @property
    def known_peers(self) -> KnownPeers:
        """The newest histories of the identities that were met or taught."""
        return self._driver.core.known_peers

    def recheck(self) -> None:
        """Ask again whether what is open may go on: policies or attributes were changed."""
        self._driver.recheck()

    def replace_identity(self, identity: LocalIdentity, credential: bytes | None = None) -> None:
        """Use these keys of the identity from now on: it was rotated, or a purpose key was renewed.

        Channels that are open tell their peers, and what is opened later presents them too, even with the identity as
        it was before.  Without a ``credential`` the one presented so far stays.
        """
        self._presented.replace(identity, credential)

    def presented_identities(self) -> list[LocalIdentity]:
        """Return the identities that channels and listeners of this node present, each with its newest keys."""
        return self._presented.all()
