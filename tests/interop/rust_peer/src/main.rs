//! A node of the Rust implementation of Ockam, driven by command line options and reporting in JSON lines.

mod args;
mod client;
mod identity;
mod lifetime;
mod member;
mod options;
mod puncture;
mod report;
mod server;
mod trust;
mod udp;
mod way;
mod workers;

use std::process::ExitCode;

use ockam::Context;

use crate::args::Args;
use crate::lifetime::{Program, Working, unknown};
use crate::options::known;

const USAGE: &str = "\
ockam-peer COMMAND [OPTIONS]

Commands that print one `ready` event and then serve:
  hub      --listen HOST:PORT [WHO] [TRUST]  (with --authority, relays need credentials)
  node     --listen HOST:PORT [--outlet HOST:PORT] [WHO] [TRUST] [--allow POLICY] [--no-channel] [--skip-handshake]
  outlet   --target HOST:PORT --hub HOST:PORT [--relay NAME] [WHO] [TRUST] [--allow POLICY]
           [--no-channel] [--hub-channel] [--skip-handshake]
  inlet    --listen HOST:PORT WAY [--expect IDENTIFIER] [WHO] [TRUST] [--allow POLICY]
           [--no-channel] [--skip-handshake] [--timeout SECONDS]
  middle   --listen HOST:PORT --connect HOST:PORT
  udp-node --bind HOST:PORT
  udp-middle --listen HOST:PORT --udp HOST:PORT | --bind HOST:PORT --connect HOST:PORT
  rendezvous --bind HOST:PORT
  puncture-node --listen HOST:PORT --rendezvous HOST:PORT
They end on SIGTERM, on SIGINT, and when standard input ends, unless --ignore-stdin is given.

Commands that print one `done` event and end (standard input is not read):
  echo     WAY [--channel] [--expect IDENTIFIER] [WHO] [TRUST] [--text TEXT] [--again-after SECONDS]
           [--bytes TOTAL] [--chunk N] [--window N] [--worker echo|echo_bytes] [--timeout SECONDS]
           [--rendezvous HOST:PORT]  (over a puncture that is negotiated along WAY)
  channels --count N
  identity [WHO] [--rotate SECRET]
  verify   --of HISTORY [--known HISTORY]
  issue    WHO --subject HISTORY [--attributes NAME=VALUE,...] [--ttl SECONDS]
  check    --credential CREDENTIAL --authority HISTORY --subject HISTORY

WHO is the identity of the node: --secret SECRET [--history HISTORY]
  A secret is 64 hexadecimal digits of Ed25519, or of P-256 after `p256:`.

TRUST is whose credentials count, and the one that is shown: --authority HISTORY
  [--credential CREDENTIAL | --authority-at HOST:PORT [--gap SECONDS]]

WAY is how to reach the other node:
  --node HOST:PORT
  --hub HOST:PORT --forwarding-address ADDRESS
  --via HOST:PORT --hop ADDRESS
  --udp HOST:PORT [--hop ADDRESS] [--fixed-peer]";

const SERVERS: [&str; 9] = [
    "hub",
    "node",
    "outlet",
    "inlet",
    "middle",
    "udp-node",
    "udp-middle",
    "rendezvous",
    "puncture-node",
];

fn main() -> ExitCode {
    lifetime::main(&Program {
        usage: USAGE,
        servers: &SERVERS,
        known,
        work,
    })
}

fn work<'a>(context: &'a Context, command: &'a str, args: &'a Args) -> Working<'a> {
    Box::pin(async move {
        match command {
            "hub" => server::hub(context, args).await,
            "node" => server::node(context, args).await,
            "outlet" => server::outlet(context, args).await,
            "inlet" => server::inlet(context, args).await,
            "middle" => server::middle(context, args).await,
            "udp-node" => udp::node(context, args).await,
            "udp-middle" => udp::middle(context, args).await,
            "rendezvous" => puncture::rendezvous(context, args).await,
            "puncture-node" => puncture::node(context, args).await,
            "echo" => client::echo(context, args).await,
            "channels" => client::channels(context, args).await,
            "identity" => trust::identity(context, args).await,
            "verify" => trust::verify(context, args).await,
            "issue" => trust::issue(context, args).await,
            "check" => trust::check(context, args).await,
            _ => Err(unknown(command)),
        }
    })
}
