//! Records: what came of invocations. A batch of them is one statement for those that end and one for those that go on.
//!
//! The statement that writes says who must own the row: the session and the claim of the record or, without a claim, no
//! session since it was read. That is the whole fence; where it returns no row, the record is dropped.

use std::collections::HashMap;

use uuid::Uuid;

use super::connection::Tx;
use super::error::Failed;
use super::key_queues::{QueueKey, lock, update_heads};
use super::new_rows::{NewRow, cid, insert, text, uuid};
use super::services::Services;
use crate::engine::store::Record;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::state_column::encode_state;

/// The keys that are locked before anything else.
const KEYS: &str =
    "SELECT DISTINCT service, key FROM pending WHERE cid = ANY ($1::uuid[]) AND key IS NOT NULL";

/// Whether the row is that of the record. `expected` is NULL for a record of a claim.
macro_rules! guard {
    () => {
        "pending.cid = r.cid AND CASE WHEN r.expected IS NULL
             THEN pending.session = $1 AND pending.claim = r.generation
             ELSE pending.session = 0 AND pending.claim = r.generation - 1 AND pending.attempts = r.expected END"
    };
}

const END: &str = concat!(
    "WITH r AS MATERIALIZED (
         SELECT * FROM unnest(
             $2::uuid[], $3::bigint[], $4::bigint[], $5::integer[], $6::smallint[], $7::integer[], $8::bigint[],
             $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::integer[], $14::bytea[], $15::bytea[],
             $16::bytea[], $17::text[]
         ) AS r (cid, record_id, generation, expected, state, attempts, end_time, purge_time, tombstone_until, due,
             first_attempt_time, losses, later, events, progress, failure_reason)
     ), gone AS (
         DELETE FROM pending USING r WHERE ",
    guard!(),
    " RETURNING pending.id, pending.cid, pending.service, pending.group_cid, pending.open_members,
             pending.awaited, pending.session, pending.events, pending.cancel_requested, pending.bytes,
             pending.promised
     ), ended AS (
         INSERT INTO outcome (id, state, claim, record_id, attempts, end_time, purge_time, tombstone_until, due,
             first_attempt_time, losses, cancel_requested, later, held, open_members, bytes, events, progress,
             failure_reason)
         SELECT gone.id, r.state, r.generation, r.record_id, r.attempts, r.end_time, r.purge_time, r.tombstone_until,
             r.due, r.first_attempt_time, r.losses, gone.cancel_requested, r.later, gone.group_cid IS NOT NULL,
             gone.open_members, gone.bytes + length(r.events), coalesce(gone.events, '') || r.events, r.progress,
             r.failure_reason
         FROM gone JOIN r USING (cid)
     )
     SELECT cid, service, awaited, session <> 0, group_cid, open_members, promised FROM gone"
);

/// The reason of a requested cancellation, which is a field of the last failure, stays until the end.
const AGAIN: &str = concat!(
    "WITH r AS MATERIALIZED (
         SELECT * FROM unnest(
             $2::uuid[], $3::bigint[], $4::bigint[], $5::integer[], $6::smallint[], $7::integer[], $8::bigint[],
             $9::bigint[], $10::bigint[], $11::bigint[], $12::integer[], $13::bytea[], $14::bytea[], $15::bytea[],
             $16::bytea[], $17::text[], $18::boolean[]
         ) AS r (cid, record_id, generation, expected, state, attempts, due, wake, over, first_attempt_time, losses,
             later, events, progress, last_failure, failure_reason, awaited)
     ), before AS (
         SELECT pending.id, pending.awaited, pending.session FROM pending JOIN r USING (cid)
     )
     UPDATE pending SET session = 0, claim = r.generation, record_id = r.record_id, started = r.state,
         attempts = r.attempts, due = r.due, first_attempt_time = r.first_attempt_time, losses = r.losses,
         recovered = false, later = r.later, awaited = r.awaited, failure_reason = r.failure_reason,
         progress = r.progress, events = coalesce(pending.events, '') || r.events,
         bytes = pending.bytes + length(r.events),
         last_failure = CASE WHEN cancel_requested THEN pending.last_failure ELSE r.last_failure END,
         wake = CASE WHEN cancel_requested THEN 0 ELSE r.wake END,
         over = CASE WHEN cancel_requested THEN 0 ELSE r.over END
     FROM r, before WHERE before.id = pending.id AND ",
    guard!(),
    " RETURNING pending.cid, pending.service, before.awaited, before.session <> 0, pending.group_cid,
         pending.open_members, 0"
);

