//! Followers: a stream of the events of any number of invocations, past and future, without a gap or a duplicate.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio_util::sync::CancellationToken;

use crate::engine::lifecycle::node_stopping;
use crate::engine::results::group_members::FollowedGroups;
use crate::engine::results::hub::{Hub, Mailbox};
use crate::engine::results::live::{Live, ProgressVersion, Update, progress_version};
use crate::engine::store::{Store, Stored, Tombstone};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Event, EventKind, ProgressRecord};

/// What a follower yields.
#[derive(Clone, Debug)]
pub enum FollowerEvent {
    /// An event of an invocation, and the run that it belongs to: the sequence of the last `Started` event; 0 before
    /// the first.
    Event(Cid, Arc<Event>, u64),
    /// Progress that a handler reported.
    Progress(Cid, Arc<ProgressRecord>),
    /// The invocation is not stored. It has no further events.
    NotFound {
        /// The CID.
        cid: Cid,
        /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`.
        error: Error,
        /// What remains of an invocation that was removed.
        tombstone: Option<Tombstone>,
    },
}

/// Which invocations to follow.
#[derive(Clone, Debug, Default)]
pub struct FollowRequest {
    /// The invocations, each with the last sequence that the caller has seen of it (0: none).
    pub cids: Vec<(Cid, u64)>,
    /// The last sequences that the caller has seen of other invocations: of members of groups.
    pub seen: HashMap<Cid, u64, RandomState>,
    /// Whether to wait for a CID that is unknown yet, instead of yielding [`FollowerEvent::NotFound`].
    pub wait_for_accept: bool,
    /// Whether to follow the members of groups to their ends as well.
    pub members: bool,
}

/// Follows any number of invocations. Ends when all of them are terminal or not found.
#[derive(Debug)]
pub struct Follower {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    mailbox: Arc<Mailbox>,
    cursors: HashMap<Cid, Cursor, RandomState>,
    /// Read and not yielded yet: the events of one invocation.
    ready: VecDeque<FollowerEvent>,
    wait_for_accept: bool,
    /// The groups that are followed with their members, where they are.
    groups: Option<FollowedGroups>,
    max_cids: usize,
    /// Fires when the node ends all followers.
    closing: CancellationToken,
}

/// How far one invocation has been read.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    sequence: u64,
    /// The run that was read last; `None` before the first read.
    run: Option<u64>,
    progress: ProgressVersion,
    /// Whether only the end is yielded: the invocation is followed as a member of a group.
    end_only: bool,
}

impl Cursor {
    fn after(sequence: u64) -> Self {
        Self {
            sequence,
            run: None,
            progress: (0, 0),
            end_only: false,
        }
    }
}

impl Follower {
    /// Starts following.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `STREAM_LIMIT` for more than `max_cids` CIDs.
    pub(super) fn new(
        request: FollowRequest,
        hub: Arc<Hub>,
        store: Arc<dyn Store>,
        max_cids: usize,
        closing: CancellationToken,
    ) -> Result<Self> {
        let FollowRequest {
            cids,
            seen,
            wait_for_accept,
            members,
        } = request;
        let cursors = cids.into_iter();
        let cursors: HashMap<Cid, Cursor, RandomState> = cursors
            .map(|(cid, sequence)| (cid, Cursor::after(sequence)))
            .collect();
        if cursors.len() > max_cids || seen.len() > max_cids {
            return Err(too_many_cids(max_cids));
        }
        let follower = Self {
            hub,
            store,
            mailbox: Arc::default(),
            cursors,
            ready: VecDeque::new(),
            wait_for_accept,
            groups: members.then(|| FollowedGroups::after(seen)),
            max_cids,
            closing,
        };
        for cid in follower.cursors.keys() {
            // Subscribed before it is read: a change in between notifies again.
            follower.hub.subscribe(*cid, &follower.mailbox);
            follower.mailbox.notify(*cid, None);
        }
        Ok(follower)
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `NODE_STOPPING`; the errors of the store. Nothing is lost: the next call reads again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what was read is kept for the next call.
    pub async fn next(&mut self) -> Result<Option<FollowerEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.cursors.is_empty() {
                return Ok(None);
            }
            let (cid, live) = tokio::select! {
                biased;
                next = self.mailbox.next() => next,
                () = self.closing.cancelled() => return Err(node_stopping()),
            };
            let pending = PendingRead {
                mailbox: &self.mailbox,
                cid,
                live,
                is_done: false,
            };
            let cursor = self.cursors.get(&cid);
            let is_new_group = self.groups.as_ref().is_some_and(|it| !it.contains(cid));
            let read = read(cursor, pending, &self.hub, &*self.store, is_new_group);
            if let Some(read) = read.await? {
                self.take(cid, read)?;
            }
        }
    }

    fn take(&mut self, cid: Cid, read: Read) -> Result<()> {
        match read {
            Read::Update(update, members) => {
                if let Some(members) = members {
                    self.follow_members(cid, members)?;
                }
                self.queue(cid, update);
            }
            // The caller has seen the end of the invocation before.
            Read::Seen => self.close(cid),
            Read::Missing {
                tombstone: None, ..
            } if self.wait_for_accept => {}
            Read::Missing { error, tombstone } => {
                self.ready.push_back(FollowerEvent::NotFound {
                    cid,
                    error,
                    tombstone,
                });
                self.close(cid);
            }
        }
        Ok(())
    }

    fn queue(&mut self, cid: Cid, update: Update) {
        let Update {
            events,
            mut run,
            progress,
        } = update;
        let Some(cursor) = self.cursors.get_mut(&cid) else {
            return;
        };
        let mut ended = false;
        for event in events {
            cursor.sequence = event.sequence;
            if matches!(event.kind, EventKind::Started { .. }) {
                run = event.sequence;
            }
            let is_last = event.kind.terminal_state().is_some();
            ended |= is_last;
            // The end of a group comes after the end of its last member.
            let is_early = match &mut self.groups {
                Some(groups) if is_last => groups.hold_back(cid, &event),
                Some(_) | None => false,
            };
            if is_early {
                ended = false;
            } else if is_last || !cursor.end_only {
                let event = FollowerEvent::Event(cid, event, run);
                self.ready.push_back(event);
            }
        }
        cursor.run = Some(run);
        if let Some(progress) = progress.filter(|_| !ended && !cursor.end_only) {
            cursor.progress = progress_version(&progress);
            self.ready.push_back(FollowerEvent::Progress(cid, progress));
        }
        if ended {
            self.close(cid);
        }
    }

    /// Follows the members of a group as well, each to its end.
    fn follow_members(&mut self, group: Cid, members: Vec<(u32, Cid)>) -> Result<()> {
        let Some(groups) = &mut self.groups else {
            return Ok(());
        };
        if self.cursors.len().saturating_add(members.len()) > self.max_cids {
            return Err(too_many_cids(self.max_cids));
        }
        for (_, member) in members {
            groups.add_member(group, member);
            if self.cursors.contains_key(&member) {
                continue;
            }
            let cursor = Cursor {
                end_only: true,
                ..Cursor::after(groups.seen(member))
            };
            self.cursors.insert(member, cursor);
            self.hub.subscribe(member, &self.mailbox);
            self.mailbox.notify(member, None);
        }
        Ok(())
    }

    fn close(&mut self, cid: Cid) {
        let closed = self.cursors.remove(&cid);
        self.hub.unsubscribe(cid, &self.mailbox);
        let Some(groups) = &mut self.groups else {
            return;
        };
        if let Some(cursor) = closed.filter(|cursor| !cursor.end_only) {
            groups.set_seen(cid, cursor.sequence);
        }
        if let Some((group, end)) = groups.close_member(cid) {
            // A group has no runs.
            self.ready.push_back(FollowerEvent::Event(group, end, 0));
            self.close(group);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        for cid in self.cursors.keys() {
            self.hub.unsubscribe(*cid, &self.mailbox);
        }
    }
}

/// A CID that was taken out of the mailbox. It is put back unless it was read, so that a dropped future loses nothing.
struct PendingRead<'a> {
    mailbox: &'a Mailbox,
    cid: Cid,
    live: Option<Arc<Live>>,
    is_done: bool,
}

impl Drop for PendingRead<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.mailbox.notify(self.cid, self.live.as_ref());
        }
    }
}

enum Read {
    /// New events and progress; and the members of a group that was not read before.
    Update(Update, Option<Vec<(u32, Cid)>>),
    /// The invocation has ended, and the caller has seen its end.
    Seen,
    Missing {
        error: Error,
        tombstone: Option<Tombstone>,
    },
}

/// Reads new events: from the live invocation while it runs, otherwise from the store.
async fn read(
    cursor: Option<&Cursor>,
    mut pending: PendingRead<'_>,
    hub: &Hub,
    store: &dyn Store,
    is_new_group: bool,
) -> Result<Option<Read>> {
    let Some(&Cursor {
        sequence,
        run,
        progress: seen,
        ..
    }) = cursor
    else {
        pending.is_done = true;
        return Ok(None);
    };
    let cid = pending.cid;
    let live = pending.live.clone().or_else(|| hub.live(cid));
    let read = match live {
        Some(live) => Read::Update(live.update_since(sequence, run, seen), None),
        None => match store.get(cid).await? {
            Stored::Found(invocation) => {
                let progress = invocation.progress;
                let progress = progress.filter(|it| progress_version(it) > seen);
                let update = Update::of(&invocation.events, sequence, run, progress);
                if update.events.is_empty() && invocation.state.is_terminal() {
                    Read::Seen
                } else {
                    let members = match is_new_group && invocation.request.group().is_some() {
                        true => Some(store.members(cid).await?),
                        false => None,
                    };
                    Read::Update(update, members)
                }
            }
            Stored::Removed(tombstone) => Read::Missing {
                error: result_expired(cid, &tombstone),
                tombstone: Some(tombstone),
            },
            Stored::Unknown => Read::Missing {
                error: cid_unknown(cid),
                tombstone: None,
            },
        },
    };
    pending.is_done = true;
    Ok(Some(read))
}

/// `INVALID_ARGUMENT` / `STREAM_LIMIT`.
fn too_many_cids(limit: usize) -> Error {
    let message = format!("one stream follows at most {limit} CIDs, members of groups included");
    Error::invalid_argument(reason::STREAM_LIMIT, message).with_info("stream_cids", limit)
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
