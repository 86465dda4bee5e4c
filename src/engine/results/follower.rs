//! Followers: a stream of the events of any number of invocations, past and future, without a gap or a duplicate.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio_util::sync::CancellationToken;

use crate::engine::byte_budget::{ByteBudget, Reservation};
use crate::engine::lifecycle::node_stopping;
use crate::engine::results::followed::FollowedCids;
use crate::engine::results::group_members::FollowedGroups;
use crate::engine::results::hub::{Hub, Mailbox};
use crate::engine::results::live::{Update, progress_version};
use crate::engine::results::reading::{Cursor, PendingRead, Read, read};
use crate::engine::store::{STORE_RETRY_DELAY, Store, Tombstone};
use crate::model::access::{Owners, Principal};
use crate::model::error::{Error, Kind, Result, reason};
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
    /// The invocation cannot be followed: it is not stored, not readable, or not the one that the caller has seen. It
    /// has no further events.
    NotFound {
        /// The CID.
        cid: Cid,
        /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `OUT_OF_RANGE` / `SEQUENCE_UNKNOWN`; `DATA_LOSS` /
        /// `STORE_DAMAGED`.
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
    /// The budget for what is read and not yielded yet. `None`: no limit.
    pub budget: Option<Arc<ByteBudget>>,
    /// To whom they must belong: all others are as unknown. `None`: to anyone.
    pub owners: Option<Owners>,
    /// The principal that follows, which follows so many CIDs at most. `None`: the node itself, or a caller while
    /// authentication is off.
    pub principal: Option<Principal>,
}

/// Follows any number of invocations. Ends when all of them are terminal or not found.
#[derive(Debug)]
pub struct Follower {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    mailbox: Arc<Mailbox>,
    cursors: HashMap<Cid, Cursor, RandomState>,
    /// CIDs that are not subscribed to yet: there may be many, and other tasks must run meanwhile.
    unsubscribed: Vec<Cid>,
    /// Read and not yielded yet: one page of events of one invocation.
    ready: VecDeque<FollowerEvent>,
    budget: Option<Arc<ByteBudget>>,
    owners: Option<Owners>,
    /// Counts large events that are in `ready`, or were yielded last.
    reservation: Option<Reservation>,
    wait_for_accept: bool,
    /// The groups that are followed with their members, where they are.
    groups: Option<FollowedGroups>,
    limits: FollowLimits,
    counted: FollowedCids,
    /// Fires when the node ends all followers.
    closing: CancellationToken,
}

/// How many CIDs may be followed.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct FollowLimits {
    /// By one follower.
    pub(in crate::engine) stream_cids: usize,
    /// By all of one principal.
    pub(in crate::engine) principal_stream_cids: usize,
    /// By all of them.
    pub(in crate::engine) node_stream_cids: usize,
}

impl FollowLimits {
    /// Whether one follower may have so many CIDs, beside what all of them have now, and those of its principal.
    fn check(self, cids: usize, counted: &FollowedCids) -> Result<()> {
        let Self {
            stream_cids,
            principal_stream_cids,
            node_stream_cids,
        } = self;
        if cids > stream_cids {
            let message = format!(
                "one stream follows at most {stream_cids} CIDs, members of groups included"
            );
            return Err(Error::invalid_argument(reason::STREAM_LIMIT, message)
                .with_info("stream_cids", stream_cids));
        }
        if let Some((principal, followed)) = counted.of_principal()
            && followed.saturating_add(cids) > principal_stream_cids
        {
            let message =
                format!("the streams of `{principal}` follow at most {principal_stream_cids} CIDs");
            return Err(Error::resource_exhausted(reason::STREAM_LIMIT, message)
                .with_info("principal_stream_cids", principal_stream_cids)
                .with_retry_after(STORE_RETRY_DELAY));
        }
        if counted.of_all().saturating_add(cids) > node_stream_cids {
            let message = format!("all streams follow at most {node_stream_cids} CIDs");
            return Err(Error::resource_exhausted(reason::STREAM_LIMIT, message)
                .with_info("node_stream_cids", node_stream_cids)
                .with_retry_after(STORE_RETRY_DELAY));
        }
        Ok(())
    }
}

