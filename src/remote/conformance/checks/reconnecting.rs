//! Streams that end: the worker connects again, and not too often.

use std::time::Duration;

use tokio::time::Instant;

use crate::codec::proto::v1::Capability;
use crate::model::error::{Error, reason};
use crate::remote::conformance::report::CheckResult;
use crate::remote::conformance::rules;
use crate::remote::conformance::run::{Run, refuse, status};

/// The number of attempts to connect that are refused.
const REFUSALS: u32 = 2;
/// The shortest time of so many attempts: a backoff of 100 ms that does not even double takes longer.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(150);

/// Cuts the TCP connection of the worker.
pub(in crate::remote::conformance) async fn after_a_cut(run: &mut Run) -> CheckResult {
    run.take_stream().await?.cut();
    let cut = Instant::now();
    let dial = run.reconnects().await?;
    let waited = cut.elapsed();
    let stream = run.accept(dial, &[]).await?;
    run.set_stream(stream);
    let by = match run.has(Capability::Resume) {
        true => "",
        false => ", by itself or started again",
    };
    Ok(Some(format!("after {:.1} s{by}", waited.as_secs_f64())))
}

/// Ends the stream with a status, and refuses the first attempts to connect again.
pub(in crate::remote::conformance) async fn with_backoff(run: &mut Run) -> CheckResult {
    let stopping = Error::unavailable(reason::NODE_STOPPING, "the node is stopping");
    run.take_stream().await?.end(status(&stopping)).await;
    let mut first = None;
    for _ in 0..REFUSALS {
        let dial = run.reconnects().await?;
        first.get_or_insert_with(Instant::now);
        refuse(dial, &stopping);
    }
    let dial = run.reconnects().await?;
    let waited = first.map_or(Duration::MAX, |first| first.elapsed());
    let stream = run.accept(dial, &[]).await?;
    run.set_stream(stream);
    let seen = format!(
        "{} attempts to connect within {} ms",
        REFUSALS + 1,
        waited.as_millis()
    );
    match waited < SHORTEST_BACKOFF {
        true => Err(rules::BACKOFF.broken(seen).into()),
        false => Ok(Some(seen)),
    }
}
