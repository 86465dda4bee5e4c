//! Other systems, each driven by a process of `benches/peers`: it starts the server and a worker, and makes rounds when
//! asked.
//!
//! Its first line on standard output is the id of the server's process. Then each line on its standard input is a
//! number of calls, answered with one line of JSON. It ends with its standard input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;

use crate::contest::Contender;
use crate::load::Round;
use crate::server::cpu_of;
use crate::settings::settings;

/// The names of the kinds, for people.
const NAMES: [(&str, &str); 7] = [
    ("nats-request", "NATS request"),
    ("restate-run", "Restate send"),
    ("restate-outcome", "Restate attach"),
    ("jetstream-run", "JetStream always"),
    ("jetstream-outcome", "JetStream always"),
    ("jetstream-run-default", "JetStream"),
    ("jetstream-outcome-default", "JetStream"),
];

/// Those that are compared, if `--peers` is given.
pub(crate) struct Peers(Vec<Peer>);

struct Peer {
    name: &'static str,
    /// The process of the server.
    server: u32,
    child: Child,
    pipes: Mutex<(Option<ChildStdin>, BufReader<ChildStdout>)>,
}

/// What a driver answers.
#[derive(Deserialize)]
struct Answer {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Peers {
    /// Starts them in turn. None without `--peers`.
    pub(crate) fn start(kinds: &[&str], callers: usize) -> Self {
        let program = settings().peers();
        let peers = program.map(|program| {
            let start = |kind: &&str| Peer::start(Command::new(program), kind, callers);
            kinds.iter().map(start).collect()
        });
        Self(peers.unwrap_or_default())
    }

    pub(crate) fn contenders(&self) -> impl Iterator<Item = Contender<'_>> {
        self.0
            .iter()
            .map(|peer| Contender::new(peer.name, move |calls| async move { peer.round(calls) }))
    }
}

impl Peer {
    fn start(mut command: Command, kind: &str, callers: usize) -> Self {
        let mut child = command
            .args([kind, &callers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that `--peers` names starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let name = NAMES.iter().find(|(name, _)| *name == kind).unwrap().1;
        Self {
            name,
            server: line.trim().parse().expect("the driver of a peer starts"),
            pipes: Mutex::new((child.stdin.take(), stdout)),
            child,
        }
    }

    /// Waits for a round. The contenders take turns, so nothing else has to run meanwhile.
    fn round(&self, calls: usize) -> Round {
        let mut pipes = self.pipes.lock().unwrap();
        let (stdin, stdout) = &mut *pipes;
        let cpu = cpu_of(self.server);
        writeln!(stdin.as_mut().unwrap(), "{calls}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let answer: Answer = serde_json::from_str(&line).unwrap();
        let calls = u32::try_from(calls).unwrap();
        let micros = |micros: f64| Duration::from_secs_f64(micros / 1e6);
        Round {
            per_second: answer.per_second,
            cpu: (cpu_of(self.server) - cpu) / calls,
            p50: micros(answer.p50_us),
            p99: micros(answer.p99_us),
        }
    }
}

impl Drop for Peer {
    /// Closes its standard input, so that it ends its server and removes its data.
    fn drop(&mut self) {
        drop(self.pipes.lock().unwrap().0.take());
        let _ = self.child.wait();
    }
}
