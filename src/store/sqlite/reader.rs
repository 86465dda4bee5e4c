//! Reader threads: each has a connection of its own, and reads committed data.

use std::sync::mpsc::TrySendError;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::directory::StoreDirectory;
use super::error::{closed, queue_full};
use super::queue::{Receiver, Sender, bounded};
use super::shared::StoreShared;
use super::threads::Threads;
use crate::model::error::Result;

/// How many queries wait for the readers at most.
const MAX_QUEUED_QUERIES: usize = 65_536;

/// A query, with the channel of its result.
type Query = Box<dyn FnOnce(&Connection) + Send>;

/// A pool of reader threads. They end once it is dropped.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    queries: Sender<Query>,
    shared: Arc<StoreShared>,
}

impl Readers {
    /// Starts so many threads, and adds them to `threads`.
    pub(super) fn start(
        directory: &StoreDirectory,
        shared: &Arc<StoreShared>,
        count: usize,
        threads: &mut Threads,
    ) -> Result<Self> {
        let (sender, queries) = bounded(MAX_QUEUED_QUERIES);
        let queries = Arc::new(Mutex::new(queries));
        for _ in 0..count {
            let (connection, queries) = (directory.reader()?, Arc::clone(&queries));
            let of_thread = Arc::clone(shared);
            threads.spawn("store-reader", move || {
                run(&connection, &queries);
                of_thread.before_close(&connection);
                connection
            })?;
        }
        Ok(Self {
            queries: sender,
            shared: Arc::clone(shared),
        })
    }

    /// Runs a query on a reader thread, unless the caller has gone by then. The cause of a failure is logged.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (caller, answer) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let query: Query = Box::new(move |connection| {
            if caller.is_closed() {
                return;
            }
            let result = query(connection);
            if let Err(error) = &result {
                shared.failures.log(error);
            }
            drop(caller.send(result));
        });
        match self.queries.try_send(query) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(closed())),
            Err(TrySendError::Full(_)) => Err(queue_full("reads")),
            Err(TrySendError::Disconnected(_)) => Err(closed()),
        }
    }
}

/// Runs queries until all senders are gone.
fn run(connection: &Connection, queries: &Mutex<Receiver<Query>>) {
    loop {
        let query = queries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        match query {
            Ok(query) => query(connection),
            Err(_) => return,
        }
    }
}
