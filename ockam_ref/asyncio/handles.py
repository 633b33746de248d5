"""What a node gives out for the things it runs: each is a hop, a flow control, or both, and can be closed."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.driver import Driver, now
from ockam_ref.asyncio.hops import HasHop, RouteLike, to_route
from ockam_ref.asyncio.presenting import Presenter
from ockam_ref.asyncio.watching import Life
from ockam_ref.asyncio.workers import WorkerTask
from ockam_ref.errors import ErrorCode, OckamError
from ockam_ref.events import PathOffered, PauseChanged, RouteChanged
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.machine import FlowControlId
from ockam_ref.observations import ChannelOpened, PunctureNegotiated, RelayReady
from ockam_ref.puncture.limits import OPEN_TIMEOUT_S
from ockam_ref.steady.limits import RELAYED_PACKET_BYTES
from ockam_ref.wire.address import Address
from ockam_transports.base import Endpoint, Listener

_CLOSED: Final = "closed by this node"


class Handle:
    """Something that a node runs until it is closed; ``async with`` closes it."""

    def __init__(self, driver: Driver, worker: Address) -> None:
        self._driver = driver
        self._worker = worker

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop it; closing twice does nothing."""
        self._driver.stop(self._worker, _CLOSED)


class LivingHandle(Handle):
    """A handle of something that may end by itself."""

    def __init__(self, driver: Driver, worker: Address, life: Life) -> None:
        super().__init__(driver, worker)
        self._life = life

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._life.ended.done()

    def on_closed(self, tell: Callable[[str], None]) -> None:
        """Call ``tell`` with the reason when it has ended, in a turn of the event loop of its own."""
        self._life.ended.add_done_callback(lambda ended: tell(ended.result()))

    async def wait_closed(self) -> str:
        """Return why it ended, once it has."""
        return await asyncio.shield(self._life.ended)


class NodeListener(Handle):
    """A listening socket for other nodes.  ``address`` is ``host:port`` with the real port."""

    def __init__(self, driver: Driver, worker: Address, listener: Listener, flow_control_id: FlowControlId) -> None:
        super().__init__(driver, worker)
        self._listener = listener
        self.address: Final = listener.address
        self.flow_control_id: Final = flow_control_id

    async def close(self) -> None:
        """Accept no more; connections that are open live on."""
        self._driver.close_listener(self._listener)
        await super().close()


class NodeConnection(LivingHandle, HasHop):
    """A connection to another node, a hop of routes."""

    def __init__(self, driver: Driver, sender: Address, life: Life, flow_control_id: FlowControlId) -> None:
        super().__init__(driver, sender, life)
        self.hop = sender
        self.sender_address: Final = sender
        self.flow_control_id: Final = flow_control_id


class UdpBind(Handle, HasHop):
    """A bound UDP socket: the hop in front of ``(UDP, "host:port")``, or of the peer's workers if it has a fixed peer.

    ``address`` is ``host:port`` with the real port; what comes in may reach consumers of ``flow_control_id``.
    """

    def __init__(self, driver: Driver, worker: Address, address: str, flow_control_id: FlowControlId) -> None:
        super().__init__(driver, worker)
        self.hop = worker
        self.address: Final = address
        self.flow_control_id: Final = flow_control_id


class Presenting:
    """Base of the handles of what presents our identity to peers."""

    _presenter: Presenter

    def present(self, identity: LocalIdentity, credential: bytes | None = None) -> None:
        """Present the identity, with its newest keys, and the credential from now on; open channels tell their peers.

        Without a credential the one presented so far stays; what was begun without one goes on so.
        """
        self._presenter.present(identity, credential)


class SecureChannelListener(Handle, Presenting, HasHop):
    """Answers handshakes; what comes through its channels may reach consumers of ``flow_control_id``."""

    def __init__(self, driver: Driver, worker: Address, flow_control_id: FlowControlId, presenter: Presenter) -> None:
        super().__init__(driver, worker)
        self._presenter = presenter
        self.hop = worker
        self.flow_control_id: Final = flow_control_id

    async def close(self) -> None:
        """Answer no more handshakes; channels that are open live on, with what they have presented."""
        self._presenter.stop()
        await super().close()


class SecureChannel(LivingHandle, Presenting, HasHop):
    """An open channel to the node of ``peer``, a hop of routes."""

    def __init__(
        self,
        driver: Driver,
        life: Life,
        opened: ChannelOpened,
        flow_control_id: FlowControlId,
        presenter: Presenter,
    ) -> None:
        super().__init__(driver, opened.worker, life)
        self._presenter = presenter
        self.hop = opened.encryptor
        self.peer: Final = Identifier(opened.peer)
        self.flow_control_id: Final = flow_control_id


class PunctureListener(Handle, HasHop):
    """Answers requests for punctures; what comes through them may reach consumers of ``flow_control_id``."""

    def __init__(self, driver: Driver, worker: Address, flow_control_id: FlowControlId) -> None:
        super().__init__(driver, worker)
        self.hop = worker
        self.flow_control_id: Final = flow_control_id


