"""What members and enrollers ask an authority."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.secure_client import RequestError, SecureClient
from ockam_ref.authority.attributes import Attributes
from ockam_ref.authority.messages import (
    AddMember,
    AttributesEntry,
    CreateToken,
    OneTimeCode,
    Revocation,
    decode_members,
    decode_one_time_code,
    decode_revocations,
    encode_add_member,
    encode_create_token,
    encode_one_time_code,
)
from ockam_ref.authority.revocations import MAX_PAGE
from ockam_ref.authority.services import Service
from ockam_ref.errors import DecodeError, ErrorCode, PeerError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.wire.api import Method, Status

_ALREADY: Final = "already a member"


class AuthorityClient(AbstractAsyncContextManager["AuthorityClient"]):
    """The services of an authority, asked through a ``SecureClient``; inside ``async with`` over one channel.

    Each method raises ``RequestError`` for a refusal, ``PeerError`` for an answer that makes no sense, and what
    ``SecureClient.ask`` raises when there is no answer.
    """

    def __init__(self, client: SecureClient) -> None:
        self._client = client

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def create_code(
        self, attributes: Attributes, *, ttl_s: int | None = None, uses: int | None = None
    ) -> OneTimeCode:
        """Return a code that makes members with these attributes; ten minutes and one use are the authority's usual."""
        body = encode_create_token(CreateToken(attributes, ttl_s, uses))
        answer = await self._ask(Service.ENROLLMENT_TOKEN_ISSUER, Method.POST, "/", body)
        try:
            return decode_one_time_code(answer)
        except DecodeError as error:
            raise _nonsense(error) from error

    async def enroll(self, code: OneTimeCode) -> bool:
        """Become a member; return whether we were none before, for else the code was not used."""
        try:
            await self._ask(Service.ENROLLMENT_TOKEN_ACCEPTOR, Method.POST, "/", encode_one_time_code(code))
        except RequestError as error:
            if error.status is Status.FORBIDDEN and _ALREADY in (error.error.message or "").lower():
                return False
            raise
        return True

    async def credential(self) -> bytes:
        """Return a credential about us; nothing of it is verified."""
        return await self._ask(Service.CREDENTIAL_ISSUER, Method.POST, "/")

    async def members(self) -> dict[Identifier, AttributesEntry]:
        """Return all members."""
        answer = await self._ask(Service.DIRECT_AUTHENTICATOR, Method.GET, "/")
        try:
            return decode_members(answer)
        except DecodeError as error:
            raise _nonsense(error) from error

    async def add_member(self, member: Identifier, attributes: Attributes) -> None:
        """Add a member, or give one other attributes for its next credentials."""
        body = encode_add_member(AddMember(member, attributes))
        await self._ask(Service.DIRECT_AUTHENTICATOR, Method.POST, "/", body)

    async def remove_member(self, member: Identifier) -> None:
        """Remove a member and void its credentials; who is none is no error."""
        await self._ask(Service.DIRECT_AUTHENTICATOR, Method.DELETE, f"/{member}")

    async def revocations(self, since: int = 0) -> tuple[Revocation, ...]:
        """Return the revocations with numbers above ``since``."""
        found: list[Revocation] = []
        while True:
            answer = await self._ask(Service.REVOCATIONS, Method.GET, f"/since/{since}" if since else "/")
            try:
                page = decode_revocations(answer)
            except DecodeError as error:
                raise _nonsense(error) from error
            found += page
            if len(page) < MAX_PAGE:
                return tuple(found)
            if page[-1].number <= since:
                raise PeerError(ErrorCode.PROTOCOL, "the authority tells the same revocations again and again")
            since = page[-1].number

    async def _ask(self, service: Service, method: Method, path: str, body: bytes = b"") -> bytes:
        return (await self._client.ask(service.value, method, path, body)).body


def _nonsense(error: DecodeError) -> PeerError:
    return PeerError(ErrorCode.PROTOCOL, f"the answer of the authority makes no sense: {error}")
