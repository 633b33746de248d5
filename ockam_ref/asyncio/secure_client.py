"""Requests to a service of a node whose identity is known, each over a secure channel (facts 04 section 3.18)."""

import asyncio
import os
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.handles import SecureChannel
from ockam_ref.asyncio.hops import Hop, RouteLike, to_address, to_route
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.retrieving import CredentialSource
from ockam_ref.errors import DecodeError, ErrorCode, OckamError, PeerError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.wire.address import Address
from ockam_ref.wire.api import (
    ApiError,
    Method,
    RequestHeader,
    Status,
    decode_error,
    decode_response,
    encode_request,
    fresh_id,
)
from ockam_ref.wire.responses import Response
from ockam_ref.wire.route import format_route

REQUEST_TIMEOUT_S: Final = 30.0
"""How long opening the channel, and then the answer to a request, may take unless told otherwise."""

_ADVICE: Final = {
    Status.BAD_REQUEST: "the service does not understand this: is it the right service, of the same release?",
    Status.UNAUTHORIZED: "{me} may not do that there: enrol with a ticket, or ask whoever runs the service",
    Status.FORBIDDEN: "{me} may not do that there: enrol with a ticket, or ask whoever runs the service",
    Status.NOT_FOUND: "it knows nothing of that name",
    Status.METHOD_NOT_ALLOWED: "the service does not understand this: is it the right service, of the same release?",
    Status.TIMEOUT: "something behind it did not answer in time: try again",
    Status.CONFLICT: "look at what is there already, then try again",
    Status.INTERNAL_SERVER_ERROR: "the log of that node says more",
    Status.NOT_IMPLEMENTED: "the service does not understand this: is it the right service, of the same release?",
}


class RequestError(PeerError):
    """The service answered, with something other than 200; ``status`` and ``error`` are what it said."""

    def __init__(self, message: str, status: Status | None, error: ApiError) -> None:
        is_denied = status in (Status.UNAUTHORIZED, Status.FORBIDDEN)
        super().__init__(ErrorCode.ACCESS_DENIED if is_denied else ErrorCode.REFUSED, message)
        self.status: Final = status
        self.error: Final = error


class SecureClient:
    """Asks services of the node with the identifier ``peer``, behind a route that ends in its secure channel listener.

    Each request has a channel of its own, and a connection if the route begins with a typed hop.  Inside ``async with``
    they are kept for the next requests, and replaced when they were lost.
    """

    def __init__(
        self,
        node: Node,
        identity: LocalIdentity,
        route: RouteLike,
        peer: Identifier,
        *,
        timeout: float = REQUEST_TIMEOUT_S,
        credential: CredentialSource = None,
    ) -> None:
        self._node = node
        self._identity = identity
        self._route = to_route(route)
        self._timeout = timeout
        self._credential = credential
        self._lock = asyncio.Lock()
        self._keeps = False
        self._kept = AsyncExitStack()
        self._channel: SecureChannel | None = None
        self.peer: Final = peer

    async def __aenter__(self) -> Self:
        self._keeps = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what is kept open; requests that wait for an answer get none."""
        self._keeps, self._channel = False, None
        await self._kept.aclose()

    async def ask(self, service: Hop, method: Method, path: str, body: bytes = b"") -> Response:
        """Return the answer to a request, which is 200.

        Raises:
            RequestError: any other status, with what the service said and what to do next.
            OckamError: as ``request``.
        """
        response = await self.request(service, method, path, body)
        if response.header.status is Status.OK:
            return response
        status, error = response.header.status, decode_error(response.body)
        what = f"{method.name} {path} at {to_address(service)} of {self.peer}: {status}"
        said = f", {error.message}" if error.message else ""
        advice = _ADVICE[status].format(me=self._identity.identifier) if status else "it gave no status"
        raise RequestError(f"{what}{said}; {advice}", status, error)

    async def request(self, service: Hop, method: Method, path: str, body: bytes = b"") -> Response:
        """Return the answer to a request, whatever its status.

        Raises:
            OckamError: ``LINK_FAILED``, ``REFUSED`` or ``TIMEOUT``: no channel to the peer; ``TIMEOUT``: no answer;
                ``PROTOCOL``: no such answer as these services give.
        """
        header = RequestHeader(fresh_id(os.urandom(4)), path, method, has_body=bool(body))
        payload = encode_request(header, body)
        if self._keeps:
            return await self._ask_over(await self._kept_channel(), to_address(service), payload)
        async with AsyncExitStack() as stack:
            return await self._ask_over(await self._open(stack), to_address(service), payload)

    async def _ask_over(self, channel: SecureChannel, service: Address, payload: bytes) -> Response:
        try:
            reply = await self._node.send_and_receive((channel, service), payload, timeout=self._timeout)
        except OckamError as error:
            if channel is self._channel:  # it may be dead without knowing: the next request gets another one
                self._channel = None
            raise OckamError(error.code, f"{service} of {self.peer} gave no answer: {error}") from error
        try:
            header, body = decode_response(reply.payload)
        except DecodeError as error:
            message = f"{service} of {self.peer} answered with something else than a response: is it that service?"
            raise PeerError(ErrorCode.PROTOCOL, f"{message} {error}") from error
        return Response(header, bytes(body))

    async def _kept_channel(self) -> SecureChannel:
        async with self._lock:
            if self._channel is None or self._channel.closed:
                await self._kept.aclose()
                async with AsyncExitStack() as opening:
                    channel = await self._open(opening)
                    if not self._keeps:
                        raise OckamError(ErrorCode.CLOSED, "the client was closed meanwhile")
                    self._channel, self._kept = channel, opening.pop_all()
            return self._channel

    async def _open(self, stack: AsyncExitStack) -> SecureChannel:
        """Open a channel, and if needed a connection, that the stack closes."""
        node = self._node
        try:
            connection, route = await node.connect_first_hop(self._route, timeout=self._timeout)
            if connection is not None:
                await stack.enter_async_context(connection)
            channel = await node.create_secure_channel(
                self._identity, route, trust=self.peer, timeout=self._timeout, credential=self._credential
            )
        except OckamError as error:
            message = f"no secure channel with {self.peer} over {format_route(self._route)}: {error}"
            raise OckamError(
                error.code, f"{message}; is that node running, and is it still the same identity?"
            ) from error
        return await stack.enter_async_context(channel)
