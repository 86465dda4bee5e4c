//! The lease of a worker whose stream ended: the time that it has to resume its session before its dispatches are lost.

use std::sync::Arc;

use super::registry::WorkerRegistry;
use super::session::WorkerSession;

impl WorkerRegistry {
    /// Records the end of a stream. Where `is_resumable`, a worker that can resume has the lease to do so.
    pub(crate) fn disconnect(&self, session: &Arc<WorkerSession>, stream: u64, is_resumable: bool) {
        if !session.disconnect(stream) {
            return;
        }
        if !(is_resumable && session.can_resume()) {
            return self.leave(session);
        }
        self.notify(session);
        let invoker = session.invoker();
        let lease = invoker.limits().worker_lease;
        let (id, name, in_flight) = (session.id(), session.name(), session.in_flight());
        match in_flight {
            0 => tracing::info!(worker.id = id, worker.name = name, "worker disconnected"),
            _ => tracing::warn!(
                worker.id = id,
                worker.name = name,
                in_flight,
                lease_ms = lease.as_millis(),
                "worker disconnected in the middle of calls: they wait for it to reconnect"
            ),
        }
        let closing = invoker.closing().clone();
        let (registry, session) = (self.clone(), Arc::clone(session));
        invoker.tasks().spawn("lease", async move {
            let has_expired = tokio::select! {
                () = tokio::time::sleep(lease) => true,
                () = closing.cancelled() => false,
            };
            if session.is_away_since(stream) {
                match has_expired {
                    true => registry.expire(&session),
                    false => registry.leave(&session),
                }
            }
        });
    }
}