/// Which of these records were written before, under the same id.
const WRITTEN: &str = "SELECT r.cid FROM unnest($1::uuid[], $2::bigint[]) AS r (cid, record_id)
     JOIN registry ON registry.cid = r.cid
     LEFT JOIN pending ON pending.id = registry.id LEFT JOIN outcome ON outcome.id = registry.id
     WHERE r.record_id = coalesce(outcome.record_id, pending.record_id)";

/// With the last member the group is due.
const COUNT_DOWN: &str = "UPDATE pending SET open_members = open_members - n.ended,
         wake = CASE WHEN open_members <= n.ended THEN due ELSE wake END
     FROM (SELECT * FROM unnest($1::uuid[], $2::integer[]) AS n (cid, ended) ORDER BY cid) AS n
     WHERE pending.cid = n.cid AND open_members > 0";

/// The members of a group that has ended: they are purged at their own time, and not before the group.
const RELEASE_ENDED: &str =
    "UPDATE outcome SET held = false, purge_time = greatest(purge_time, $2),
         tombstone_until = tombstone_until + greatest(purge_time, $2) - purge_time
     WHERE held AND id IN (SELECT id FROM invocation WHERE group_cid = $1)";

/// A record, encoded by its caller.
#[derive(Debug)]
pub(super) struct EndRow {
    pub(super) record: Record,
    pub(super) followed_by: Vec<NewRow>,
    events: Vec<u8>,
    progress: Option<Vec<u8>>,
    last_failure: Option<Vec<u8>>,
}

/// A record that was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) cid: Cid,
    pub(super) service: ServiceName,
    pub(super) was_claimed: bool,
    /// Whether it waited for an outcome from outside before.
    pub(super) was_awaiting: bool,
    /// How many callbacks it no longer promises.
    pub(super) promised: i32,
    /// The invocations that were accepted with it, each with its id.
    pub(super) followed_by: Vec<(Cid, i64)>,
}

/// The row that a record changed.
struct Changed {
    cid: Cid,
    service: i32,
    awaited: bool,
    was_claimed: bool,
    group_cid: Option<Uuid>,
    open_members: Option<i32>,
    promised: i32,
}

