"""The session of who reaches: a local port, the channel behind it, and the ways that it goes."""

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Final

from ockam_ref.asyncio.admitting import OPEN_TO_ALL, Access
from ockam_ref.asyncio.carried import STREAMS, Carried
from ockam_ref.asyncio.handles import (
    Inlet,
    LivingHandle,
    NodeConnection,
    SecureChannel,
    SteadyLink,
    UdpInlet,
)
from ockam_ref.asyncio.hops import Hop, to_address
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.session import CHANNEL_TIMEOUT_S, RECONNECT_TIMEOUT_S, Session, WayMoved, check_direct
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustPolicy
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.observations import SteadyLinkMoved
from ockam_ref.portals.inlet import PONG_TIMEOUT_S
from ockam_ref.wire.address import Address

if TYPE_CHECKING:
    from ockam_ref.asyncio.direct import DirectPath

HANDSHAKE_AGAIN_S: Final = 1.0
"""After this time without an answer another handshake is begun beside the first: a hub drops what has no relay yet."""

STEADY: Final = "steady"
"""Where an outlet's node opens steady links."""

PUNCTURES: Final = "udp"
"""Where it is asked for punctures; the peer's own name."""

MAX_RETIRED_WAYS: Final = 4
"""Ways that an inlet no longer trusts and keeps for the connections that still use them."""


