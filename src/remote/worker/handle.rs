//! A connected worker, from the outside: who it is, and how it stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::line::Line;
use super::shared::Shared;
use crate::model::error::{Error, Result, reason};

/// A worker that serves. Dropped, it goes on; [`stop`](Self::stop) ends it.
#[derive(Debug)]
pub struct WorkerHandle {
    shared: Arc<Shared>,
    drain: Duration,
    ended: watch::Receiver<bool>,
}

impl WorkerHandle {
    pub(super) async fn start(line: Line, drain: Duration) -> Result<Self> {
        let shared = line.shared();
        let (welcome, mut welcomed) = watch::channel(None);
        let (end, ended) = watch::channel(false);
        shared.tasks().spawn("worker", async move {
            line.serve(&welcome).await;
            end.send_replace(true);
        });
        let answer = welcomed.wait_for(Option::is_some).await;
        match answer.map(|answer| answer.clone()) {
            Ok(Some(Err(error))) => Err(error),
            Ok(_) => Ok(Self {
                shared,
                drain,
                ended,
            }),
            Err(_) => {
                let message = "the worker ended before the node welcomed it";
                Err(Error::unavailable(reason::CONNECT_FAILED, message))
            }
        }
    }

    /// The id that the node gave it: another one after it could not come back in time.
    #[must_use]
    pub fn id(&self) -> String {
        self.shared.worker_id()
    }

    /// How many dispatches it has now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight()
    }

    /// Resolves when it has stopped.
    pub async fn ended(&self) {
        // Whoever ends it says so, or is gone.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Stops it: it takes nothing new, running handlers have the drain time, what has not ended then is handed back.
    pub async fn stop(self) {
        // Also where nobody waits for it to the end.
        let _closes = self.shared.closed().clone().drop_guard();
        self.shared.drain();
        if tokio::time::timeout(self.drain, self.shared.idle())
            .await
            .is_err()
        {
            self.shared.hand_back();
        }
        self.shared.close();
        self.ended().await;
    }
}
