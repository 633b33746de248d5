"""Every kind of worker that a node can start, by the class of its configuration: one line a machine."""

from collections.abc import Mapping
from typing import Any, Final

from ockam_ref.channels import initiator, listener, responder
from ockam_ref.links import connector, datagram_connector, link_listener, node_link, typed_hop, udp_endpoint, udp_source
from ockam_ref.machine import AnyMachine
from ockam_ref.portals import inlet, outlet, udp_inlet, udp_outlet
from ockam_ref.relays import relay, remote, service
from ockam_ref.workers import application, echo, hop, uppercase

MACHINES: Final[Mapping[type[Any], AnyMachine]] = {
    application.Application: application.MACHINE,
    connector.Connector: connector.MACHINE,
    datagram_connector.DatagramConnector: datagram_connector.MACHINE,
    echo.Echo: echo.MACHINE,
    hop.Hop: hop.MACHINE,
    inlet.Inlet: inlet.INLET,
    inlet.InletConnection: inlet.CONNECTION,
    initiator.SecureChannel: initiator.MACHINE,
    listener.SecureChannelListener: listener.MACHINE,
    outlet.Outlet: outlet.OUTLET,
    outlet.OutletConnection: outlet.CONNECTION,
    relay.Relay: relay.MACHINE,
    remote.RemoteRelay: remote.MACHINE,
    responder.Responder: responder.MACHINE,
    service.RelayService: service.MACHINE,
    udp_inlet.UdpInlet: udp_inlet.INLET,
    udp_inlet.UdpInletSession: udp_inlet.SESSION,
    udp_outlet.UdpOutlet: udp_outlet.OUTLET,
    udp_outlet.UdpOutletSession: udp_outlet.SESSION,
    node_link.NodeLink: node_link.MACHINE,
    link_listener.LinkListener: link_listener.MACHINE,
    typed_hop.TypedHop: typed_hop.MACHINE,
    udp_endpoint.UdpEndpoint: udp_endpoint.MACHINE,
    udp_source.UdpSource: udp_source.MACHINE,
    uppercase.Uppercase: uppercase.MACHINE,
}
