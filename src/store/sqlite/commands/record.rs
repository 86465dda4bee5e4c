//! Records the end of an attempt, or of an invocation, and accepts the invocations that follow from it.

use rusqlite::params;

use super::accept::accept;
use super::command::Command;
use super::index_newest::QUEUE_PURGE;
use super::key_queue::KeyQueueHead;
use super::new_invocation::NewInvocation;
use super::pending_row::OpenInvocation;
use super::transaction::{Found, Tx};
use crate::engine::store::{Acceptance, Record};
use crate::model::error::{Error, Result};
use crate::model::id::{Cid, ServiceName};
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::bookkeeping::Entries;
use crate::store::sqlite::hand_over::HandOver;
use crate::store::sqlite::newest::Place;
use crate::store::state_column::encode_state;

/// If cancellation was requested, `wake` and `over` are 0, so that it is cancelled at the next poll; the reason, which
/// is a field of the last failure, stays until then.
const UPDATE: &str = "UPDATE pending SET started = ?2, due = ?3, generation = ?4, losses = ?5, attempts = ?6,
     events = ?7, progress = ?8, last_failure = CASE WHEN cancel_requested THEN last_failure ELSE ?9 END,
     first_attempt_time = ?10, failure_reason = ?11, later = ?12, awaited = ?13,
     wake = CASE WHEN cancel_requested THEN 0 ELSE ?14 END,
     over = CASE WHEN cancel_requested THEN 0 ELSE ?15 END WHERE id = ?1";
const INSERT_OUTCOME: &str = "INSERT INTO outcome
     (id, state, attempts, end_time, purge_time, tombstone_until, due, first_attempt_time, losses, cancel_requested,
      later, held, open_members, events, progress, failure_reason)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

/// Records the result of an attempt.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RecordResult {
    record: Record,
    /// The encoded events of the record.
    events: Vec<u8>,
    progress: Option<Vec<u8>>,
    last_failure: Option<Vec<u8>>,
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

impl RecordResult {
    pub(in crate::store::sqlite) fn new(record: Record, cipher: &BlobCipher) -> Result<Self> {
        let cid = record.cid;
        let progress = record.progress.as_deref();
        let progress = progress.map(|progress| blob::encode_progress(cid, progress, cipher));
        let last_failure = record.last_failure.as_ref();
        let last_failure = last_failure
            .map(|error| blob::encode_last_failure(cid, error, record.deferred, cipher));
        let followed_by = record.followed_by.iter();
        let followed_by = followed_by.map(|next| NewInvocation::encode(next, cipher));
        Ok(Self {
            events: blob::encode_events(cid, &record.events, cipher)?,
            progress: progress.transpose()?,
            last_failure: last_failure.transpose()?,
            followed_by: followed_by.collect::<Result<_>>()?,
            record,
        })
    }

    /// All events of the invocation, with those of this record.
    fn all_events(&self, open: &OpenInvocation) -> Option<Vec<u8>> {
        let mut events = open.row.as_ref()?.events.clone()?;
        events.extend_from_slice(&self.events);
        Some(events)
    }

    /// The next attempt follows later.
    fn update(&self, tx: &mut Tx<'_>, open: &OpenInvocation) -> rusqlite::Result<()> {
        open.insert_row(tx)?;
        let record = &self.record;
        let all_events = self.all_events(open);
        tx.execute(
            UPDATE,
            params![
                open.id,
                encode_state(record.state),
                blob::nanos(record.due),
                tx.generation,
                record.crash_count,
                record.attempts,
                all_events.as_ref().unwrap_or(&self.events),
                self.progress,
                self.last_failure,
                record.first_attempt_time.map(blob::nanos),
                record.failure().map(Error::reason),
                record.completion.map(|completion| completion.token.0),
                record
                    .completion
                    .is_some_and(|completion| completion.pending),
                blob::nanos(record.next_wakeup),
                record.expires_at.map(blob::nanos),
            ],
        )?;
        Ok(())
    }

    /// The invocation has ended.
    fn end(&self, tx: &mut Tx<'_>, open: &OpenInvocation) -> rusqlite::Result<()> {
        self.insert_outcome(tx, open)?;
        if open.row.is_some() {
            tx.execute("DELETE FROM pending WHERE id = ?1", [open.id])?;
        }
        let is_held = open.row.as_ref().is_some_and(|row| row.is_held);
        let purge_time = self.record.purge_time.filter(|_| !is_held).map(blob::nanos);
        match (&open.newest, purge_time) {
            (Some(newest), purge_time) => {
                tx.move_newest(open.cid, newest, Place::Ended { purge_time });
            }
            (None, Some(time)) => {
                let insert = "INSERT INTO purge_queue (purge_time, id) VALUES (?1, ?2)";
                tx.execute(insert, params![time, open.id])?;
            }
            (None, None) => {}
        }
        if is_held {
            end_member(tx, open.id)?;
        }
        if open.is_group() {
            let purge_time = self.record.purge_time.map_or(0, blob::nanos);
            release_members(tx, open.cid, purge_time)?;
        }
        Ok(())
    }

