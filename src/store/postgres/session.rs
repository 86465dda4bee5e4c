//! Sessions: a node raises its beat, and watches those of the others. One whose beat stands still is dead, and what it
//! had claimed is released.
//!
//! Only the clock of the watching node counts, and only while that could read the database all the time: neither a
//! database with another clock nor an outage of it kills a node.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::Link;
use super::error::{Failed, first, no_answer};
use super::key_queues::{QueueKey, lock, update_heads};
use super::own_claims::{Strays, release_strays};
use super::shared::Shared;
use crate::model::error::Result;

/// How often a node gives a sign of life, at least.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the database may take to answer a sign of life, before it counts as lost.
const BEAT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the end of a session may take: the process waits for it.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How many claims one transaction releases, at most.
const RELEASE_BATCH: i64 = 1_000;

const BEGIN: &str = "INSERT INTO session DEFAULT VALUES RETURNING id";
const BEAT: &str = "UPDATE session SET beat = beat + 1 WHERE id = $1 AND NOT dead RETURNING id";
const END: &str = "UPDATE session SET dead = true WHERE id = $1";
const OTHERS: &str = "SELECT id, beat FROM session WHERE NOT dead AND id <> $1";
/// A beat in between, and it lives.
const DECLARE_DEAD: &str = "UPDATE session SET dead = true WHERE id = $1 AND beat = $2";
/// Sessions that are dead and have no claims left.
const FORGET: &str = "DELETE FROM session
     WHERE dead AND NOT EXISTS (SELECT 1 FROM pending WHERE pending.session = session.id)";

const LOST: &str = "SELECT id, service, key FROM pending
     WHERE session <> 0 AND NOT EXISTS (SELECT 1 FROM session WHERE session.id = pending.session AND NOT dead)
     ORDER BY id LIMIT $1";
/// The next claim, so that nothing of the lost one is taken any more. A crash is counted unless it is the first since
/// the last record.
const RELEASE: &str = "UPDATE pending SET session = 0, claim = claim + 1, recovered = true,
         losses = losses + CASE WHEN recovered THEN 1 ELSE 0 END
     WHERE id = ANY ($1::bigint[]) AND session <> 0
         AND NOT EXISTS (SELECT 1 FROM session WHERE session.id = pending.session AND NOT dead)";

/// Begins a session.
pub(super) async fn begin(link: &Link) -> Result<i64, Failed> {
    Ok(first(link.query(BEGIN, &[]).await?)?.try_get(0)?)
}

/// Gives signs of life until it is closed, watches the other sessions and releases what dead ones had. Then
/// its session ends.
pub(super) async fn run(
    shared: Arc<Shared>,
    link: Link,
    closed: CancellationToken,
    _ended: DropGuard,
) {
    let timeout = shared.connector.options.session_timeout;
    let interval = BEAT_INTERVAL.min(timeout / 4);
    let (mut link, mut seen) = (Some(link), Seen::default());
    let (mut strays, mut next_look) = (Strays::default(), Instant::now());
    while !closed.is_cancelled() {
        let beaten = match &link {
            Some(link) => {
                let mut beaten = beat(link, &shared, &mut seen, timeout).await;
                if beaten.is_ok() && next_look <= Instant::now() {
                    next_look = Instant::now() + timeout / 2;
                    let known = &shared.own_claims;
                    beaten = release_strays(link, shared.session(), known, &mut strays).await;
                }
                beaten
            }
            None => match shared.connector.connect().await {
                Ok(connected) => {
                    link = Some(connected);
                    continue;
                }
                Err(failed) => Err(failed),
            },
        };
        shared.is_reachable.store(beaten.is_ok(), Ordering::Relaxed);
        if let Err(failed) = beaten {
            // What was not seen meanwhile says nothing.
            seen = Seen::default();
            link = None;
            let error = failed.into_error();
            tracing::warn!(%error, "this node cannot give a sign of life to the others");
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = closed.cancelled() => {}
        }
    }
    if let Some(link) = link {
        // The others need not wait for it; if this fails, they do.
        let session = shared.session();
        let _ = tokio::time::timeout(END_TIMEOUT, link.query(END, &[&session])).await;
    }
}

/// The last beats of other sessions, and since when they have been seen.
#[derive(Default)]
struct Seen {
    sessions: HashMap<i64, (i64, Instant)>,
    last_look: Option<Instant>,
}

impl Seen {
    /// The sessions that stand still for too long, with their beats.
    fn update(&mut self, beats: &[(i64, i64)], timeout: Duration) -> Vec<(i64, i64)> {
        let now = Instant::now();
        let last_look = self.last_look.replace(now);
        if last_look.is_some_and(|last| now.duration_since(last) > timeout / 2) {
            // This node stood still itself, and maybe the whole machine.
            self.sessions.clear();
        }
        self.sessions
            .retain(|id, _| beats.iter().any(|(other, _)| other == id));
        let mut still = Vec::new();
        for (id, beat) in beats {
            let (last, since) = self.sessions.entry(*id).or_insert((*beat, now));
            if last != beat {
                (*last, *since) = (*beat, now);
            } else if now.duration_since(*since) >= timeout {
                still.push((*id, *beat));
            }
        }
        still
    }
}

async fn beat(
    link: &Link,
    shared: &Shared,
    seen: &mut Seen,
    timeout: Duration,
) -> Result<(), Failed> {
    let beats = tokio::time::timeout(BEAT_TIMEOUT, raise(link, shared)).await;
    let beats = beats.map_err(|_| Failed::Own(no_answer()))??;
    for (id, beat) in seen.update(&beats, timeout) {
        tracing::warn!(
            session = id,
            "a node has given no sign of life: it is taken for dead"
        );
        link.query(DECLARE_DEAD, &[&id, &beat]).await?;
    }
    while release(link).await? >= RELEASE_BATCH {}
    link.query(FORGET, &[]).await.map(drop)
}

/// Raises the own beat, and reads those of the others.
async fn raise(link: &Link, shared: &Shared) -> Result<Vec<(i64, i64)>, Failed> {
    let own = shared.session();
    if link.query(BEAT, &[&own]).await?.is_empty() {
        // What it had claimed runs elsewhere by now; the records of it are refused.
        let session = begin(link).await?;
        tracing::error!(
            session,
            "other nodes declared this node dead: it begins a new session, and what it ran may run twice"
        );
        shared.session.store(session, Ordering::Release);
    }
    let rows = link.query(OTHERS, &[&shared.session()]).await?;
    let beats = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    beats.collect()
}

/// Releases claims of sessions that are gone. Returns how many it found.
async fn release(link: &Link) -> Result<i64, Failed> {
    let lost = link.query(LOST, &[&RELEASE_BATCH]).await?;
    if lost.is_empty() {
        return Ok(0);
    }
    let (mut ids, mut queues): (Vec<i64>, Vec<QueueKey>) = (Vec::new(), Vec::new());
    for row in &lost {
        ids.push(row.try_get(0)?);
        if let Some(key) = row.try_get::<_, Option<Vec<u8>>>(2)? {
            queues.push((row.try_get(1)?, key));
        }
    }
    let tx = link.begin().await?;
    lock(&tx, &queues).await?;
    let released = tx.execute(RELEASE, &[&ids]).await?;
    update_heads(&tx, &queues).await?;
    tx.commit().await?;
    tracing::warn!(released, "released what a lost node had claimed");
    Ok(i64::try_from(lost.len()).unwrap_or(i64::MAX))
}
