"""An authority with a store in memory, and nodes that ask it."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self

from ockam_ref.asyncio import TCP, Node
from ockam_ref.asyncio.authority import Authority, AuthorityOptions
from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.secure_client import SecureClient
from ockam_ref.authority.roles import ENROLLER, ROLE
from ockam_ref.identities.local import LocalIdentity

Run = Callable[[Coroutine[Any, Any, None]], None]


class Team:
    """An authority, an enroller whom it trusts, and room for others."""

    def __init__(self, options: AuthorityOptions = AuthorityOptions(project_identifier="team")) -> None:  # noqa: B008
        self.options = options

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.home = await stack.enter_async_context(await Home.open_in_memory())
            self.store = self.home.store
            self.node = await stack.enter_async_context(Node.create())
            self.identity = await self.home.identities.create("authority")
            await self.home.attach(self.node)
            self.enroller = self.node.create_identity()
            trusted = {**self.options.trusted, self.enroller.identifier: ((ROLE, ENROLLER),)}
            self.options = self.options._replace(trusted=trusted)
            self.listener = await self.node.tcp_listen("127.0.0.1:0")
            self.route = ((TCP, self.listener.address), "api")
            await self.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.authority.close()
        await self._stack.aclose()

    async def start(self) -> None:
        self.authority = await Authority.start(
            self.node, self.home, self.identity, self.options, consumer_of=(self.listener,)
        )

    def client(self, node: Node, identity: LocalIdentity, *, timeout: float = 10) -> SecureClient:
        return SecureClient(node, identity, self.route, self.identity.identifier, timeout=timeout)

    def asking(self, node: Node, identity: LocalIdentity) -> AuthorityClient:
        return AuthorityClient(self.client(node, identity))
