//! How a follower reads one invocation: from memory while it is live, otherwise from the store.

use std::sync::Arc;

use crate::engine::byte_budget::{ByteBudget, Reservation};
use crate::engine::results::bounded_read;
use crate::engine::results::hub::{Hub, Mailbox};
use crate::engine::results::live::{Live, ProgressVersion, Update, progress_version};
use crate::engine::store::{Store, Stored, Tombstone};
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Event, SEQUENCES_PER_GENERATION};

/// How many bytes of events are read ahead of a subscriber. One event may be larger.
pub(in crate::engine) const READ_AHEAD: usize = 1024 * 1024;
/// What an event takes besides its payload, roughly.
const EVENT_BYTES: usize = 128;

/// How far one invocation has been read.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Cursor {
    pub(in crate::engine) sequence: u64,
    /// The run that was read last; `None` before the first read.
    pub(in crate::engine) run: Option<u64>,
    pub(in crate::engine) progress: ProgressVersion,
    /// Whether only the end is yielded: the invocation is followed as a member of a group.
    pub(in crate::engine) end_only: bool,
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
            is_unchecked: sequence > 0,
        }
    }
}

impl Cursor {
    /// Whether the caller's sequence is one that the invocation never had, and that none of its events will pass.
    ///
    /// Followers see events of an attempt before they are stored. A crash may have undone those of earlier generations;
    /// all further events have higher sequences.
    fn is_beyond(self, last: u64, has_ended: bool, store: &dyn Store) -> bool {
        let generation = self.sequence / SEQUENCES_PER_GENERATION;
        self.is_unchecked
            && self.sequence > last
            && (has_ended || generation >= u64::from(store.generation()))
    }
}

/// A CID that was taken out of the mailbox. It is put back unless it was read, so that a dropped future loses nothing.
pub(in crate::engine) struct PendingRead<'a> {
    pub(in crate::engine) mailbox: &'a Mailbox,
    pub(in crate::engine) cid: Cid,
    pub(in crate::engine) live: Option<Arc<Live>>,
    pub(in crate::engine) is_done: bool,
}

impl Drop for PendingRead<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.mailbox.notify(self.cid, self.live.as_ref());
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

/// Reads new events: from the live invocation while it runs, otherwise from the store, within the budget of the
/// follower's connection. The reservation counts large events.
pub(in crate::engine) async fn read(
    cursor: Option<&Cursor>,
    mut pending: PendingRead<'_>,
    hub: &Hub,
    store: &dyn Store,
    budget: Option<&Arc<ByteBudget>>,
    is_new_group: bool,
) -> Result<Option<(Read, Option<Reservation>)>> {
    let Some(&cursor) = cursor else {
        pending.is_done = true;
        return Ok(None);
    };
    let cid = pending.cid;
    let live = pending.live.clone().or_else(|| hub.live(cid));
    let found = match live {
        Some(live) if cursor.is_beyond(live.last_sequence(), false, store) => {
            Ok(Found::of(sequence_unknown(cid, cursor.sequence)))
        }
        Some(live) => {
            let Cursor {
                sequence,
                run,
                progress,
                ..
            } = cursor;
            let update = live.update_since(sequence, run, progress);
            Ok(Found::of(Read::Update(update, None)))
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
    pending.is_done = !found.has_more;
    Ok(Some((found.read, found.reservation)))
}

/// What was read, and what it takes.
struct Found {
    read: Read,
    reservation: Option<Reservation>,
    /// Whether the store has more events than were read.
    has_more: bool,
}

impl Found {
    fn of(read: Read) -> Self {
        Self {
            read,
            reservation: None,
            has_more: false,
        }
    }
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
    if cursor.is_beyond(invocation.sequence(), has_ended, store) {
        return Ok(Found::of(sequence_unknown(cid, cursor.sequence)));
    }
    let page = next_events(&invocation.events, cursor.sequence);
    let has_more = page.has_more;
    if let Some(reservation) = &mut reservation {
        reservation.shrink_to(page.bytes);
    }
    let progress = invocation.progress;
    let progress = progress.filter(|it| progress_version(it) > cursor.progress && !has_more);
    let update = Update::of(page.events, cursor.sequence, cursor.run, progress);
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
        has_more,
    })
}

/// The first events of an invocation.
struct EventPage<'a> {
    /// Those that were seen, and the next ones.
    events: &'a [Arc<Event>],
    /// How many bytes the next ones have.
    bytes: usize,
    /// Whether more events follow.
    has_more: bool,
}

/// The events up to a sequence and the next ones: those that have [`READ_AHEAD`] bytes, at least one.
fn next_events(events: &[Arc<Event>], after: u64) -> EventPage<'_> {
    let first = events.partition_point(|event| event.sequence <= after);
    let (mut bytes, mut end) = (0, first);
    for event in events.get(first..).unwrap_or_default() {
        let total = bytes + event.kind.payload_bytes() + EVENT_BYTES;
        if end > first && total > READ_AHEAD {
            break;
        }
        (bytes, end) = (total, end + 1);
    }
    EventPage {
        events: events.get(..end).unwrap_or_default(),
        bytes,
        has_more: end < events.len(),
    }
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

/// `NOT_FOUND` / `CID_UNKNOWN`.
pub(in crate::engine) fn cid_unknown(cid: Cid) -> Error {
    let message = format!("no invocation with CID {cid} is stored here");
    Error::not_found(reason::CID_UNKNOWN, message).with_cid(cid)
}

/// `NOT_FOUND` / `RESULT_EXPIRED`.
pub(in crate::engine) fn result_expired(cid: Cid, tombstone: &Tombstone) -> Error {
    let Tombstone { state, end_time } = tombstone;
    let state = state.name();
    let message = format!("the outcome of {cid} ({state}, {end_time}) is no longer kept");
    Error::not_found(reason::RESULT_EXPIRED, message)
        .with_cid(cid)
        .with_info("state", state)
        .with_info("end_time", end_time)
}