impl Follower {
    /// Starts following.
    ///
    /// # Errors
    ///
    /// `STREAM_LIMIT`: `INVALID_ARGUMENT` for more CIDs than one follower may have, `RESOURCE_EXHAUSTED` for more than
    /// all may have, or those of its principal.
    pub(super) fn new(
        request: FollowRequest,
        hub: Arc<Hub>,
        store: Arc<dyn Store>,
        limits: FollowLimits,
        closing: CancellationToken,
    ) -> Result<Self> {
        let FollowRequest {
            cids,
            seen,
            wait_for_accept,
            members,
            budget,
            owners,
            principal,
        } = request;
        let is_unproven = owners.is_some();
        let cursors = cids.into_iter();
        let cursors: HashMap<Cid, Cursor, RandomState> = cursors
            .map(|(cid, sequence)| {
                let cursor = Cursor::after(sequence);
                let cursor = Cursor {
                    is_unproven,
                    ..cursor
                };
                (cid, cursor)
            })
            .collect();
        let mut counted = hub.followed().begin(principal);
        limits.check(cursors.len().max(seen.len()), &counted)?;
        let unsubscribed = cursors.keys().copied().collect();
        counted.add(cursors.len());
        Ok(Self {
            unsubscribed,
            hub,
            store,
            mailbox: Arc::default(),
            cursors,
            ready: VecDeque::new(),
            budget,
            owners,
            reservation: None,
            wait_for_accept,
            groups: members.then(|| FollowedGroups::after(seen)),
            limits,
            counted,
            closing,
        })
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
        self.subscribe().await;
        let mut turns = Turns::default();
        loop {
            turns.next().await;
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            // The last event was taken: it is no longer held here.
            self.reservation = None;
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
                is_done: false,
            };
            let cursor = self.cursors.get(&cid);
            let is_new_group = self.groups.as_ref().is_some_and(|it| !it.contains(cid));
            let budget = self.budget.as_ref();
            let read = read(
                cursor,
                pending,
                live,
                &self.hub,
                &*self.store,
                (budget, self.owners.as_ref()),
                is_new_group,
            );
            if let Some((read, reservation)) = read.await? {
                self.reservation = reservation;
                self.take(cid, read)?;
            }
        }
    }

    /// Subscribes to the CIDs that are not subscribed to yet.
    async fn subscribe(&mut self) {
        let mut turns = Turns::default();
        while let Some(cid) = self.unsubscribed.pop() {
            // Subscribed before it is read: a change in between notifies again.
            self.hub.subscribe(cid, &self.mailbox);
            self.mailbox.notify(cid, None);
            turns.next().await;
        }
        self.unsubscribed = Vec::new();
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
                tombstone: None,
                error,
            } if self.wait_for_accept && error.kind() == Kind::NotFound => {}
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
            has_more: _,
        } = update;
        let Some(cursor) = self.cursors.get_mut(&cid) else {
            return;
        };
        cursor.is_unchecked = false;
        cursor.is_unproven = false;
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
        let cids = self.cursors.len().saturating_add(members.len());
        self.limits.check(cids, &self.counted)?;
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
            self.counted.add(1);
            self.hub.subscribe(member, &self.mailbox);
            self.mailbox.notify(member, None);
        }
        Ok(())
    }

    fn close(&mut self, cid: Cid) {
        let closed = self.cursors.remove(&cid);
        self.hub.unsubscribe(cid, &self.mailbox);
        if closed.is_some() {
            self.counted.remove(1);
        }
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

/// Lets other tasks run after each group of steps that never wait.
#[derive(Default)]
struct Turns(usize);

impl Turns {
    /// The steps between two pauses.
    const STEPS: usize = 128;

    async fn next(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(Self::STEPS) {
            tokio::task::yield_now().await;
        }
    }
}
