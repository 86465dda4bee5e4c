//! Retention, and requests to cancel: changes of single invocations, and of those whose time has passed.

use super::connection::Tx;
use super::error::{Failed, first};
use super::key_queues::{QueueKey, lock, update_heads};
use super::new_rows::uuid;
use super::shared::Shared;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::blob;

/// Replaces invocations that have ended by their tombstones. `$1`: their ids.
const REMOVE: &str = "WITH ended AS (
         DELETE FROM outcome WHERE id = ANY ($1::bigint[])
         RETURNING id, state, end_time, bytes, coalesce(tombstone_until, purge_time, end_time) AS until
     ), asked AS (
         DELETE FROM invocation USING ended WHERE invocation.id = ended.id
         RETURNING invocation.id, cid, idempotency_key, owner, owner_group
     ), keys AS (
         DELETE FROM idempotency USING asked
         WHERE idempotency.key = asked.idempotency_key AND idempotency.cid = asked.cid
     ), retried AS (
         DELETE FROM retry USING ended WHERE retry.id = ended.id
     ), tombstones AS (
         UPDATE registry SET state = ended.state, end_time = ended.end_time, until = ended.until,
             owner = asked.owner, owner_group = asked.owner_group
         FROM asked JOIN ended USING (id) WHERE registry.cid = asked.cid
     )
     SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM ended";
const OVER: &str = "SELECT id FROM outcome WHERE NOT held AND purge_time <= $1
     ORDER BY purge_time, id LIMIT $2 FOR UPDATE SKIP LOCKED";
const REMOVE_TOMBSTONES: &str = "DELETE FROM registry WHERE cid IN (
         SELECT cid FROM registry WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
     )";
const ENDED: &str = "SELECT outcome.id FROM registry JOIN outcome USING (id)
     WHERE registry.cid = $1 AND NOT held FOR UPDATE OF outcome";

const TO_CANCEL: &str = "SELECT service, key, last_failure FROM pending WHERE cid = $1";
/// A group does not expire: it ends with its members.
const CANCEL: &str = "UPDATE pending SET cancel_requested = true, last_failure = $2,
         wake = CASE WHEN open_members > 0 THEN wake ELSE 0 END,
         over = CASE WHEN open_members > 0 THEN over ELSE 0 END
     WHERE cid = $1";
const LOCK_PENDING: &str = "SELECT last_failure FROM pending WHERE cid = $1 FOR UPDATE";

fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// Removes invocations and tombstones whose time has passed. Returns how many, and how many bytes they had.
pub(super) async fn purge(tx: &Tx<'_>, now: i64, max: usize) -> Result<(usize, i64), Failed> {
    let over = tx.query(OVER, &[&now, &limit(max)]).await?;
    let ids = over.iter().map(|row| row.try_get(0));
    let ids = ids.collect::<Result<Vec<i64>, _>>()?;
    let (removed, bytes) = match ids.is_empty() {
        true => (0, 0),
        false => remove_all(tx, &ids).await?,
    };
    let left = max.saturating_sub(removed);
    let tombstones = match left {
        0 => 0,
        left => tx.execute(REMOVE_TOMBSTONES, &[&now, &limit(left)]).await?,
    };
    let tombstones = usize::try_from(tombstones).unwrap_or_default();
    Ok((removed + tombstones, bytes))
}

/// Removes an invocation that has ended and is not held for its group. Returns whether it did, and how many bytes it
/// had.
pub(super) async fn remove(tx: &Tx<'_>, cid: Cid) -> Result<(bool, i64), Failed> {
    let ended = tx.query(ENDED, &[&uuid(cid)]).await?;
    let Some(row) = ended.first() else {
        return Ok((false, 0));
    };
    let (removed, bytes) = remove_all(tx, &[row.try_get(0)?]).await?;
    Ok((removed > 0, bytes))
}

async fn remove_all(tx: &Tx<'_>, ids: &[i64]) -> Result<(usize, i64), Failed> {
    let row = first(tx.query(REMOVE, &[&ids]).await?)?;
    let removed: i64 = row.try_get(0)?;
    Ok((
        usize::try_from(removed).unwrap_or_default(),
        row.try_get(1)?,
    ))
}

/// Records that the cancellation of an invocation was requested. Returns whether it has not ended.
pub(super) async fn request_cancel(
    tx: &Tx<'_>,
    shared: &Shared,
    cid: Cid,
    cancel_reason: Option<&str>,
) -> Result<bool, Failed> {
    let named = uuid(cid);
    let found = tx.query(TO_CANCEL, &[&named]).await?;
    let Some(row) = found.first() else {
        return Ok(false);
    };
    let key: Option<Vec<u8>> = row.try_get(1)?;
    let queue: Vec<QueueKey> = match key {
        Some(key) => vec![(row.try_get(0)?, key)],
        None => Vec::new(),
    };
    lock(tx, &queue).await?;
    let found = tx.query(LOCK_PENDING, &[&named]).await?;
    let Some(row) = found.first() else {
        return Ok(false);
    };
    let last_failure: Option<Vec<u8>> = row.try_get(0)?;
    let last_failure = match cancel_reason {
        Some(text) => Some(blob::with_cancel_reason(
            cid,
            last_failure,
            text,
            &shared.cipher,
        )?),
        None => last_failure,
    };
    tx.execute(CANCEL, &[&named, &last_failure]).await?;
    update_heads(tx, &queue).await?;
    Ok(true)
}
