"""An authority on a node: a secure channel listener and the services behind it."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from time import time
from types import TracebackType
from typing import Final, NamedTuple, Self

from ockam_ref.asyncio.authority_store import keep_changes, load_book
from ockam_ref.asyncio.handles import SecureChannelListener
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.hops import Flow, Hop
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.workers import Routed
from ockam_ref.authority.answers import Caller
from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.book import AuditRecord, Book, Change, MemberRemoved, apply, trust
from ockam_ref.authority.roles import DEFAULT_CREDENTIAL_TTL_S, Settings
from ockam_ref.authority.services import ENTROPY_BYTES, Answer, Request, Service, answer, broken, draw
from ockam_ref.errors import StorageError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity

DEFAULT_LISTENER: Final = "api"
"""The usual address of an authority's secure channel listener."""

_PROJECT: Final = b"project"
_LOG: Final = logging.getLogger("ockam_ref.asyncio")


class AuthorityOptions(NamedTuple):
    """How an authority is configured.

    Args:
        trusted: the pre-trusted members and their attributes; those with ``ockam-role`` ``enroller`` enrol others.
        project_identifier: what credentials have as ``trust_context_id``; ``None`` leaves it out.
        credential_ttl_s: seconds for which a credential is valid.
        account_authority: who vouches, with the attribute ``project``, for the admins of the project.
        enforce_admin_checks: with an account authority, enrollers are no admins.
    """

    trusted: Mapping[Identifier, Attributes] = {}
    project_identifier: str | None = None
    credential_ttl_s: int = DEFAULT_CREDENTIAL_TTL_S
    account_authority: Identifier | None = None
    enforce_admin_checks: bool = False


class Authority:
    """An authority that runs; ``async with`` stops it.  One process at a time may run it with the same identity.

    ``on_audit`` is called with each entry of the audit log once it is kept.
    """

    def __init__(self, node: Node, home: Home, identity: LocalIdentity, options: AuthorityOptions) -> None:
        self._node = node
        self._home = home
        self._store = home.store
        self._options = options
        self._book = Book()
        self._lock = asyncio.Lock()
        self._running = AsyncExitStack()
        self.identifier: Final = identity.identifier
        self.on_audit: Callable[[AuditRecord], None] | None = None

    @classmethod
    async def start(
        cls,
        node: Node,
        home: Home,
        identity: LocalIdentity,
        options: AuthorityOptions = AuthorityOptions(),  # noqa: B008  # immutable
        *,
        listener: Hop = DEFAULT_LISTENER,
        consumer_of: Iterable[Flow] = (),
    ) -> Self:
        """Start the services, reachable through the secure channel listener only.

        Args:
            node: where they run.
            home: what it remembers its members in, and keeps its keys; attach the node to it.
            identity: who the authority is, one of the home.
            options: how it is configured.
            listener: the address of the secure channel listener.
            consumer_of: through what that listener may be reached, such as a TCP listener.

        Raises:
            MisuseError: an address is taken, or the identity is not one of the home.
            VerificationError: the key of the identity may not attest any more: it has to be rotated.
            StorageError: the store cannot be used.
        """
        authority = cls(node, home, identity, options)
        try:
            await authority._settings()
            await authority._open_book()
            channels = await node.create_secure_channel_listener(
                identity, listener, consumer_of=consumer_of, authority=options.account_authority
            )
            await authority._running.enter_async_context(channels)
            await authority._start_services(channels)
        except BaseException:
            await authority.close()
            raise
        return authority

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Answer no more."""
        await self._running.aclose()

    @property
    def members(self) -> int:
        """How many members there are."""
        return len(self._book.members)

    async def _open_book(self) -> None:
        book = await self._store.read(partial(load_book, authority=self.identifier))
        changes = trust(book, self._options.trusted, authority=self.identifier, now=int(time()))
        if changes:
            await self._store.write(partial(keep_changes, authority=self.identifier, changes=changes))
        for change in changes:
            book = apply(book, change)
        self._book = book

    async def _start_services(self, channels: SecureChannelListener) -> None:
        for service in Service:
            handle = await self._node.start_worker(
                service.value, partial(self._handle, service), consumer_of=(channels,)
            )
            await self._running.enter_async_context(handle)
        await self._running.enter_async_context(await self._node.start_echo("echo", consumer_of=(channels,)))

    async def _handle(self, service: Service, message: Routed) -> None:
        if not message.return_route:
            _LOG.info("a request to %s without a return route is not answered", service)
            return
        request = Request(service, self._caller(message), message.payload)
        async with self._lock:  # one after the other: each sees what those before it have changed
            response = (await self._answer(request)).response
        await message.reply(response.encode())

    def _caller(self, message: Routed) -> Caller | None:
        if message.peer is None:
            return None
        known = self._node.known_identity(message.peer)
        return Caller(message.peer, None if known is None else known.latest_change_hash)

    async def _answer(self, request: Request) -> Answer:
        drawn = draw(os.urandom(ENTROPY_BYTES))
        answered = answer(self._book, await self._settings(), request, drawn, now=int(time()))
        if answered.changes:
            work = partial(keep_changes, authority=self.identifier, changes=answered.changes)
            try:
                await self._store.write(work)
            except StorageError as error:
                _LOG.error("the authority cannot keep what it was asked for: %s", error)
                return broken(self._book, request, drawn, "the authority's store cannot be written")
        self._book = answered.book
        self._tell(answered.changes)
        return answered

    async def _settings(self) -> Settings:
        """Return the settings with the key that signs credentials now: the identity may have been rotated."""
        options, key = self._options, await self._home.identities.issuing_key(str(self.identifier))
        return Settings(
            self.identifier,
            key.signing_key,
            key.attestation,
            key.expires_at,
            options.project_identifier,
            options.credential_ttl_s,
            options.account_authority is not None,
            options.enforce_admin_checks,
            partial(_is_account_admin, self._node, options),
        )

    def _tell(self, changes: Iterable[Change]) -> None:
        revoked = [change.revocation for change in changes if isinstance(change, MemberRemoved)]
        if revoked:
            self._node.revoke_credentials(self.identifier, {item.subject: item.not_after for item in revoked})
        if self.on_audit is not None:
            for change in changes:
                if isinstance(change, AuditRecord):
                    self.on_audit(change)


def _is_account_admin(node: Node, options: AuthorityOptions, identifier: Identifier) -> bool:
    authority, project = options.account_authority, options.project_identifier
    if authority is None or project is None:
        return False
    return (_PROJECT, project.encode()) in node.attributes_of(identifier, authority)
