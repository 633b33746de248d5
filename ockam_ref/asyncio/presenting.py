"""Which of a node's channels and listeners present which of our identities, so that all follow when a key changes."""

from typing import Final

from ockam_ref.asyncio.driver import Driver, now
from ockam_ref.events import PresentationChanged
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.wire.address import Address

TIDIED_EVERY: Final = 256
"""Channels and listeners that begin between two looks at which of them have ended."""


class Presenters:
    """The table of one node."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._newest: dict[Identifier, LocalIdentity] = {}
        self._workers: dict[Address, Identifier] = {}
        self._untidied = 0

    def newest(self, identity: LocalIdentity) -> LocalIdentity:
        """Return the identity with the newest keys that this node has been given."""
        known = self._newest.get(identity.identifier)
        return identity if known is None or _age(identity) >= _age(known) else known

    def note(self, worker: Address, identity: LocalIdentity) -> None:
        """Remember that a channel or listener presents the identity."""
        self._newest[identity.identifier] = self.newest(identity)
        self._workers[worker] = identity.identifier
        self._untidied += 1
        if self._untidied >= TIDIED_EVERY:
            self._tidy()

    def presented(self) -> list[LocalIdentity]:
        """Return the identities that something which still runs presents."""
        self._tidy()
        return list(self._newest.values())

    def replace(self, identity: LocalIdentity, credential: bytes | None) -> None:
        """Let everything that presents the identity present it so from now on."""
        self._newest[identity.identifier] = identity
        self._tidy(keep=identity.identifier)
        for worker in [worker for worker, presented in self._workers.items() if presented == identity.identifier]:
            self._driver.tell(worker, PresentationChanged(identity, credential, now()))

    def _tidy(self, *, keep: Identifier | None = None) -> None:
        core = self._driver.core
        self._untidied = 0
        self._workers = {worker: presented for worker, presented in self._workers.items() if worker in core}
        used = {*self._workers.values(), keep}
        self._newest = {identifier: known for identifier, known in self._newest.items() if identifier in used}


def _age(identity: LocalIdentity) -> tuple[int, int]:
    return len(identity.identity.history.changes), identity.expires_at
