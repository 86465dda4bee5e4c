//! Following invocations: what was, then what comes, without a gap or a duplicate.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio_util::sync::CancellationToken;

use crate::engine::results::group_members::Groups;
use crate::engine::results::hub::{Hub, Inbox, Live, News, Version, version};
use crate::engine::store::{Store, Stored, Tombstone};
use crate::engine::{Invoker, stopping};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Event, ProgressRecord};

/// Something about an invocation that is followed.
#[derive(Clone, Debug)]
pub enum FollowerEvent {
    /// Something happened to it.
    Event(Cid, Arc<Event>),
    /// Its handler showed a sign of life.
    Progress(Cid, Arc<ProgressRecord>),
    /// It is not stored. Nothing more comes of it.
    NotFound {
        /// The CID.
        cid: Cid,
        /// Why: `CID_UNKNOWN` or `RESULT_EXPIRED`.
        error: Error,
        /// What is left of it, if it was there.
        tombstone: Option<Tombstone>,
    },
}

/// What is to be followed.
#[derive(Clone, Debug, Default)]
pub struct FollowRequest {
    /// The invocations, each after the last sequence that was seen of it (0: from the beginning).
    pub cids: Vec<(Cid, u64)>,
    /// The last sequences that were seen of others: members of groups.
    pub seen: HashMap<Cid, u64, RandomState>,
    /// Whether a CID that is not known yet is waited for.
    pub wait_for_accept: bool,
    /// Whether the members of groups are followed to their ends as well.
    pub members: bool,
}

/// Follows any number of invocations. Ends when all are terminal or not found.
#[derive(Debug)]
pub struct Follower {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    inbox: Arc<Inbox>,
    open: HashMap<Cid, Cursor, RandomState>,
    /// Read, not answered yet: what one invocation had to tell.
    ready: VecDeque<FollowerEvent>,
    wait_for_accept: bool,
    /// The groups that are followed with their members, where they are.
    groups: Option<Groups>,
    limit: usize,
    /// Fires when the node will not do any more what is waited for.
    closing: CancellationToken,
}

/// How far one invocation has been read.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    sequence: u64,
    progress: Version,
    /// Whether only its end is told: nobody asked for it but by its group.
    end_only: bool,
}

impl Cursor {
    fn after(sequence: u64) -> Self {
        Self {
            sequence,
            progress: (0, 0),
            end_only: false,
        }
    }
}

impl Invoker {
    /// Follows invocations.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `STREAM_LIMIT` for more CIDs than one stream may follow.
    pub fn follow(&self, asked: FollowRequest) -> Result<Follower> {
        let FollowRequest {
            cids,
            seen,
            wait_for_accept,
            members,
        } = asked;
        let cursors = cids.into_iter();
        let open: HashMap<Cid, Cursor, RandomState> = cursors
            .map(|(cid, sequence)| (cid, Cursor::after(sequence)))
            .collect();
        let limit = self.limits().stream_cids;
        if open.len() > limit {
            return Err(too_many(limit));
        }
        let follower = Follower {
            hub: Arc::clone(&self.0.hub),
            store: Arc::clone(&self.0.store),
            inbox: Arc::default(),
            open,
            ready: VecDeque::new(),
            wait_for_accept,
            groups: members.then(|| Groups::after(seen)),
            limit,
            closing: self.0.closing.clone(),
        };
        for cid in follower.open.keys() {
            // Registered first, read afterwards: what happens in between rings again.
            follower.hub.follow(*cid, &follower.inbox);
            follower.inbox.ring(*cid, None);
        }
        Ok(follower)
    }
}

impl Follower {
    /// The next thing to tell; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `NODE_STOPPING`; what the store answers. Nothing is lost: the next call reads again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing that was not read; what was read is kept for the next call.
    pub async fn next(&mut self) -> Result<Option<FollowerEvent>> {
        loop {
            if let Some(followed) = self.ready.pop_front() {
                return Ok(Some(followed));
            }
            if self.open.is_empty() {
                return Ok(None);
            }
            let (cid, live) = tokio::select! {
                biased;
                next = self.inbox.next() => next,
                () = self.closing.cancelled() => return Err(stopping()),
            };
            let read = Rung {
                inbox: &self.inbox,
                cid,
                live,
                read: false,
            };
            let cursor = self.open.get(&cid);
            let is_new_group = self.groups.as_ref().is_some_and(|it| !it.has(cid));
            let news = read_news(cursor, read, &self.hub, &*self.store, is_new_group);
            if let Some(news) = news.await? {
                self.take(cid, news)?;
            }
        }
    }

