//! The authority node of the Rust implementation of Ockam, and its clients.

#[path = "../../rust_peer/src/args.rs"]
mod args;
mod authority;
mod client;
#[path = "../../rust_peer/src/identity.rs"]
mod identity;
#[path = "../../rust_peer/src/lifetime.rs"]
mod lifetime;
#[path = "../../rust_peer/src/report.rs"]
mod report;

use std::process::ExitCode;

use ockam::Context;

use crate::args::{Args, Known};
use crate::identity::IDENTITY;
use crate::lifetime::{Program, Working, unknown};

const USAGE: &str = "\
ockam-authority COMMAND [OPTIONS]

  authority  --listen HOST:PORT WHO [--trusted MEMBERS] [--project ID]
             prints one `ready` event and serves. It ends on SIGTERM, on SIGINT, and when standard input ends, unless
             --ignore-stdin is given. The environment variable CREDENTIAL_TTL_SECS says how long credentials last.

Commands that print one `done` event and end (standard input is not read):
  credential WHO AUTHORITY
  ticket     WHO AUTHORITY [--attributes NAME=VALUE,...] [--ttl SECONDS] [--uses N] [--project ID]
  enroll     WHO --ticket TICKET
  add        WHO AUTHORITY --member IDENTIFIER [--attributes NAME=VALUE,...]
  remove     WHO AUTHORITY --member IDENTIFIER
  members    WHO AUTHORITY

WHO is the identity of the node: --secret SECRET [--history HISTORY]
AUTHORITY is: --authority HISTORY --authority-at HOST:PORT
MEMBERS is: IDENTIFIER:NAME=VALUE,...;IDENTIFIER:NAME=VALUE,...";

const AUTHORITY: [&str; 2] = ["--authority", "--authority-at"];

fn main() -> ExitCode {
    lifetime::main(&Program {
        usage: USAGE,
        servers: &["authority"],
        known,
        work,
    })
}

fn known(command: &str) -> Option<Known> {
    let (values, client, flags): (&[&str], bool, &[&str]) = match command {
        "authority" => (
            &["--listen", "--trusted", "--project"],
            false,
            &["--ignore-stdin"],
        ),
        "credential" | "members" => (&[], true, &[]),
        "ticket" => (&["--attributes", "--ttl", "--uses", "--project"], true, &[]),
        "enroll" => (&["--ticket"], false, &[]),
        "add" => (&["--member", "--attributes"], true, &[]),
        "remove" => (&["--member"], true, &[]),
        _ => return None,
    };
    let mut values = [values, &IDENTITY].concat();
    if client {
        values.extend(AUTHORITY);
    }
    Some((values, flags))
}

fn work<'a>(context: &'a Context, command: &'a str, args: &'a Args) -> Working<'a> {
    Box::pin(async move {
        match command {
            "authority" => authority::serve(context, args).await,
            "credential" => client::credential(context, args).await,
            "ticket" => client::ticket(context, args).await,
            "enroll" => client::enroll(context, args).await,
            "add" => client::add(context, args).await,
            "remove" => client::remove(context, args).await,
            "members" => client::members(context, args).await,
            _ => Err(unknown(command)),
        }
    })
}
