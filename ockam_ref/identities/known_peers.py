"""What a node remembers of the identities it has met, so that none can roll its keys back (facts 03 section 3.6)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ockam_ref.identities.change_history import ChangeHistory, Comparison, VerifiedIdentity, compare_histories
from ockam_ref.identities.identifier import Identifier

MAX_KNOWN_PEERS: Final = 10_000
"""Beyond this number the identity that was met longest ago is forgotten; those that the host taught are not."""

MAX_KNOWN_BYTES: Final = 16 * 1024 * 1024
"""Bytes of all histories that are remembered: a usual one has 200, the longest that a handshake can carry 65,000."""

_REFUSALS: Final = {
    Comparison.OLDER: "the change history is older than the one known",
    Comparison.CONFLICT: "the change history conflicts with the one known",
}


class Met(NamedTuple):
    """Why a presented history cannot be believed, if it cannot; and whether it told anything new."""

    refusal: str | None
    is_news: bool


class KnownPeers:
    """One of the node's tables: identifier to the newest history, the one met longest ago first."""

    __slots__ = ("_bytes", "_kept", "_known")

    def __init__(self) -> None:
        self._known: dict[Identifier, ChangeHistory] = {}
        self._kept: dict[Identifier, ChangeHistory] = {}
        self._bytes = 0

    def load(self, histories: Iterable[tuple[Identifier, ChangeHistory]]) -> None:
        """Remember histories that an earlier run of this node had verified; what this run knows stays as it is."""
        for identifier, history in histories:
            if self.find(identifier) is None:
                self._remember(identifier, history)

    def learn(self, identity: VerifiedIdentity) -> Met:
        """Compare as ``compare`` does, and never forget this identity: the host trusts it."""
        met = self.compare(identity)
        known = self._forget(identity.identifier)
        if known is not None:
            self._kept[identity.identifier] = known
        return met

    def compare(self, identity: VerifiedIdentity) -> Met:
        """Compare the presented history with what is known, and remember it if it is new or newer."""
        identifier, history = identity.identifier, identity.history
        known = self.find(identifier)
        if known is None:
            self._remember(identifier, history)
            return Met(None, is_news=True)
        comparison = compare_histories(history, known)
        is_newer = comparison is Comparison.NEWER
        if identifier in self._kept:
            self._kept[identifier] = history if is_newer else known
        else:
            self._forget(identifier)
            self._remember(identifier, history if is_newer else known)
        return Met(_REFUSALS.get(comparison), is_newer)

    def find(self, identifier: Identifier) -> ChangeHistory | None:
        """Return the newest history that is known of an identity."""
        return self._kept.get(identifier) or self._known.get(identifier)

    def _remember(self, identifier: Identifier, history: ChangeHistory) -> None:
        self._known[identifier] = history
        self._bytes += len(history.encoded)
        while len(self._known) > MAX_KNOWN_PEERS or self._bytes > MAX_KNOWN_BYTES:
            self._forget(next(iter(self._known)))

    def _forget(self, identifier: Identifier) -> ChangeHistory | None:
        history = self._known.pop(identifier, None)
        if history is not None:
            self._bytes -= len(history.encoded)
        return history
