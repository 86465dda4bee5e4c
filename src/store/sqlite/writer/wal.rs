//! The write-ahead log (WAL) as the writer sees it: how long it is, and how it is restarted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal as HookedWal;

use crate::model::error::Result;
use crate::store::sqlite::error::failed;
use crate::store::sqlite::open::BUSY_TIMEOUT;

/// The length at which the log is restarted: 64 MiB of pages. Its file keeps that length: overwriting is cheaper to
/// sync than appending.
const MAX_PAGES: u64 = (64 << 20) / 4_096;

/// The length of the log.
pub(in crate::store::sqlite) struct Wal {
    /// Updated with each commit.
    pages: Arc<AtomicU64>,
    /// The length at which it is restarted next. Grows when readers prevent a restart.
    limit: u64,
}

impl Wal {
    /// Watches the log that a connection writes.
    pub(in crate::store::sqlite) fn watch(connection: &mut Connection) -> Result<Self> {
        let pages = Arc::new(AtomicU64::new(0));
        let updated = Arc::clone(&pages);
        let hook = move |_: &mut HookedWal, pages| {
            updated.store(u64::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        };
        let hooked = connection.wal_hook(Some(hook));
        hooked.map_err(failed)?;
        let limit = MAX_PAGES;
        Ok(Self { pages, limit })
    }

    /// How many pages it has.
    pub(in crate::store::sqlite) fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Restarts the log if it is too long.
    ///
    /// The checkpointer never catches up while commits follow each other without a pause, and the log would grow
    /// without limit. The few pages that it has left are checkpointed here.
    ///
    /// # Errors
    ///
    /// Any error of SQLite, except that readers prevent the restart.
    pub(in crate::store::sqlite) fn restart_if_long(
        &mut self,
        connection: &Connection,
    ) -> rusqlite::Result<()> {
        let pages = self.pages();
        if pages < self.limit {
            return Ok(());
        }
        // The writer does not wait for readers that prevent a restart.
        let _ = connection.busy_timeout(Duration::ZERO);
        let is_busy = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
            row.get::<_, bool>(0)
        });
        let _ = connection.busy_timeout(BUSY_TIMEOUT);
        self.limit = match is_busy {
            Ok(false) => MAX_PAGES,
            Ok(true) | Err(_) => pages + MAX_PAGES / 8,
        };
        is_busy.map(drop)
    }
}
