//! Publish-subscribe by CID: which followers read which invocation, and which invocations are live.
//!
//! The hub notifies followers of CIDs and does not queue events for them: a follower then reads the invocation, from
//! memory while it is live and from the store otherwise, after the last sequence that it saw. So a slow follower costs
//! a set of CIDs, never a queue of events, and subscribing cannot race with finishing: a follower that registers first
//! and reads afterwards misses nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use crate::engine::results::arc_set::ArcSet;
use crate::engine::results::followed::Followed;
use crate::engine::results::live::Live;
use crate::model::id::Cid;

const SHARDS: usize = 16;
/// How many bytes of items and outcome an ended invocation may have that followers keep until they have read it.
const KEPT_BYTES: usize = 64 * 1024;

/// For how many CIDs a mailbox that was read to its end keeps room. A follower of many reads all of them at first, and
/// few at a time from then on.
const KEPT_CIDS: usize = 64;

/// All live invocations and all followers, by CID.
#[derive(Debug, Default)]
pub(in crate::engine) struct Hub {
    shards: [Mutex<HashMap<Cid, Topic, RandomState>>; SHARDS],
    /// How many CIDs all followers follow.
    followed: Arc<Followed>,
}

/// One CID that is live or followed.
#[derive(Debug, Default)]
struct Topic {
    live: Option<Arc<Live>>,
    /// Each leaves at the end of the invocation, and thousands may follow the same one.
    followers: ArcSet<Mailbox>,
}

impl Topic {
    /// Notifies all followers that the invocation has changed. `live`: where they read it.
    fn notify(&self, cid: Cid, live: Option<&Arc<Live>>) {
        for follower in self.followers.iter() {
            follower.notify(cid, live);
        }
    }
}

impl Hub {
    fn shard(&self, cid: Cid) -> MutexGuard<'_, HashMap<Cid, Topic, RandomState>> {
        let last = cid.as_bytes().last().copied().unwrap_or_default();
        let shard = self
            .shards
            .get(usize::from(last) % SHARDS)
            .unwrap_or_else(|| unreachable!("a remainder of SHARDS is an index"));
        // Topics are inserted and removed whole: the map is consistent even after a panic.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an invocation live: its attempt starts.
    pub(in crate::engine) fn open(&self, live: Arc<Live>) {
        let cid = live.cid;
        let mut shard = self.shard(cid);
        let topic = shard.entry(cid).or_default();
        topic.notify(cid, Some(&live));
        topic.live = Some(live);
    }

    /// The live invocation, while its attempt runs.
    pub(in crate::engine) fn live(&self, cid: Cid) -> Option<Arc<Live>> {
        self.shard(cid).get(&cid)?.live.clone()
    }

    /// The CIDs of all live invocations, in no order.
    pub(in crate::engine) fn live_cids(&self) -> Vec<Cid> {
        self.cids_where(|topic| topic.live.is_some())
    }

    /// The CIDs that are followed and not live, in no order.
    pub(in crate::engine) fn followed_cids(&self) -> Vec<Cid> {
        self.cids_where(|topic| topic.live.is_none())
    }

    fn cids_where(&self, is_wanted: impl Fn(&Topic) -> bool) -> Vec<Cid> {
        let each = self.shards.iter().flat_map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = shard.iter().filter(|(_, topic)| is_wanted(topic));
            wanted.map(|(cid, _)| *cid).collect::<Vec<_>>()
        });
        each.collect()
    }

    /// Notifies followers that an invocation has changed.
    pub(in crate::engine) fn notify(&self, cid: Cid) {
        if let Some(topic) = self.shard(cid).get(&cid) {
            topic.notify(cid, topic.live.as_ref());
        }
    }

    /// Ends the live invocation: its attempt has ended. Where the live state was committed as it is, followers keep it
    /// until they have read it, so that the outcome reaches them without a query of the store. A large one they read
    /// from the store, because slow followers would keep many in memory.
    pub(in crate::engine) fn close(&self, cid: Cid, committed: bool) {
        let mut shard = self.shard(cid);
        let Some(topic) = shard.get_mut(&cid) else {
            return;
        };
        let live = topic
            .live
            .take()
            .filter(|live| committed && live.payload_bytes() <= KEPT_BYTES);
        topic.notify(cid, live.as_ref());
        if topic.followers.is_empty() {
            shard.remove(&cid);
        }
    }

    /// How many CIDs are followed.
    pub(in crate::engine) fn followed(&self) -> &Arc<Followed> {
        &self.followed
    }

    pub(in crate::engine) fn subscribe(&self, cid: Cid, mailbox: &Arc<Mailbox>) {
        let mut shard = self.shard(cid);
        let topic = shard.entry(cid).or_default();
        topic.followers.insert(Arc::clone(mailbox));
    }

    pub(in crate::engine) fn unsubscribe(&self, cid: Cid, mailbox: &Arc<Mailbox>) {
        let mut shard = self.shard(cid);
        if let Some(topic) = shard.get_mut(&cid) {
            topic.followers.remove(mailbox);
            if topic.followers.is_empty() && topic.live.is_none() {
                shard.remove(&cid);
            }
        }
    }
}

