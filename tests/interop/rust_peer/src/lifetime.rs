//! When a process begins and ends.

use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use ockam::{Context, NodeBuilder};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Args, Failure, Known};
use crate::report;

/// What a command does until it is done or, if it serves, until it is ready.
pub type Working<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// A program of several commands.
pub struct Program {
    pub usage: &'static str,
    /// The commands that go on when they are ready.
    pub servers: &'static [&'static str],
    pub known: fn(&str) -> Option<Known>,
    pub work: for<'a> fn(&'a Context, &'a str, &'a Args) -> Working<'a>,
}

/// Runs the command that the arguments of the process name.
pub fn main(program: &'static Program) -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    if matches!(command.as_str(), "" | "help" | "-h" | "--help") {
        eprintln!("{}", program.usage);
        return ExitCode::from(u8::from(command.is_empty()));
    }
    let known = (program.known)(&command).ok_or_else(|| unknown(&command));
    let args = match known.and_then(|known| Args::parse(&command, known, words)) {
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
        let outcome = run(program, &context, &command, &args).await;
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

/// The failure of a command that the program does not know.
pub fn unknown(command: &str) -> Failure {
    Failure(format!("unknown command `{command}`"))
}

async fn run(
    program: &Program,
    context: &Context,
    command: &str,
    args: &Args,
) -> Result<(), Failure> {
    let serves = program.servers.contains(&command);
    let ended = end_of_life(serves && !args.flag("--ignore-stdin"))?;
    tokio::pin!(ended);
    let work = (program.work)(context, command, args);
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
