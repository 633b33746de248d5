//! Nodes and ways over UDP.

use ockam::tcp::{TcpConnectionOptions, TcpListenerOptions, TcpTransportExtension};
use ockam::udp::{UDP, UdpBind, UdpBindArguments, UdpBindOptions, UdpTransportExtension};
use ockam::{Address, Context, Node, Route, route};

use crate::args::{Args, Failure};
use crate::member::Member;
use crate::report;
use crate::server::{RESPONDER, start_workers};
use crate::workers::Forwarder;

const ANY_PORT: &str = "127.0.0.1:0";

/// Serves over UDP what `node` serves over TCP.
pub async fn node(context: &Context, args: &Args) -> Result<(), Failure> {
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let bind = bind(node, args.required("--bind")?, None).await?;
    let channels = member.accept_channels(bind.flow_control_id())?;
    start_workers(&member, &[bind.flow_control_id(), &channels])?;
    report::event(
        "ready",
        [
            ("listen", bind.bind_address().to_string().into()),
            ("identifier", member.identifier.to_string().into()),
        ],
    );
    Ok(())
}

/// Passes on from TCP to UDP (`--listen`, `--udp`) or from UDP to TCP (`--bind`, `--connect`).
pub async fn middle(context: &Context, args: &Args) -> Result<(), Failure> {
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let tcp = node.create_tcp_transport()?;
    let (onward, listen, source) = match (args.text("--udp"), args.text("--connect")) {
        (Some(responder), None) => {
            let bind = bind(node, ANY_PORT, None).await?;
            let listener = tcp
                .listen(args.required("--listen")?, TcpListenerOptions::new())
                .await?;
            let onward = route![bind.sender_address().clone(), hop(responder)];
            let source = listener.flow_control_id().clone();
            (onward, listener.socket_string(), source)
        }
        (None, Some(responder)) => {
            let bind = bind(node, args.required("--bind")?, None).await?;
            let connection = tcp.connect(responder, TcpConnectionOptions::new()).await?;
            let onward = route![connection.sender_address().clone()];
            let source = bind.flow_control_id().clone();
            (onward, bind.bind_address().to_string(), source)
        }
        _ => return Err("either --listen and --udp, or --bind and --connect are needed".into()),
    };
    node.start_worker(RESPONDER, Forwarder(onward))?;
    node.flow_controls()
        .add_consumer(&RESPONDER.into(), &source);
    report::event("ready", [("listen", listen.into())]);
    Ok(())
}

/// The way to a node that is bound to an address, from a bind of our own, with that peer only or with any.
pub async fn connect(node: &Node, address: &str, fixed: bool) -> Result<Route, Failure> {
    let bind = bind(node, ANY_PORT, fixed.then_some(address)).await?;
    let route = route![bind.sender_address().clone()];
    Ok(if fixed { route } else { route + hop(address) })
}

async fn bind(node: &Node, address: &str, peer: Option<&str>) -> Result<UdpBind, Failure> {
    let udp = node.create_udp_transport().await?;
    let mut arguments = UdpBindArguments::new().with_bind_address(address)?;
    if let Some(peer) = peer {
        arguments = arguments.with_peer_address(peer).await?;
    }
    Ok(udp.bind(arguments, UdpBindOptions::new()).await?)
}

fn hop(address: &str) -> Address {
    Address::new_with_string(UDP, address)
}
