"""An authority on a node: a secure channel listener and the services behind it."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from time import time
from types import TracebackType
from typing import Final, NamedTuple, Self

from ockam_ref.asyncio.authority_store import Page, keep_changes, keep_if_current, open_page
from ockam_ref.asyncio.handles import SecureChannelListener
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.hops import Flow, Hop
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.workers import Routed
from ockam_ref.authority.answers import Caller, Drawn
from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.book import AuditRecord, Book, Change, MemberRemoved, apply_all, trust
from ockam_ref.authority.roles import DEFAULT_CREDENTIAL_TTL_S, Settings
from ockam_ref.authority.services import ENTROPY_BYTES, Answer, Request, Service, answer, broken, draw
from ockam_ref.errors import OckamError
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
        account_authority: who vouches, with the attribute ``project``, for the admins; the node has learnt who it is.
        enforce_admin_checks: with an account authority, enrollers are no admins.
    """

    trusted: Mapping[Identifier, Attributes] = {}
    project_identifier: str | None = None
    credential_ttl_s: int = DEFAULT_CREDENTIAL_TTL_S
    account_authority: Identifier | None = None
    enforce_admin_checks: bool = False


class Authority:
    """An authority that runs; ``async with`` stops it.  Several processes may run the same one, over one store.

    ``on_audit`` is called with each entry of the audit log once it is kept.
    """

    def __init__(self, node: Node, home: Home, identity: LocalIdentity, options: AuthorityOptions) -> None:
        self._node = node
        self._home = home
        self._store = home.store
        self._options = options
        self._page = Page(Book(), 0)
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
        return len(self._page.book.members)

    async def _open_book(self) -> None:
        def work(connection: sqlite3.Connection) -> Page:
            page = open_page(connection, self.identifier)
            changes = trust(page.book, self._options.trusted, authority=self.identifier, now=int(time()))
            keep_changes(connection, self.identifier, changes)
            return page._replace(book=apply_all(page.book, changes))

        self._page = await self._store.write(work)

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
        try:
            answered = await self._answer_and_keep(request, drawn)
        except OckamError as error:
            _LOG.error("the authority cannot do what it was asked for: %s", error)  # no trace
            return broken(self._page.book, request, drawn, "the authority cannot use its store or its key; see its log")
        self._page = self._page._replace(book=answered.book)
        self._tell(answered.changes)
        return answered

    async def _answer_and_keep(self, request: Request, drawn: Drawn) -> Answer:
        """Answer by what is in the store at the moment in which the changes are written."""
        settings = await self._settings()
        while True:
            book, version = self._page
            answered = answer(book, settings, request, drawn, now=int(time()))
            work = partial(keep_if_current, authority=self.identifier, version=version, changes=answered.changes)
            newer = await self._store.write(work)
            if newer is None:
                return answered
            self._page = newer._replace(book=replace(newer.book, rates=book.rates))

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
