//! The room in the file and on the disk: when new work is refused, and how free pages are returned.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::engine::store::{DiskUsage, StoreUsage};

/// How many free pages are returned to the disk at once: 16 MiB.
const VACUUM_PAGES: u64 = (16 << 20) / 4_096;
/// Free pages are returned if they are more than a quarter of the file: fewer will soon be used again.
const FREE_FRACTION: u64 = 4;
/// One eighth of the limit is reserved for the outcomes of accepted invocations.
const RESERVED_FRACTION: u64 = 8;

/// How long, and for how many bytes of commands, the room that there was counts: SQLite parses a `PRAGMA` each time.
const MEASURED_FOR: Duration = Duration::from_millis(100);
const MEASURED_FOR_BYTES: u64 = 512 << 10;

/// How many bytes the file of a store may have: it can change while the store is open.
#[derive(Clone, Debug)]
pub(crate) struct BytesLimit(Arc<AtomicU64>);

impl BytesLimit {
    pub(in crate::store::sqlite) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Changes it. New work is refused by it within [`MEASURED_FOR`].
    #[cfg(feature = "cli")]
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The limits of the store.
#[derive(Clone, Debug)]
pub(in crate::store::sqlite) struct SpaceLimits {
    pub(in crate::store::sqlite) directory: PathBuf,
    /// How many bytes the file may have.
    pub(in crate::store::sqlite) bytes_limit: BytesLimit,
    /// How many bytes of the disk must stay free.
    pub(in crate::store::sqlite) min_free_bytes: u64,
}

/// The room for new work, as the writer knows it.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Space {
    pub(in crate::store::sqlite) limits: SpaceLimits,
    /// When there was room, and how many bytes of commands have been written since.
    pub(in crate::store::sqlite) had_room: Option<(Instant, u64)>,
}

impl Space {
    /// Whether there was room a moment ago, and hardly anything was written since. `bytes`: those of the commands that
    /// are written now.
    pub(in crate::store::sqlite) fn had_room(&mut self, bytes: u64) -> bool {
        let Some((measured, written)) = &mut self.had_room else {
            return false;
        };
        *written = written.saturating_add(bytes);
        *written <= MEASURED_FOR_BYTES && measured.elapsed() <= MEASURED_FOR
    }

    /// Notes whether there is room now.
    pub(in crate::store::sqlite) fn set_has_room(&mut self, has_room: bool) {
        self.had_room = has_room.then(|| (Instant::now(), 0));
    }
}

impl SpaceLimits {
    /// How much of the limits is used now.
    pub(in crate::store::sqlite) fn usage(&self, connection: &Connection) -> Usage {
        let (pages, empty) = (
            pragma(connection, "page_count"),
            pragma(connection, "freelist_count"),
        );
        let page_size = pragma(connection, "page_size");
        let used = pages.saturating_sub(empty).saturating_mul(page_size);
        let disk = rustix::fs::statvfs(&self.directory).ok();
        let bytes = |blocks: u64, size: u64| blocks.saturating_mul(size);
        let limit = self.bytes_limit.get();
        Usage {
            used,
            empty: empty.saturating_mul(page_size),
            limit: limit - limit / RESERVED_FRACTION,
            free: disk
                .as_ref()
                .map_or(u64::MAX, |disk| bytes(disk.f_bavail, disk.f_frsize)),
            total: disk
                .as_ref()
                .map_or(u64::MAX, |disk| bytes(disk.f_blocks, disk.f_frsize)),
            min_free: self.min_free_bytes,
        }
    }

    /// The same, for the status of the node.
    pub(in crate::store::sqlite) fn store_usage(&self, connection: &Connection) -> StoreUsage {
        let usage = self.usage(connection);
        let disk = DiskUsage {
            free: usage.free,
            total: usage.total,
            min_free: usage.min_free,
        };
        StoreUsage {
            bytes: usage.used,
            bytes_limit: self.bytes_limit.get(),
            accept_limit: usage.limit,
            empty: usage.empty,
            disk: (usage.free < u64::MAX).then_some(disk),
        }
    }
}

/// How much of the limits of a store is used, in bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::sqlite) struct Usage {
    /// What the pages in use take.
    pub(in crate::store::sqlite) used: u64,
    /// What the others take.
    pub(in crate::store::sqlite) empty: u64,
    /// What they may take before new work is refused.
    pub(in crate::store::sqlite) limit: u64,
    /// What is free on the disk.
    pub(in crate::store::sqlite) free: u64,
    /// What the disk has.
    pub(in crate::store::sqlite) total: u64,
    /// What must stay free.
    pub(in crate::store::sqlite) min_free: u64,
}

impl Usage {
    /// Whether new work is accepted.
    pub(in crate::store::sqlite) fn has_room(&self) -> bool {
        self.used <= self.limit && self.free > self.min_free
    }
}

/// Returns some of the free pages to the disk, a few at a time because commands wait meanwhile.
pub(in crate::store::sqlite) fn vacuum_incrementally(
    connection: &Connection,
) -> rusqlite::Result<()> {
    let free = pragma(connection, "freelist_count");
    if free < VACUUM_PAGES || free < pragma(connection, "page_count") / FREE_FRACTION {
        return Ok(());
    }
    let vacuum = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
    let mut vacuum = connection.prepare_cached(&vacuum)?;
    // Each page is returned as its row is read.
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}

/// A number that SQLite keeps about the file; 0 if it cannot be read.
fn pragma(connection: &Connection, name: &str) -> u64 {
    let select = format!("PRAGMA {name}");
    let read = || -> rusqlite::Result<i64> {
        let mut select = connection.prepare_cached(&select)?;
        select.query_row([], |row| row.get(0))
    };
    read()
        .ok()
        .and_then(|value| u64::try_from(value).ok())
        .unwrap_or_default()
}
