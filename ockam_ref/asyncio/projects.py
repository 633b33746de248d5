"""Projects as their members have them: enrolling with a ticket, and what a node needs to be a member."""

from contextlib import AsyncExitStack
from time import time
from types import TracebackType
from typing import Final, NamedTuple, Self

from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.credentials import CachedCredential, CachedRetriever, CredentialKey
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.issuers import Issuer
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.retrieving import CredentialRetriever
from ockam_ref.asyncio.revocations import REVOCATION_TIMEOUT_S, RevocationWatch
from ockam_ref.asyncio.secure_client import RequestError, SecureClient
from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.multi_address import parse_multi_address, to_tcp_route
from ockam_ref.authority.roles import DEFAULT_CREDENTIAL_TTL_S, TRUST_CONTEXT
from ockam_ref.authority.tickets import AnyTicket, OfflineTicket, Ticket
from ockam_ref.errors import ErrorCode, MisuseError, OckamError, VerificationError
from ockam_ref.identities.change_history import decode_change_history, verify_change_history
from ockam_ref.identities.credentials import VerifiedCredential, issue_credential, verify_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.storage.projects import ProjectRow
from ockam_ref.wire.api import Status
from ockam_ref.wire.route import Route

_SCOPE: Final = "project-member-"


def scope_of(project: ProjectRow) -> str:
    """Return the name under which a member's credentials of that project are kept; the peer's has the same form."""
    return _SCOPE + project.project_id


def route_of(project: ProjectRow) -> Route:
    """Return the route to the secure channel listener of a project's authority, empty if it has no node.

    Raises:
        DecodeError: it is one that only another implementation can go.
    """
    return to_tcp_route(parse_multi_address(project.authority_route)) if project.authority_route else ()


def key_of(project: ProjectRow, subject: Identifier) -> CredentialKey:
    """Return what the credentials of a member of that project are kept under."""
    return CredentialKey(subject, Identifier(project.authority), scope_of(project))


def authority_client(
    node: Node, identity: LocalIdentity, project: ProjectRow, *, timeout: float = REVOCATION_TIMEOUT_S
) -> AuthorityClient:
    """Return a client of a project's authority.

    Raises:
        MisuseError: ``NOT_FOUND``, the authority has no node.
        DecodeError: as ``route_of``.
    """
    route = route_of(project)
    if not route:
        raise MisuseError(
            ErrorCode.NOT_FOUND,
            f"the project {project.name} has no authority that could be asked: it is one of offline tickets",
        )
    return AuthorityClient(SecureClient(node, identity, route, Identifier(project.authority), timeout=timeout))


# ---- enrolling


class Enrolled(NamedTuple):
    """The project that we are a member of, and what its authority vouches for; ``is_new`` if we were none before."""

    project: ProjectRow
    credential: VerifiedCredential
    is_new: bool


def project_of(ticket: AnyTicket, name: str | None = None) -> ProjectRow:
    """Return the project of a ticket, under that name here or under its own."""
    project = ticket.project.history.encoded if isinstance(ticket, Ticket) else b""
    return ProjectRow(
        name or ticket.project_name,
        ticket.authority.identifier.value,
        ticket.authority.history.encoded,
        ticket.authority_route,
        ticket.project_id,
        ticket.project_name,
        project,
    )


async def enroll(
    node: Node, home: Home, identity: LocalIdentity, ticket: AnyTicket, *, name: str | None = None
) -> Enrolled:
    """Become a member of the project of a ticket, and keep the credential that it gives.

    Args:
        node: what asks the authority; nothing is asked with an offline ticket.
        home: where project, authority and credential are kept.
        identity: who is to be a member.
        ticket: as ``decode_ticket`` gives it.
        name: what the project is called here.

    Raises:
        MisuseError: ``NAME_TAKEN``, a project of that name has another authority; ``BAD_NAME``.
        VerificationError: the ticket is for somebody else, what we were given does not hold, or another history of the
            authority is known that contradicts the ticket's.
        OckamError: the authority cannot be asked; ``ACCESS_DENIED``, it refuses.
    """
    project = project_of(ticket, name)
    known = await home.projects.get(project.name)
    if known is not None and known.authority != project.authority:
        raise MisuseError(
            ErrorCode.NAME_TAKEN, f"there is a project {project.name!r} of another authority: take another --name"
        )
    _teach(node, project.authority_history)
    authority = ticket.authority.identifier
    if isinstance(ticket, OfflineTicket):
        is_new, encoded = known is None, ticket.credential
    else:
        async with authority_client(node, identity, project) as client:
            is_new = await _present(client, ticket)
            encoded = await client.credential()
    vouching = node.known_identity(authority) or ticket.authority
    verified = verify_credential(encoded, subject=identity.identifier, authority=vouching, now=int(time()))
    project = project._replace(
        authority_history=vouching.history.encoded, is_default=known is not None and known.is_default
    )
    project = await home.projects.put(project)
    await home.credential_cache.put(
        key_of(project, identity.identifier), CachedCredential(encoded, verified.expires_at)
    )
    return Enrolled(project, verified, is_new)


