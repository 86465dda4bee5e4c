//! The handle of a connected worker: its id, its dispatches, and its shutdown.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::connection::Connection;
use super::sessions::Sessions;
use crate::model::error::{Error, Result, reason};
use crate::service::runtime::{Signals, warn_without_subscriber};

/// A running worker. It continues when the handle is dropped; [`stop`](Self::stop) ends it.
#[derive(Debug)]
pub struct WorkerHandle {
    sessions: Arc<Sessions>,
    drain: Duration,
    ended: watch::Receiver<bool>,
}

/// A worker whose node has not answered yet. Dropping it ends the worker.
pub(super) struct StartingWorker {
    handle: WorkerHandle,
    answered: watch::Receiver<Option<Result<()>>>,
    close_on_drop: DropGuard,
}

impl StartingWorker {
    /// Starts to connect. A node that cannot be reached is an error once `connect_timeout` has elapsed, if there is
    /// one.
    pub(super) fn start(
        connection: Connection,
        drain: Duration,
        connect_timeout: Option<Duration>,
    ) -> Self {
        let give_up_at = connect_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let sessions = Arc::clone(connection.sessions());
        let close_on_drop = sessions.shared().closed().clone().drop_guard();
        let (first_answer, answered) = watch::channel(None);
        let (end, ended) = watch::channel(false);
        sessions.shared().tasks().spawn("worker", async move {
            connection.serve(&first_answer, give_up_at).await;
            end.send_replace(true);
        });
        Self {
            handle: WorkerHandle {
                sessions,
                drain,
                ended,
            },
            answered,
            close_on_drop,
        }
    }

    /// Waits for the first answer of the node.
    pub(super) async fn connected(&mut self) -> Result<()> {
        let answer = self.answered.wait_for(Option::is_some).await;
        match answer.map(|answer| answer.clone()) {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => {
                let message = "the worker ended before the node welcomed it";
                Err(Error::unavailable(reason::CONNECT_FAILED, message))
            }
        }
    }

    /// The handle. The node may not have answered yet: it may have sent calls with its answer, and stopping the worker
    /// loses none of them.
    pub(super) fn into_handle(self) -> WorkerHandle {
        let _ = self.close_on_drop.disarm();
        self.handle
    }
}

impl WorkerHandle {
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

    /// Serves until a signal, then stops the worker gracefully, as [`WorkerBuilder::run`](super::WorkerBuilder::run)
    /// does. Returns too where the worker has stopped. A signal that arrives before this is called ends the process at
    /// once.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `SIGNALS_FAILED`.
    pub async fn run_until_signal(self) -> Result<()> {
        warn_without_subscriber();
        self.stop_on_signal(Signals::new()?).await;
        Ok(())
    }

    /// Stops after the next signal, and returns at once after a second one.
    pub(super) async fn stop_on_signal(self, mut signals: Signals) {
        tokio::select! {
            signal = signals.next() => self.stop_after(signal, signals).await,
            () = self.ended() => {}
        }
    }

    /// Stops after a signal, and returns at once after a second one.
    pub(super) async fn stop_after(self, signal: &str, mut signals: Signals) {
        tracing::info!(signal, "stopping");
        let _ = signals.stop(self.stop()).await;
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