class InletSession(Session):
    """A local port that leads to an outlet behind a hub (``forwarding_address``) or on a node we connect to directly.

    With an identity the portal runs through a secure channel; without one it is readable by whoever is on the way.
    ``trust`` says whom the channel may be with.  With an identity and ``rendezvous``, the ``host:port`` of that
    service, the portal goes over a direct path while there is one; the outlet's session needs that service too.
    ``access`` says which outlet may be used, and what we present.
    """

    def __init__(
        self,
        node: Node,
        listen: str,
        *,
        via: str,
        forwarding_address: Hop | None = None,
        identity: LocalIdentity | None,
        outlet: Hop = "outlet",
        channel_listener: Hop = "api",
        trust: TrustPolicy | Identifier = TRUST_EVERYONE,
        rendezvous: str | None = None,
        pong_timeout_s: float = PONG_TIMEOUT_S,
        carries: Carried = STREAMS,
        access: Access = OPEN_TO_ALL,
        jitter: random.Random | None = None,
    ) -> None:
        super().__init__(node, jitter, pong_timeout_s)
        self._carries = carries
        self._access = access
        check_direct(identity, rendezvous)
        self._rendezvous = rendezvous
        self._connection: NodeConnection | None = None
        self._steady: SteadyLink | None = None
        self._direct: DirectPath | None = None
        self._listen = listen
        self._via = via
        self._relays = () if forwarding_address is None else (to_address(forwarding_address),)
        self._identity = identity
        self._outlet = to_address(outlet)
        self._channel_listener = to_address(channel_listener)
        self._trust = trust
        self._inlet: Inlet | UdpInlet | None = None
        self._way: tuple[LivingHandle, ...] = ()
        self._retired: deque[tuple[LivingHandle, ...]] = deque()
        self.peer: Identifier | None = None

    @property
    def address(self) -> str:
        """Where clients connect, ``host:port``.

        Raises:
            MisuseError: the session was never open.
        """
        if self._inlet is None:
            raise MisuseError(ErrorCode.MISUSE, "the session is not open yet")
        return self._inlet.address

    async def _prepare(self) -> None:
        self._inlet = await self._carries.open_inlet(self._node, self._listen, self._pong_timeout_s, self._access)

    async def _build(self) -> None:
        connection = await self._node.tcp_connect(self._via, timeout=RECONNECT_TIMEOUT_S)
        if self._lives_on():
            await self._move_base(connection)
            return
        parts: list[LivingHandle] = [connection]
        try:
            base: tuple[Hop, ...] = (connection, *self._relays)
            if self._rendezvous is not None:
                steady = await self._node.steady_connect((*base, STEADY), timeout=CHANNEL_TIMEOUT_S)
                parts.insert(0, steady)
                base, self._steady = (steady,), steady
            if self._identity is not None:
                channel = await self._open_channel(self._identity, base)
                parts.insert(0, channel)
                base, self.peer = (channel,), channel.peer
        except BaseException:
            for part in parts:
                await part.close()
            raise
        await self._retire(self._way)
        self._way, self._connection = tuple(parts), connection
        if self._inlet is not None:
            self._inlet.change_route((*base, self._outlet))
        await self._go_direct(connection, base)
        self._watch_end(*self._way)

    # ---- the direct path

    def _lives_on(self) -> bool:
        """Whether the channel is still there although the connection to the hub is not."""
        return self._steady is not None and len(self._way) > 1 and not any(part.closed for part in self._way[:-1])

    async def _move_base(self, connection: NodeConnection) -> None:
        await self._way[-1].close()
        self._way, self._connection = (*self._way[:-1], connection), connection
        if self._direct is not None:
            self._direct.change_base((connection, *self._relays))
        self._watch_end(*self._way)

    async def _go_direct(self, connection: NodeConnection, base: tuple[Hop, ...]) -> None:
        await self._end_direct()
        if self._rendezvous is not None and self._steady is not None:
            from ockam_ref.asyncio.direct import DirectPath

            self._direct = DirectPath(
                self._node,
                self._steady,
                (connection, *self._relays),
                route=(*base, PUNCTURES),
                rendezvous=self._rendezvous,
                jitter=self._jitter,
            )

    async def _end_direct(self) -> None:
        if self._direct is not None:
            await self._direct.close()
            self._direct = None

    # ---- the way

    async def _open_channel(self, identity: LocalIdentity, base: tuple[Hop, ...]) -> SecureChannel:
        """Begin handshakes one beside the other until the first is complete."""
        route = (*base, self._channel_listener)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CHANNEL_TIMEOUT_S
        running: set[asyncio.Task[SecureChannel]] = set()
        try:
            while True:
                left = deadline - loop.time()
                if left > 0:
                    step = self._node.create_secure_channel(
                        identity,
                        route,
                        trust=self._trust,
                        timeout=left,
                        authority=self._access.authority,
                        credential=self._access.credential,
                    )
                    running.add(asyncio.ensure_future(step))
                await asyncio.wait(running, timeout=HANDSHAKE_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
                for task in running:
                    if task.done():
                        running.discard(task)
                        return task.result()
        finally:
            for task in running:
                task.cancel()
            for outcome in await asyncio.gather(*running, return_exceptions=True):
                if not isinstance(outcome, BaseException):
                    await outcome.close()

    async def _retire(self, way: tuple[LivingHandle, ...]) -> None:
        """Keep a way that is only suspected, for the connections that run along it; but not many of them."""
        if way:
            self._retired.append(way)
        if len(self._retired) > MAX_RETIRED_WAYS:
            for part in self._retired.popleft():
                await part.close()

    async def _tear_down(self) -> None:
        if self._lives_on():
            await self._way[-1].close()
            return
        await self._end_direct()
        if self._inlet is not None:
            self._inlet.change_route(())
        for part in self._way:
            await part.close()
        self._way = ()

    async def _close(self) -> None:
        await self._end_direct()
        if self._inlet is not None:
            await self._inlet.close()
            self._inlet.end_connections()  # while there are ways to tell the other ends
        for way in (self._way, *self._retired):
            for part in way:
                await part.close()

    def _is_ours(self, portal: Address) -> bool:
        return self._inlet is not None and portal == self._inlet.worker

    def _moved(self, moved: SteadyLinkMoved) -> None:
        if self._steady is not None and self._connection is not None and moved.worker == self._steady.hop:
            self._events.put(WayMoved(direct=moved.path[0] != self._connection.hop))