async def _present(client: AuthorityClient, ticket: Ticket) -> bool:
    try:
        return await client.enroll(ticket.code)
    except RequestError as error:
        if error.status is not Status.FORBIDDEN:
            raise
        raise OckamError(
            ErrorCode.ACCESS_DENIED,
            f"the authority does not take the ticket ({error.error.message}): ask for another one, it may be used up "
            "or have expired",
        ) from error


async def issue_offline_ticket(
    home: Home,
    issuer: str | None,
    subject: Identifier,
    attributes: Attributes,
    *,
    ttl_s: int = DEFAULT_CREDENTIAL_TTL_S,
    project_name: str = "default",
    authority_route: str = "",
) -> OfflineTicket:
    """Return a ticket for one identity that needs no authority node: our identity vouches with its own key.

    Raises:
        MisuseError: ``NOT_FOUND``, no such identity of ours; ``OUT_OF_RANGE``, it would outlive the key that signs.
    """
    key = await home.identities.issuing_key(issuer)
    now = int(time())
    encoded = issue_credential(
        key.signing_key,
        key.attestation,
        subject=subject,
        attributes={TRUST_CONTEXT: project_name.encode(), **dict(attributes)},
        created_at=now,
        expires_at=now + ttl_s,
        subject_change_hash=await _latest_change_hash(home, subject),
    )
    return OfflineTicket(project_name, project_name, key.identity, encoded, authority_route)


async def _latest_change_hash(home: Home, subject: Identifier) -> bytes | None:
    history = await home.peers.get(subject.value)
    return None if history is None else verify_change_history(decode_change_history(history)).latest_change_hash


def _teach(node: Node, history: bytes) -> None:
    try:
        node.learn_identity(history)
    except VerificationError as error:
        if error.code is not ErrorCode.HISTORY_OLDER:  # the node has met a newer one
            raise


# ---- being a member


class Membership:
    """A node that is a member of a project: where its credential comes from, and whose credentials are void.

    ``retriever`` is what channels and listeners present; ``authority`` is whom they believe about others.
    """

    def __init__(self, node: Node, home: Home, identity: LocalIdentity, project: ProjectRow) -> None:
        self._running = AsyncExitStack()
        self._node = node
        self._home = home
        self._identity = identity
        self._key = key_of(project, identity.identifier)
        self._route = route_of(project)
        self.project: Final = project
        self.authority: Final = Identifier(project.authority)
        self.retriever: CredentialRetriever = CachedRetriever(self._key, home.credential_cache)

    async def __aenter__(self) -> Self:
        """Teach the node who the authority is; if it has a node, fetch from it and ask it what it revokes."""
        _teach(self._node, self.project.authority_history)
        if self._route:
            await self._follow()
        return self

    async def _follow(self) -> None:
        node, identity, enter = self._node, self._identity, self._running.enter_async_context
        issuer = await enter(
            Issuer(node, self._route, self.authority, self._key.scope, cache=self._home.credential_cache)
        )
        self.retriever = retriever = issuer.retriever(identity)
        client = SecureClient(node, identity, self._route, self.authority, timeout=REVOCATION_TIMEOUT_S)
        await enter(RevocationWatch(node, client, self._home.revocations, own=identity.identifier, retriever=retriever))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Fetch and ask no more."""
        await self._running.aclose()
