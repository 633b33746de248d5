"""What keeps a portal usable while hubs and nodes come and go: each end repairs its own way to the other.

An outlet's session keeps a connection to its hub and a relay of one name there.  An inlet's session keeps a connection
and a channel, and leads its port along them; while there is no way, clients are closed at once, with the reason
recorded.  Open portal connections are not moved: they end with the way that they were opened along.

With a rendezvous service at both ends the channel runs in a steady link, which goes through the hub at first, over a
puncture as soon as there is one, and back when that dies.  Then open portal connections outlive both the direct path
and the connection to the hub.
"""

import asyncio
import os
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from ockam_ref.asyncio.admitting import OPEN_TO_ALL, Access
from ockam_ref.asyncio.carried import STREAMS, Carried
from ockam_ref.asyncio.handles import (
    Handle,
    Inlet,
    LivingHandle,
    NodeConnection,
    Outlet,
    Relay,
    SecureChannel,
    SecureChannelListener,
    SteadyLink,
    UdpInlet,
)
from ockam_ref.asyncio.hops import Flow, Hop, to_address
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.watching import Stream
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustPolicy
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.observations import ConnectionClosed, ConnectionOpened, SteadyLinkMoved
from ockam_ref.portals.inlet import PONG_TIMEOUT_S
from ockam_ref.wire.address import Address

if TYPE_CHECKING:
    from ockam_ref.asyncio.direct import DirectPath

FIRST_RETRY_S: Final = 0.1
"""The pause before the first attempt to repair a way; each further pause is twice as long."""

LAST_RETRY_S: Final = 2.0
"""The longest pause; each is cut by up to a half at random, so that many nodes do not return at the same moment."""

RECONNECT_TIMEOUT_S: Final = 3.0
"""How long one attempt to reach the other node may take."""

REGISTER_TIMEOUT_S: Final = 5.0
"""How long one registration of a relay may take."""

CHANNEL_TIMEOUT_S: Final = 10.0
"""How long one attempt to open a channel may take."""

HANDSHAKE_AGAIN_S: Final = 1.0
"""After this time without an answer another handshake is begun beside the first: a hub drops what has no relay yet."""

STEADY: Final = "steady"
"""Where an outlet's node opens steady links."""

PUNCTURES: Final = "udp"
"""Where it is asked for punctures; the peer's own name."""

MAX_RETIRED_WAYS: Final = 4
"""Ways that an inlet no longer trusts and keeps for the connections that still use them."""


@dataclass(frozen=True, slots=True)
class WayLost:
    """There is no way at the moment; the session is repairing it."""

    reason: str


@dataclass(frozen=True, slots=True)
class WayRestored:
    """There is a way again, after that many attempts."""

    attempts: int


@dataclass(frozen=True, slots=True)
class WayMoved:
    """The way goes directly over UDP from now on, or through the hub."""

    direct: bool


@dataclass(frozen=True, slots=True)
class _Loss:
    """Why a way is lost; one that is only suspected stays in use until another one stands."""

    reason: str
    suspected: bool = False


SessionEvent: TypeAlias = WayLost | WayRestored | WayMoved | ConnectionOpened | ConnectionClosed


class _Session(ABC):
    """Builds a way, waits until it is lost, builds it again, until it is closed."""

    def __init__(self, node: Node, jitter: random.Random | None, pong_timeout_s: float = PONG_TIMEOUT_S) -> None:
        self._node = node
        self._pong_timeout_s = pong_timeout_s
        self._built_at = 0.0
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads load, protects nothing
        self._events: Stream[SessionEvent] = Stream()
        self._observations = node.observe()
        self._tasks: list[asyncio.Task[None]] = []
        self._lost: asyncio.Future[_Loss] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        try:
            await self._prepare()
            await self._build()
        except BaseException:
            await self._close()
            raise
        self._tasks = [asyncio.ensure_future(self._keep()), asyncio.ensure_future(self._watch())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close()
        self._events.end()

    def events(self) -> Stream[SessionEvent]:
        """Return what happens to the session, for one reader."""
        return self._events

    # ---- what the two kinds do

    @abstractmethod
    async def _prepare(self) -> None:
        """Make what lives as long as the session."""

    @abstractmethod
    async def _build(self) -> None:
        """Make a way and use it, or raise ``OckamError``."""

    @abstractmethod
    async def _tear_down(self) -> None:
        """Stop using the way that was lost."""

    @abstractmethod
    async def _close(self) -> None:
        """Close everything."""

    @abstractmethod
    def _is_ours(self, portal: Address) -> bool:
        """Whether a portal connection belongs to this session."""

    @abstractmethod
    def _moved(self, moved: SteadyLinkMoved) -> None:
        """Take note that a steady link of this node goes another path."""

    # ---- what they share

    def _watch_end(self, *handles: LivingHandle) -> None:
        """Lose the way when one of its parts ends."""
        lost = self._lost = asyncio.get_running_loop().create_future()
        self._built_at = asyncio.get_running_loop().time()
        for handle in handles:
            handle.on_closed(lambda reason: None if lost.done() else lost.set_result(_Loss(reason)))

    async def _keep(self) -> None:
        while True:
            loss = await self._lost
            self._events.put(WayLost(loss.reason))
            if loss.suspected and await self._try_to_build():
                self._events.put(WayRestored(1))
                continue
            await self._tear_down()
            for attempts, pause in enumerate(self._pauses(), 1):
                await asyncio.sleep(pause)
                if await self._try_to_build():
                    self._events.put(WayRestored(attempts))
                    break

    async def _try_to_build(self) -> bool:
        try:
            await self._build()
        except OckamError:
            return False
        return True

    def _pauses(self) -> Iterator[float]:
        pause = FIRST_RETRY_S
        while True:
            yield pause * self._jitter.uniform(0.5, 1.0)
            pause = min(2 * pause, LAST_RETRY_S)

    async def _watch(self) -> None:
        async for observation in self._observations:
            if isinstance(observation, ConnectionOpened | ConnectionClosed) and self._is_ours(observation.portal):
                self._events.put(observation)
                if isinstance(observation, ConnectionClosed) and not observation.answered:
                    self._suspect(observation.reason)
            elif isinstance(observation, SteadyLinkMoved) and observation.epoch:
                self._moved(observation)

    def _suspect(self, reason: str) -> None:
        """The other end of a portal said nothing at all: its node may have restarted behind a living hub."""
        since = asyncio.get_running_loop().time() - self._built_at
        if since >= self._pong_timeout_s and not self._lost.done():
            self._lost.set_result(_Loss(reason, suspected=True))


def _check_direct(identity: LocalIdentity | None, rendezvous: str | None) -> None:
    if rendezvous is not None and identity is None:
        raise MisuseError(ErrorCode.MISUSE, "a direct path needs a secure channel: give an identity")


class RelaySession(_Session):
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
        _check_direct(identity, rendezvous)
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


class InletSession(_Session):
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
        _check_direct(identity, rendezvous)
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
