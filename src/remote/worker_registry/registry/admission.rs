//! Which workers are admitted: as many as the limits allow, of the node and of one principal, and none that serves what
//! the node itself serves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::RegistryInner;
use crate::model::access::Caller;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::remote::worker_registry::declarations::Declaration;

/// How soon a worker may connect again that would be one more.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl RegistryInner {
    /// Checks that a worker with these services may be admitted.
    pub(super) fn check_admission(
        &self,
        declarations: &[Declaration],
        caller: &Caller,
    ) -> Result<()> {
        if self.is_stopping.load(Ordering::Acquire) {
            let message = "the node is stopping: connect to another node";
            return Err(Error::unavailable(reason::NODE_STOPPING, message));
        }
        self.check_worker_count(caller)?;
        self.check_service_count(declarations, caller)?;
        let names = declarations.iter().map(|it| it.definition.name());
        let is_irreplaceable = |name: &&ServiceName| self.invoker.is_served_locally(name.as_str());
        let taken: Vec<_> = names.filter(is_irreplaceable).collect();
        if taken.is_empty() {
            return Ok(());
        }
        Err(served_by_the_node(&taken))
    }

    fn check_worker_count(&self, caller: &Caller) -> Result<()> {
        let limits = self.invoker.limits();
        let refused = |message: String, name, limit: usize| {
            let refused = Error::resource_exhausted(reason::STREAM_LIMIT, message);
            Err(refused.with_info(name, limit).with_retry_after(RETRY_AFTER))
        };
        let table = self.table();
        let limit = limits.workers;
        if table.sessions.len() >= limit {
            let message = format!("{limit} workers are connected already");
            return refused(message, "workers", limit);
        }
        let Some(principal) = caller.principal() else {
            return Ok(());
        };
        let limit = limits.principal_workers;
        // Only where all of them could be those of one principal are they looked through.
        if table.sessions.len() < limit {
            return Ok(());
        }
        let sessions = table.sessions.values();
        let own = sessions.filter(|session| session.caller().principal() == Some(principal));
        if own.count() >= limit {
            let message = format!("{limit} workers of `{principal}` are connected already");
            return refused(message, "principal_workers", limit);
        }
        Ok(())
    }

    fn check_service_count(&self, declarations: &[Declaration], caller: &Caller) -> Result<()> {
        let limits = self.invoker.limits();
        let refused = |message: String, name, limit: usize| {
            let refused = Error::resource_exhausted(reason::SERVICE_LIMIT, message);
            Err(refused.with_info(name, limit))
        };
        let table = self.table();
        let services = &table.services;
        let is_new = |it: &&Declaration| !services.contains(it.definition.name());
        let new = declarations.iter().filter(is_new).count();
        if new == 0 {
            return Ok(());
        }
        let (known, limit) = (services.len(), limits.services);
        if known + new > limit {
            let message =
                format!("{known} services are registered; {new} more exceed the limit of {limit}");
            return refused(message, "services", limit);
        }
        let Some(principal) = caller.principal() else {
            return Ok(());
        };
        let (known, limit) = (services.count_of(principal), limits.principal_services);
        if known + new > limit {
            let message = format!(
                "{known} services were announced by `{principal}`; {new} more exceed its limit of {limit}"
            );
            return refused(message, "principal_services", limit);
        }
        Ok(())
    }
}

/// `ALREADY_EXISTS` / `SERVICE_EXISTS`, with all names: a worker is refused for the whole of its hello.
fn served_by_the_node(taken: &[&ServiceName]) -> Error {
    let names: Vec<_> = taken.iter().map(|name| format!("`{name}`")).collect();
    let (names, are) = (
        names.join(", "),
        if names.len() == 1 { "is" } else { "are" },
    );
    let message = format!(
        "{names} {are} served by the node itself: remove {them} from the worker, or choose {other}",
        them = if taken.len() == 1 { "it" } else { "them" },
        other = if taken.len() == 1 {
            "another name"
        } else {
            "other names"
        },
    );
    Error::already_exists(reason::SERVICE_EXISTS, message)
}
