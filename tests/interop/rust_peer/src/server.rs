//! Commands that stay and serve.

use std::str::FromStr;

use ockam::flow_control::FlowControlId;
use ockam::remote::RemoteRelayOptions;
use ockam::tcp::{
    TcpConnectionOptions, TcpInletOptions, TcpListenerOptions, TcpOutletOptions, TcpTransport,
    TcpTransportExtension,
};
use ockam::transport::HostnamePort;
use ockam::{Context, RelayService, RelayServiceOptions, Worker, route};

use crate::args::{Args, Failure};
use crate::member::Member;
use crate::report;
use crate::way;
use crate::workers::{Echo, EchoBytes, Forwarder, Uppercase};

const OUTLET: &str = "outlet";
pub const RESPONDER: &str = "forward_to_responder";

pub async fn hub(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let tcp = node.create_tcp_transport()?;
    let listener = tcp.listen(address, TcpListenerOptions::new()).await?;
    let channels = member.accept_channels(listener.flow_control_id())?;
    let sources = [listener.flow_control_id(), &channels];
    start_workers(&member, &sources)?;

    let open = || {
        sources
            .iter()
            .fold(relay_options(&member), |options, source| {
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
            ("identifier", member.identifier.to_string().into()),
        ],
    );
    Ok(())
}

pub async fn node(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let tcp = node.create_tcp_transport()?;
    let listener = tcp.listen(address, TcpListenerOptions::new()).await?;
    let channels = member.accept_channels(listener.flow_control_id())?;
    start_workers(&member, &[listener.flow_control_id(), &channels])?;
    if let Some(target) = args.text("--outlet") {
        open_outlet(
            &member,
            &tcp,
            args,
            target,
            &channels,
            listener.flow_control_id(),
        )?;
    }
    report::event(
        "ready",
        [
            ("listen", listener.socket_string().into()),
            ("identifier", member.identifier.to_string().into()),
        ],
    );
    Ok(())
}

pub async fn outlet(context: &Context, args: &Args) -> Result<(), Failure> {
    let target = args.required("--target")?;
    let hub = args.required("--hub")?;
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let tcp = node.create_tcp_transport()?;
    let hub = tcp.connect(hub, TcpConnectionOptions::new()).await?;
    let mut way = route![hub.sender_address().clone()];
    let mut source = hub.flow_control_id().clone();
    if args.flag("--hub-channel") {
        let channel = way::secure(&member, way, args).await?;
        way = route![channel.encryptor_address().clone()];
        source = channel.flow_control_id().clone();
    }
    if args.flag("--no-channel") {
        start_workers(&member, &[&source])?;
        open_outlet(&member, &tcp, args, target, &source, &source)?;
    } else {
        let channels = member.accept_channels(&source)?;
        start_workers(&member, &[&source, &channels])?;
        open_outlet(&member, &tcp, args, target, &channels, &source)?;
    }

    let options = RemoteRelayOptions::new();
    let relay = match args.text("--relay") {
        Some(name) => node.create_static_relay(way, name, options).await?,
        None => node.create_relay(way, options).await?,
    };
    report::event(
        "ready",
        [
            ("identifier", member.identifier.to_string().into()),
            ("forwarding_address", relay.remote_address().into()),
        ],
    );
    Ok(())
}

pub async fn inlet(context: &Context, args: &Args) -> Result<(), Failure> {
    let address = args.required("--listen")?;
    let member = Member::start(context, args).await?;
    let node = &member.node;
    let tcp = node.create_tcp_transport()?;
    let way = way::connect(node, &tcp, args).await?;
    let (route, identifier) = if args.flag("--no-channel") {
        if args.flag("--expect") {
            return Err("--expect needs a channel, which --no-channel rules out".into());
        }
        (way + OUTLET, None)
    } else {
        let channel = way::secure(&member, way, args).await?;
        let identifier = channel.their_identifier().to_string();
        (
            route![channel.encryptor_address().clone(), OUTLET],
            Some(identifier),
        )
    };
    let mut options = TcpInletOptions::new().set_skip_handshake(args.flag("--skip-handshake"));
    if let Some((incoming, outgoing)) = member.guards()? {
        options = options
            .with_incoming_access_control_impl(incoming)
            .with_outgoing_access_control_impl(outgoing);
    }
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
    let member = Member::start(context, args).await?;
    let node = &member.node;
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

/// With an authority, a relay is made for those only whose credential names it.
fn relay_options(member: &Member) -> RelayServiceOptions {
    let options = RelayServiceOptions::new();
    match member.authority() {
        Some(authority) => {
            options.authority(authority.clone(), member.node.identities_attributes())
        }
        None => options,
    }
}

/// A worker only sees messages from sources that it was made a consumer of; all others vanish without a trace.
pub fn start_workers(member: &Member, sources: &[&FlowControlId]) -> Result<(), Failure> {
    start_worker(member, "echo", Echo, sources)?;
    start_worker(member, "echo_bytes", EchoBytes, sources)?;
    start_worker(member, "uppercase", Uppercase, sources)
}

fn start_worker(
    member: &Member,
    name: &str,
    worker: impl Worker<Context = Context>,
    sources: &[&FlowControlId],
) -> Result<(), Failure> {
    let node = &member.node;
    match member.guards()? {
        Some((incoming, outgoing)) => {
            node.start_worker_with_access_control(name, worker, incoming, outgoing)?;
        }
        None => node.start_worker(name, worker)?,
    }
    for source in sources {
        node.flow_controls().add_consumer(&name.into(), source);
    }
    Ok(())
}

fn open_outlet(
    member: &Member,
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
    if let Some((incoming, outgoing)) = member.guards()? {
        options = options
            .with_incoming_access_control_impl(incoming)
            .with_outgoing_access_control_impl(outgoing);
    }
    Ok(tcp.create_outlet(OUTLET, HostnamePort::from_str(target)?, options)?)
}