    fn insert_outcome(&self, tx: &Tx<'_>, open: &OpenInvocation) -> rusqlite::Result<()> {
        let (record, row) = (&self.record, open.row.as_ref());
        let (due, end_time) = (blob::nanos(record.due), record.end_time.map(blob::nanos));
        let end_time = end_time.unwrap_or(due);
        let purge_time = record.purge_time.map(blob::nanos);
        let until = record.tombstone_until.map(blob::nanos).or(purge_time);
        // Most often it is kept as long as the outcome.
        let usual = purge_time.and_then(|time| time.checked_add(time.checked_sub(end_time)?));
        let accepted_for = open.newest.as_ref().map(|newest| newest.place);
        let all_events = self.all_events(open);
        tx.execute(
            INSERT_OUTCOME,
            params![
                open.id,
                encode_state(record.state),
                record.attempts,
                end_time,
                purge_time,
                until.filter(|_| until != usual),
                Some(due).filter(|due| accepted_for != Some(Place::Accepted { due: *due })),
                record.first_attempt_time.map(blob::nanos),
                record.crash_count,
                row.is_some_and(|row| row.cancel_requested),
                record.completion.map(|completion| completion.token.0),
                row.is_some_and(|row| row.is_held),
                row.and_then(|row| row.open_members),
                all_events.as_ref().unwrap_or(&self.events),
                self.progress,
                record.failure().map(Error::reason),
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
        let open = match OpenInvocation::find(tx, self.record.cid)? {
            None => return Ok(Ok(None)),
            Some(Err(error)) => return Ok(Err(error)),
            Some(Ok(open)) => open,
        };
        let expected = self.record.expected_attempts;
        if expected.is_some_and(|expected| expected != open.attempts()) {
            return Ok(Ok(None));
        }
        let queue = KeyQueueHead::read(tx, open.concurrency_key())?;
        match self.record.state.is_terminal() {
            true => self.end(tx, &open)?,
            false => self.update(tx, &open)?,
        }
        if let Some(queue) = queue {
            queue.update_head(tx)?;
        }
        let followed_by = self.accept_followers(tx)?;
        Ok(Ok(Some(Recorded {
            followed_by,
            has_concurrency_key: open.concurrency_key().is_some(),
            was_awaiting_completion: open.row.as_ref().is_some_and(|row| row.is_waiting)
                && !open.is_group(),
            service: open.service,
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
                entries.ledger.add_one(&new.service, new.owner());
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

/// Counts down the open members of the group of a member; with the last one the group is due.
fn end_member(tx: &Tx<'_>, member: i64) -> rusqlite::Result<()> {
    let select = "SELECT group_cid FROM invocation WHERE id = ?1";
    let group: Option<Vec<u8>> = tx.prepare(select)?.query_row([member], |row| row.get(0))?;
    let Some(Ok(group)) = group.as_deref().map(blob::cid) else {
        return Ok(());
    };
    let Some(group) = tx.find(group)? else {
        return Ok(());
    };
    let update = "UPDATE pending SET open_members = open_members - 1,
         wake = CASE WHEN open_members = 1 THEN due ELSE wake END WHERE id = ?1 AND open_members > 0";
    tx.execute(update, [group.id()])?;
    Ok(())
}

/// Releases the members of a group that has ended: they are purged at their own time, and not before the group.
fn release_members(tx: &mut Tx<'_>, group: Cid, purge_time: i64) -> rusqlite::Result<()> {
    let members = "SELECT id FROM invocation WHERE group_cid = ?1";
    let cid = group.as_bytes();
    tx.execute(
        &format!("UPDATE pending SET held = 0 WHERE id IN ({members})"),
        [cid],
    )?;
    let release = format!(
        "UPDATE outcome SET held = 0, purge_time = max(purge_time, ?2),
         tombstone_until = coalesce(tombstone_until, purge_time + (purge_time - end_time))
             + max(purge_time, ?2) - purge_time
         WHERE held = 1 AND id IN ({members})"
    );
    tx.execute(&release, params![cid, purge_time])?;
    let select = "SELECT cid, purge_time, outcome.id FROM invocation JOIN outcome ON outcome.id = invocation.id
         WHERE group_cid = ?1 AND purge_time IS NOT NULL";
    let mut select = tx.prepare(select)?;
    let ended = select.query_map([cid], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?))
    })?;
    let ended = ended.collect::<rusqlite::Result<Vec<(_, i64, i64)>>>()?;
    drop(select);
    for (member, time, id) in ended {
        queue_purge(tx, &member, time, id)?;
    }
    Ok(())
}

/// Has a member purged at its time, now that it is not held.
fn queue_purge(tx: &mut Tx<'_>, member: &[u8], time: i64, id: i64) -> rusqlite::Result<()> {
    if let Ok(cid) = blob::cid(member)
        && let Some(Found::Newest(newest)) = tx.find(cid)?
    {
        let purge_time = Some(time);
        tx.move_newest(cid, &newest, Place::Ended { purge_time });
        return Ok(());
    }
    tx.execute(QUEUE_PURGE, [time, id])?;
    Ok(())
}
