//! How many streams of `Health/Watch` are open: they need no credential. Used by the health service.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::edge::connection::{CarriesWatch, Connection};
use crate::engine::Limits;
use crate::model::error::{Error, Result, reason};

/// When a stream that was refused may be tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The streams that may be opened.
#[derive(Debug)]
pub(super) struct HealthWatches {
    limit: usize,
    per_connection: usize,
    all: Arc<Semaphore>,
    /// Of these, the ones of callers that have proved nothing: a quarter is kept for the others.
    strangers: Arc<Semaphore>,
}

/// An open stream.
#[derive(Debug)]
pub(super) struct OpenWatch {
    _all: OwnedSemaphorePermit,
    _stranger: Option<OwnedSemaphorePermit>,
    _connection: Option<CarriesWatch>,
}

impl HealthWatches {
    /// As many as the limits of a node allow.
    pub(super) fn new(limits: &Limits) -> Self {
        let limit = limits.health_watches.min(Semaphore::MAX_PERMITS);
        Self {
            limit,
            per_connection: limits.connection_health_watches,
            all: Arc::new(Semaphore::new(limit)),
            strangers: Arc::new(Semaphore::new(limit - limit / 4)),
        }
    }

    /// Opens a stream on a connection. `is_known`: for a caller that has proved who it is, or is on the machine.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `STREAM_LIMIT`, of the connection or of the node.
    pub(super) fn open(
        &self,
        connection: Option<&Arc<Connection>>,
        is_known: bool,
    ) -> Result<OpenWatch> {
        let on_connection = match connection {
            Some(connection) => {
                Some(connection.carry_watch(self.per_connection).ok_or_else(|| {
                    let limit = self.per_connection;
                    let message =
                        format!("{limit} streams of health are open on this connection already");
                    refused(message, "connection_health_watches", limit)
                })?)
            }
            None => None,
        };
        let stranger = match is_known {
            true => None,
            false => Some(self.take(&self.strangers)?),
        };
        Ok(OpenWatch {
            _all: self.take(&self.all)?,
            _stranger: stranger,
            _connection: on_connection,
        })
    }

    fn take(&self, permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
        Arc::clone(permits).try_acquire_owned().map_err(|_| {
            let limit = self.limit;
            let message = format!(
                "all {limit} streams of health that this caller may have a part of are open already"
            );
            refused(message, "health_watches", limit)
        })
    }
}

fn refused(message: String, name: &'static str, limit: usize) -> Error {
    Error::resource_exhausted(reason::STREAM_LIMIT, message)
        .with_info(name, limit)
        .with_retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_that_prove_nothing_leave_a_quarter_to_the_others() {
        let watches = HealthWatches::new(&Limits {
            health_watches: 8,
            ..Limits::default()
        });
        let strangers: Vec<_> = (0..6).map(|_| watches.open(None, false).unwrap()).collect();
        let error = watches.open(None, false).unwrap_err();
        assert_eq!(error.fact("health_watches"), Some("8"));
        let known: Vec<_> = (0..2).map(|_| watches.open(None, true).unwrap()).collect();
        watches.open(None, true).unwrap_err();
        drop((strangers, known));
        watches.open(None, false).unwrap();
    }
}
