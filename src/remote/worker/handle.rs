//! The handle of a connected worker: its id, its dispatches, and its shutdown.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::connection::Connection;
use super::sessions::Sessions;
use crate::model::error::{Error, Result, reason};

/// A running worker. It continues when the handle is dropped; [`stop`](Self::stop) ends it.
#[derive(Debug)]
pub struct WorkerHandle {
    sessions: Arc<Sessions>,
    drain: Duration,
    ended: watch::Receiver<bool>,
}

impl WorkerHandle {
    pub(super) async fn start(connection: Connection, drain: Duration) -> Result<Self> {
        let sessions = Arc::clone(connection.sessions());
        let (first_answer, mut answered) = watch::channel(None);
        let (end, ended) = watch::channel(false);
        sessions.shared().tasks().spawn("worker", async move {
            connection.serve(&first_answer).await;
            end.send_replace(true);
        });
        let answer = answered.wait_for(Option::is_some).await;
        match answer.map(|answer| answer.clone()) {
            Ok(Some(Err(error))) => Err(error),
            Ok(_) => Ok(Self {
                sessions,
                drain,
                ended,
            }),
            Err(_) => {
                let message = "the worker ended before the node welcomed it";
                Err(Error::unavailable(reason::CONNECT_FAILED, message))
            }
        }
    }

    /// The ID that the node gave the worker. A worker whose lease has expired gets a new one.
    #[must_use]
    pub fn id(&self) -> String {
        self.sessions.worker_id()
    }

    /// The number of calls whose handlers are running.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.sessions.in_flight()
    }

    /// Waits until the worker has stopped.
    pub async fn ended(&self) {
        // The sender is dropped only after it has sent.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Stops the worker gracefully and returns when it has stopped. It takes no new calls. Running handlers have the
    /// [drain time](super::WorkerBuilder::drain) to finish; calls that have not finished then are returned to the node.
    pub async fn stop(self) {
        // Closed even where this future is dropped.
        let _close_on_drop = self.sessions.shared().closed().clone().drop_guard();
        self.sessions.drain();
        let idle = tokio::time::timeout(self.drain, self.sessions.wait_idle());
        if idle.await.is_err() {
            self.sessions.hand_back();
        }
        self.sessions.close();
        self.ended().await;
    }
}
