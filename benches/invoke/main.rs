//! `cargo bench --bench invoke`: latency, throughput and CPU per call, compared with baselines.
//!
//! `scripts/bench` runs it: all of [`ROWS`], each beside its baseline. Servers are processes of their own, and take
//! turns (A B A B); figures are medians. CPU is that of the server process per call, because client and server share
//! the machine. Options come first: `--rounds N`, `--quick` (a tenth of the calls, one round), `--json FILE` (each
//! figure as a line of JSON, see [`record`]) and `--peers PROGRAM` (other systems as well, see [`peer`]).
//!
//! `-- --rows accept-run,bytes` measures these alone. Not among the rows: Python workers (`-- --python`), the number of
//! workers and services (`-- --workers`), a fan-out of 10 000 (`-- --fan-out`), and a node with a million pending
//! invocations (`-- --backlog 1000000`). `scripts/guard` counts instructions.

#![expect(clippy::print_stdout, reason = "a bench prints its results")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench that cannot run fails"
)]
#![expect(clippy::indexing_slicing, reason = "a bench that cannot run fails")]
#![expect(clippy::disallowed_methods, reason = "no task outlives the bench")]

mod accept_run;
mod backlog;
mod baseline;
mod bytes;
mod collector;
mod contest;
mod durable;
mod fan_out;
mod growth;
mod http;
mod invoke;
mod load;
mod memory;
mod nested;
mod observed;
mod open_loop;
mod outcome;
mod peer;
mod python;
mod record;
mod relay;
mod server;
mod settings;
mod workers;

use self::settings::Settings;

/// Calls per round, and concurrent callers, of what is not measured by their number.
const CALLS: usize = 30_000;
const CALLERS: usize = 64;

/// What `scripts/bench` measures, by the names that `--rows` takes.
const ROWS: [(&str, fn()); 12] = [
    ("invoke", invoke::compare),
    ("http", http::compare),
    ("observed", observed::compare),
    ("nested", nested::show),
    ("relay", relay::compare),
    ("accept-later", durable::compare),
    ("accept-run", accept_run::compare),
    ("outcome", outcome::compare),
    ("worker-outcome", outcome::compare_workers),
    ("open-loop", open_loop::measure),
    ("bytes", bytes::measure),
    ("memory", memory::measure),
];

fn main() {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    Settings::take(&mut arguments);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--serve", "cidery"] => server::serve_cidery(),
        ["--serve", "axum"] => http::serve_axum(),
        ["--serve", "tonic"] => baseline::serve(),
        ["--serve", "tonic-id"] => baseline::serve_with_id(),
        ["--serve", "node"] => relay::serve_node(),
        ["--serve", "worker", node] => relay::serve_worker(node),
        ["--serve", "relay"] => relay::serve_relay(),
        ["--serve", "relay-worker", node] => relay::serve_relay_worker(node),
        ["--serve", "services", node, services] => workers::serve(node, services.parse().unwrap()),
        ["--relay"] => relay::compare(),
        ["--workers"] => workers::compare(),
        ["--python"] => python::compare(),
        ["--serve", "durable"] => durable::serve(),
        ["--serve", "durable-node"] => durable::serve_node(),
        ["--serve", "log"] => durable::serve_log(),
        ["--serve", "log-run"] => outcome::serve_run(),
        ["--serve", "backlog", folder] => backlog::serve(folder),
        ["--serve", "log-accept-run"] => accept_run::serve(),
        ["--accept-run"] => accept_run::compare(),
        ["--durable"] => {
            durable::compare();
            accept_run::compare();
            outcome::compare();
        }
        ["--fan-out"] => fan_out::measure(),
        ["--growth", arguments @ ..] => growth::run(arguments),
        ["--serve", "growth", arguments @ ..] => growth::serve(arguments),
        ["--backlog", pending] => backlog::measure(pending.parse().unwrap()),
        ["--rows", rows] => run(&rows.split(',').collect::<Vec<_>>()),
        _ => run(&ROWS.map(|(name, _)| name)),
    }
}

/// Measures the rows of these names, in the order of [`ROWS`].
fn run(rows: &[&str]) {
    for row in rows {
        assert!(
            ROWS.iter().any(|(name, _)| name == row),
            "there is no row {row}"
        );
    }
    for (_, measure) in ROWS.iter().filter(|(name, _)| rows.contains(name)) {
        measure();
    }
}
