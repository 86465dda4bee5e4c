//! `cargo bench --bench invoke`: latency, throughput and CPU per call, compared with baselines.
//!
//! `Invoke` of an in-process service (a dict in, a dict out), compared with a hand-written tonic echo of the same
//! `prost_types::Struct`: two server processes, one client, alternating (A B A B), medians. CPU is that of the server
//! process per call, because client and server share the machine. Then `ctx.invoke` in process, in nanoseconds and,
//! with valgrind, in instructions. Then `InvokeAsync` on disk, and from it to the outcome (`-- --durable` for these
//! alone). Through a worker process: `-- --relay`; in Python: `-- --python`; by the number of workers and services: `--
//! --workers`. A fan-out of 10 000: `-- --fan-out`. `-- --backlog 1000000` measures a node with that many pending
//! invocations.

#![expect(clippy::print_stdout, reason = "a bench prints its results")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench that cannot run fails"
)]
#![expect(clippy::indexing_slicing, reason = "a bench that cannot run fails")]
#![expect(clippy::disallowed_methods, reason = "no task outlives the bench")]

#[cfg(feature = "sqlite")]
mod accept_run;
#[cfg(feature = "sqlite")]
mod backlog;
mod baseline;
#[cfg(feature = "sqlite")]
mod durable;
#[cfg(feature = "sqlite")]
mod fan_out;
#[cfg(feature = "sqlite")]
mod growth;
mod instructions;
mod load;
mod nested;
#[cfg(feature = "sqlite")]
mod outcome;
mod python;
mod relay;
mod server;
mod workers;

use std::time::Duration;

use self::load::{Load, Round};
use self::server::Server;

/// Calls per round, rounds per server, and concurrent callers.
const CALLS: usize = 30_000;
const ROUNDS: usize = 5;
const CALLERS: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--serve", "cidery"] => server::serve_cidery(),
        ["--serve", "tonic"] => baseline::serve(),
        ["--serve", "node"] => relay::serve_node(),
        ["--serve", "worker", node] => relay::serve_worker(node),
        ["--serve", "relay"] => relay::serve_relay(),
        ["--serve", "relay-worker", node] => relay::serve_relay_worker(node),
        ["--serve", "services", node, services] => workers::serve(node, services.parse().unwrap()),
        ["--relay"] => relay::compare(),
        ["--workers"] => workers::compare(),
        ["--python"] => python::compare(),
        #[cfg(feature = "sqlite")]
        ["--serve", "durable"] => durable::serve(),
        #[cfg(feature = "sqlite")]
        ["--serve", "log"] => durable::serve_log(),
        #[cfg(feature = "sqlite")]
        ["--serve", "log-run"] => outcome::serve_run(),
        #[cfg(feature = "sqlite")]
        ["--serve", "backlog", folder] => backlog::serve(folder),
        #[cfg(feature = "sqlite")]
        ["--serve", "log-accept-run"] => accept_run::serve(),
        #[cfg(feature = "sqlite")]
        ["--accept-run"] => accept_run::compare(),
        #[cfg(feature = "sqlite")]
        ["--durable"] => {
            durable::compare();
            accept_run::compare();
            outcome::compare();
        }
        #[cfg(feature = "sqlite")]
        ["--fan-out"] => fan_out::measure(),
        #[cfg(feature = "sqlite")]
        ["--growth", arguments @ ..] => growth::run(arguments),
        #[cfg(feature = "sqlite")]
        ["--serve", "growth", arguments @ ..] => growth::serve(arguments),
        #[cfg(feature = "sqlite")]
        ["--backlog", pending] => backlog::measure(pending.parse().unwrap()),
        ["--count", kind, calls] => instructions::run(kind, calls.parse().unwrap()),
        ["--nested", calls] => drop(nested::run(calls.parse().unwrap())),
        ["--guard"] => nested::guard(),
        _ => {
            compare();
            nested::show();
            relay::compare();
            #[cfg(feature = "sqlite")]
            {
                durable::compare();
                accept_run::compare();
                outcome::compare();
            }
        }
    }
}

fn compare() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ours = Server::start("cidery");
    let baseline = Server::start("tonic");
    let (mut a, mut b) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let our_load = Load::new(&ours.address, load::INVOKE, CALLERS).await;
        let baseline_load = Load::new(&baseline.address, baseline::PATH, CALLERS).await;
        // The first round of each is a warm-up.
        our_load.run(&ours, CALLS / 4).await;
        baseline_load.run(&baseline, CALLS / 4).await;
        for _ in 0..ROUNDS {
            a.push(our_load.run(&ours, CALLS).await);
            b.push(baseline_load.run(&baseline, CALLS).await);
        }
    });
    Table {
        title: "Invoke, dict of 6 fields in and out",
        sizes: (CALLERS, ROUNDS, CALLS),
        against: "tonic echo",
        done: "calls",
        whose: "server",
        goals: (">= 1.0", "<= 1.0", "<= 1.2"),
    }
    .show(&a, &b);
}

/// The table of one comparison: medians and ratios.
struct Table {
    title: &'static str,
    /// Callers, rounds, and calls per round.
    sizes: (usize, usize, usize),
    against: &'static str,
    /// The unit of the rate.
    done: &'static str,
    /// The process whose CPU is measured.
    whose: &'static str,
    /// Goals for the rate, the CPU, and the 99th percentile.
    goals: (&'static str, &'static str, &'static str),
}

impl Table {
    fn show(&self, a: &[Round], b: &[Round]) {
        let (callers, rounds, calls) = self.sizes;
        println!(
            "{}, {callers} callers, {rounds} x {calls} calls each",
            self.title
        );
        println!(
            "{:<26} {:>12} {:>12} {:>8}  goal",
            "", "cidery", self.against, "ratio"
        );
        let cpu = |round: &Round| round.cpu.as_secs_f64() * 1e6;
        let (rate_goal, cpu_goal, p99_goal) = self.goals;
        let rate = format!("{} per second", self.done);
        row(&rate, a, b, |round| round.per_second, rate_goal);
        row(
            &format!("{} CPU, us per call", self.whose),
            a,
            b,
            cpu,
            cpu_goal,
        );
        row("p50, us", a, b, |round| micros(round.p50), "");
        row("p99, us", a, b, |round| micros(round.p99), p99_goal);
        println!();
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn row(name: &str, a: &[Round], b: &[Round], of: impl Fn(&Round) -> f64, goal: &str) {
    let (a, b) = (median(a, &of), median(b, &of));
    println!("{name:<26} {a:>12.1} {b:>12.1} {:>8.2}  {goal}", a / b);
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    median_of(rounds.iter().map(of))
}

fn median_of(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