impl EndRow {
    pub(super) fn encode(record: Record, cipher: &BlobCipher) -> Result<Self> {
        let cid = record.cid;
        let progress = record.progress.as_deref();
        let progress = progress.map(|progress| blob::encode_progress(cid, progress, cipher));
        let last_failure = record.last_failure.as_ref();
        let last_failure = last_failure
            .map(|error| blob::encode_last_failure(cid, error, record.deferred, cipher));
        let followed_by = record.followed_by.iter();
        let followed_by = followed_by.map(|next| NewRow::encode(next, cipher));
        Ok(Self {
            events: blob::encode_events(cid, &record.events, cipher)?,
            progress: progress.transpose()?,
            last_failure: last_failure.transpose()?,
            followed_by: followed_by.collect::<Result<_>>()?,
            record,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let followed_by = self.followed_by.iter().map(NewRow::bytes);
        self.event_bytes() + followed_by.sum::<usize>()
    }

    pub(super) fn event_bytes(&self) -> usize {
        self.events.len()
    }

    fn later(&self) -> Option<&[u8]> {
        let completion = self.record.completion.as_ref();
        completion.map(|completion| completion.token.0.as_slice())
    }

    fn record_id(&self) -> i64 {
        self.record.id.cast_signed()
    }
}

/// Writes records of different invocations, and returns those that were taken, now or before.
pub(super) async fn record(
    tx: &Tx<'_>,
    rows: &[&EndRow],
    session: i64,
    services: &Services,
    first_claim: i64,
) -> Result<(Vec<Taken>, Vec<Cid>), Failed> {
    let keys = queue_keys(tx, rows).await?;
    lock(tx, &keys).await?;
    let (ended, going): (Vec<&EndRow>, Vec<&EndRow>) = rows
        .iter()
        .copied()
        .partition(|row| row.record.state.is_terminal());
    let mut changed = Vec::new();
    if !ended.is_empty() {
        changed.extend(end(tx, &ended, session).await?);
    }
    if !going.is_empty() {
        changed.extend(go_on(tx, &going, session).await?);
    }
    update_heads(tx, &keys).await?;
    let is_taken = |row: &&&EndRow| changed.iter().any(|one| one.cid == row.record.cid);
    let before = match changed.len() < rows.len() {
        true => written(tx, rows.iter().filter(|row| !is_taken(row))).await?,
        false => Vec::new(),
    };
    let taken: Vec<&EndRow> = rows.iter().filter(is_taken).copied().collect();
    let followers: Vec<_> = taken.iter().flat_map(|row| &row.followed_by).collect();
    let stored = match followers.is_empty() {
        true => Vec::new(),
        false => insert_all(tx, followers, services, first_claim).await?,
    };
    end_members(tx, &taken, &changed).await?;
    let taken = changed.into_iter().map(|one| {
        let row = taken.iter().find(|row| row.record.cid == one.cid);
        let own = row
            .map(|row| row.followed_by.as_slice())
            .unwrap_or_default();
        let followed_by = own.iter().filter_map(|next| {
            let found = stored.iter().find(|(cid, _)| *cid == next.cid);
            found.copied()
        });
        Ok(Taken {
            cid: one.cid,
            service: services.name(one.service).map_or_else(
                || Err(Failed::Own(blob::damaged("a service without a name"))),
                Ok,
            )?,
            was_claimed: one.was_claimed,
            was_awaiting: one.awaited && one.open_members.is_none(),
            promised: one.promised,
            followed_by: followed_by.collect(),
        })
    });
    Ok((taken.collect::<Result<_, Failed>>()?, before))
}

/// Inserts invocations of which some may have the same CID or key: the first one is stored.
async fn insert_all(
    tx: &Tx<'_>,
    rows: Vec<&NewRow>,
    services: &Services,
    first_claim: i64,
) -> Result<Vec<(Cid, i64)>, Failed> {
    let (mut stored, mut left) = (Vec::new(), rows);
    while !left.is_empty() {
        let (mut batch, mut later): (Vec<&NewRow>, Vec<&NewRow>) = (Vec::new(), Vec::new());
        for row in left {
            let is_same = |other: &&NewRow| {
                let key = row.idempotency_key.as_ref();
                other.cid == row.cid || (key.is_some() && other.idempotency_key.as_ref() == key)
            };
            match batch.iter().any(is_same) {
                true => later.push(row),
                false => batch.push(row),
            }
        }
        let inserted = insert(tx, &batch, services, first_claim).await?;
        stored.extend(inserted);
        left = later;
    }
    Ok(stored)
}

/// The concurrency keys of the invocations of records. A key never changes.
pub(super) async fn queue_keys(tx: &Tx<'_>, rows: &[&EndRow]) -> Result<Vec<QueueKey>, Failed> {
    let cids: Vec<_> = rows.iter().map(|row| uuid(row.record.cid)).collect();
    let keys = tx.query(KEYS, &[&cids]).await?;
    let keys = keys
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(keys.collect::<Result<_, tokio_postgres::Error>>()?)
}

fn all<'r, T>(rows: &[&'r EndRow], column: impl Fn(&'r EndRow) -> T) -> Vec<T> {
    rows.iter().map(|row| column(row)).collect()
}

fn count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

async fn end(tx: &Tx<'_>, rows: &[&EndRow], session: i64) -> Result<Vec<Changed>, Failed> {
    let until = |record: &Record| {
        record
            .tombstone_until
            .or(record.purge_time)
            .or(record.end_time)
    };
    let changed = tx
        .query(
            END,
            &[
                &session,
                &all(rows, |row| uuid(row.record.cid)),
                &all(rows, EndRow::record_id),
                &all(rows, |row| i64::from(row.record.generation)),
                &all(rows, |row| row.record.expected_attempts.map(count)),
                &all(rows, |row| state(&row.record)),
                &all(rows, |row| count(row.record.attempts)),
                &all(rows, |row| {
                    blob::nanos(row.record.end_time.unwrap_or(row.record.due))
                }),
                &all(rows, |row| row.record.purge_time.map(blob::nanos)),
                &all(rows, |row| until(&row.record).map(blob::nanos)),
                &all(rows, |row| blob::nanos(row.record.due)),
                &all(rows, |row| row.record.first_attempt_time.map(blob::nanos)),
                &all(rows, |row| count(row.record.crash_count)),
                &all(rows, EndRow::later),
                &all(rows, |row| row.events.as_slice()),
                &all(rows, |row| row.progress.as_deref()),
                &all(rows, |row| row.record.failure().map(|it| text(it.reason()))),
            ],
        )
        .await?;
    changed.iter().map(Changed::of).collect()
}

async fn go_on(tx: &Tx<'_>, rows: &[&EndRow], session: i64) -> Result<Vec<Changed>, Failed> {
    let changed = tx
        .query(
            AGAIN,
            &[
                &session,
                &all(rows, |row| uuid(row.record.cid)),
                &all(rows, EndRow::record_id),
                &all(rows, |row| i64::from(row.record.generation)),
                &all(rows, |row| row.record.expected_attempts.map(count)),
                &all(rows, |row| state(&row.record)),
                &all(rows, |row| count(row.record.attempts)),
                &all(rows, |row| blob::nanos(row.record.due)),
                &all(rows, |row| blob::nanos(row.record.next_wakeup)),
                &all(rows, |row| row.record.expires_at.map(blob::nanos)),
                &all(rows, |row| row.record.first_attempt_time.map(blob::nanos)),
                &all(rows, |row| count(row.record.crash_count)),
                &all(rows, EndRow::later),
                &all(rows, |row| row.events.as_slice()),
                &all(rows, |row| row.progress.as_deref()),
                &all(rows, |row| row.last_failure.as_deref()),
                &all(rows, |row| row.record.failure().map(|it| text(it.reason()))),
                &all(rows, |row| {
                    row.record.completion.is_some_and(|it| it.pending)
                }),
            ],
        )
        .await?;
    changed.iter().map(Changed::of).collect()
}

fn state(record: &Record) -> i16 {
    i16::try_from(encode_state(record.state)).unwrap_or_default()
}

impl Changed {
    fn of(row: &tokio_postgres::Row) -> Result<Self, Failed> {
        Ok(Self {
            cid: cid(row.try_get(0)?),
            service: row.try_get(1)?,
            awaited: row.try_get(2)?,
            was_claimed: row.try_get(3)?,
            group_cid: row.try_get(4)?,
            open_members: row.try_get(5)?,
            promised: row.try_get(6)?,
        })
    }
}

/// Those of the records that were written by an earlier transaction, whose answer was lost.
async fn written<'r>(
    tx: &Tx<'_>,
    rows: impl Iterator<Item = &'r &'r EndRow>,
) -> Result<Vec<Cid>, Failed> {
    let rows = rows.map(|row| (uuid(row.record.cid), row.record_id()));
    let (cids, ids): (Vec<_>, Vec<_>) = rows.unzip();
    let written = tx.query(WRITTEN, &[&cids, &ids]).await?;
    let written = written.iter().map(|row| Ok(cid(row.try_get(0)?)));
    Ok(written.collect::<Result<_, tokio_postgres::Error>>()?)
}

/// Counts down the groups of members that ended, and releases the members of groups that did.
async fn end_members(tx: &Tx<'_>, rows: &[&EndRow], changed: &[Changed]) -> Result<(), Failed> {
    let mut ended: HashMap<Uuid, i32> = HashMap::new();
    for one in changed {
        let row = rows.iter().find(|row| row.record.cid == one.cid);
        let Some(row) = row.filter(|row| row.record.state.is_terminal()) else {
            continue;
        };
        if let Some(group) = one.group_cid {
            *ended.entry(group).or_default() += 1;
        }
        if one.open_members.is_some() {
            let purge_time = row.record.purge_time.map_or(0, blob::nanos);
            let group = uuid(one.cid);
            tx.execute(RELEASE_ENDED, &[&group, &purge_time]).await?;
        }
    }
    if ended.is_empty() {
        return Ok(());
    }
    let (groups, counts): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    tx.execute(COUNT_DOWN, &[&groups, &counts]).await?;
    Ok(())
}
