//! Records the end of an attempt, or of an invocation, and accepts the invocations that follow from it.

use rusqlite::{OptionalExtension as _, params};

use super::accept::accept;
use super::command::Command;
use super::key_queue::KeyQueueHead;
use super::new_invocation::NewInvocation;
use super::transaction::Tx;
use crate::engine::store::{Acceptance, Record};
use crate::model::error::{Error, Result};
use crate::model::id::{Cid, ServiceName};
use crate::store::sqlite::blob;
use crate::store::sqlite::bookkeeping::Entries;
use crate::store::sqlite::hand_over::HandOver;
use crate::store::sqlite::state_column::encode_state;

/// If cancellation was requested, `wake` and `over` are 0, so that it is cancelled at the next poll; the reason, which
/// is a field of the last failure, stays until then.
const UPDATE: &str =
    "UPDATE invocation SET state = ?2, due = ?3, generation = ?4, losses = ?15, attempts = ?5,
     events = ?6, progress = ?7, 
     last_failure = CASE WHEN cancel_requested AND ?2 < 2 THEN last_failure ELSE ?8 END,
     first_attempt_time = ?9, end_time = ?10,
     purge_time = ?11, tombstone_until = ?12, failure_reason = ?14, later = ?17, awaited = ?18,
     wake = CASE WHEN cancel_requested AND ?2 < 2 THEN 0 ELSE ?13 END,
     over = CASE WHEN cancel_requested AND ?2 < 2 THEN 0 ELSE ?16 END WHERE id = ?1";

/// Records the result of an attempt.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RecordResult {
    record: Record,
    /// The encoded events of the record.
    events: Vec<u8>,
    progress: Option<Vec<u8>>,
    followed_by: Vec<NewInvocation>,
}

/// The services whose counts a record changed. A record that is refused changes nothing.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Recorded {
    service: ServiceName,
    /// The positions of the invocations that were accepted with it.
    followed_by: Vec<usize>,
    /// Whether the invocation waited for an outcome from outside before.
    was_awaiting_completion: bool,
    has_concurrency_key: bool,
}

/// The row of an invocation that has not ended, as far as a record needs it.
struct OpenRow {
    id: i64,
    service: i64,
    service_name: String,
    events: Option<Vec<u8>>,
    concurrency_key: Option<String>,
    group: Option<Vec<u8>>,
    is_group: bool,
    /// It waits for an outcome from outside or, as a group, for its members.
    is_waiting: bool,
}

impl RecordResult {
    pub(in crate::store::sqlite) fn new(record: Record) -> Result<Self> {
        let mut events = Vec::new();
        blob::append_events(&mut events, &record.events)?;
        let progress = record.progress.as_deref().map(blob::encode_progress);
        let followed_by = record.followed_by.iter().map(NewInvocation::encode);
        Ok(Self {
            progress: progress.transpose()?,
            followed_by: followed_by.collect::<Result<_>>()?,
            record,
            events,
        })
    }

    /// `None` if the invocation is unknown, has ended, or was attempted since the record was decided.
    fn open_row(&self, tx: &Tx<'_>) -> rusqlite::Result<Option<OpenRow>> {
        let select = "SELECT invocation.id, service, events, name, concurrency_key, group_cid,
             open_members IS NOT NULL, awaited FROM invocation JOIN service ON service.id = service
             WHERE cid = ?1 AND state < 2 AND attempts = coalesce(?2, attempts)";
        let mut select = tx.prepare(select)?;
        let values = params![self.record.cid.as_bytes(), self.record.expected_attempts];
        let row = select.query_row(values, |row| {
            Ok(OpenRow {
                id: row.get(0)?,
                service: row.get(1)?,
                events: row.get(2)?,
                service_name: row.get(3)?,
                concurrency_key: row.get(4)?,
                group: row.get(5)?,
                is_group: row.get(6)?,
                is_waiting: row.get(7)?,
            })
        });
        row.optional()
    }

    fn update(&self, tx: &Tx<'_>, id: i64, events: &[u8]) -> rusqlite::Result<()> {
        let record = &self.record;
        tx.execute(
            UPDATE,
            params![
                id,
                encode_state(record.state),
                blob::nanos(record.due),
                tx.generation,
                record.attempts,
                events,
                self.progress,
                record
                    .last_failure
                    .as_ref()
                    .map(|error| blob::encode_last_failure(error, record.deferred)),
                record.first_attempt_time.map(blob::nanos),
                record.end_time.map(blob::nanos),
                record.purge_time.map(blob::nanos),
                record.tombstone_until.map(blob::nanos),
                blob::nanos(record.next_wakeup),
                record.failure().map(Error::reason),
                record.crash_count,
                record.expires_at.map(blob::nanos),
                record.completion.map(|completion| completion.token.0),
                record
                    .completion
                    .is_some_and(|completion| completion.pending),
            ],
        )?;
        Ok(())
    }

