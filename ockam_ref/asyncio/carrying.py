"""The part of a node that carries what is not Ockam: portals of streams and of datagrams, and the relays they go by."""

from collections.abc import Callable, Iterable
from ssl import SSLContext
from time import monotonic

from ockam_ref.asyncio.admitting import portal_controls
from ockam_ref.asyncio.handles import (
    Inlet,
    Outlet,
    Relay,
    Service,
    UdpInlet,
)
from ockam_ref.asyncio.hops import Flow, Hop, RouteLike, to_address, to_flow_controls, to_route
from ockam_ref.asyncio.reaching import Reaching
from ockam_ref.identities.identifier import Identifier
from ockam_ref.observations import (
    RelayReady,
)
from ockam_ref.policies.policy import Policy
from ockam_ref.policies.resources import Resource
from ockam_ref.portals import inlet as portal_inlet
from ockam_ref.portals import outlet as portal_outlet
from ockam_ref.portals.connection import MAX_PAYLOAD_BYTES
from ockam_ref.portals.inlet import PONG_TIMEOUT_S
from ockam_ref.portals.udp_session import IDLE_S
from ockam_ref.relays import remote
from ockam_ref.relays import service as relay_service
from ockam_ref.routing.access_control import ALLOW_ALL, AccessControl
from ockam_ref.wire.route import format_route


class Carrying(Reaching):
    """Portals and relays."""

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
        tls: Callable[[], SSLContext] | None = None,
        policy: Policy | Resource | None = None,
        authority: Identifier | None = None,
        incoming: AccessControl = ALLOW_ALL,
        outgoing: AccessControl = ALLOW_ALL,
    ) -> Inlet:
        """Open a local port whose clients reach the target of the outlet at the end of the route.

        Without a route, or paused, clients are closed at once until ``change_route`` or ``resume``.  A first hop of
        another transport is reached now, and again by later clients if it is lost.  A route over Unix sockets needs
        ``max_payload_bytes=PORTABLE_PAYLOAD_BYTES``, at the outlet too: they carry no longer messages.

        With ``tls``, ``CertificateFiles`` for instance, clients speak TLS with the inlet, which shows them what it
        returns; a client that shakes no hands is reported as a connection that was closed.

        With a ``policy`` or an ``authority`` the outlet's identity has to satisfy them, for as long as a connection
        lasts; the channel that the route leads through needs the same ``authority``.  ``incoming`` and ``outgoing`` are
        further controls of its messages.

        Raises:
            MisuseError: ``max_payload_bytes`` is not from 1 to ``MAX_PAYLOAD_BYTES``.
            OckamError: nobody can listen there, or ``tls`` has no certificate.
        """
        onward = to_route(route)
        await self._reach(onward)
        peer = self._driver.core.peer_of(onward)
        controls = portal_controls(policy, authority, incoming, outgoing)
        config = portal_inlet.Inlet(onward, peer, pong_timeout, skip_handshake, paused, max_payload_bytes, *controls)
        if tls is None:
            return Inlet(self._driver, *await self._driver.listen(config, listen))
        from ockam_ref.asyncio.plain_side import listen_over_tls

        return Inlet(self._driver, *await listen_over_tls(self._driver, config, listen, tls))

    async def create_outlet(
        self,
        address: Hop,
        target: str,
        *,
        consumer_of: Iterable[Flow] = (),
        incoming: AccessControl = ALLOW_ALL,
        skip_handshake: bool = False,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        tls: SSLContext | None = None,
        policy: Policy | Resource | None = None,
        authority: Identifier | None = None,
        outgoing: AccessControl = ALLOW_ALL,
    ) -> Outlet:
        """Connect to ``target`` (``host:port``) for every client of an inlet that leads to ``address``.

        With ``tls`` the target is spoken to over TLS, by these settings; see ``trust_for_tls``.

        With a ``policy`` or an ``authority`` the inlet's identity has to satisfy them, for as long as a connection
        lasts; the listener of the channel through which it comes needs the same ``authority``.  ``incoming`` and
        ``outgoing`` are further controls of its messages.

        Raises:
            MisuseError: ``max_payload_bytes`` is not from 1 to ``MAX_PAYLOAD_BYTES``; see ``create_inlet``.
        """
        flows = to_flow_controls(consumer_of)
        controls = portal_controls(policy, authority, incoming, outgoing)
        config = portal_outlet.Outlet(
            to_address(address),
            target,
            flows,
            controls[0],
            skip_handshake,
            max_payload_bytes,
            outgoing=controls[1],
        )
        if tls is None:
            return Outlet(self._driver, self._driver.start(config))
        from ockam_ref.asyncio.plain_side import start_over_tls

        return start_over_tls(self._driver, config, tls)

    # ---- portals for datagrams

    async def create_udp_inlet(
        self,
        listen: str,
        route: RouteLike = (),
        *,
        idle_timeout: float = IDLE_S,
        paused: bool = False,
        policy: Policy | Resource | None = None,
        authority: Identifier | None = None,
    ) -> UdpInlet:
        """Open a local UDP port; what is sent to it reaches the target of the UDP outlet at the end of the route.

        Each source has a session of its own, which is forgotten when nothing came for ``idle_timeout`` seconds.
        Without a route, or paused, datagrams are dropped until ``change_route`` or ``resume``.  For ``policy`` and
        ``authority`` see ``create_inlet``.

        Raises:
            OckamError: the port is taken, or not ours to take.
        """
        from ockam_ref.portals import udp_inlet as portal_udp_inlet

        onward = to_route(route)
        peer = self._driver.core.peer_of(onward)
        controls = portal_controls(policy, authority)
        worker, endpoint = await self._driver.bind(
            lambda link: portal_udp_inlet.UdpInlet(link, onward, peer, idle_timeout, paused, *controls), listen
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
        policy: Policy | Resource | None = None,
        authority: Identifier | None = None,
        outgoing: AccessControl = ALLOW_ALL,
    ) -> Outlet:
        """Send the datagrams of UDP inlets that lead to ``address`` on to ``target``, and its answers back.

        Each session has a socket of its own, which is closed when nothing came for ``idle_timeout`` seconds.  For
        ``policy``, ``authority`` and the controls see ``create_outlet``.
        """
        from ockam_ref.portals import udp_outlet as portal_udp_outlet

        flows = to_flow_controls(consumer_of)
        controls = portal_controls(policy, authority, incoming, outgoing)
        config = portal_udp_outlet.UdpOutlet(
            to_address(address), target, flows, controls[0], idle_timeout, outgoing=controls[1]
        )
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
        policy: Policy | Resource | None = None,
        authority: Identifier | None = None,
    ) -> Service:
        """Let nodes that connect to us register names under which others reach them.

        With ``policy``, which knows the name as ``relay.name``, or with an ``authority`` alone, whose credential must
        have the name or ``*`` as its attribute ``ockam-relay``, only those may who come through a secure channel; the
        listener of these channels needs the same ``authority``.
        """
        config = relay_service.RelayService(
            to_address(address),
            tuple(map(to_address, aliases)),
            prefix,
            to_flow_controls(consumer_of),
            to_flow_controls(relays_consumer_of),
            policy,
            None if authority is None else authority.value,
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