/// The CIDs that have changed since one follower read them. Bounded by the number of CIDs that it follows.
#[derive(Debug, Default)]
pub(in crate::engine) struct Mailbox {
    unread: Mutex<Unread>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Unread {
    order: VecDeque<Cid>,
    /// The CIDs in `order`, each with the live invocation to read, if there is one.
    live: HashMap<Cid, Option<Arc<Live>>, RandomState>,
}

impl Mailbox {
    pub(in crate::engine) fn notify(&self, cid: Cid, live: Option<&Arc<Live>>) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        match unread.live.get_mut(&cid) {
            // A live invocation that has ended is not what is read next, and is not kept.
            Some(known) => *known = live.cloned(),
            None => {
                unread.live.insert(cid, live.cloned());
                unread.order.push_back(cid);
            }
        }
        drop(unread);
        self.notify.notify_one();
    }

    fn take(&self) -> Option<(Cid, Option<Arc<Live>>)> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let cid = unread.order.pop_front()?;
        let live = unread.live.remove(&cid).flatten();
        if unread.order.is_empty() && unread.order.capacity() > KEPT_CIDS {
            *unread = Unread::default();
        }
        Some((cid, live))
    }

    /// Waits for a CID that has changed.
    ///
    /// # Cancel safety
    ///
    /// A CID is removed only when it is returned.
    pub(in crate::engine) async fn next(&self) -> (Cid, Option<Arc<Live>>) {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.notify.notified().await;
        }
    }
}

/// A subscription to one CID, for code that waits until the invocation changes. Unsubscribes when dropped.
#[derive(Debug)]
pub(in crate::engine) struct Subscription<'a> {
    hub: &'a Hub,
    cid: Cid,
    mailbox: Arc<Mailbox>,
}

impl<'a> Subscription<'a> {
    pub(in crate::engine) fn new(hub: &'a Hub, cid: Cid) -> Self {
        let mailbox = Arc::default();
        hub.subscribe(cid, &mailbox);
        Self { hub, cid, mailbox }
    }

    /// Waits until the invocation has changed since the subscription began, or since the last call.
    pub(in crate::engine) async fn changed(&self) {
        self.mailbox.next().await;
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        self.hub.unsubscribe(self.cid, &self.mailbox);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mailbox_holds_each_cid_once_in_order() {
        let mailbox = Mailbox::default();
        let (a, b) = (Cid::new(), Cid::new());
        for cid in [a, b, a, a, b] {
            mailbox.notify(cid, None);
        }
        assert_eq!(mailbox.next().await.0, a);
        assert_eq!(mailbox.next().await.0, b);
        assert!(futures_util::poll!(Box::pin(mailbox.next())).is_pending());
    }

    #[tokio::test]
    async fn a_subscription_sees_a_change_made_before_it_waits_and_ends_when_dropped() {
        let hub = Hub::default();
        let cid = Cid::new();
        let subscription = Subscription::new(&hub, cid);
        hub.notify(cid);
        subscription.changed().await;
        assert!(futures_util::poll!(Box::pin(subscription.changed())).is_pending());
        drop(subscription);
        assert!(hub.shard(cid).is_empty());
    }

    #[test]
    fn a_mailbox_that_was_read_to_its_end_keeps_little_room() {
        let mailbox = Mailbox::default();
        for _ in 0..10_000 {
            mailbox.notify(Cid::new(), None);
        }
        while mailbox.take().is_some() {}
        let unread = mailbox.unread.lock().unwrap();
        assert!(unread.order.capacity() <= KEPT_CIDS && unread.live.capacity() <= KEPT_CIDS);
    }
}
