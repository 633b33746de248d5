"""What the portal of a session carries: the streams of TCP connections, or datagrams."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, TypeAlias

from ockam_ref.asyncio.admitting import OPEN_TO_ALL, Access
from ockam_ref.asyncio.handles import Inlet, Outlet, UdpInlet
from ockam_ref.asyncio.hops import Flow
from ockam_ref.asyncio.node import Node
from ockam_ref.portals.udp_session import IDLE_S
from ockam_ref.wire.address import Address


@dataclass(frozen=True, slots=True)
class Streams:
    """The portal of a session carries the byte streams of TCP connections.

    An outlet speaks TLS with its target by the settings ``client_tls``, an inlet with its clients by ``server_tls``.
    """

    client_tls: SSLContext | None = None
    server_tls: Callable[[], SSLContext] | None = None

    async def open_inlet(self, node: Node, listen: str, pong_timeout_s: float, access: Access = OPEN_TO_ALL) -> Inlet:
        """Open the local port, without a way so far."""
        return await node.create_inlet(
            listen,
            pong_timeout=pong_timeout_s,
            tls=self.server_tls,
            policy=access.policy,
            authority=access.authority,
        )

    async def open_outlet(
        self, node: Node, address: Address, target: str, consumer_of: Iterable[Flow], access: Access = OPEN_TO_ALL
    ) -> Outlet:
        """Open the other end."""
        return await node.create_outlet(
            address,
            target,
            consumer_of=consumer_of,
            tls=self.client_tls,
            policy=access.policy,
            authority=access.authority,
        )


@dataclass(frozen=True, slots=True)
class Datagrams:
    """The portal of a session carries UDP datagrams; a source that is silent for the idle time is forgotten."""

    idle_timeout_s: float = IDLE_S

    async def open_inlet(self, node: Node, listen: str, _: float, access: Access = OPEN_TO_ALL) -> UdpInlet:
        """Open the local port, without a way so far."""
        return await node.create_udp_inlet(
            listen, idle_timeout=self.idle_timeout_s, policy=access.policy, authority=access.authority
        )

    async def open_outlet(
        self, node: Node, address: Address, target: str, consumer_of: Iterable[Flow], access: Access = OPEN_TO_ALL
    ) -> Outlet:
        """Open the other end."""
        return await node.create_udp_outlet(
            address,
            target,
            consumer_of=consumer_of,
            idle_timeout=self.idle_timeout_s,
            policy=access.policy,
            authority=access.authority,
        )


Carried: TypeAlias = Streams | Datagrams
"""What a portal carries."""

STREAMS: Final = Streams()
