//! The pool of workers that serve one service, and how a worker is selected: the one with the most free credit.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::select_all;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::credit_permit::CreditPermit;
use super::member::PoolMember;
use super::session::WorkerSession;
use crate::engine::{Accepts, Location, WorkerPool};
use crate::model::id::ServiceName;
use crate::service::{BoxFuture, Definition, WorkerPermit};

/// The workers that serve a service.
#[derive(Debug)]
pub(super) struct ServicePool {
    service: ServiceName,
    members: ArcSwap<Vec<Arc<PoolMember>>>,
    /// How many members have left and are still in the list.
    left: AtomicUsize,
    /// Notifies when workers join, leave, or start to drain.
    changes: watch::Sender<()>,
    served: Mutex<Served>,
}

/// Whether the service was served when that was last noted.
#[derive(Debug, Default)]
struct Served {
    now: bool,
    /// Until when, if it is not served now.
    until: Option<Timestamp>,
    /// When a worker announced it first.
    announced: Timestamp,
}

fn permit(member: &Arc<PoolMember>, credit: OwnedSemaphorePermit) -> Arc<dyn WorkerPermit> {
    CreditPermit::new(Arc::clone(member), credit)
}

fn try_acquire(member: &Arc<PoolMember>) -> Option<Arc<dyn WorkerPermit>> {
    let credit = Arc::clone(member.session.credit());
    Some(permit(member, credit.try_acquire_owned().ok()?))
}

impl ServicePool {
    pub(super) fn new(service: ServiceName, announced: Timestamp) -> Self {
        let served = Served {
            announced,
            ..Served::default()
        };
        Self {
            service,
            members: ArcSwap::default(),
            left: AtomicUsize::new(0),
            changes: watch::Sender::new(()),
            served: Mutex::new(served),
        }
    }

    /// Notes when a worker served it last, before the node started.
    pub(super) fn set_last_served(&self, time: Timestamp) {
        let mut served = self.served();
        served.until = served.until.max(Some(time));
    }

    /// Notes when a worker announced it, unless one did earlier. Returns whether none did.
    pub(super) fn announced_earlier(&self, time: Timestamp) -> bool {
        let mut served = self.served();
        let is_earlier = time < served.announced;
        served.announced = served.announced.min(time);
        is_earlier
    }

    /// Notes that the node itself serves the service until a worker does.
    pub(super) fn set_served_by_node(&self) {
        self.served().now = true;
    }

