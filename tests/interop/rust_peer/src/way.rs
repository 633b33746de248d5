//! How to reach another node, directly or through a third one, with or without a secure channel.

use std::time::Duration;

use ockam::identity::{Identifier, SecureChannel, SecureChannelOptions, TrustIdentifierPolicy};
use ockam::tcp::{TcpConnectionOptions, TcpTransport};
use ockam::{Address, Node, Route, route};

use crate::args::{Args, Failure};
use crate::member::Member;
use crate::udp;

/// Connects, and returns the route that leads to the workers of the other node.
pub async fn connect(node: &Node, tcp: &TcpTransport, args: &Args) -> Result<Route, Failure> {
    if let Some(peer) = args.text("--udp") {
        let route = udp::connect(node, peer, args.flag("--fixed-peer")).await?;
        return Ok(match args.text("--hop") {
            Some(hop) => route + address(hop)?,
            None => route,
        });
    }
    let (peer, hop) = match (args.text("--node"), args.text("--hub"), args.text("--via")) {
        (Some(node), None, None) => (node, None),
        (None, Some(hub), None) => (hub, Some(args.required("--forwarding-address")?)),
        (None, None, Some(via)) => (via, Some(args.required("--hop")?)),
        _ => return Err("exactly one of --node, --hub, --via and --udp is needed".into()),
    };
    let hop = hop.map(address).transpose()?;
    let connection = tcp.connect(peer, TcpConnectionOptions::new()).await?;
    let route = route![connection.sender_address().clone()];
    Ok(match hop {
        Some(hop) => route + hop,
        None => route,
    })
}

/// Opens a secure channel to the listener at the end of `way`.
pub async fn secure(member: &Member, way: Route, args: &Args) -> Result<SecureChannel, Failure> {
    let mut options = SecureChannelOptions::new().with_timeout(timeout(args)?);
    if let Some(expected) = args.text("--expect") {
        let expected = Identifier::try_from(expected)?;
        options = options.with_trust_policy(TrustIdentifierPolicy::new(expected));
    }
    member.open_channel(way, options).await
}

/// How long to wait for any one answer. Silence is the usual sign of failure, so a test may want less.
pub fn timeout(args: &Args) -> Result<Duration, Failure> {
    let seconds: f64 = args.parsed("--timeout")?.unwrap_or(30.0);
    Duration::try_from_secs_f64(seconds).map_err(|e| Failure(format!("--timeout: {e}")))
}

/// The library's own conversions from text abort the process on malformed input.
fn address(text: &str) -> Result<Address, Failure> {
    text.parse()
        .map_err(|_| Failure(format!("`{text}` is not an address")))
}
