//! What is offered of one service: the workers that serve it, and who of them takes the next dispatch.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use futures_util::future::select_all;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::engine::{Accepts, Location, WorkerPool};
use crate::model::id::ServiceName;
use crate::remote::handed::Handed;
use crate::remote::session::Session;
use crate::service::{BoxFuture, Definition, WorkerPermit};

/// The workers that serve a service.
#[derive(Debug)]
pub(super) struct Offer {
    service: ServiceName,
    members: ArcSwap<Vec<Arc<Member>>>,
    /// Rings when workers come, go, or change their mind.
    bell: watch::Sender<()>,
}

/// One worker, as far as this service is concerned.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) session: Arc<Session>,
    pub(super) definition: Arc<Definition>,
    /// How many of its dispatches are of this service.
    pub(super) running: Arc<AtomicUsize>,
    pub(super) since: Timestamp,
}

impl Member {
    fn seat(self: &Arc<Self>, credit: OwnedSemaphorePermit) -> Arc<dyn WorkerPermit> {
        Handed::new(Arc::clone(self), credit)
    }

    fn try_seat(self: &Arc<Self>) -> Option<Arc<dyn WorkerPermit>> {
        let credit = Arc::clone(self.session.credit()).try_acquire_owned().ok()?;
        Some(self.seat(credit))
    }
}

impl Offer {
    pub(super) fn new(service: ServiceName) -> Self {
        Self {
            service,
            members: ArcSwap::default(),
            bell: watch::Sender::new(()),
        }
    }

    /// Whoever serves the service now, those that take nothing new any more as well.
    pub(super) fn members(&self) -> Arc<Vec<Arc<Member>>> {
        self.members.load_full()
    }

    pub(super) fn join(&self, member: &Arc<Member>) {
        self.members.rcu(|members| {
            let mut members = Vec::clone(members);
            members.push(Arc::clone(member));
            members
        });
        self.ring();
    }

    pub(super) fn leave(&self, session: &Session) {
        self.members.rcu(|members| {
            let others = |member: &&Arc<Member>| member.session.id() != session.id();
            members.iter().filter(others).cloned().collect::<Vec<_>>()
        });
        self.ring();
    }

    /// Has those who wait for a seat look again.
    pub(super) fn ring(&self) {
        self.bell.send_replace(());
    }

    /// What those declare who are connected.
    pub(super) fn definitions(&self) -> Vec<Arc<Definition>> {
        let members = self.members.load();
        let definitions = members.iter().map(|member| Arc::clone(&member.definition));
        definitions.collect()
    }

    fn open(&self) -> Vec<Arc<Member>> {
        let members = self.members.load();
        let open = members.iter().filter(|member| member.session.is_open());
        open.cloned().collect()
    }
}

impl WorkerPool for Offer {
    fn try_seat(&self, takes: Accepts<'_>) -> Option<Arc<dyn WorkerPermit>> {
        let members = self.members.load();
        if let [only] = members.as_slice() {
            return (only.session.is_open() && takes(&only.definition))
                .then(|| only.try_seat())
                .flatten();
        }
        let mut spare: Vec<_> = members
            .iter()
            .filter(|member| member.session.is_open())
            .map(|member| (member.session.spare(), member))
            .filter(|(spare, _)| *spare > 0)
            .collect();
        // Most to spare first; of those that have as much, the one with fewest dispatches of this service.
        spare.sort_by_key(|(spare, member)| {
            let running = member.running.load(Ordering::Relaxed);
            (std::cmp::Reverse(*spare), running)
        });
        spare
            .into_iter()
            .filter(|(_, member)| takes(&member.definition))
            .find_map(|(_, member)| member.try_seat())
    }

    fn seat<'a>(&'a self, takes: Accepts<'a>) -> BoxFuture<'a, Option<Arc<dyn WorkerPermit>>> {
        Box::pin(async move {
            let mut bell = self.bell.subscribe();
            loop {
                bell.mark_unchanged();
                if let Some(seat) = self.try_seat(takes) {
                    return Some(seat);
                }
                if !self
                    .members
                    .load()
                    .iter()
                    .any(|member| !member.session.is_draining() && takes(&member.definition))
                {
                    return None;
                }
                let mut open = self.open();
                open.retain(|member| takes(&member.definition));
                let waits = open.iter().map(|member| {
                    let credit = Arc::clone(member.session.credit()).acquire_owned();
                    Box::pin(async move { (member, credit.await) })
                });
                let waits: Vec<_> = waits.collect();
                // Not made before it is polled: of nothing there is no first.
                let first = async { select_all(waits).await };
                tokio::select! {
                    biased;
                    _ = bell.changed() => {}
                    ((member, credit), ..) = first, if !open.is_empty() => {
                        // Closed with its session: the bell rings.
                        if let (Ok(credit), true) = (credit, member.session.is_open()) {
                            return Some(member.seat(credit));
                        }
                        tokio::task::yield_now().await;
                    }
                }
            }
        })
    }

    fn served(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut bell = self.bell.subscribe();
            while !self.is_served() {
                // The sender is this offer's own: it does not end before.
                let _ = bell.changed().await;
            }
        })
    }

    fn is_served(&self) -> bool {
        let members = self.members.load();
        members.iter().any(|member| !member.session.is_draining())
    }

    fn locations(&self) -> Vec<Location> {
        let members = self.members.load();
        let locations = members.iter().map(|member| Location {
            worker_id: member.session.id().to_owned(),
            worker_name: member.session.name().to_owned(),
            build_id: member.session.build_id().to_owned(),
            definition: Arc::clone(&member.definition),
            running: member.running.load(Ordering::Relaxed),
            since: member.since,
            away: member.session.is_away(),
        });
        locations.collect()
    }
}

impl Offer {
    pub(super) fn service(&self) -> &ServiceName {
        &self.service
    }
}
