//! Rendezvous, negotiation and punctures.

use std::time::Duration;

use ockam::tcp::{TcpListenerOptions, TcpTransportExtension};
use ockam::udp::{
    RendezvousService, UDP, UdpBindArguments, UdpBindOptions, UdpPunctureNegotiation,
    UdpPunctureNegotiationListener, UdpPunctureNegotiationListenerOptions, UdpTransportExtension,
};
use ockam::{Address, Context, Node, Route, route};

use crate::args::{Args, Failure};
use crate::member::Member;
use crate::report;
use crate::server::start_workers;

const RENDEZVOUS: &str = "rendezvous";
const LISTENER: &str = "udp";

/// The rendezvous service.
pub async fn rendezvous(context: &Context, args: &Args) -> Result<(), Failure> {
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let udp = node.create_udp_transport().await?;
    let arguments = UdpBindArguments::new().with_bind_address(args.required("--bind")?)?;
    let bind = udp.bind(arguments, UdpBindOptions::new()).await?;
    RendezvousService::start(context, RENDEZVOUS)?;
    node.flow_controls()
        .add_consumer(&RENDEZVOUS.into(), bind.flow_control_id());
    report::event(
        "ready",
        [("listen", bind.bind_address().to_string().into())],
    );
    Ok(())
}

/// What `node` serves over TCP, over the punctures that others ask for; over TCP only the negotiation.
pub async fn node(context: &Context, args: &Args) -> Result<(), Failure> {
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let tcp = node.create_tcp_transport()?;
    let listener = tcp
        .listen(args.required("--listen")?, TcpListenerOptions::new())
        .await?;
    let udp = node.create_udp_transport().await?;
    let options =
        UdpPunctureNegotiationListenerOptions::new().as_consumer(listener.flow_control_id());
    let punctures = options.flow_control_id();
    let rendezvous = server(args.required("--rendezvous")?);
    UdpPunctureNegotiationListener::create(context, LISTENER, &udp, rendezvous, options)?;
    let channels = member.accept_channels(&punctures)?;
    start_workers(&member, &[&punctures, &channels])?;
    report::event(
        "ready",
        [
            ("listen", listener.socket_string().into()),
            ("identifier", member.identifier.to_string().into()),
        ],
    );
    Ok(())
}

/// The way over a puncture to the node to which `way` leads.
pub async fn connect(
    context: &Context,
    node: &Node,
    way: Route,
    rendezvous: &str,
    timeout: Duration,
) -> Result<Route, Failure> {
    let udp = node.create_udp_transport().await?;
    let mut puncture = UdpPunctureNegotiation::start_negotiation(
        context,
        way + LISTENER,
        &udp,
        server(rendezvous),
        timeout,
    )
    .await?;
    puncture.wait_for_puncture(timeout).await?;
    Ok(route![puncture.sender_address()])
}

fn server(address: &str) -> Route {
    route![Address::new_with_string(UDP, address), RENDEZVOUS]
}
