//! How a follower reads one invocation: from memory while it is live, otherwise from the store.

use std::ops::Range;
use std::sync::Arc;

use crate::engine::byte_budget::{ByteBudget, Reservation};
use crate::engine::results::bounded_read::{self, SMALL_BYTES};
use crate::engine::results::event_page::{EventPage, READ_AHEAD};
use crate::engine::results::hub::{Hub, Mailbox};
use crate::engine::results::live::{Live, ProgressVersion, Update, progress_version};
use crate::engine::store::{Store, Stored, Tombstone};
use crate::model::access::Owners;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::SEQUENCES_PER_GENERATION;

/// How far one invocation has been read.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Cursor {
    pub(in crate::engine) sequence: u64,
    /// The run that was read last; `None` before the first read.
    pub(in crate::engine) run: Option<u64>,
    pub(in crate::engine) progress: ProgressVersion,
    /// Whether only the end is yielded: the invocation is followed as a member of a group.
    pub(in crate::engine) end_only: bool,
    /// Whether the caller may read it is not known yet.
    pub(in crate::engine) is_unproven: bool,
    /// Whether the sequence is the caller's, and has not been compared with the invocation yet.
    pub(in crate::engine) is_unchecked: bool,
}

impl Cursor {
    pub(in crate::engine) fn after(sequence: u64) -> Self {
        Self {
            sequence,
            run: None,
            progress: (0, 0),
            end_only: false,
            is_unproven: false,
            is_unchecked: sequence > 0,
        }
    }
}

impl Cursor {
    /// Whether the caller's sequence is one that the invocation never had, and that it would be wrong to continue
    /// after. `has_event`: whether one of its events has a sequence in a range.
    ///
    /// `last`, `generation`: the last sequence of the invocation, and the generation of its next one.
    ///
    /// Followers see events of an attempt before they are stored. A crash may have undone those of earlier generations;
    /// all further events have higher sequences. Not so those of a store that was copied: it may have stored them.
    fn is_unknown(
        self,
        (last, generation): (u64, u32),
        has_ended: bool,
        store: &dyn Store,
        has_event: impl FnOnce(Range<u64>) -> bool,
    ) -> bool {
        if !self.is_unchecked {
            return false;
        }
        let first_of = |generation: u32| u64::from(generation) * SEQUENCES_PER_GENERATION;
        let undone = store.undone_generations();
        let undone = first_of(undone.start)..first_of(undone.end);
        if undone.contains(&self.sequence) {
            return !has_event(self.sequence..undone.end);
        }
        self.sequence > last && (has_ended || self.sequence >= first_of(generation))
    }
}

/// A CID that was taken out of the mailbox. It is put back unless it was read, so that a dropped future loses nothing.
pub(in crate::engine) struct PendingRead<'a> {
    pub(in crate::engine) mailbox: &'a Mailbox,
    pub(in crate::engine) cid: Cid,
    pub(in crate::engine) is_done: bool,
}

impl Drop for PendingRead<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.mailbox.notify(self.cid, None);
        }
    }
}

/// What was read of an invocation.
pub(in crate::engine) enum Read {
    /// New events and progress; and the members of a group that was not read before.
    Update(Update, Option<Vec<(u32, Cid)>>),
    /// The invocation has ended, and the caller has seen its end.
    Seen,
    Missing {
        error: Error,
        tombstone: Option<Tombstone>,
    },
}

impl Read {
    /// Whether there are further events, which were not read.
    fn has_more(&self) -> bool {
        matches!(self, Self::Update(update, _) if update.has_more)
    }
}

/// Reads new events: from the live invocation while it runs, otherwise from the store, within the budget of the
/// follower's connection, and of its owners alone. The reservation counts large events.
pub(in crate::engine) async fn read(
    cursor: Option<&Cursor>,
    mut pending: PendingRead<'_>,
    live: Option<Arc<Live>>,
    hub: &Hub,
    store: &dyn Store,
    (budget, owners): (Option<&Arc<ByteBudget>>, Option<&Owners>),
    is_new_group: bool,
) -> Result<Option<(Read, Option<Reservation>)>> {
    let Some(&cursor) = cursor else {
        pending.is_done = true;
        return Ok(None);
    };
    let cid = pending.cid;
    let unknown = match owners.filter(|_| cursor.is_unproven) {
        Some(owners) => unless_owned(store, cid, budget, owners).await?,
        None => None,
    };
    let found = match live.or_else(|| hub.live(cid)) {
        _ if let Some(unknown) = unknown => Ok(Found::of(unknown)),
        Some(live)
            if cursor.is_unknown(
                (live.last_sequence(), live.generation),
                false,
                store,
                |range| live.has_event_in(&range),
            ) =>
        {
            Ok(Found::of(sequence_unknown(cid, cursor.sequence)))
        }
        Some(live) => {
            let bytes = live.next_bytes(cursor.sequence);
            match budget {
                Some(budget) if bytes > SMALL_BYTES => {
                    // It must not be kept by those that wait for room.
                    drop(live);
                    let reservation = budget.admit(bytes).await?;
                    match hub.live(cid) {
                        Some(live) => Ok(Found::live(&live, cursor, bytes, Some(reservation))),
                        None => {
                            drop(reservation);
                            read_stored(cid, cursor, store, Some(budget), is_new_group).await
                        }
                    }
                }
                Some(_) | None => Ok(Found::live(&live, cursor, READ_AHEAD, None)),
            }
        }
        None => read_stored(cid, cursor, store, budget, is_new_group).await,
    };
    let found = match found {
        // One invocation that cannot be read does not end the stream of the others.
        Err(error) if error.kind() == Kind::DataLoss => Found::of(Read::Missing {
            error: error.with_cid(cid),
            tombstone: None,
        }),
        found => found?,
    };
    // Where there is more, the invocation stays in the mailbox: it is read again once these events are taken.
    pending.is_done = !found.read.has_more();
    Ok(Some((found.read, found.reservation)))
}

