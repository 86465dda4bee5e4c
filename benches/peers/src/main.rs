//! Drives another system for the bench `invoke`: starts its server on an empty folder and a worker within this process,
//! prints the id of the server's process, and makes rounds.
//!
//! `peers KIND CALLERS`; each line on standard input is a number of calls, answered with one line of JSON. It ends with
//! its standard input. The programs of the servers are in `CIDERY_RESTATE` and `CIDERY_NATS` (`scripts/tools restate
//! nats`).

mod jetstream;
mod nats;
mod restate;
mod rounds;
mod server;

use anyhow::{Context as _, bail};

use self::jetstream::{JetStream, Sync};
use self::nats::Request;
use self::restate::Restate;
use self::rounds::drive;

/// When a call of a system is over.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    /// Once it is accepted. A round ends when all outcomes are recorded.
    Accepted,
    /// With its outcome.
    Outcome,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, callers] = arguments.as_slice() else {
        bail!("usage: peers KIND CALLERS");
    };
    let callers = callers.parse().context("callers")?;
    match kind.as_str() {
        "nats-request" => drive(Request::start().await?, callers).await,
        "jetstream-run" => jetstream(Until::Accepted, Sync::Always, callers).await,
        "jetstream-run-default" => jetstream(Until::Accepted, Sync::Default, callers).await,
        "jetstream-outcome" => jetstream(Until::Outcome, Sync::Always, callers).await,
        "jetstream-outcome-default" => jetstream(Until::Outcome, Sync::Default, callers).await,
        "restate-run" => drive(Restate::start(Until::Accepted).await?, callers).await,
        "restate-outcome" => drive(Restate::start(Until::Outcome).await?, callers).await,
        _ => bail!("no kind {kind}"),
    }
}

async fn jetstream(until: Until, sync: Sync, callers: usize) -> anyhow::Result<()> {
    drive(JetStream::start(until, sync, callers).await?, callers).await
}
