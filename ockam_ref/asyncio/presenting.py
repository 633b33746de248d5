"""What one listener or channel presents of us, kept up to date."""

from ockam_ref.asyncio.driver import Driver, now
from ockam_ref.asyncio.retrieving import CredentialRetriever, CredentialSource
from ockam_ref.events import PresentationChanged
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.wire.address import Address


class Presenter:
    """Tells a worker of the core, also during its handshake, of each newer credential and identity until stopped."""

    def __init__(self, driver: Driver, worker: Address, identity: LocalIdentity, source: CredentialSource) -> None:
        self._driver = driver
        self._worker = worker
        self._identity = identity
        self._retriever = source if isinstance(source, CredentialRetriever) else None
        if self._retriever is not None:
            self._retriever.subscribe(self._present_credential)

    def present(self, identity: LocalIdentity, credential: bytes | None) -> None:
        """Present the identity, and the credential if there is one, from now on."""
        self._identity = identity
        self._driver.tell(self._worker, PresentationChanged(identity, credential, now()))

    def stop(self) -> None:
        """Hear of no more credentials."""
        retriever, self._retriever = self._retriever, None
        if retriever is not None:
            retriever.unsubscribe(self._present_credential)

    def _present_credential(self, credential: bytes) -> None:
        self.present(self._identity, credential)