    /// Accepts the invocations that follow, and returns the positions of those that are new.
    fn accept_followers(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Vec<usize>> {
        let mut accepted = Vec::new();
        for (position, next) in self.followed_by.iter().enumerate() {
            if let Ok(Acceptance::Stored) = accept(tx, next, true)? {
                accepted.push(position);
            }
        }
        Ok(accepted)
    }

    /// What a record of an invocation changes for the claims of its service.
    fn update_hand_over(&self, recorded: &Recorded, hand_over: &mut HandOver) {
        let Record { cid, state, .. } = self.record;
        if !state.is_terminal() || recorded.has_concurrency_key {
            // It becomes due again, or the next one with its key does.
            hand_over.forget(&recorded.service);
        } else if self.record.expected_attempts.is_some() {
            // It was not claimed.
            hand_over.remove(&recorded.service, cid);
        }
    }
}

impl Command for RecordResult {
    type Reply = Option<Recorded>;

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<Option<Recorded>>> {
        let Some(row) = self.open_row(tx)? else {
            return Ok(Ok(None));
        };
        let queue = KeyQueueHead::read(tx, row.service, row.concurrency_key.as_deref())?;
        match row.events {
            Some(mut events) => {
                events.extend_from_slice(&self.events);
                self.update(tx, row.id, &events)?;
            }
            None => self.update(tx, row.id, &self.events)?,
        }
        if let Some(queue) = queue {
            queue.update_head(tx)?;
        }
        let followed_by = self.accept_followers(tx)?;
        if self.record.state.is_terminal() {
            tx.count_open(row.service, -1);
            if let Some(group) = row.group {
                end_member(tx, &group)?;
            }
            if row.is_group {
                let purge_time = self.record.purge_time.map_or(0, blob::nanos);
                release_members(tx, self.record.cid, purge_time)?;
            }
        }
        let service = ServiceName::from_record(&row.service_name).ok();
        Ok(Ok(service.map(|service| Recorded {
            service,
            followed_by,
            has_concurrency_key: row.concurrency_key.is_some(),
            was_awaiting_completion: row.is_waiting && !row.is_group,
        })))
    }

    fn update_entries(&self, reply: &Option<Recorded>, entries: &mut Entries) {
        let Some(recorded) = reply else {
            entries.ledger.release(self.record.cid);
            entries.hand_over.forget(&self.record.service);
            return;
        };
        let was_awaiting = recorded.was_awaiting_completion;
        let service = &recorded.service;
        entries.ledger.record(&self.record, service, was_awaiting);
        self.update_hand_over(recorded, &mut entries.hand_over);
        let invocations = self.record.followed_by.iter().zip(&self.followed_by);
        for (position, (invocation, new)) in invocations.enumerate() {
            if recorded.followed_by.contains(&position) {
                entries.ledger.add_pending(&new.service, 1);
                entries.hand_over(invocation, new.request.len());
            }
        }
    }

    fn service(&self) -> Option<&ServiceName> {
        Some(&self.record.service)
    }

    fn rows(&self) -> usize {
        1 + self.followed_by.len()
    }

    fn bytes(&self) -> usize {
        let followed_by = self.followed_by.iter().map(|next| next.request.len());
        self.events.len() + followed_by.sum::<usize>()
    }
}

/// Counts down the open members of a group; with the last one the group is due.
fn end_member(tx: &Tx<'_>, group: &[u8]) -> rusqlite::Result<()> {
    let update = "UPDATE invocation SET open_members = open_members - 1,
         wake = CASE WHEN open_members = 1 THEN due ELSE wake END
         WHERE cid = ?1 AND state < 2 AND open_members > 0";
    tx.execute(update, [group])?;
    Ok(())
}

/// Releases the members of a group that has ended: they are purged at their own time, and not before the group.
fn release_members(tx: &Tx<'_>, group: Cid, purge_time: i64) -> rusqlite::Result<()> {
    let update = "UPDATE invocation SET held = 0, purge_time = max(purge_time, ?2),
         tombstone_until = tombstone_until + max(purge_time, ?2) - purge_time
         WHERE group_cid = ?1";
    tx.execute(update, params![group.as_bytes(), purge_time])?;
    Ok(())
}
