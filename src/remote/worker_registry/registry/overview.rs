//! What operators see of the workers: lists, counts, and events of services that are served or no longer are.

use std::collections::BTreeMap;

use super::{RegistryInner, WorkerRegistry};
use crate::engine::{WorkerBuild, WorkerCounts, WorkerStatus};
use crate::remote::worker_registry::pool::ServicePool;
use crate::remote::worker_registry::session::WorkerSession;

/// How many builds the status of a node shows.
const MAX_BUILDS: usize = 100;

impl WorkerRegistry {
    /// A page of the connected workers that serve a service, or of all, by name and id: up to `max` after this name and
    /// id, and whether there are more.
    pub(crate) fn list(
        &self,
        service: Option<&str>,
        after: Option<(&str, &str)>,
        max: usize,
    ) -> (Vec<WorkerStatus>, bool) {
        let mut sessions = self.0.sessions();
        sessions.retain(|session| {
            let mut services = session.services().iter();
            service.is_none_or(|service| services.any(|one| one.as_str() == service))
                && after.is_none_or(|last| (session.name(), session.id()) > last)
        });
        sessions.sort_by(|a, b| (a.name(), a.id()).cmp(&(b.name(), b.id())));
        let has_more = sessions.len() > max;
        let page = sessions.iter().take(max).map(|session| session.status());
        (page.collect(), has_more)
    }

    /// How many workers are connected, or may resume, of which builds.
    pub(crate) fn counts(&self) -> WorkerCounts {
        let sessions = self.0.sessions();
        let mut builds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for session in &sessions {
            let build = (session.name(), &*session.info().build_id);
            *builds.entry(build).or_default() += 1;
        }
        let all_builds = builds.len();
        let builds = builds.into_iter().take(MAX_BUILDS);
        let builds = builds.map(|((worker_name, build_id), workers)| WorkerBuild {
            worker_name: worker_name.to_owned(),
            build_id: build_id.to_owned(),
            workers,
        });
        WorkerCounts {
            builds: builds.collect(),
            all_builds,
            workers: sessions.len(),
            away: sessions.iter().filter(|session| session.is_away()).count(),
        }
    }
}

impl RegistryInner {
    /// Tells the operators of the session's services that are served now and were not before, and the reverse.
    pub(super) fn note_served(&self, session: &WorkerSession) {
        for service in session.services() {
            let pool = self.table().services.pool(service).cloned();
            if let Some(pool) = pool {
                self.note_pool(&pool, false);
            }
        }
    }

    pub(super) fn note_pool(&self, pool: &ServicePool, by_node: bool) {
        let events = self.invoker.event_bus();
        pool.note_served(self.invoker.now(), by_node, |is_served| match is_served {
            true => events.service_served(pool.service()),
            false => events.service_unserved(pool.service()),
        });
    }
}
