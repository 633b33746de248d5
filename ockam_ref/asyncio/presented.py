"""Which of a node's channels and listeners present which of our identities, so that all follow when a key changes."""

from typing import Final

from ockam_ref.asyncio.presenting import Presenter
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.node import Node as Core
from ockam_ref.wire.address import Address

TIDIED_EVERY: Final = 256
"""Channels and listeners that begin between two looks at which of them have ended."""


class PresentedIdentities:
    """The table of one node."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._newest: dict[Identifier, LocalIdentity] = {}
        self._presenters: dict[Address, tuple[Identifier, Presenter]] = {}
        self._untidied = 0

    def newest(self, identity: LocalIdentity) -> LocalIdentity:
        """Return the identity with the newest keys that this node has been given."""
        known = self._newest.get(identity.identifier)
        return identity if known is None or _age(identity) >= _age(known) else known

    def note(self, worker: Address, identity: LocalIdentity, presenter: Presenter) -> None:
        """Remember that a channel or listener presents the identity."""
        self._newest[identity.identifier] = self.newest(identity)
        self._presenters[worker] = identity.identifier, presenter
        self._untidied += 1
        if self._untidied >= TIDIED_EVERY:
            self._tidy()

    def all(self) -> list[LocalIdentity]:
        """Return the identities that something which still runs presents."""
        self._tidy()
        return list(self._newest.values())

    def replace(self, identity: LocalIdentity, credential: bytes | None) -> None:
        """Let everything that presents the identity present it so from now on."""
        self._tidy()
        presenters = [presenter for owner, presenter in self._presenters.values() if owner == identity.identifier]
        if presenters:
            self._newest[identity.identifier] = identity
        for presenter in presenters:
            presenter.present(identity, credential)

    def _tidy(self) -> None:
        self._untidied = 0
        self._presenters = {worker: entry for worker, entry in self._presenters.items() if worker in self._core}
        used = {owner for owner, _ in self._presenters.values()}
        self._newest = {owner: newest for owner, newest in self._newest.items() if owner in used}


def _age(identity: LocalIdentity) -> tuple[int, int]:
    return len(identity.identity.history.changes), identity.expires_at
