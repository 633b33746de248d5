"""The sessions of those who are reached: a name on a hub, and an outlet behind it."""

import os
import random
from collections.abc import Iterable
from typing import Final

from ockam_ref.asyncio.admitting import OPEN_TO_ALL, Access
from ockam_ref.asyncio.carried import STREAMS, Carried
from ockam_ref.asyncio.handles import (
    Handle,
    LivingHandle,
    NodeConnection,
    Outlet,
    Relay,
    SecureChannel,
    SecureChannelListener,
)
from ockam_ref.asyncio.hops import Flow, Hop, to_address
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.session import CHANNEL_TIMEOUT_S, RECONNECT_TIMEOUT_S, Session, check_direct
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustPolicy
from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.observations import SteadyLinkMoved
from ockam_ref.wire.address import Address

REGISTER_TIMEOUT_S: Final = 5.0
"""How long one registration of a relay may take."""


class RelaySession(Session):
    """A name on a hub that leads to this node, for as long as the session is open: a connection and a relay there.

    Through the hub others reach the addresses ``reachable`` of this node, the channel listener for instance.
    With ``hub_channel``, the address of the hub's secure channel listener, the name is registered through a channel
    with the hub, whom ``hub_trust`` is about; the name then belongs to our identity.
    """

    def __init__(
        self,
        node: Node,
        *,
        hub: str,
        relay: str | None = None,
        relay_service: Hop = "static_forwarding_service",
        reachable: Iterable[Hop] = (),
        identity: LocalIdentity | None = None,
        access: Access = OPEN_TO_ALL,
        hub_channel: Hop | None = None,
        hub_trust: TrustPolicy | Identifier = TRUST_EVERYONE,
        jitter: random.Random | None = None,
    ) -> None:
        super().__init__(node, jitter)
        self.relay_name: Final = os.urandom(16).hex() if relay is None else relay
        self._hub = hub
        self._relay_service = to_address(relay_service)
        self._reachable: list[Hop] = list(reachable)
        self._identity = identity
        self._access = access
        self._hub_channel = hub_channel
        self._hub_trust = hub_trust
        self._way: tuple[LivingHandle, ...] = ()
        self._relay: Relay | None = None

    @property
    def forwarding_address(self) -> Address:
        """The address on the hub under which others reach this node; it stays the same over losses.

        Raises:
            MisuseError: the session was never open.
        """
        if self._relay is None:
            raise MisuseError(ErrorCode.MISUSE, "the session is not open yet")
        return self._relay.remote_address

    async def _prepare(self) -> None:
        """Nothing: what is reachable is there."""

    async def _build(self) -> None:
        connection = await self._node.tcp_connect(self._hub, timeout=RECONNECT_TIMEOUT_S)
        parts: list[LivingHandle] = [connection]
        try:
            hub: NodeConnection | SecureChannel = connection
            if self._hub_channel is not None and self._identity is not None:
                hub = await self._node.create_secure_channel(
                    self._identity,
                    (connection, self._hub_channel),
                    trust=self._hub_trust,
                    timeout=CHANNEL_TIMEOUT_S,
                    authority=self._access.authority,
                    credential=self._access.credential,
                )
                parts.insert(0, hub)
            for address in self._reachable:
                self._node.add_consumer(address, hub)
            relay = await self._node.create_relay(
                hub, name=self.relay_name, service=self._relay_service, timeout=REGISTER_TIMEOUT_S
            )
        except BaseException:
            for part in parts:
                await part.close()
            raise
        self._way, self._relay = tuple(parts), relay
        self._watch_end(*parts, relay)

    async def _tear_down(self) -> None:
        for part in self._way:
            await part.close()

    async def _close(self) -> None:
        await self._tear_down()

    def _is_ours(self, portal: Address) -> bool:  # noqa: ARG002  # those who have portals say which
        return False

    def _moved(self, moved: SteadyLinkMoved) -> None:
        """The inlet's end leads."""


class OutletSession(RelaySession):
    """An outlet that is reachable through a hub, under one name, for as long as the session is open.

    With an identity it takes clients through secure channels only; without one, from everybody on the hub.  With an
    identity and ``rendezvous``, the ``host:port`` of that service, inlets that have one too are met on a direct path.

    ``access`` says who may use the outlet, and what we present.  With ``hub_channel``, the address of the hub's secure
    channel listener, the name is registered through a channel with the hub, where it then belongs to our identity.
    """

    def __init__(
        self,
        node: Node,
        target: str,
        *,
        hub: str,
        identity: LocalIdentity | None,
        relay: str | None = None,
        relay_service: Hop = "static_forwarding_service",
        outlet: Hop = "outlet",
        channel_listener: Hop = "api",
        trust: TrustPolicy | Identifier = TRUST_EVERYONE,
        rendezvous: str | None = None,
        carries: Carried = STREAMS,
        access: Access = OPEN_TO_ALL,
        hub_channel: Hop | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        super().__init__(
            node,
            hub=hub,
            relay=relay,
            relay_service=relay_service,
            identity=identity,
            access=access,
            hub_channel=hub_channel,
            jitter=jitter,
        )
        self._carries = carries
        check_direct(identity, rendezvous)
        self._rendezvous = rendezvous
        self._target = target
        self._outlet = to_address(outlet)
        self._entrance = self._outlet if identity is None else to_address(channel_listener)
        self._trust = trust
        self._parts: list[Handle] = []
        self._served: Outlet | None = None

    async def _prepare(self) -> None:
        flows: tuple[Flow, ...] = ()
        if self._identity is not None:
            channels = await self._node.create_secure_channel_listener(
                self._identity,
                self._entrance,
                trust=self._trust,
                authority=self._access.authority,
                credential=self._access.credential,
            )
            self._parts.append(channels)
            flows = (channels,)
            if self._rendezvous is not None:
                await self._offer_direct_paths(channels, self._rendezvous)
        self._reachable.append(self._entrance)
        self._served = await self._carries.open_outlet(self._node, self._outlet, self._target, flows, self._access)
        self._parts.append(self._served)

    async def _offer_direct_paths(self, channels: SecureChannelListener, rendezvous: str) -> None:
        """Let clients open steady links through the hub, and those whose channels we trust puncture."""
        punctures = await self._node.start_puncture_listener(rendezvous=rendezvous, consumer_of=(channels,))
        links = await self._node.steady_listen(consumer_of=(punctures,))
        self._node.add_consumer(channels, links)
        self._parts += [punctures, links]
        self._reachable.append(links)

    async def _close(self) -> None:
        if self._served is not None:
            self._served.end_connections()  # while there is a way to tell the other ends
        await self._tear_down()
        for part in reversed(self._parts):
            await part.close()

    def _is_ours(self, portal: Address) -> bool:
        return portal == self._outlet
