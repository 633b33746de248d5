"""The part of a node that reaches other nodes: listening, connecting, binding, typed hops."""

import asyncio
from collections.abc import Iterable
from typing import Final

from ockam_ref.asyncio.driver import now
from ockam_ref.asyncio.handles import (
    NodeConnection,
    NodeListener,
    UdpBind,
)
from ockam_ref.asyncio.hops import Flow, RouteLike, to_flow_controls, to_route
from ockam_ref.asyncio.running import Running, fresh_flow_control_id
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.events import HopWanted
from ockam_ref.links import connector, link_listener, node_link, typed_hop
from ockam_ref.links.forms import find_form
from ockam_ref.wire.address import UDP, Address, any_of_type
from ockam_ref.wire.route import Route
from ockam_transports.base import LinkKind, TransportPlugin
from ockam_transports.connecting import CONNECT_TIMEOUT_S

ANY_UDP: Final = "0.0.0.0:0"  # to reach other machines it must not be bound to this one's loopback
"""Where the socket is bound through which typed UDP hops are reached."""


class Reaching(Running):
    """Links to other nodes."""

    # ---- links to other nodes

    async def listen(self, transport: str, address: str) -> NodeListener:
        """Listen for other nodes, at an address in the form of that transport (``ockam-ref transports`` lists them).

        Raises:
            MisuseError: the address cannot be read.
            OckamError: nobody can listen there, or the transport is not installed.
        """
        flow = fresh_flow_control_id()
        plugin = self._driver.transports.plugin(transport)
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
        plugin = self._driver.transports.plugin(transport)
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
        plugin = self._driver.transports.plugin(transport)
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
        from ockam_ref.links.udp_endpoint import UdpEndpoint
        from ockam_transports import udp

        only = None if peer is None else await udp.resolve(peer, beside=address)
        flow = fresh_flow_control_id()
        flows = to_flow_controls(consumer_of)
        worker, endpoint = await self._driver.bind(lambda link: UdpEndpoint(link, only, flow, flows, recovery), address)
        return UdpBind(self._driver, worker, endpoint.address, flow)

    # ---- typed hops in the first place of a route

    async def connect_first_hop(
        self,
        route: RouteLike,
        *,
        timeout: float = CONNECT_TIMEOUT_S,  # noqa: ASYNC109
    ) -> tuple[NodeConnection | None, Route]:
        """Replace a typed hop that begins a route by a connection of its own, which the caller closes when done.

        A route that begins with a local hop, or with one of a transport without connections, is returned as it is.

        Raises:
            OckamError: nobody answers there, or its transport is not installed.
        """
        onward = to_route(route)
        if not onward or onward[0].is_local:
            return None, onward
        plugin = self._driver.transports.plugin_of_type(onward[0].transport_type)
        if plugin is None or plugin.kind is LinkKind.DATAGRAM or onward[0] in self._driver.core:
            return None, onward
        connection = await self.connect(plugin.name, onward[0].value.decode(), timeout=timeout)
        return connection, (connection.hop, *onward[1:])

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
        plugin = self._driver.transports.plugin_of_type(typed.transport_type)
        if plugin is None:
            message = f"the route begins with {typed}, and no transport with that number is installed"
            raise OckamError(ErrorCode.NOT_INSTALLED, message)
        self._driver.transports.get(plugin.name)  # if something that it needs is missing, it says so here
        await self._start_connector(plugin)
        if plugin.kind is LinkKind.DATAGRAM:
            return route
        life = self._driver.watching.follow(typed)
        self._driver.tell(any_of_type(typed.transport_type), HopWanted(typed, now()))
        try:
            await asyncio.wait((life.begun, life.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
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
            from ockam_ref.links import datagram_connector

            bind = await self.udp_bind(ANY_UDP)
            if any_of_type(transport_type) in core:  # another caller was faster
                await bind.close()
                return
            self._driver.start(datagram_connector.DatagramConnector(transport_type, bind.hop))
        else:
            self._driver.start(connector.Connector(plugin.name, transport_type, find_form(plugin.form)))

    def _check_first_hop(self, route: Route) -> None:
        core = self._driver.core
        first = route[0] if route else "(nothing)"
        if not route or not (route[0] in core or any_of_type(route[0].transport_type) in core):
            raise OckamError(ErrorCode.UNKNOWN_ADDRESS, f"the route begins with {first}, which this node does not have")


def _link_alias(plugin: TransportPlugin, target: str | None) -> Address | None:
    """Return the fixed name that old peers want a link to have in return routes."""
    if plugin.link_alias is None:
        return None
    return Address(plugin.transport_type, plugin.link_alias(target).encode())
