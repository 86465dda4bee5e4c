//! What this node has claimed, as it knows itself.
//!
//! A claim whose answer was lost is in the database and nowhere else: no node would run it for as long as its
//! session lives. What is seen twice in a row without being known here is released ([`release_strays`]).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::connection::Link;
use super::error::Failed;
use super::key_queues::{QueueKey, lock, update_heads};
use super::new_rows::{cid, uuid};
use crate::engine::store::Record;
use crate::model::error::Result;
use crate::model::id::Cid;

const OWN: &str = "SELECT cid, claim, service, key FROM pending WHERE session = $1";
/// The next claim, so that nothing is recorded of the lost one. Nothing ran: no crash is counted.
const RELEASE: &str = "UPDATE pending SET session = 0, claim = pending.claim + 1
     FROM unnest($2::uuid[], $3::bigint[]) AS stray (cid, claim)
     WHERE pending.cid = stray.cid AND pending.claim = stray.claim AND pending.session = $1";

/// The claims of this node, by CID.
#[derive(Debug, Default)]
pub(super) struct OwnClaims(Mutex<HashMap<Cid, i64, RandomState>>);

impl OwnClaims {
    pub(super) fn add(&self, cid: Cid, claim: i64) {
        self.lock().insert(cid, claim);
    }

    /// Forgets a claim that has a record, whether or not it was taken.
    pub(super) fn end(&self, record: &Record) {
        let mut claims = self.lock();
        if claims.get(&record.cid) == Some(&i64::from(record.generation)) {
            claims.remove(&record.cid);
        }
    }

    fn has(&self, cid: Cid, claim: i64) -> bool {
        self.lock().get(&cid) == Some(&claim)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Cid, i64, RandomState>> {
        // Every change is one of the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claims that were not known when they were last looked at.
#[derive(Default)]
pub(super) struct Strays(HashMap<Cid, i64, RandomState>);

/// Releases the claims of a session that were unknown when this was called last, and are so now.
pub(super) async fn release_strays(
    link: &Link,
    session: i64,
    known: &OwnClaims,
    seen: &mut Strays,
) -> Result<(), Failed> {
    let mut unknown = Strays::default();
    let (mut cids, mut claims, mut queues) = (Vec::new(), Vec::new(), Vec::<QueueKey>::new());
    for row in &link.query(OWN, &[&session]).await? {
        let (named, claim): (Cid, i64) = (cid(row.try_get(0)?), row.try_get(1)?);
        if known.has(named, claim) {
            continue;
        }
        if seen.0.get(&named) != Some(&claim) {
            unknown.0.insert(named, claim);
            continue;
        }
        cids.push(uuid(named));
        claims.push(claim);
        if let Some(key) = row.try_get::<_, Option<Vec<u8>>>(3)? {
            queues.push((row.try_get(2)?, key));
        }
    }
    *seen = unknown;
    if cids.is_empty() {
        return Ok(());
    }
    let tx = link.begin().await?;
    lock(&tx, &queues).await?;
    let released = tx.execute(RELEASE, &[&session, &cids, &claims]).await?;
    update_heads(&tx, &queues).await?;
    tx.commit().await?;
    tracing::warn!(released, "released claims whose answers were lost");
    Ok(())
}
