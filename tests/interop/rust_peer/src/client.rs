//! Commands that do one thing, report it and end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ockam::access_control::AllowAll;
use ockam::identity::{SecureChannelListenerOptions, SecureChannelOptions};
use ockam::tcp::TcpTransportExtension;
use ockam::{Address, Context, Message, MessageReceiveOptions, Route, Routed, TryClone, route};

use crate::args::{Args, Failure};
use crate::member::{API, Member};
use crate::way;
use crate::workers::open_for;
use crate::{puncture, report};

// A mailbox holds eight messages. With more of them on their way, sending could wait for us to read answers while
// we wait for sending.
const LARGEST_WINDOW: usize = 8;

pub async fn echo(context: &Context, args: &Args) -> Result<(), Failure> {
    let total: usize = args.parsed("--bytes")?.unwrap_or(0);
    let chunk: usize = args.parsed("--chunk")?.unwrap_or(1024);
    let window: usize = args.parsed("--window")?.unwrap_or(1);
    let worker = args.text("--worker").unwrap_or("echo_bytes");
    let default_text = (total == 0).then_some("Hello Ockam!");
    let text = args.text("--text").or(default_text);
    if chunk == 0 || !(1..=LARGEST_WINDOW).contains(&window) {
        return Err("--chunk must be at least 1, and --window 1 to 8".into());
    }

    let member = Member::start(context, args).await?;
    let node = &member.node;
    let tcp = node.create_tcp_transport()?;
    let mut way = way::connect(node, &tcp, args).await?;
    if let Some(rendezvous) = args.text("--rendezvous") {
        way = puncture::connect(context, node, way, rendezvous, way::timeout(args)?).await?;
    }
    let mut identifier = None;
    if args.flag("--channel") {
        let channel = way::secure(&member, way, args).await?;
        identifier = Some(channel.their_identifier().to_string());
        way = route![channel.encryptor_address().clone()];
    } else if args.flag("--expect") {
        return Err("--expect needs --channel".into());
    }

    let mut mailbox = Mailbox::open(context, &way, way::timeout(args)?)?;
    let mut last_route = None;
    let again = args.parsed::<f64>("--again-after")?;
    for (text, pause) in texts(text, again) {
        tokio::time::sleep(pause).await;
        mailbox.send(way.clone() + "echo", text.to_string()).await?;
        let reply = mailbox.receive::<String>().await?;
        last_route = Some(reply.return_route().to_string());
        let reply = reply.into_body()?;
        if reply != text {
            return Err(Failure(format!("sent the text {text:?}, got {reply:?}")));
        }
    }

    let started = Instant::now();
    let mut transfer = Transfer {
        to_send: total,
        chunk,
        window,
        noise: Noise(0x9e37_79b9_7f4a_7c15),
        messages: 0,
    };
    let bulk_route = match worker {
        "echo_bytes" => {
            let bytes = |noise: &mut Noise, length| noise.bytes(length);
            transfer.run(&mut mailbox, way + worker, bytes).await?
        }
        // This worker of a Rust node takes nothing but text.
        "echo" => {
            let letters = |noise: &mut Noise, length| noise.letters(length);
            transfer.run(&mut mailbox, way + worker, letters).await?
        }
        _ => return Err(Failure(format!("--worker cannot be `{worker}`"))),
    };
    let seconds = started.elapsed().as_secs_f64();
    report::event(
        "done",
        [
            ("bytes", total.into()),
            ("messages", transfer.messages.into()),
            ("seconds", seconds.into()),
            ("text", text.map(str::to_string).into()),
            ("identifier", identifier.into()),
            ("return_route", bulk_route.or(last_route).into()),
        ],
    );
    Ok(())
}

/// The text to be sent, and once more after a pause if that is asked for.
fn texts(text: Option<&str>, again: Option<f64>) -> impl Iterator<Item = (&str, Duration)> {
    let pauses = std::iter::once(0.0).chain(again);
    text.into_iter().flat_map(move |text| {
        pauses
            .clone()
            .map(move |s| (text, Duration::from_secs_f64(s)))
    })
}

