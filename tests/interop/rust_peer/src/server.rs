//! Commands that stay and serve.

use std::str::FromStr;

use ockam::flow_control::FlowControlId;
use ockam::identity::{Identifier, SecureChannelListenerOptions};
use ockam::remote::RemoteRelayOptions;
use ockam::tcp::{
    TcpConnectionOptions, TcpInletOptions, TcpListenerOptions, TcpOutletOptions, TcpTransport,
    TcpTransportExtension,
};
use ockam::transport::HostnamePort;
use ockam::{Context, Node, RelayService, RelayServiceOptions, TryClone, route};

use crate::args::{Args, Failure};
use crate::report;
use crate::way::{self, API};
use crate::workers::{Echo, EchoBytes, Forwarder, Uppercase};

const OUTLET: &str = "outlet";
pub const RESPONDER: &str = "forward_to_responder";

pub async fn hub(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let node = start(context).await?;
    let tcp = node.create_tcp_transport()?;
    let listener = tcp.listen(address, TcpListenerOptions::new()).await?;
    let (identifier, channels) = accept_channels(&node, listener.flow_control_id()).await?;
    let sources = [listener.flow_control_id(), &channels];
    start_workers(&node, &sources)?;

    let open = || {
        sources
            .iter()
            .fold(RelayServiceOptions::new(), |options, source| {
                options
                    .service_as_consumer(source)
                    .relay_as_consumer(source)
            })
    };
    RelayService::create(context, "forwarding_service", open())?;
    RelayService::create(
        context,
        "static_forwarding_service",
        open().prefix("forward_to_"),
    )?;
    report::event(
        "ready",
        [
            ("listen", listener.socket_string().into()),
            ("identifier", identifier.to_string().into()),
        ],
    );
    Ok(())
}

pub async fn node(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let node = start(context).await?;
    let tcp = node.create_tcp_transport()?;
    let listener = tcp.listen(address, TcpListenerOptions::new()).await?;
    let (identifier, channels) = accept_channels(&node, listener.flow_control_id()).await?;
    start_workers(&node, &[listener.flow_control_id(), &channels])?;
    if let Some(target) = args.text("--outlet") {
        open_outlet(&tcp, args, target, &channels, listener.flow_control_id())?;
    }
    report::event(
        "ready",
        [
            ("listen", listener.socket_string().into()),
            ("identifier", identifier.to_string().into()),
        ],
    );
    Ok(())
}

pub async fn outlet(context: &Context, args: &Args) -> Result<(), Failure> {
    let target = args.required("--target")?;
    let hub = args.required("--hub")?;
    let node = start(context).await?;
    let tcp = node.create_tcp_transport()?;
    let hub = tcp.connect(hub, TcpConnectionOptions::new()).await?;
    let identifier = if args.flag("--no-channel") {
        start_workers(&node, &[hub.flow_control_id()])?;
        open_outlet(
            &tcp,
            args,
            target,
            hub.flow_control_id(),
            hub.flow_control_id(),
        )?;
        node.create_identity().await?
    } else {
        let (identifier, channels) = accept_channels(&node, hub.flow_control_id()).await?;
        start_workers(&node, &[hub.flow_control_id(), &channels])?;
        open_outlet(&tcp, args, target, &channels, hub.flow_control_id())?;
        identifier
    };

    let way = route![hub.sender_address().clone()];
    let options = RemoteRelayOptions::new();
    let relay = match args.text("--relay") {
        Some(name) => node.create_static_relay(way, name, options).await?,
        None => node.create_relay(way, options).await?,
    };
    report::event(
        "ready",
        [
            ("identifier", identifier.to_string().into()),
            ("forwarding_address", relay.remote_address().into()),
        ],
    );
    Ok(())
}

pub async fn inlet(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let node = start(context).await?;
    let tcp = node.create_tcp_transport()?;
    let way = way::connect(&node, &tcp, args).await?;
    let (route, identifier) = if args.flag("--no-channel") {
        if args.flag("--expect") {
            return Err("--expect needs a channel, which --no-channel rules out".into());
        }
        (way + OUTLET, None)
    } else {
        let channel = way::secure(&node, way, args).await?;
        let identifier = channel.their_identifier().to_string();
        (
            route![channel.encryptor_address().clone(), OUTLET],
            Some(identifier),
        )
    };
    let options = TcpInletOptions::new().set_skip_handshake(args.flag("--skip-handshake"));
    let inlet = tcp.create_inlet(address, route, options).await?;
    report::event(
        "ready",
        [
            ("listen", inlet.socket_address().to_string().into()),
            ("identifier", identifier.into()),
        ],
    );
    Ok(())
}

pub async fn middle(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let responder = args.required("--connect")?;
    let node = start(context).await?;
    let tcp = node.create_tcp_transport()?;
    let responder = tcp.connect(responder, TcpConnectionOptions::new()).await?;
    let forwarder = Forwarder(route![responder.sender_address().clone()]);
    node.start_worker(RESPONDER, forwarder)?;
    let listener = tcp.listen(address, TcpListenerOptions::new()).await?;
    node.flow_controls()
        .add_consumer(&RESPONDER.into(), listener.flow_control_id());
    report::event("ready", [("listen", listener.socket_string().into())]);
    Ok(())
}

pub async fn start(context: &Context) -> Result<Node, Failure> {
    Ok(ockam::node(context.try_clone()?).await?)
}

/// Starts the secure channel listener, reachable from `source`, and returns what its channels count as a source of.
pub async fn accept_channels(
    node: &Node,
    source: &FlowControlId,
) -> Result<(Identifier, FlowControlId), Failure> {
    let identifier = node.create_identity().await?;
    let options = SecureChannelListenerOptions::new().as_consumer(source);
    let channels = options.spawner_flow_control_id();
    node.create_secure_channel_listener(&identifier, API, options)?;
    Ok((identifier, channels))
}

/// A worker only sees messages from sources that it was made a consumer of; all others vanish without a trace.
pub fn start_workers(node: &Node, sources: &[&FlowControlId]) -> Result<(), Failure> {
    node.start_worker("echo", Echo)?;
    node.start_worker("echo_bytes", EchoBytes)?;
    node.start_worker("uppercase", Uppercase)?;
    for name in ["echo", "echo_bytes", "uppercase"] {
        for source in sources {
            node.flow_controls().add_consumer(&name.into(), source);
        }
    }
    Ok(())
}

fn open_outlet(
    tcp: &TcpTransport,
    args: &Args,
    target: &str,
    channels: &FlowControlId,
    direct: &FlowControlId,
) -> Result<(), Failure> {
    let mut options = TcpOutletOptions::new()
        .set_skip_handshake(args.flag("--skip-handshake"))
        .as_consumer(channels);
    if args.flag("--no-channel") {
        options = options.as_consumer(direct);
    }
    Ok(tcp.create_outlet(OUTLET, HostnamePort::from_str(target)?, options)?)
}