/// What was read, and what it takes.
struct Found {
    read: Read,
    reservation: Option<Reservation>,
}

impl Found {
    fn of(read: Read) -> Self {
        Self {
            read,
            reservation: None,
        }
    }

    /// The next events of a live invocation, as far as they have `max_bytes`.
    fn live(
        live: &Live,
        cursor: Cursor,
        max_bytes: usize,
        reservation: Option<Reservation>,
    ) -> Self {
        let Cursor {
            sequence,
            run,
            progress,
            ..
        } = cursor;
        let update = live.update_since(sequence, run, progress, max_bytes);
        Self {
            read: Read::Update(update, None),
            reservation,
        }
    }
}

/// That an invocation is unknown, unless it belongs to these owners.
async fn unless_owned(
    store: &dyn Store,
    cid: Cid,
    budget: Option<&Arc<ByteBudget>>,
    owners: &Owners,
) -> Result<Option<Read>> {
    let stored = match bounded_read::read(store, cid, budget).await {
        Ok((stored, _)) => stored,
        // Whose it is cannot be read either.
        Err(error) if error.kind() == Kind::DataLoss => Stored::Unknown,
        Err(error) => return Err(error),
    };
    Ok((!is_owned(&stored, Some(owners))).then(|| Read::Missing {
        error: cid_unknown(cid),
        tombstone: None,
    }))
}

async fn read_stored(
    cid: Cid,
    cursor: Cursor,
    store: &dyn Store,
    budget: Option<&Arc<ByteBudget>>,
    is_new_group: bool,
) -> Result<Found> {
    let (stored, mut reservation) = bounded_read::read(store, cid, budget).await?;
    let invocation = match stored {
        Stored::Found(invocation) => invocation,
        Stored::Removed(tombstone) => {
            return Ok(Found::of(Read::Missing {
                error: result_expired(cid, &tombstone),
                tombstone: Some(tombstone),
            }));
        }
        Stored::Unknown => {
            return Ok(Found::of(Read::Missing {
                error: cid_unknown(cid),
                tombstone: None,
            }));
        }
    };
    let has_ended = invocation.state.is_terminal();
    let has_event = |range: Range<u64>| {
        let mut events = invocation.events.iter();
        events.any(|event| range.contains(&event.sequence))
    };
    let last = (invocation.sequence(), invocation.generation);
    if cursor.is_unknown(last, has_ended, store, has_event) {
        return Ok(Found::of(sequence_unknown(cid, cursor.sequence)));
    }
    let page = EventPage::after(cursor.sequence, &invocation.events, READ_AHEAD);
    if let Some(reservation) = &mut reservation {
        reservation.shrink_to(page.bytes);
    }
    let progress = invocation.progress;
    let progress = progress.filter(|it| progress_version(it) > cursor.progress);
    let update = Update::of(page, cursor.sequence, cursor.run, progress);
    if update.events.is_empty() && has_ended {
        return Ok(Found::of(Read::Seen));
    }
    let members = match is_new_group && invocation.request.group().is_some() {
        true => Some(store.members(cid).await?),
        false => None,
    };
    Ok(Found {
        read: Read::Update(update, members),
        reservation,
    })
}

/// `OUT_OF_RANGE` / `SEQUENCE_UNKNOWN`.
fn sequence_unknown(cid: Cid, sequence: u64) -> Read {
    let message = format!(
        "{cid} has no event {sequence} here: follow it again without `after_sequences`, to read it from its beginning"
    );
    let error = Error::new(Kind::OutOfRange, reason::SEQUENCE_UNKNOWN, message);
    Read::Missing {
        error: error.with_cid(cid).with_info("sequence", sequence),
        tombstone: None,
    }
}

/// Whether what is stored belongs to these owners; what is not stored belongs to nobody.
pub(in crate::engine) fn is_owned(stored: &Stored, owners: Option<&Owners>) -> bool {
    let Some(owners) = owners else {
        return true;
    };
    match stored {
        Stored::Found(found) => owners.own(found.request.principals.as_deref()),
        Stored::Removed(tombstone) => owners.own(tombstone.owner.as_deref()),
        Stored::Unknown => false,
    }
}

/// `NOT_FOUND` / `CID_UNKNOWN`.
pub(in crate::engine) fn cid_unknown(cid: Cid) -> Error {
    let message = format!("no invocation with CID {cid} is stored here");
    Error::not_found(reason::CID_UNKNOWN, message).with_cid(cid)
}

/// `NOT_FOUND` / `RESULT_EXPIRED`.
pub(in crate::engine) fn result_expired(cid: Cid, tombstone: &Tombstone) -> Error {
    let Tombstone {
        state, end_time, ..
    } = tombstone;
    let state = state.name();
    let message = format!("the outcome of {cid} ({state}, {end_time}) is no longer kept");
    Error::not_found(reason::RESULT_EXPIRED, message)
        .with_cid(cid)
        .with_info("state", state)
        .with_info("end_time", end_time)
}
