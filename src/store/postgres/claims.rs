//! Claims: what a node may run next, and what waits behind what.

use super::connection::Link;
use super::error::Failed;
use super::new_rows::{cid, concurrency_key, uuid};
use super::row::{ReadBy, columns, decode, log_damage, state_tables};
use super::shared::Shared;
use crate::engine::store::{Claim, ClaimLimit, QueuePlace};
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::invocation::Request;
use crate::store::blob;

/// Locks what is due and free, skips what another node is claiming, and takes as much as there is room for. A dead
/// session claims nothing.
const CLAIM: &str = concat!(
    "WITH due AS MATERIALIZED (
         SELECT id, wake, bytes FROM pending
         WHERE service = $1 AND leads AND session = 0 AND wake <= $2
             AND EXISTS (SELECT 1 FROM session WHERE session.id = $5 AND NOT dead)
         ORDER BY wake, id LIMIT $3 FOR UPDATE OF pending SKIP LOCKED
     ), summed AS MATERIALIZED (
         SELECT id, bytes, sum(bytes) OVER (ORDER BY wake, id) AS total FROM due
     ), claimed AS (
         UPDATE pending SET session = $5, claim = claim + 1 FROM summed
         WHERE pending.id = summed.id AND summed.total <= $4::bigint RETURNING pending.id, pending.claim
     )
     SELECT ",
    columns!(),
    ", claimed.claim FROM claimed JOIN invocation ON invocation.id = claimed.id ",
    state_tables!(),
    " ORDER BY pending.wake, pending.id"
);

/// The first of those that are due, where none was claimed: it has too many bytes.
const FIRST_DUE: &str = "SELECT bytes FROM pending
     WHERE service = $1 AND leads AND session = 0 AND wake <= $2 ORDER BY wake, id LIMIT 1";
const NEXT_DUE: &str = "SELECT min(wake) FROM pending
     WHERE service = $1 AND leads AND session = 0 AND wake > $2";

const PLACE: &str = "SELECT wake, id, session FROM pending WHERE cid = $1";
const AHEAD: &str = "SELECT count(*) FROM (
         SELECT 1 FROM pending
         WHERE service = $1 AND leads AND session = 0 AND (wake, id) < ($2, $3) LIMIT $4
     ) AS before";
const HEAD: &str = "SELECT id, cid FROM pending WHERE service = $1 AND key = $2
     ORDER BY (session <> 0) DESC, awaited DESC, wake, id LIMIT 1";

/// Claims what is due.
pub(super) async fn claim(
    link: &Link,
    shared: &Shared,
    service: &ServiceName,
    now: i64,
    limit: ClaimLimit,
) -> Result<Claim, Failed> {
    let services = &shared.services;
    services.meet(link, std::iter::once(service)).await?;
    let id = services.id(service)?;
    let count = i64::try_from(limit.invocations).unwrap_or(i64::MAX);
    let bytes = i64::try_from(limit.bytes).unwrap_or(i64::MAX);
    let session = shared.session();
    let counting = shared.counts.committing().await;
    let rows = link
        .query(CLAIM, &[&id, &now, &count, &bytes, &session])
        .await?;
    let mut claim = Claim::default();
    for row in &rows {
        let claimed: i64 = row.try_get(CLAIMED_COLUMN)?;
        shared.own_claims.add(cid(row.try_get(0)?), claimed);
        match decode(row, services, &shared.cipher, ReadBy::Claim)? {
            Ok(mut found) => {
                // The tables are read as they were before the claim.
                found.generation = u32::try_from(claimed).unwrap_or(u32::MAX);
                shared.counts.claimed(&found);
                claim.invocations.push(found);
            }
            // It stays claimed until this node ends: it does not run.
            Err(error) => log_damage(&error),
        }
    }
    drop(counting);
    if claim.invocations.len() >= limit.invocations {
        return Ok(claim);
    }
    let wanted = limit.invocations > 0 && rows.is_empty();
    // What was claimed is not lost with what comes next: the scheduler asks again.
    if let Err(failed) = look_ahead(link, (id, now), wanted.then_some(bytes), &mut claim).await
        && rows.is_empty()
    {
        return Err(failed);
    }
    Ok(claim)
}

/// Notes what was due and has more bytes than `room`, or else when the next one is due.
async fn look_ahead(
    link: &Link,
    (service, now): (i32, i64),
    room: Option<i64>,
    claim: &mut Claim,
) -> Result<(), Failed> {
    if let Some(room) = room {
        let first = link.query(FIRST_DUE, &[&service, &now]).await?;
        let first = first
            .first()
            .map(|row| row.try_get::<_, i64>(0))
            .transpose()?;
        if let Some(first) = first.filter(|first| *first > room) {
            claim.too_large = usize::try_from(first).ok();
            return Ok(());
        }
    }
    let next = super::error::first(link.query(NEXT_DUE, &[&service, &now]).await?)?;
    let next: Option<i64> = next.try_get(0)?;
    claim.next_due = next.map(blob::timestamp);
    Ok(())
}

/// The column after those of a row: the claim that was made.
const CLAIMED_COLUMN: usize = 24;

/// What an invocation waits behind; nothing if it is claimed, or has ended.
pub(super) async fn queue_place(
    link: &Link,
    shared: &Shared,
    request: &Request,
    max: usize,
) -> Result<QueuePlace, Failed> {
    let rows = link.query(PLACE, &[&uuid(request.cid)]).await?;
    let (Some(own), Some(service)) = (rows.first(), shared.services.known(&request.service)) else {
        return Ok(QueuePlace::default());
    };
    let (wake, id, session): (i64, i64, i64) = (own.try_get(0)?, own.try_get(1)?, own.try_get(2)?);
    if session != 0 {
        return Ok(QueuePlace::default());
    }
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let ahead = link.query(AHEAD, &[&service, &wake, &id, &limit]).await?;
    let ahead: i64 = super::error::first(ahead)?.try_get(0)?;
    let mut place = QueuePlace {
        ahead: usize::try_from(ahead).unwrap_or_default(),
        key_holder: None,
    };
    if let Some(key) = &request.terms.concurrency_key {
        let rows = link.query(HEAD, &[&service, &concurrency_key(key)]).await?;
        if let Some(head) = rows.first()
            && head.try_get::<_, i64>(0)? != id
        {
            place.key_holder = Some(cid(head.try_get(1)?));
        }
    }
    Ok(place)
}
