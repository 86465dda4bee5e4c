//! What the status of a node is read from, and what expires.

use super::connection::Link;
use super::error::{Failed, first};
use super::new_rows::cid;
use super::row::{ReadBy, columns, decode_all, state_tables};
use super::shared::Shared;
use crate::engine::store::{OLDEST_DUE_SERVICES, OldestDue, RecentFailures};
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::invocation::{Invocation, State, Summaries, SummaryCount, SummaryKey};
use crate::store::blob;

const PENDING_SERVICES: &str = "SELECT id FROM service WHERE name <> '' AND (
         EXISTS (SELECT 1 FROM pending WHERE pending.service = service.id AND leads AND session = 0)
         OR EXISTS (SELECT 1 FROM pending WHERE pending.service = service.id AND key IS NOT NULL AND session = 0)
     )";
/// One look into an index for each service.
const OLDEST_DUE: &str = "SELECT service.id, oldest.cid, oldest.due FROM service CROSS JOIN LATERAL (
         SELECT cid, due, wake FROM pending
         WHERE pending.service = service.id AND leads AND session = 0 AND wake <= $1 AND due <= $1 AND NOT awaited
         ORDER BY wake, id LIMIT 1
     ) AS oldest WHERE service.name <> '' LIMIT $2";
const LATER: &str = "SELECT count(*) FROM (
         SELECT 1 FROM pending WHERE service = $1 AND leads AND session = 0 AND wake > $2 LIMIT $3
     ) AS later";
const HELD: &str = "SELECT count(*) FROM pending WHERE due >= 9223372036854775807 AND NOT awaited";
const EXPIRED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (
         SELECT id, over FROM pending WHERE over <= $1 AND session = 0 ORDER BY over, id LIMIT $2
     ) AS expired JOIN invocation ON invocation.id = expired.id ",
    state_tables!(),
    " ORDER BY expired.over, expired.id"
);
const FAILURES: &str =
    "SELECT invocation.cid, invocation.service, outcome.failure_reason, invocation.accept_time,
         outcome.end_time
     FROM (
         SELECT id, failure_reason, end_time FROM outcome WHERE state = 3 AND end_time >= $1
         ORDER BY end_time DESC LIMIT $2
     ) AS outcome JOIN invocation USING (id) ORDER BY outcome.end_time DESC";

fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// The services with pending invocations.
pub(super) async fn services_with_pending(
    link: &Link,
    shared: &Shared,
) -> Result<Vec<ServiceName>, Failed> {
    let rows = link.query(PENDING_SERVICES, &[]).await?;
    let ids = rows.iter().map(|row| row.try_get(0));
    let ids = ids.collect::<Result<Vec<i32>, _>>()?;
    shared.services.meet_ids(link, ids.iter().copied()).await?;
    let names = ids.iter().filter_map(|id| shared.services.name(*id));
    Ok(names.collect())
}

/// The invocation of each service that has been due longest.
pub(super) async fn oldest_due(
    link: &Link,
    shared: &Shared,
    now: i64,
) -> Result<Vec<OldestDue>, Failed> {
    let rows = link
        .query(OLDEST_DUE, &[&now, &limit(OLDEST_DUE_SERVICES)])
        .await?;
    let mut oldest = Vec::new();
    for row in &rows {
        let id: i32 = row.try_get(0)?;
        shared.services.meet_ids(link, std::iter::once(id)).await?;
        if let Some(service) = shared.services.name(id) {
            oldest.push(OldestDue {
                service,
                cid: cid(row.try_get(1)?),
                due: blob::timestamp(row.try_get(2)?),
            });
        }
    }
    Ok(oldest)
}

/// How many invocations of a service are to be claimed later, counted up to `max`.
pub(super) async fn later_count(
    link: &Link,
    shared: &Shared,
    service: &ServiceName,
    now: i64,
    max: usize,
) -> Result<usize, Failed> {
    let services = &shared.services;
    services.find(link, std::iter::once(service)).await?;
    let Some(service) = services.known(service) else {
        return Ok(0);
    };
    let rows = link.query(LATER, &[&service, &now, &limit(max)]).await?;
    let count: i64 = first(rows)?.try_get(0)?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// How many invocations are held.
pub(super) async fn held_count(link: &Link) -> Result<usize, Failed> {
    let count: i64 = first(link.query(HELD, &[]).await?)?.try_get(0)?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Invocations that have expired and that no node has claimed.
pub(super) async fn expired(
    link: &Link,
    shared: &Shared,
    now: i64,
    max: usize,
) -> Result<Vec<Invocation>, Failed> {
    let rows = link.query(EXPIRED, &[&now, &limit(max)]).await?;
    let services = &shared.services;
    let ids = rows.iter().map(|row| row.try_get(1));
    let ids = ids.collect::<Result<Vec<i32>, _>>()?;
    services.meet_ids(link, ids.into_iter()).await?;
    decode_all(&rows, services, &shared.cipher, ReadBy::Anyone)
}

/// Counts those that failed since then, at most `max`, those that failed last first.
pub(super) async fn recent_failures(
    link: &Link,
    shared: &Shared,
    since: i64,
    max: usize,
) -> Result<RecentFailures, Failed> {
    // One more tells whether there are more.
    let rows = link
        .query(FAILURES, &[&since, &limit(max.saturating_add(1))])
        .await?;
    let mut summaries = Summaries::default();
    for row in rows.iter().take(max) {
        let id: i32 = row.try_get(1)?;
        shared.services.meet_ids(link, std::iter::once(id)).await?;
        let Some(service) = shared.services.name(id) else {
            continue;
        };
        let key = SummaryKey {
            service,
            state: State::Failed,
            held: false,
            failure_reason: row.try_get(2)?,
        };
        let (accepted, ended) = (row.try_get(3)?, row.try_get(4)?);
        let (accepted, ended) = (blob::timestamp(accepted), blob::timestamp(ended));
        let count = SummaryCount::one(cid(row.try_get(0)?), accepted, Some(ended));
        summaries.add(key, &count);
    }
    Ok(RecentFailures {
        summaries: summaries.into_each().collect(),
        has_more: rows.len() > max,
    })
}
