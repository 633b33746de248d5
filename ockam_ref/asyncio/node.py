"""A node on an event loop: what programs use."""

import asyncio
import os
from collections.abc import Iterable
from time import monotonic
from types import TracebackType
from typing import Final, Self, TypeVar

from ockam_ref.asyncio.driver import Driver, Tap, now
from ockam_ref.asyncio.handles import (
    Inlet,
    NodeConnection,
    NodeListener,
    Outlet,
    Puncture,
    PunctureListener,
    Relay,
    RendezvousService,
    SecureChannel,
    SecureChannelListener,
    Service,
    SteadyLink,
    SteadyListener,
    UdpBind,
    UdpInlet,
    WorkerHandle,
)
from ockam_ref.asyncio.hops import Flow, Hop, RouteLike, to_address, to_flow_controls, to_route
from ockam_ref.asyncio.watching import Life, Stream
from ockam_ref.asyncio.workers import FunctionWorker, Handler, Routed, Worker, WorkerTask
from ockam_ref.channels import initiator
from ockam_ref.channels import listener as channel_listener
from ockam_ref.channels.trust import TRUST_EVERYONE, TrustIdentifier, TrustPolicy
from ockam_ref.effects import Deliver
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.events import HopWanted
from ockam_ref.identities.identifier import Identifier
from ockam_ref.identities.local import LocalIdentity, create_local_identity
from ockam_ref.links import connector, datagram_connector, link_listener, node_link, typed_hop
from ockam_ref.links.forms import find_form
from ockam_ref.links.udp_endpoint import UdpEndpoint
from ockam_ref.machine import FlowControlId, Mailbox
from ockam_ref.observations import (
    ChannelOpened,
    HopReached,
    MessageDropped,
    Observation,
    PunctureNegotiated,
    RelayReady,
    SteadyLinkMoved,
)
from ockam_ref.portals import inlet as portal_inlet
from ockam_ref.portals import outlet as portal_outlet
from ockam_ref.portals import udp_inlet as portal_udp_inlet
from ockam_ref.portals import udp_outlet as portal_udp_outlet
from ockam_ref.portals.connection import MAX_PAYLOAD_BYTES
from ockam_ref.portals.inlet import PONG_TIMEOUT_S
from ockam_ref.portals.udp_session import IDLE_S
from ockam_ref.puncture import initiator as puncture_initiator
from ockam_ref.puncture import listener as puncture_listener
from ockam_ref.puncture import rendezvous_service
from ockam_ref.puncture.ends import ANY_ADDRESS
from ockam_ref.puncture.rendezvous_client import RENDEZVOUS_TIMEOUT_S
from ockam_ref.relays import remote
from ockam_ref.relays import service as relay_service
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl, AllowOnward
from ockam_ref.steady import initiator as steady_initiator
from ockam_ref.steady import listener as steady_listener
from ockam_ref.wire.address import UDP, Address, any_of_type, local
from ockam_ref.wire.body import Body, encode_body
from ockam_ref.wire.local_message import LocalMessage
from ockam_ref.wire.route import Route, format_route
from ockam_ref.workers.application import Application
from ockam_ref.workers.echo import Echo
from ockam_ref.workers.hop import Hop as HopWorker
from ockam_ref.workers.uppercase import Uppercase
from ockam_transports import udp
from ockam_transports.base import LinkKind, TransportPlugin
from ockam_transports.connecting import CONNECT_TIMEOUT_S
from ockam_transports.host_port import parse_host_port

Begun = TypeVar("Begun", ChannelOpened, HopReached, PunctureNegotiated, RelayReady, SteadyLinkMoved)

REPLY_TIMEOUT_S: Final = 30.0
"""How long ``send_and_receive`` waits unless told otherwise; the peer's own default."""

WORKERS_STOP_S: Final = 0.25
"""How long a node that stops waits for application workers before it cancels them."""

ANY_UDP: Final = "0.0.0.0:0"  # to reach other machines it must not be bound to this one's loopback
"""Where the socket is bound through which typed UDP hops are reached."""

ROOT: Final = local("app")
"""The mailbox from which ``send`` sends; the peer's root context has the same name."""


