"""What a node remembers of the identities it has met, so that none can roll its keys back (facts 03 section 3.6)."""

from typing import Final

from ockam_ref.identities.change_history import Comparison, VerifiedIdentity, compare_histories
from ockam_ref.identities.identifier import Identifier

MAX_KNOWN_PEERS: Final = 10_000
"""Beyond this number the identity that was met longest ago is forgotten."""


class KnownPeers:
    """One of the node's tables: identifier to the newest verified identity."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Identifier, VerifiedIdentity] = {}

    def compare(self, identity: VerifiedIdentity) -> str | None:
        """Return why the presented history cannot be believed, or ``None`` and remember it if it is new or newer."""
        identifier = identity.identifier
        known = self._known.pop(identifier, None)
        if known is not None:
            comparison = compare_histories(identity.history, known.history)
            if comparison in (Comparison.OLDER, Comparison.CONFLICT):
                self._known[identifier] = known
                return (
                    f"the change history is {comparison.value} than the one known"
                    if (comparison is Comparison.OLDER)
                    else "the change history conflicts with the one known"
                )
            if comparison is Comparison.EQUAL:
                identity = known
        elif len(self._known) >= MAX_KNOWN_PEERS:
            del self._known[next(iter(self._known))]
        self._known[identifier] = identity
        return None
