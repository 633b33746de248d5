//! Which command knows which options.

use crate::args::Known;
use crate::identity::IDENTITY;
use crate::member::TRUST;

/// The options that say how to reach another node.
const WAY: [&str; 6] = [
    "--node",
    "--hub",
    "--forwarding-address",
    "--via",
    "--hop",
    "--udp",
];

/// The options of a command.
pub fn known(command: &str) -> Option<Known> {
    let (values, more, flags): (&[&str], &[&[&str]], &[&str]) = match command {
        "hub" => (&["--listen"], &[&IDENTITY, &TRUST], &["--ignore-stdin"]),
        "node" => (
            &["--listen", "--outlet", "--allow"],
            &[&IDENTITY, &TRUST],
            &["--no-channel", "--skip-handshake", "--ignore-stdin"],
        ),
        "outlet" => (
            &["--target", "--hub", "--relay", "--allow"],
            &[&IDENTITY, &TRUST],
            &[
                "--no-channel",
                "--hub-channel",
                "--skip-handshake",
                "--ignore-stdin",
            ],
        ),
        "inlet" => (
            &["--listen", "--expect", "--timeout", "--allow"],
            &[&WAY, &IDENTITY, &TRUST],
            &[
                "--no-channel",
                "--skip-handshake",
                "--fixed-peer",
                "--ignore-stdin",
            ],
        ),
        "middle" => (&["--listen", "--connect"], &[], &["--ignore-stdin"]),
        "udp-node" => (&["--bind"], &[], &["--ignore-stdin"]),
        "udp-middle" => (
            &["--listen", "--udp", "--bind", "--connect"],
            &[],
            &["--ignore-stdin"],
        ),
        "rendezvous" => (&["--bind"], &[], &["--ignore-stdin"]),
        "puncture-node" => (&["--listen", "--rendezvous"], &[], &["--ignore-stdin"]),
        "echo" => (
            &[
                "--rendezvous",
                "--expect",
                "--text",
                "--again-after",
                "--bytes",
                "--chunk",
                "--window",
                "--worker",
                "--timeout",
            ],
            &[&WAY, &IDENTITY, &TRUST],
            &["--channel", "--fixed-peer"],
        ),
        "channels" => (&["--count"], &[], &[]),
        "identity" => (&["--rotate"], &[&IDENTITY], &[]),
        "verify" => (&["--of", "--known"], &[], &[]),
        "issue" => (&["--subject", "--attributes", "--ttl"], &[&IDENTITY], &[]),
        "check" => (&["--subject", "--authority", "--credential"], &[], &[]),
        _ => return None,
    };
    let values = values.iter().chain(more.iter().copied().flatten());
    Some((values.copied().collect(), flags))
}