class Puncture(LivingHandle, HasHop):
    """A way over UDP to a node behind a NAT, a hop of routes; ``peer`` is that node's public address.

    What is sent before it is open waits, a little.
    """

    def __init__(
        self, driver: Driver, life: Life, negotiated: PunctureNegotiated, flow_control_id: FlowControlId
    ) -> None:
        super().__init__(driver, negotiated.worker, life)
        self.hop = negotiated.worker
        self.peer: Final = negotiated.peer
        self.flow_control_id: Final = flow_control_id

    @property
    def is_open(self) -> bool:
        """Whether the other end has answered, and the puncture has not ended since."""
        return self._life.opened.done() and not self.closed

    async def wait_open(self, *, timeout: float = OPEN_TIMEOUT_S) -> None:  # noqa: ASYNC109  # the error says more
        """Return when the other end has answered; at once if it already has.

        Raises:
            OckamError: ``TIMEOUT``, not within that many seconds; ``CLOSED``, the puncture has ended, with the reason.
        """
        life = self._life
        await asyncio.wait((life.opened, life.ended), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self.closed:
            raise OckamError(ErrorCode.CLOSED, f"the puncture to {self.peer} is closed: {life.ended.result()}")
        if not self.is_open:
            detail = f"the puncture to {self.peer} is not open after {timeout:g} s: a NAT on the way lets nothing in"
            raise OckamError(ErrorCode.TIMEOUT, detail)


class SteadyListener(Handle, HasHop):
    """Where others open steady links; what comes through those may reach consumers of ``flow_control_id``."""

    def __init__(self, driver: Driver, worker: Address, flow_control_id: FlowControlId) -> None:
        super().__init__(driver, worker)
        self.hop = worker
        self.flow_control_id: Final = flow_control_id


class SteadyLink(LivingHandle, HasHop):
    """A link to another of our nodes that outlives the paths under it, a hop of routes."""

    def __init__(self, driver: Driver, worker: Address, life: Life, flow_control_id: FlowControlId) -> None:
        super().__init__(driver, worker, life)
        self.hop = worker
        self.flow_control_id: Final = flow_control_id

    def move(self, path: RouteLike, *, packet: int = RELAYED_PACKET_BYTES) -> None:
        """Go along another path to the same node as soon as that has answered, with packets of up to that length.

        ``SteadyLinkMoved`` is observed then.  Until then the old path is used; a path offered later replaces this one.
        """
        self._driver.tell(self._worker, PathOffered(to_route(path), packet, now()))


class Service(Handle, HasHop):
    """A worker that the core itself runs: an outlet, a relay service, echo, uppercase, hop."""

    def __init__(self, driver: Driver, worker: Address) -> None:
        super().__init__(driver, worker)
        self.hop = worker


class RendezvousService(Service):
    """Tells nodes under which address the world sees their sockets.  ``address`` is ``host:port``, the port is real."""

    def __init__(self, driver: Driver, worker: Address, bind: UdpBind) -> None:
        super().__init__(driver, worker)
        self._bind = bind
        self.address: Final = bind.address

    async def close(self) -> None:
        """Answer no more."""
        await super().close()
        await self._bind.close()


class Outlet(Service):
    """Connects to its target for every client of an inlet that leads here; ``transport`` is one that only it has."""

    def __init__(self, driver: Driver, worker: Address, transport: str | None = None) -> None:
        super().__init__(driver, worker)
        self._transport = transport

    async def close(self) -> None:
        """Take no more clients; connections that are open live on."""
        await super().close()
        if self._transport is not None:
            self._driver.transports.forget(self._transport)

    def end_connections(self) -> None:
        """Cut the connections that are open: targets and clients see a reset."""
        self._driver.stop_connections(self._worker, _CLOSED)


class WorkerHandle(Service):
    """A worker of the application."""

    def __init__(self, driver: Driver, worker: Address, task: WorkerTask) -> None:
        super().__init__(driver, worker)
        self._task = task

    async def close(self) -> None:
        """Take no more messages, handle those that wait, shut the worker down."""
        await super().close()
        await self._task.stop()


class PortalEntrance(Handle):
    """What leads to an outlet; ``worker`` is its name in observations."""

    def __init__(self, driver: Driver, worker: Address) -> None:
        super().__init__(driver, worker)
        self.worker: Final = worker

    def change_route(self, route: RouteLike) -> None:
        """Lead clients that come from now on along another route; it ends in the outlet."""
        onward = to_route(route)
        self._driver.tell(self._worker, RouteChanged(onward, self._driver.core.peer_of(onward), now()))

    def pause(self) -> None:
        """Refuse new clients at once; what is open goes on."""
        self._driver.tell(self._worker, PauseChanged(True, now()))

    def resume(self) -> None:
        """Take new clients again."""
        self._driver.tell(self._worker, PauseChanged(False, now()))

    def end_connections(self) -> None:
        """End what is open: clients and targets of streams see a reset."""
        self._driver.stop_connections(self._worker, _CLOSED)


class Inlet(PortalEntrance):
    """A local port that leads to an outlet.  ``address`` is ``host:port`` with the real port."""

    def __init__(self, driver: Driver, worker: Address, listener: Listener) -> None:
        super().__init__(driver, worker)
        self._listener = listener
        self.address: Final = listener.address

    async def close(self) -> None:
        """Accept no more clients; connections that are open live on."""
        self._driver.close_listener(self._listener)
        await super().close()


class UdpInlet(PortalEntrance):
    """A local UDP port that leads to an outlet for datagrams.  ``address`` is ``host:port`` with the real port.

    Its sessions end when it is closed: they have no socket of their own.
    """

    def __init__(self, driver: Driver, worker: Address, endpoint: Endpoint) -> None:
        super().__init__(driver, worker)
        self.address: Final = endpoint.address


class Relay(LivingHandle):
    """A name on a hub that leads to this node: ``remote_address`` there, ``forwarding_route`` seen from here."""

    def __init__(self, driver: Driver, life: Life, ready: RelayReady) -> None:
        super().__init__(driver, ready.worker, life)
        self.remote_address: Final = ready.remote_address
        self.forwarding_route: Final = ready.forwarding_route
