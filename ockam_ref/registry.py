"""Every kind of worker that a node can start, by the class of its configuration: one line a machine."""

from collections.abc import Mapping
from typing import Any, Final

from ockam_ref.channels import initiator, listener, responder
from ockam_ref.links import connector, datagram_connector, link_listener, node_link, typed_hop, udp_endpoint, udp_source
from ockam_ref.machine import AnyMachine
from ockam_ref.portals import inlet, outlet, udp_inlet, udp_outlet
from ockam_ref.puncture import initiator as puncture_initiator
from ockam_ref.puncture import listener as puncture_listener
from ockam_ref.puncture import rendezvous_service
from ockam_ref.puncture import responder as puncture_responder
from ockam_ref.relays import relay, remote, service
from ockam_ref.steady import initiator as steady_initiator
from ockam_ref.steady import listener as steady_listener
from ockam_ref.steady import responder as steady_responder
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
    puncture_initiator.Puncture: puncture_initiator.MACHINE,
    puncture_listener.PunctureListener: puncture_listener.MACHINE,
    puncture_responder.PunctureResponder: puncture_responder.MACHINE,
    relay.Relay: relay.MACHINE,
    remote.RemoteRelay: remote.MACHINE,
    rendezvous_service.RendezvousService: rendezvous_service.MACHINE,
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
    steady_initiator.SteadyLink: steady_initiator.MACHINE,
    steady_listener.SteadyListener: steady_listener.MACHINE,
    steady_responder.SteadyResponder: steady_responder.MACHINE,
    uppercase.Uppercase: uppercase.MACHINE,
}
