//! Concurrency keys: of the pending invocations of a service with the same key the first one leads, and only that can
//! be claimed.

use super::connection::Tx;
use super::error::Failed;

/// The id of a service, and a key of its invocations.
pub(super) type QueueKey = (i32, Vec<u8>);

const LOCK: &str = "INSERT INTO queue_key (service, key)
     SELECT DISTINCT service, key FROM unnest($1::integer[], $2::bytea[]) AS n (service, key) ORDER BY service, key
     ON CONFLICT (service, key) DO UPDATE SET key = excluded.key";

/// What is claimed, or waits for an outcome from outside, stays first.
const UPDATE_HEADS: &str = "WITH head AS MATERIALIZED (
         SELECT DISTINCT n.service, n.key, (
             SELECT id FROM pending WHERE pending.service = n.service AND pending.key = n.key
             ORDER BY (session <> 0) DESC, awaited DESC, wake, id LIMIT 1
         ) AS id
         FROM unnest($1::integer[], $2::bytea[]) AS n (service, key)
     ), wrong AS MATERIALIZED (
         SELECT pending.id FROM pending JOIN head USING (id) WHERE NOT leads
         UNION ALL
         SELECT pending.id FROM pending JOIN head ON pending.service = head.service AND pending.key = head.key
         WHERE leads AND pending.key IS NOT NULL AND pending.id <> head.id
     ), empty AS (
         DELETE FROM queue_key USING head
         WHERE queue_key.service = head.service AND queue_key.key = head.key AND head.id IS NULL
     )
     UPDATE pending SET leads = NOT leads FROM wrong WHERE pending.id = wrong.id";

/// Waits for claims under way, and keeps those that follow from what is being changed: a claim locks no key, but the
/// first invocation of each, and skips one that is locked. It is a statement of its own, so that the next one sees the
/// claims.
const LOCK_HEADS: &str = "SELECT pending.id FROM pending
     JOIN unnest($1::integer[], $2::bytea[]) AS n (service, key)
         ON pending.service = n.service AND pending.key = n.key
     WHERE pending.leads AND pending.key IS NOT NULL ORDER BY pending.id FOR UPDATE OF pending";

/// Locks keys, before anything changes that they order.
pub(super) async fn lock(tx: &Tx<'_>, keys: &[QueueKey]) -> Result<(), Failed> {
    if keys.is_empty() {
        return Ok(());
    }
    let (services, keys) = columns(keys);
    tx.execute(LOCK, &[&services, &keys]).await?;
    tx.query(LOCK_HEADS, &[&services, &keys]).await?;
    Ok(())
}

/// Lets the first invocation of each key lead. The keys are locked, and what changed them was another statement.
pub(super) async fn update_heads(tx: &Tx<'_>, keys: &[QueueKey]) -> Result<(), Failed> {
    if keys.is_empty() {
        return Ok(());
    }
    let (services, keys) = columns(keys);
    tx.execute(UPDATE_HEADS, &[&services, &keys]).await?;
    Ok(())
}

fn columns(keys: &[QueueKey]) -> (Vec<i32>, Vec<&[u8]>) {
    let keys = keys.iter().map(|(service, key)| (*service, key.as_slice()));
    keys.unzip()
}
