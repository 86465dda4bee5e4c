//! Reader threads: each has a connection of its own, and reads committed data.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::{closed, queue_full};
use super::open::StoreDirectory;
use super::threads::Threads;
use crate::model::error::Result;

/// How many queries wait for the readers at most.
const MAX_QUEUED_QUERIES: usize = 65_536;

/// A query, with the channel of its result.
type Query = Box<dyn FnOnce(&Connection) + Send>;

/// A pool of reader threads. They end once it is dropped.
#[derive(Clone, Debug)]
pub(super) struct Readers(SyncSender<Query>);

impl Readers {
    /// Starts so many threads, and adds them to `threads`.
    pub(super) fn start(
        directory: &StoreDirectory,
        count: usize,
        threads: &mut Threads,
    ) -> Result<Self> {
        let (sender, queries) = sync_channel(MAX_QUEUED_QUERIES);
        let queries = Arc::new(Mutex::new(queries));
        for _ in 0..count {
            let (connection, queries) = (directory.reader()?, Arc::clone(&queries));
            threads.spawn("store-reader", move || run(&connection, &queries))?;
        }
        Ok(Self(sender))
    }

    /// Runs a query on a reader thread, unless the caller has gone by then.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (caller, answer) = oneshot::channel();
        let query: Query = Box::new(move |connection| {
            if !caller.is_closed() {
                drop(caller.send(query(connection)));
            }
        });
        match self.0.try_send(query) {
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
