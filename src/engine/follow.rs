//! Following invocations: what was, then what comes, without a gap or a duplicate.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio_util::sync::CancellationToken;

use crate::engine::hub::{Hub, Inbox, Live, News, Version, version};
use crate::engine::store::{Store, Stored, Tombstone};
use crate::engine::{Invoker, stopping};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Event, Shown, State};

/// Something about an invocation that is followed.
#[derive(Clone, Debug)]
pub enum Followed {
    /// Something happened to it.
    Event(Cid, Arc<Event>),
    /// Its handler showed a sign of life.
    Progress(Cid, Arc<Shown>),
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

/// Follows any number of invocations. Ends when all are terminal or not found.
#[derive(Debug)]
pub struct Follower {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    inbox: Arc<Inbox>,
    open: HashMap<Cid, Cursor, RandomState>,
    /// Read, not answered yet: what one invocation had to tell.
    ready: VecDeque<Followed>,
    wait_for_accept: bool,
    /// Fires when the node will not do any more what is waited for.
    closing: CancellationToken,
}

/// How far one invocation has been read.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    sequence: u64,
    progress: Version,
}

impl Invoker {
    /// Follows invocations, each after the last sequence that was seen of it (0: from the beginning). Where
    /// `wait_for_accept` is set, a CID that is not known yet is waited for.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `STREAM_LIMIT` for more CIDs than one stream may follow.
    pub fn follow(
        &self,
        cids: impl IntoIterator<Item = (Cid, u64)>,
        wait_for_accept: bool,
    ) -> Result<Follower> {
        let open: HashMap<Cid, Cursor, RandomState> = cids
            .into_iter()
            .map(|(cid, sequence)| {
                let cursor = Cursor {
                    sequence,
                    progress: (0, 0),
                };
                (cid, cursor)
            })
            .collect();
        let limit = self.limits().stream_cids;
        if open.len() > limit {
            let message = format!("one stream follows at most {limit} CIDs");
            return Err(Error::invalid_argument(reason::STREAM_LIMIT, message)
                .with_fact("stream_cids", limit));
        }
        let follower = Follower {
            hub: Arc::clone(&self.0.hub),
            store: Arc::clone(&self.0.store),
            inbox: Arc::default(),
            open,
            ready: VecDeque::new(),
            wait_for_accept,
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
    pub async fn next(&mut self) -> Result<Option<Followed>> {
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
            if let Some(news) = read_news(cursor, read, &self.hub, &*self.store).await? {
                self.take(cid, news);
            }
        }
    }

    fn take(&mut self, cid: Cid, news: Read) {
        let Some(cursor) = self.open.get_mut(&cid) else {
            return;
        };
        match news {
            Read::News(News { events, progress }) => {
                let mut ended = false;
                for event in events {
                    cursor.sequence = event.sequence;
                    ended |= event.kind.terminal_state().is_some();
                    self.ready.push_back(Followed::Event(cid, event));
                }
                if let Some(shown) = progress.filter(|_| !ended) {
                    cursor.progress = version(&shown);
                    self.ready.push_back(Followed::Progress(cid, shown));
                }
                if ended {
                    self.close(cid);
                }
            }
            // An ended invocation whose end was seen before: there is nothing to wait for.
            Read::Over => self.close(cid),
            Read::Missing { .. } if self.wait_for_accept && news.is_unknown() => {}
            Read::Missing { error, tombstone } => {
                self.ready.push_back(Followed::NotFound {
                    cid,
                    error,
                    tombstone,
                });
                self.close(cid);
            }
        }
    }

    fn close(&mut self, cid: Cid) {
        self.open.remove(&cid);
        self.hub.unfollow(cid, &self.inbox);
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
    News(News),
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
) -> Result<Option<Read>> {
    let Some(&Cursor {
        sequence,
        progress: seen,
    }) = cursor
    else {
        rung.read = true;
        return Ok(None);
    };
    let live = rung.live.clone().or_else(|| hub.live(rung.cid));
    let read = match live {
        Some(live) => Read::News(live.since(sequence, seen)),
        None => match store.get(rung.cid).await? {
            Stored::Found(invocation) => {
                let first = invocation
                    .events
                    .partition_point(|event| event.sequence <= sequence);
                let events = invocation.events.get(first..).unwrap_or_default().to_vec();
                if events.is_empty() && invocation.state.is_terminal() {
                    Read::Over
                } else {
                    let progress = invocation.progress.filter(|shown| version(shown) > seen);
                    Read::News(News { events, progress })
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

/// `NOT_FOUND` / `CID_UNKNOWN`.
pub(super) fn cid_unknown(cid: Cid) -> Error {
    let message = format!("no invocation with CID {cid} is stored here");
    Error::not_found(reason::CID_UNKNOWN, message).with_cid(cid)
}

/// `NOT_FOUND` / `RESULT_EXPIRED`.
pub(super) fn result_expired(cid: Cid, tombstone: &Tombstone) -> Error {
    let Tombstone { state, end_time } = tombstone;
    let state = match state {
        State::Succeeded => "SUCCEEDED",
        State::Failed => "FAILED",
        State::Cancelled => "CANCELLED",
        State::Expired => "EXPIRED",
        State::Pending { .. } | State::Running { .. } => "unfinished",
    };
    let message = format!("the outcome of {cid} ({state}, {end_time}) is no longer kept");
    Error::not_found(reason::RESULT_EXPIRED, message)
        .with_cid(cid)
        .with_fact("state", state)
        .with_fact("end_time", end_time)
}
