"""What a node remembers of the identities it has met, so that none can roll its keys back (facts 03 section 3.6)."""

from typing import Final

from ockam_ref.identities.change_history import Comparison, VerifiedIdentity, compare_histories
from ockam_ref.identities.identifier import Identifier

MAX_KNOWN_PEERS: Final = 10_000
"""Beyond this number the identity that was met longest ago is forgotten."""

MAX_KNOWN_BYTES: Final = 16 * 1024 * 1024
"""Bytes of all histories that are remembered: a usual one has 200, the longest that a handshake can carry 65,000."""

_REFUSALS: Final = {
    Comparison.OLDER: "the change history is older than the one known",
    Comparison.CONFLICT: "the change history conflicts with the one known",
}


class KnownPeers:
    """One of the node's tables: identifier to the newest verified identity, the one met longest ago first."""

    __slots__ = ("_bytes", "_known")

    def __init__(self) -> None:
        self._known: dict[Identifier, VerifiedIdentity] = {}
        self._bytes = 0

    def compare(self, identity: VerifiedIdentity) -> str | None:
        """Return why the presented history cannot be believed, or ``None`` and remember it if it is new or newer."""
        known = self._known.get(identity.identifier)
        if known is None:
            self._remember(identity)
            return None
        comparison = compare_histories(identity.history, known.history)
        self._forget(identity.identifier)
        self._remember(identity if comparison is Comparison.NEWER else known)
        return _REFUSALS.get(comparison)

    def _remember(self, identity: VerifiedIdentity) -> None:
        self._known[identity.identifier] = identity
        self._bytes += len(identity.history.encoded)
        while len(self._known) > MAX_KNOWN_PEERS or self._bytes > MAX_KNOWN_BYTES:
            self._forget(next(iter(self._known)))

    def _forget(self, identifier: Identifier) -> None:
        self._bytes -= len(self._known.pop(identifier).history.encoded)