    /// Notes whether a worker, or the node itself, serves it now, and tells where that has changed. Changes are told in
    /// their order.
    pub(super) fn note_served(&self, now: Timestamp, by_node: bool, changed: impl FnOnce(bool)) {
        let mut served = self.served();
        let is_served = by_node || self.is_served();
        if served.now == is_served {
            return;
        }
        served.now = is_served;
        served.until = Some(now);
        changed(is_served);
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        // Every change is one assignment after another of a whole value.
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Whether no worker serves the service, draining ones included.
    pub(super) fn is_empty(&self) -> bool {
        !self.members.load().iter().any(|member| member.is_here())
    }

    /// The length of the list, with the workers that have left and are still in it.
    #[cfg(test)]
    pub(super) fn list_length(&self) -> usize {
        self.members.load().len()
    }

    /// Whether a worker serves the service with this declaration; one that drains counts if `draining` is true.
    pub(super) fn serves(&self, definition: &Arc<Definition>, draining: bool) -> bool {
        let members = self.members.load();
        members.iter().any(|member| {
            Arc::ptr_eq(&member.definition, definition)
                && member.is_here()
                && (draining || !member.session.is_draining())
        })
    }

    pub(super) fn join(&self, member: &Arc<PoolMember>) {
        self.members.rcu(|members| {
            let here = members.iter().filter(|member| member.is_here());
            let mut members: Vec<_> = here.cloned().collect();
            members.push(Arc::clone(member));
            members
        });
        self.left.store(0, Ordering::Relaxed);
        self.notify();
    }

    /// Removes a worker. Its member is only marked, until half of them are: of many workers that leave at once, each
    /// would otherwise copy the list.
    pub(super) fn leave(&self, session: &WorkerSession) {
        let members = self.members.load();
        let mut found = members.iter();
        if let Some(member) = found.find(|member| std::ptr::eq(&*member.session, session)) {
            member.leave();
            let left = self.left.fetch_add(1, Ordering::Relaxed) + 1;
            if left * 2 >= members.len() {
                self.left.store(0, Ordering::Relaxed);
                self.members.rcu(|members| {
                    let here = members.iter().filter(|member| member.is_here());
                    here.cloned().collect::<Vec<_>>()
                });
            }
        }
        self.notify();
    }

    /// Wakes the tasks that wait for a permit.
    pub(super) fn notify(&self) {
        self.changes.send_replace(());
    }

    /// The open members whose declaration passes `accepts`.
    fn open_members(&self, accepts: Accepts<'_>) -> Vec<Arc<PoolMember>> {
        let members = self.members.load();
        let open = members
            .iter()
            .filter(|member| member.session.is_open() && accepts(&member.definition));
        open.cloned().collect()
    }

    /// Until when a worker that passes `accepts` is expected back; `None` where none is.
    fn expected_until(&self, accepts: Accepts<'_>) -> Option<Instant> {
        let members = self.members.load();
        let accepted = members.iter().filter(|member| accepts(&member.definition));
        let expected = accepted.filter_map(|member| member.session.expected_until());
        expected.max()
    }

    async fn acquire_compatible(&self, accepts: Accepts<'_>) -> Option<Arc<dyn WorkerPermit>> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(permit) = self.try_acquire(accepts) {
                return Some(permit);
            }
            let open = self.open_members(accepts);
            if open.is_empty() {
                let until = self.expected_until(accepts)?;
                let _ = tokio::time::timeout_at(until, changes.changed()).await;
                continue;
            }
            let waits = open.iter().map(|member| {
                let credit = Arc::clone(member.session.credit()).acquire_owned();
                Box::pin(async move { (member, credit.await) })
            });
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                ((member, credit), ..) = select_all(waits) => {
                    // The semaphore is closed when the session ends: then the pool changes.
                    if let (Ok(credit), true) = (credit, member.session.is_open()) {
                        return Some(permit(member, credit));
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl WorkerPool for ServicePool {
    fn try_acquire(&self, accepts: Accepts<'_>) -> Option<Arc<dyn WorkerPermit>> {
        let members = self.members.load();
        if let [only] = members.as_slice() {
            let is_open = only.session.is_open() && accepts(&only.definition);
            return is_open.then(|| try_acquire(only)).flatten();
        }
        let mut free: Vec<_> = members
            .iter()
            .filter(|member| member.session.is_open())
            .map(|member| (member.session.free_credit(), member))
            .filter(|(credit, _)| *credit > 0)
            .collect();
        // Most free credit first; at a tie, the worker with the fewest dispatches of this service.
        free.sort_by_key(|(credit, member)| {
            let running = member.running.load(Ordering::Relaxed);
            (Reverse(*credit), running)
        });
        free.into_iter()
            .filter(|(_, member)| accepts(&member.definition))
            .find_map(|(_, member)| try_acquire(member))
    }

    fn acquire<'a>(&'a self, accepts: Accepts<'a>) -> BoxFuture<'a, Option<Arc<dyn WorkerPermit>>> {
        Box::pin(self.acquire_compatible(accepts))
    }

    fn wait_served(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut changes = self.changes.subscribe();
            while !self.is_served() {
                // The pool owns the sender, so that the channel is not closed while this waits.
                let _ = changes.changed().await;
            }
        })
    }

    fn is_served(&self) -> bool {
        let members = self.members.load();
        members.iter().any(|member| member.session.is_open())
    }

    fn last_served(&self) -> Option<Timestamp> {
        self.served().until
    }

    fn announced(&self) -> Timestamp {
        self.served().announced
    }

    fn credit(&self) -> usize {
        let members = self.members.load();
        let open = members.iter().filter(|member| member.session.is_open());
        open.map(|member| member.session.info().max_in_flight)
            .fold(0, usize::saturating_add)
    }

    fn locations(&self) -> Vec<Location> {
        let members = self.members.load();
        let here = members.iter().filter(|member| member.is_here());
        let locations = here.map(|member| Location {
            worker_id: member.session.id().to_owned(),
            worker_name: member.session.name().to_owned(),
            build_id: member.session.info().build_id.clone(),
            definition: Arc::clone(&member.definition),
            running: member.running.load(Ordering::Relaxed),
            since: member.join_time,
            away: member.session.is_away(),
        });
        locations.collect()
    }
}