class Node:
    """A node.  ``async with Node.create() as node`` starts it and, at the end, stops everything within a second."""

    def __init__(self, *, tap: Tap | None = None, transports: Iterable[TransportPlugin] = ()) -> None:
        self._driver = Driver(tap, transports)
        self._workers: set[WorkerTask] = set()
        self._driver.start(Application((Mailbox(ROOT),)))

    @classmethod
    def create(cls, *, tap: Tap | None = None, transports: Iterable[TransportPlugin] = ()) -> Self:
        """Return a node that runs on the current event loop; ``tap`` is shown every read of every link.

        Of ``transports`` this node has its own; each stands in for an installed one of its name.
        """
        return cls(tap=tap, transports=transports)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop everything: listening sockets first, then workers, then links."""
        self._driver.close_listeners()
        # a handler that closes its own node goes on afterwards
        others = [worker for worker in self._workers if worker.task is not asyncio.current_task()]
        stopping = [asyncio.ensure_future(worker.stop()) for worker in others]
        if stopping:
            _, late = await asyncio.wait(stopping, timeout=WORKERS_STOP_S)
            for worker in others:
                worker.task.cancel()
            if late:
                await asyncio.wait(late, timeout=WORKERS_STOP_S)
        await self._driver.shut_down()

    # ---- messages

    async def send(self, route: RouteLike, body: Body) -> None:
        """Send a message from the mailbox ``app``; that it was sent does not mean that anybody took it.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: the first hop is one of another transport, and cannot be reached.
        """
        await self._driver.send(ROOT, LocalMessage(await self._reach(to_route(route)), (ROOT,), encode_body(body)))

    async def send_and_receive(
        self,
        route: RouteLike,
        body: Body,
        *,
        timeout: float = REPLY_TIMEOUT_S,  # noqa: ASYNC109  # the error must say what happened meanwhile
    ) -> Routed:
        """Send a message from a fresh mailbox and return the first message that reaches it (facts 06 section 1.10).

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``LINK_FAILED``, the first hop cannot be reached; ``TIMEOUT``, no reply came within ``timeout``
                seconds, and the message says what to check.
        """
        onward = await self._reach(to_route(route))
        driver = self._driver
        child = fresh_address()
        reply = _Reply(driver)
        drops_before = driver.core.drop_counts.total()
        outgoing = AllowOnward(frozenset(onward[:1]))
        driver.start(Application((Mailbox(child, ALLOW_ALL, outgoing),)))
        driver.receivers[child] = reply
        try:
            if onward:
                driver.core.flow_controls.add_consumer_of_producer(child, onward[0])
            async with asyncio.timeout(timeout):
                await driver.send(child, LocalMessage(onward, (child,), encode_body(body)))
                return Routed(driver, await reply.arrived)
        except TimeoutError:
            raise OckamError(ErrorCode.TIMEOUT, self._explain_silence(onward, timeout, drops_before)) from None
        finally:
            del driver.receivers[child]
            driver.stop(child, "the reply came, or came too late")

    def _explain_silence(self, route: Route, timeout: float, drops_before: int) -> str:
        core = self._driver.core
        text = (
            f"no reply from {format_route(route)} within {timeout:g} s. A refused message gives no answer: is there "
            "a worker at the last address, and is it a consumer of the listener or channel that messages come through?"
        )
        count = core.drop_counts.total() - drops_before
        if not count:
            return text
        recent = list(core.drops)[-count:]
        causes = dict.fromkeys(f"{drop.rule} ({drop.detail})" for drop in recent)
        return f"{text} Meanwhile this node dropped {count}: {'; '.join(list(causes)[:3])}."

    @property
    def drops(self) -> list[MessageDropped]:
        """The messages that went no further in this node, with the rule that said no; oldest first, the last 1,024."""
        return list(self._driver.core.drops)

    def observe(self) -> Stream[Observation]:
        """Return an asynchronous iterator over all that happens from now on; it ends with the node."""
        return self._driver.watching.observe()

    def add_consumer(self, consumer: Hop, flow: Flow) -> None:
        """Let messages that come through a listener, connection or channel reach one of our workers from now on."""
        for flow_control_id in to_flow_controls((flow,)):
            self._driver.core.flow_controls.add_consumer(to_address(consumer), flow_control_id)

    # ---- links to other nodes

    async def listen(self, transport: str, address: str) -> NodeListener:
        """Listen for other nodes, at an address in the form of that transport (``ockam-ref transports`` lists them).

        Raises:
            MisuseError: the address cannot be read.
            OckamError: nobody can listen there, or the transport is not installed.
        """
        flow = fresh_flow_control_id()
        plugin = self._driver.plugin(transport)
        config = link_listener.LinkListener(flow, find_form(plugin.form), _link_alias(plugin, None))
        worker, listener = await self._driver.listen(config, address, transport)
        return NodeListener(self._driver, worker, listener, flow)

    async def connect(
        self,
        transport: str,
        address: str,
        *,
        timeout: float = CONNECT_TIMEOUT_S,  # noqa: ASYNC109
        consumer_of: Iterable[Flow] = (),
    ) -> NodeConnection:
        """Connect to another node, at an address in the form of that transport.

        Raises:
            OckamError: nobody answers there, or not within ``timeout`` seconds, or the transport is not installed.
        """
        plugin = self._driver.plugin(transport)
        form = find_form(plugin.form)
        link = await self._driver.open(address, timeout, transport)
        flow = fresh_flow_control_id()
        config = node_link.NodeLink(
            link.id,
            form,
            flow_control_id=flow,
            consumer_of=to_flow_controls(consumer_of),
            mtu=link.mtu,
            alias=_link_alias(plugin, address),
        )
        try:
            sender, life = self._driver.start_followed(config)
        except MisuseError:  # its alias is taken
            self._driver.close_link(link.id)
            raise
        return NodeConnection(self._driver, sender, life, flow)

    async def tcp_listen(self, address: str) -> NodeListener:
        """Listen for other nodes at ``host:port``; see ``listen``."""
        return await self.listen("tcp", address)

    async def tcp_connect(
        self,
        address: str,
        *,
        timeout: float = CONNECT_TIMEOUT_S,  # noqa: ASYNC109
        consumer_of: Iterable[Flow] = (),
    ) -> NodeConnection:
        """Connect to another node at ``host:port``; see ``connect``."""
        return await self.connect("tcp", address, timeout=timeout, consumer_of=consumer_of)

    async def allow_onward(self, transport: str, flow: Flow, *addresses: str) -> None:
        """Let messages that come through a listener, connection or channel go on over that transport.

        A typed hop in their route, as ``(TCP, "host:port")``, is then connected to: one of ``addresses``, or any if
        none is given.  Without this, only the messages of this node itself have typed hops resolved.

        Raises:
            OckamError: the transport is not installed.
        """
        plugin = self._driver.plugin(transport)
        await self._start_connector(plugin)
        for address in addresses or ("",):
            self.add_consumer(Address(plugin.transport_type, address.encode()), flow)

    async def udp_bind(
        self,
        address: str = "127.0.0.1:0",
        *,
        peer: str | None = None,
        consumer_of: Iterable[Flow] = (),
        recovery: bool = False,
    ) -> UdpBind:
        """Bind a UDP socket at ``host:port``; routes lead through it to any ``(UDP, "host:port")``.

        With a ``peer`` they lead to that one, and datagrams of others are dropped.  With ``recovery`` what is lost is
        sent again to ends of our kind, which need not ask for it; to others all stays as it is, after a second.

        Raises:
            MisuseError: an address cannot be read.
            OckamError: the port is taken, or the peer's name has no address.
        """
        only = None if peer is None else await udp.resolve(peer, beside=address)
        flow = fresh_flow_control_id()
        flows = to_flow_controls(consumer_of)
        worker, endpoint = await self._driver.bind(lambda link: UdpEndpoint(link, only, flow, flows, recovery), address)
        return UdpBind(self._driver, worker, endpoint.address, flow)

    # ---- punctures

    async def start_rendezvous(self, listen: str, *, address: Hop = "rendezvous") -> RendezvousService:
        """Tell nodes that ask over UDP, at ``listen`` (``host:port``), under which address their sockets are seen.

        Raises:
            OckamError: the port is taken, or not ours to take.
        """
        bind = await self.udp_bind(listen)
        worker = rendezvous_service.RendezvousService(to_address(address), (bind.flow_control_id,))
        try:
            return RendezvousService(self._driver, self._driver.start(worker), bind)
        except BaseException:
            await bind.close()
            raise

    async def start_puncture_listener(
        self,
        *,
        rendezvous: str,
        address: Hop = "udp",
        consumer_of: Iterable[Flow] = (),
        incoming: AccessControl = ALLOW_ALL,
        bind: str = ANY_ADDRESS,
    ) -> PunctureListener:
        """Let nodes that reach ``address`` already ask for a puncture; ``rendezvous`` is that service's ``host:port``.

        Each puncture has a socket of its own, bound at ``bind``.
        """
        flow = fresh_flow_control_id()
        config = puncture_listener.PunctureListener(
            to_address(address), to_rendezvous(rendezvous), flow, to_flow_controls(consumer_of), incoming, bind
        )
        return PunctureListener(self._driver, self._driver.start(config), flow)

    async def puncture(
        self,
        route: RouteLike,
        *,
        rendezvous: str,
        bind: str = ANY_ADDRESS,
        timeout: float = puncture_initiator.ACKNOWLEDGE_TIMEOUT_S,  # noqa: ASYNC109  # the core's own timer
    ) -> Puncture:
        """Negotiate a puncture with the listener at the end of the route; see its ``wait_open``.

        ``timeout`` is for the answer of the other node; the rendezvous service has three seconds before that.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``TIMEOUT`` or ``REFUSED``, with the reason.
        """
        onward = to_route(route)
        self._check_first_hop(onward)
        flow = fresh_flow_control_id()
        deadline = monotonic() + min(RENDEZVOUS_TIMEOUT_S, timeout)
        config = puncture_initiator.Puncture(onward, to_rendezvous(rendezvous), flow, bind, timeout)
        worker, life = self._driver.start_followed(config)
        failure = f"no puncture over {format_route(onward)}"
        negotiated = await self._begin(worker, life, PunctureNegotiated, failure, deadline)
        return Puncture(self._driver, life, negotiated, flow)

    # ---- steady links

    async def steady_listen(self, address: Hop = "steady", *, consumer_of: Iterable[Flow] = ()) -> SteadyListener:
        """Let nodes of ours that reach ``address``, by whichever paths, open links that outlive a path."""
        flow = fresh_flow_control_id()
        config = steady_listener.SteadyListener(to_address(address), flow, to_flow_controls(consumer_of))
        return SteadyListener(self._driver, self._driver.start(config), flow)

    async def steady_connect(
        self,
        route: RouteLike,
        *,
        timeout: float = steady_initiator.OPEN_TIMEOUT_S,  # noqa: ASYNC109  # the core's own timer
    ) -> SteadyLink:
        """Open a link to the steady listener at the end of the route; its ``move`` gives it another path.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``TIMEOUT``, the other node did not answer.
        """
        onward = to_route(route)
        self._check_first_hop(onward)
        flow = fresh_flow_control_id()
        deadline = monotonic() + timeout
        worker, life = self._driver.start_followed(steady_initiator.SteadyLink(onward, flow, timeout))
        await self._begin(worker, life, SteadyLinkMoved, f"no steady link over {format_route(onward)}", deadline)
        return SteadyLink(self._driver, worker, life, flow)

    # ---- identities and channels

    def create_identity(self) -> LocalIdentity:
        """Return a new identity; its keys live in memory only."""
        return create_local_identity(os.urandom(32), os.urandom(32), now().unix)

    async def create_secure_channel_listener(
        self,
        identity: LocalIdentity,
        address: Hop,
        *,
        trust: TrustPolicy | Identifier = TRUST_EVERYONE,
        consumer_of: Iterable[Flow] = (),
    ) -> SecureChannelListener:
        """Answer handshakes at ``address``."""
        flow = fresh_flow_control_id()
        worker = self._driver.start(
            channel_listener.SecureChannelListener(
                to_address(address), identity, flow, to_trust(trust), to_flow_controls(consumer_of)
            )
        )
        return SecureChannelListener(self._driver, worker, flow)

    async def create_secure_channel(
        self,
        identity: LocalIdentity,
        route: RouteLike,
        *,
        trust: TrustPolicy | Identifier = TRUST_EVERYONE,
        timeout: float = initiator.HANDSHAKE_TIMEOUT_S,  # noqa: ASYNC109  # the core's own timer
    ) -> SecureChannel:
        """Open a channel to the listener at the end of the route.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``TIMEOUT`` or ``REFUSED``, with the reason.
        """
        onward = await self._reach(to_route(route))
        self._check_first_hop(onward)
        flow = fresh_flow_control_id()
        deadline = monotonic() + timeout
        config = initiator.SecureChannel(identity, onward, flow, to_trust(trust), timeout)
        worker, life = self._driver.start_followed(config)
        failure = f"no secure channel over {format_route(onward)}"
        opened = await self._begin(worker, life, ChannelOpened, failure, deadline)
        return SecureChannel(self._driver, life, opened, flow)

    # ---- workers

    async def start_worker(
        self,
        address: Hop,
        worker: Worker | Handler,
        *,
        consumer_of: Iterable[Flow] = (),
        incoming: AccessControl = ALLOW_ALL,
        outgoing: AccessControl = ALLOW_ALL,
    ) -> WorkerHandle:
        """Start an ``async def`` or a ``Worker`` at an address; flow controls say who may reach it from outside.

        Raises:
            MisuseError: the address is taken.
        """
        mailbox = Mailbox(to_address(address), incoming, outgoing)
        started = self._driver.start(Application((mailbox,), to_flow_controls(consumer_of)))
        instance = worker if isinstance(worker, Worker) else FunctionWorker(worker)
        task = WorkerTask(self._driver, self, started, instance)
        self._driver.receivers[started] = task
        self._workers.add(task)
        task.task.add_done_callback(lambda _: self._workers.discard(task))
        return WorkerHandle(self._driver, started, task)

    async def start_echo(self, address: Hop = "echo", *, consumer_of: Iterable[Flow] = ()) -> Service:
        """Start the service that sends every payload back."""
        return self._service(Echo(to_address(address), to_flow_controls(consumer_of)))

    async def start_uppercase(self, address: Hop = "uppercase", *, consumer_of: Iterable[Flow] = ()) -> Service:
        """Start the service that sends every text back in upper case."""
        return self._service(Uppercase(to_address(address), to_flow_controls(consumer_of)))

    async def start_hop(self, address: Hop = "hop", *, consumer_of: Iterable[Flow] = ()) -> Service:
        """Start a worker that passes messages on and puts itself into the way back."""
        return self._service(HopWorker(to_address(address), to_flow_controls(consumer_of)))

    # ---- portals

    async def create_inlet(
        self,
        listen: str,
        route: RouteLike = (),
        *,
        pong_timeout: float = PONG_TIMEOUT_S,
        skip_handshake: bool = False,
        paused: bool = False,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> Inlet:
        """Open a local port whose clients reach the target of the outlet at the end of the route.

        Without a route, or paused, clients are closed at once until ``change_route`` or ``resume``.  A first hop of
        another transport is reached now, and again by later clients if it is lost.  A route over Unix sockets needs
        ``max_payload_bytes=PORTABLE_PAYLOAD_BYTES``, at the outlet too: they carry no longer messages.

        Raises:
            MisuseError: ``max_payload_bytes`` is not from 1 to ``MAX_PAYLOAD_BYTES``.
            OckamError: nobody can listen there.
        """
        onward = to_route(route)
        await self._reach(onward)
        peer = self._driver.core.peer_of(onward)
        config = portal_inlet.Inlet(onward, peer, pong_timeout, skip_handshake, paused, max_payload_bytes)
        return Inlet(self._driver, *await self._driver.listen(config, listen))

    async def create_outlet(
        self,
        address: Hop,
        target: str,
        *,
        consumer_of: Iterable[Flow] = (),
        incoming: AccessControl = ALLOW_ALL,
        skip_handshake: bool = False,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> Outlet:
        """Connect to ``target`` (``host:port``) for every client of an inlet that leads to ``address``.

        Raises:
            MisuseError: ``max_payload_bytes`` is not from 1 to ``MAX_PAYLOAD_BYTES``; see ``create_inlet``.
        """
        flows = to_flow_controls(consumer_of)
        config = portal_outlet.Outlet(to_address(address), target, flows, incoming, skip_handshake, max_payload_bytes)
        return Outlet(self._driver, self._driver.start(config))

    # ---- portals for datagrams

    async def create_udp_inlet(
        self, listen: str, route: RouteLike = (), *, idle_timeout: float = IDLE_S, paused: bool = False
    ) -> UdpInlet:
        """Open a local UDP port; what is sent to it reaches the target of the UDP outlet at the end of the route.

        Each source has a session of its own, which is forgotten when nothing came for ``idle_timeout`` seconds.
        Without a route, or paused, datagrams are dropped until ``change_route`` or ``resume``.

        Raises:
            OckamError: the port is taken, or not ours to take.
        """
        onward = to_route(route)
        peer = self._driver.core.peer_of(onward)
        worker, endpoint = await self._driver.bind(
            lambda link: portal_udp_inlet.UdpInlet(link, onward, peer, idle_timeout, paused), listen
        )
        return UdpInlet(self._driver, worker, endpoint)

    async def create_udp_outlet(
        self,
        address: Hop,
        target: str,
        *,
        consumer_of: Iterable[Flow] = (),
        incoming: AccessControl = ALLOW_ALL,
        idle_timeout: float = IDLE_S,
    ) -> Outlet:
        """Send the datagrams of UDP inlets that lead to ``address`` on to ``target``, and its answers back.

        Each session has a socket of its own, which is closed when nothing came for ``idle_timeout`` seconds.
        """
        flows = to_flow_controls(consumer_of)
        config = portal_udp_outlet.UdpOutlet(to_address(address), target, flows, incoming, idle_timeout)
        return Outlet(self._driver, self._driver.start(config))

    # ---- relays

    async def create_relay_service(
        self,
        address: Hop = "forwarding_service",
        *,
        aliases: Iterable[Hop] = ("static_forwarding_service",),
        prefix: str = "forward_to_",
        consumer_of: Iterable[Flow] = (),
        relays_consumer_of: Iterable[Flow] = (),
    ) -> Service:
        """Let nodes that connect to us register names under which others reach them."""
        config = relay_service.RelayService(
            to_address(address),
            tuple(map(to_address, aliases)),
            prefix,
            to_flow_controls(consumer_of),
            to_flow_controls(relays_consumer_of),
        )
        return self._service(config)

    async def create_relay(
        self,
        hub: RouteLike,
        *,
        name: str | None = None,
        service: Hop | None = None,
        timeout: float = remote.CONFIRMATION_TIMEOUT_S,  # noqa: ASYNC109  # the core's own timer
    ) -> Relay:
        """Register this node on the hub that the route leads to, under ``name`` or under one that the hub draws.

        ``service`` is the address of the hub's relay service where it is not the usual one.

        Raises:
            MisuseError: the first hop does not exist.
            OckamError: ``TIMEOUT`` or ``REFUSED``, with the reason.
        """
        way = await self._reach(to_route(hub))
        self._check_first_hop(way)
        if service is None:
            service = "forwarding_service" if name is None else "static_forwarding_service"
        deadline = monotonic() + timeout
        config = remote.RemoteRelay((*way, to_address(service)), name, timeout)
        worker, life = self._driver.start_followed(config)
        ready = await self._begin(worker, life, RelayReady, f"no relay at {format_route(way)}", deadline)
        return Relay(self._driver, life, ready)

    # ---- parts

    def _service(self, config: object) -> Service:
        return Service(self._driver, self._driver.start(config))

    async def _reach(self, route: Route) -> Route:
        """Connect to a first hop of another transport, unless a worker has it; return the route by that connection.

        Raises:
            OckamError: it cannot be reached, or its transport is not installed.
        """
        if not route or route[0].is_local:
            return route
        typed, core = route[0], self._driver.core
        if typed in core and not isinstance(core.state_of(typed), typed_hop.Opening):
            return route
        plugin = self._driver.plugin_of_type(typed.transport_type)
        if plugin is None:
            message = f"the route begins with {typed}, and no transport with that number is installed"
            raise OckamError(ErrorCode.LINK_FAILED, message)
        await self._start_connector(plugin)
        if plugin.kind is LinkKind.DATAGRAM:
            return route
        life = self._driver.watching.follow(typed)
        self._driver.tell(any_of_type(typed.transport_type), HopWanted(typed, now()))
        await asyncio.wait((life.begun, life.ended), return_when=asyncio.FIRST_COMPLETED)
        self._driver.watching.forget(typed)
        if not life.begun.done():
            raise OckamError(ErrorCode.LINK_FAILED, life.ended.result())
        return route

    async def _start_connector(self, plugin: TransportPlugin) -> None:
        transport_type, core = plugin.transport_type, self._driver.core
        if any_of_type(transport_type) in core:
            return
        if plugin.kind is LinkKind.DATAGRAM:
            if transport_type != UDP:
                message = f"hops over {plugin.name} cannot be resolved: of the transports of datagrams only UDP can"
                raise OckamError(ErrorCode.MISUSE, message)
            bind = await self.udp_bind(ANY_UDP)
            if any_of_type(transport_type) in core:  # another caller was faster
                await bind.close()
                return
            self._driver.start(datagram_connector.DatagramConnector(transport_type, bind.hop))
        else:
            self._driver.start(connector.Connector(plugin.name, transport_type, find_form(plugin.form)))

    def _check_first_hop(self, route: Route) -> None:
        if not route or route[0] not in self._driver.core:
            first = route[0] if route else "(nothing)"
            raise OckamError(ErrorCode.UNKNOWN_ADDRESS, f"the route begins with {first}, which this node does not have")

    async def _begin(self, worker: Address, life: Life, kind: type[Begun], failure: str, deadline: float) -> Begun:
        """Wait until the worker has begun and return what it said; raise why it has not."""
        try:
            await asyncio.wait((life.begun, life.ended), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._driver.stop(worker, "given up")
            raise
        if life.begun.done() and isinstance(begun := life.begun.result(), kind):
            return begun
        code = ErrorCode.TIMEOUT if monotonic() >= deadline else ErrorCode.REFUSED
        raise OckamError(code, f"{failure}: {life.ended.result()}")


class _Reply:
    """The mailbox of ``send_and_receive``: the first message is the reply."""

    __slots__ = ("arrived",)

    def __init__(self, driver: Driver) -> None:
        self.arrived: asyncio.Future[Deliver] = driver.loop.create_future()

    def deliver(self, delivery: Deliver) -> bool:
        """Keep the first, forget the others."""
        if not self.arrived.done():
            self.arrived.set_result(delivery)
        return False


def fresh_address() -> Address:
    """Return a random local address in the form of the peer's: 32 hexadecimal digits."""
    return Address(0, os.urandom(16).hex().encode())


def fresh_flow_control_id() -> FlowControlId:
    """Return a random flow control id."""
    return os.urandom(16).hex()


def _link_alias(plugin: TransportPlugin, target: str | None) -> Address | None:
    """Return the fixed name that old peers want a link to have in return routes."""
    if plugin.link_alias is None:
        return None
    return Address(plugin.transport_type, plugin.link_alias(target).encode())


def to_rendezvous(address: str) -> Route:
    """Return the route from a UDP socket to the rendezvous service at ``host:port``."""
    parse_host_port(address)
    return (Address(UDP, address.encode()), local("rendezvous"))


def to_trust(trust: TrustPolicy | Identifier) -> TrustPolicy:
    """Let an identifier stand for the policy that trusts nobody else."""
    return TrustIdentifier(trust.value) if isinstance(trust, Identifier) else trust
