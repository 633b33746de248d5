//! A node of the Rust implementation of Ockam, driven by command line options and reporting in JSON lines.

mod args;
mod client;
mod puncture;
mod report;
mod server;
mod udp;
mod way;
mod workers;

use std::future::Future;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use ockam::{Context, NodeBuilder};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Args, Failure};

const USAGE: &str = "\
ockam-peer COMMAND [OPTIONS]

Commands that print one `ready` event and then serve:
  hub      --listen HOST:PORT
  node     --listen HOST:PORT [--outlet HOST:PORT] [--no-channel] [--skip-handshake]
  outlet   --target HOST:PORT --hub HOST:PORT [--relay NAME] [--no-channel] [--skip-handshake]
  inlet    --listen HOST:PORT WAY [--expect IDENTIFIER] [--no-channel] [--skip-handshake] [--timeout SECONDS]
  middle   --listen HOST:PORT --connect HOST:PORT
  udp-node --bind HOST:PORT
  udp-middle --listen HOST:PORT --udp HOST:PORT | --bind HOST:PORT --connect HOST:PORT
  rendezvous --bind HOST:PORT
  puncture-node --listen HOST:PORT --rendezvous HOST:PORT
They end on SIGTERM, on SIGINT, and when standard input ends, unless --ignore-stdin is given.

Commands that print one `done` event and end (standard input is not read):
  echo     WAY [--channel] [--expect IDENTIFIER] [--text TEXT]
           [--bytes TOTAL] [--chunk N] [--window N] [--worker echo|echo_bytes] [--timeout SECONDS]
           [--rendezvous HOST:PORT]  (over a puncture that is negotiated along WAY)
  channels --count N
  identity

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
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    if matches!(command.as_str(), "" | "help" | "-h" | "--help") {
        eprintln!("{USAGE}");
        return ExitCode::from(u8::from(command.is_empty()));
    }
    let args = match Args::parse(&command, words) {
        Ok(args) => args,
        Err(failure) => return fail(&failure),
    };

    // The builder's own panic hook prints prose on standard output, which would break the one-JSON-object-per-line
    // promise, and so would its log.
    let (context, mut executor) = NodeBuilder::new()
        .with_logging(false)
        .no_exit_on_panic()
        .build();
    std::panic::set_hook(Box::new(|info| {
        report::error(&format!("panic: {info}"));
        std::process::exit(1);
    }));

    let outcome = executor.execute(async move {
        let outcome = run(&context, &command, &args).await;
        // Reported before the shutdown, because a reader waiting for the reason should not wait for that too.
        if let Err(failure) = &outcome {
            report::error(&failure.0);
        }
        let _ = context.shutdown_node().await;
        Ok::<_, ockam::Error>(outcome.is_ok())
    });
    match outcome {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => fail(&error.into()),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    report::error(&failure.0);
    ExitCode::FAILURE
}

async fn run(context: &Context, command: &str, args: &Args) -> Result<(), Failure> {
    let serves = SERVERS.contains(&command);
    let ended = end_of_life(serves && !args.flag("--ignore-stdin"))?;
    tokio::pin!(ended);
    let work = async {
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
            "identity" => client::identity(context).await,
            _ => Err(Failure(format!("unknown command `{command}`"))),
        }
    };
    tokio::select! {
        // The work goes first, so that a bad option is reported even if standard input was never open.
        biased;
        outcome = work => outcome?,
        () = &mut ended => return Err(if serves {
            "ended before it was ready: by a signal, or because standard input ended (see --ignore-stdin)".into()
        } else {
            "ended by a signal before it was done".into()
        }),
    }
    if serves {
        ended.await;
    }
    Ok(())
}

/// Resolves when the process should end: on a signal and, if asked, when whoever holds our standard input is gone.
fn end_of_life(watch_stdin: bool) -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| Failure(e.to_string()))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| Failure(e.to_string()))?;
    let (stdin_ended, stdin_end) = tokio::sync::oneshot::channel::<()>();
    if watch_stdin {
        // A plain thread: a read blocked in the runtime's own pool would hold up its shutdown.
        std::thread::spawn(move || {
            let mut ignored = [0; 1024];
            while matches!(std::io::stdin().read(&mut ignored), Ok(length) if length > 0) {}
            let _ = stdin_ended.send(());
            // The orderly shutdown can wait for a peer that takes no more data. Nobody is left to wait with it.
            std::thread::sleep(Duration::from_secs(5));
            std::process::exit(0);
        });
    } else {
        std::mem::forget(stdin_ended);
    }
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = stdin_end => {}
        }
    })
}