    fn take(&mut self, cid: Cid, news: Read) -> Result<()> {
        match news {
            Read::News(news, members) => {
                if let Some(members) = members {
                    self.follow_members(cid, members)?;
                }
                self.tell(cid, news);
            }
            // An ended invocation whose end was seen before: there is nothing to wait for.
            Read::Over => self.close(cid),
            Read::Missing { .. } if self.wait_for_accept && news.is_unknown() => {}
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

    fn tell(&mut self, cid: Cid, News { events, progress }: News) {
        let Some(cursor) = self.open.get_mut(&cid) else {
            return;
        };
        let mut ended = false;
        for event in events {
            cursor.sequence = event.sequence;
            let is_last = event.kind.terminal_state().is_some();
            ended |= is_last;
            // The end of a group is told after the last of its members.
            let is_early = match &mut self.groups {
                Some(groups) if is_last => groups.hold_back(cid, &event),
                Some(_) | None => false,
            };
            if is_early {
                ended = false;
            } else if is_last || !cursor.end_only {
                self.ready.push_back(FollowerEvent::Event(cid, event));
            }
        }
        if let Some(shown) = progress.filter(|_| !ended && !cursor.end_only) {
            cursor.progress = version(&shown);
            self.ready.push_back(FollowerEvent::Progress(cid, shown));
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
        if self.open.len().saturating_add(members.len()) > self.limit {
            return Err(too_many(self.limit));
        }
        for (_, member) in members {
            groups.add(group, member);
            if self.open.contains_key(&member) {
                continue;
            }
            let cursor = Cursor {
                end_only: true,
                ..Cursor::after(groups.seen(member))
            };
            self.open.insert(member, cursor);
            self.hub.follow(member, &self.inbox);
            self.inbox.ring(member, None);
        }
        Ok(())
    }

    fn close(&mut self, cid: Cid) {
        let closed = self.open.remove(&cid);
        self.hub.unfollow(cid, &self.inbox);
        let Some(groups) = &mut self.groups else {
            return;
        };
        if let Some(cursor) = closed.filter(|cursor| !cursor.end_only) {
            groups.note_seen(cid, cursor.sequence);
        }
        if let Some((group, end)) = groups.close(cid) {
            self.ready.push_back(FollowerEvent::Event(group, end));
            self.close(group);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        for cid in self.open.keys() {
            self.hub.unfollow(*cid, &self.inbox);
        }
    }
}

/// A CID taken out of the inbox: put back unless it was read, so that whoever is dropped in between loses nothing.
struct Rung<'a> {
    inbox: &'a Inbox,
    cid: Cid,
    live: Option<Arc<Live>>,
    read: bool,
}

impl Drop for Rung<'_> {
    fn drop(&mut self) {
        if !self.read {
            self.inbox.ring(self.cid, self.live.as_ref());
        }
    }
}

enum Read {
    /// And, of a group that was not read before, its members.
    News(News, Option<Vec<(u32, Cid)>>),
    Over,
    Missing {
        error: Error,
        tombstone: Option<Tombstone>,
    },
}

impl Read {
    fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Missing {
                tombstone: None,
                ..
            }
        )
    }
}

/// Reads what is new: from the live invocation, or from the store where it does not run.
async fn read_news(
    cursor: Option<&Cursor>,
    mut rung: Rung<'_>,
    hub: &Hub,
    store: &dyn Store,
    is_new_group: bool,
) -> Result<Option<Read>> {
    let Some(&Cursor {
        sequence,
        progress: seen,
        ..
    }) = cursor
    else {
        rung.read = true;
        return Ok(None);
    };
    let live = rung.live.clone().or_else(|| hub.live(rung.cid));
    let read = match live {
        Some(live) => Read::News(live.since(sequence, seen), None),
        None => match store.get(rung.cid).await? {
            Stored::Found(invocation) => {
                let first = invocation
                    .events
                    .partition_point(|event| event.sequence <= sequence);
                let events = invocation.events.get(first..).unwrap_or_default().to_vec();
                if events.is_empty() && invocation.state.is_terminal() {
                    Read::Over
                } else {
                    let members = match is_new_group && invocation.request.group().is_some() {
                        true => Some(store.members(rung.cid).await?),
                        false => None,
                    };
                    let progress = invocation.progress.filter(|shown| version(shown) > seen);
                    Read::News(News { events, progress }, members)
                }
            }
            Stored::Removed(tombstone) => Read::Missing {
                error: result_expired(rung.cid, &tombstone),
                tombstone: Some(tombstone),
            },
            Stored::Unknown => Read::Missing {
                error: cid_unknown(rung.cid),
                tombstone: None,
            },
        },
    };
    rung.read = true;
    Ok(Some(read))
}

/// `INVALID_ARGUMENT` / `STREAM_LIMIT`.
fn too_many(limit: usize) -> Error {
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