pub async fn channels(context: &Context, args: &Args) -> Result<(), Failure> {
    let count: usize = args
        .parsed("--count")?
        .ok_or_else(|| Failure::from("--count is missing"))?;
    let node = ockam::node(context.try_clone()?).await?;
    let responder = node.create_identity().await?;
    let initiator = node.create_identity().await?;
    node.create_secure_channel_listener(&responder, API, SecureChannelListenerOptions::new())?;
    // The first channel of an identity also creates and certifies its channel key, which is not what is measured.
    node.create_secure_channel(&initiator, route![API], SecureChannelOptions::new())
        .await?;

    let started = Instant::now();
    for _ in 0..count {
        node.create_secure_channel(&initiator, route![API], SecureChannelOptions::new())
            .await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    report::event(
        "done",
        [
            ("count", count.into()),
            ("seconds", seconds.into()),
            ("per_second", (count as f64 / seconds).into()),
        ],
    );
    Ok(())
}

/// One address for all requests: `send_and_receive` would make a new one for each, which costs time and is never
/// given back to the flow controls.
struct Mailbox {
    context: Context,
    timeout: Duration,
}

impl Mailbox {
    fn open(context: &Context, way: &Route, timeout: Duration) -> Result<Self, Failure> {
        let address = Address::random_tagged("peer.client");
        open_for(context.flow_controls(), way.next()?, &address);
        let context = context.new_detached(address, AllowAll, AllowAll)?;
        Ok(Self { context, timeout })
    }

    async fn send<M: Message>(&self, route: Route, message: M) -> Result<(), Failure> {
        Ok(self.context.send(route, message).await?)
    }

    async fn receive<M: Message>(&mut self) -> Result<Routed<M>, Failure> {
        let options = MessageReceiveOptions::new().with_timeout(self.timeout);
        Ok(self.context.receive_extended(options).await?)
    }
}

struct Transfer {
    to_send: usize,
    chunk: usize,
    window: usize,
    noise: Noise,
    messages: usize,
}

impl Transfer {
    /// Returns the return route of the last reply.
    async fn run<M>(
        &mut self,
        mailbox: &mut Mailbox,
        route: Route,
        make: impl Fn(&mut Noise, usize) -> M,
    ) -> Result<Option<String>, Failure>
    where
        M: Message + Clone + AsRef<[u8]>,
    {
        let mut expected = VecDeque::new();
        let mut received = 0;
        let mut return_route = None;
        loop {
            while self.to_send > 0 && expected.len() < self.window {
                let message = make(&mut self.noise, self.chunk.min(self.to_send));
                self.to_send -= message.as_ref().len();
                expected.push_back(message.clone());
                mailbox.send(route.clone(), message).await?;
                self.messages += 1;
            }
            let Some(sent) = expected.pop_front() else {
                return Ok(return_route);
            };
            let reply = mailbox.receive::<M>().await?;
            if self.to_send == 0 && expected.is_empty() {
                return_route = Some(reply.return_route().to_string());
            }
            compare(sent.as_ref(), reply.into_body()?.as_ref(), received)?;
            received += sent.as_ref().len();
        }
    }
}

fn compare(sent: &[u8], got: &[u8], before: usize) -> Result<(), Failure> {
    if sent == got {
        return Ok(());
    }
    let same = sent.iter().zip(got).take_while(|(a, b)| a == b).count();
    Err(Failure(format!(
        "the reply to a message of {} bytes has {} bytes and differs at byte {} of the transfer",
        sent.len(),
        got.len(),
        before + same
    )))
}

/// A small fixed generator, so that a failing transfer fails the same way again.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 7);
        while bytes.len() < length {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    fn letters(&mut self, length: usize) -> String {
        self.bytes(length)
            .into_iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect()
    }
}
