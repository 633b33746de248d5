"""The state of one user: what outlives nodes, and how a running node follows it."""

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.attachment import Attachment
from ockam_ref.asyncio.identities import Identities
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.stored_credentials import StoredCredentials
from ockam_ref.errors import ErrorCode, VerificationError
from ockam_ref.identities.change_history import (
    Comparison,
    VerifiedIdentity,
    compare_histories,
    decode_change_history,
    verify_change_history,
)
from ockam_ref.storage.audit import AuditRepository
from ockam_ref.storage.credentials import CredentialRepository
from ockam_ref.storage.home import open_store
from ockam_ref.storage.members import MemberRepository
from ockam_ref.storage.peers import PeerRepository
from ockam_ref.storage.policies import PolicyRepository
from ockam_ref.storage.projects import ProjectRepository
from ockam_ref.storage.revocations import RevocationRepository
from ockam_ref.storage.store import Store
from ockam_ref.storage.tickets import TicketRepository


class Home:
    """A store with all its repositories, and our identities in it.  ``open`` makes it; ``async with`` closes it."""

    def __init__(self, store: Store) -> None:
        self.store: Final = store
        self.identities: Final = Identities(store)
        self.peers: Final = PeerRepository(store)
        self.policies: Final = PolicyRepository(store)
        self.projects: Final = ProjectRepository(store)
        self.credentials: Final = CredentialRepository(store)
        self.credential_cache: Final = StoredCredentials(store)
        self.members: Final = MemberRepository(store)
        self.tickets: Final = TicketRepository(store)
        self.revocations: Final = RevocationRepository(store)
        self.audit: Final = AuditRepository(store)
        self._attachments: list[Attachment] = []

    @classmethod
    async def open(cls, path: Path | None = None) -> Self:
        """Open the state of the user (``OCKAM_REF_HOME``, or where the platform has such things), or that in a file.

        Raises:
            StorageError: it cannot be used; the message says what to do.
        """
        return cls(await open_store(path))

    @classmethod
    async def open_in_memory(cls) -> Self:
        """Return a state that leaves nothing behind."""
        return cls(await Store.open(None))

    async def attach(self, node: Node) -> Attachment:
        """Let a node begin with what is stored, follow every change of it, and store what the node learns.

        Known peers, authorities of projects, policies and revocations go into the tables of the node.  What another
        process changes counts within two seconds, a rotated identity included.  It lasts until the attachment, the node
        or this home is closed.
        """
        attachment = Attachment(self.store, self.identities, node)
        await attachment.load()
        self._attachments = [kept for kept in self._attachments if not kept.closed]
        self._attachments.append(attachment)
        return attachment

    async def learn(self, history: bytes) -> tuple[VerifiedIdentity, Comparison | None]:
        """Keep the history of somebody else's identity; return how it stands to the one known, ``None`` if it is new.

        Raises:
            DecodeError: no history.
            VerificationError: a history that does not hold; ``HISTORY_OLDER`` for a rollback of the one that is known,
                ``HISTORY_CONFLICT`` for a fork of it.
        """
        identity = verify_change_history(decode_change_history(history))
        known = await self.peers.get(identity.identifier.value)
        comparison = None if known is None else compare_histories(identity.history, decode_change_history(known))
        if comparison is Comparison.OLDER:
            raise VerificationError(
                ErrorCode.HISTORY_OLDER,
                f"a rollback: the history of {identity.identifier} is older than the one that is known, which has more "
                "changes; ask for a new export",
            )
        if comparison is Comparison.CONFLICT:
            raise VerificationError(
                ErrorCode.HISTORY_CONFLICT,
                f"a fork: the history of {identity.identifier} and the one that is known have different changes in the "
                "same place; somebody else may have one of its keys, so ask its owner",
            )
        await self.peers.put(identity.identifier.value, identity.history.encoded)
        return identity, comparison

    async def close(self) -> None:
        """Let go of the nodes, and close the store."""
        for attachment in self._attachments:
            await attachment.close()
        await self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
