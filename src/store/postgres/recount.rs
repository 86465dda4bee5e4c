//! Counts the tables again and again: what other nodes accept, claim and end, this one learns of in no other way.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::Link;
use super::error::Failed;
use super::shared::Shared;

/// How long to wait between two counts, at least.
const MIN_PAUSE: Duration = Duration::from_secs(2);
/// How many times as long as a count took to wait after it: counting a million rows takes a second.
const PAUSE_FACTOR: u32 = 20;

/// Counts until the store is closed. Without a connection the counters stay as they are, exact of what this node does.
pub(super) async fn run(shared: Arc<Shared>, closed: CancellationToken) {
    let mut link = None;
    let mut pause = MIN_PAUSE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = closed.cancelled() => return,
        }
        let start = Instant::now();
        if let Err(failed) = count(&mut link, &shared).await {
            let error = failed.into_error();
            tracing::debug!(%error, "cannot count what is pending");
            link = None;
        }
        pause = MIN_PAUSE.max(start.elapsed().saturating_mul(PAUSE_FACTOR));
    }
}

async fn count(link: &mut Option<Link>, shared: &Shared) -> Result<(), Failed> {
    let link = match link {
        Some(link) => link,
        None => link.insert(shared.connector.connect().await?),
    };
    count_on(link, shared).await
}

/// Counts on a connection. After an error the connection is in a transaction, and of no use any more.
pub(super) async fn count_on(link: &Link, shared: &Shared) -> Result<(), Failed> {
    let tx = link.begin_snapshot().await?;
    shared.counts.load(&tx, &shared.services).await?;
    tx.commit().await
}
