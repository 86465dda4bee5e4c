//! The room that a copy needs: on its own disk, and on that of the store, whose log grows meanwhile.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::model::error::{Error, Result, reason};

/// How much room the log gets while a copy is written: 64 MiB.
const WAL_ROOM: u64 = 64 << 20;

/// The disk that a folder is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    device: Option<u64>,
    free: u64,
}

impl Disk {
    /// The disk of a folder. One that cannot be measured has room: writing to it fails, if need be.
    pub(super) fn of(folder: &Path) -> Self {
        let disk = rustix::fs::statvfs(folder);
        Self {
            device: std::fs::metadata(folder).map(|found| found.dev()).ok(),
            free: disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        }
    }
}

/// Checks that there is room for so many bytes of a copy, and for the log of the store. `min_free`: what must stay free
/// on either disk.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `STORE_FULL`.
pub(super) fn check_room(needed: u64, copies: Disk, store: Disk, min_free: u64) -> Result<()> {
    let is_shared = copies.device == store.device;
    let of_log = if is_shared { WAL_ROOM } else { 0 };
    let reserved = min_free.saturating_add(of_log);
    if copies.free < needed.saturating_add(reserved) {
        let message = format!(
            "the copy needs {needed} bytes more, and {reserved} bytes of the disk must stay free: {} are free; remove \
             files, or make `backups` in the data directory a link to a folder on a larger disk",
            copies.free
        );
        return Err(full(message, needed, copies.free, min_free));
    }
    let reserved = min_free.saturating_add(WAL_ROOM);
    if store.free < reserved {
        let message = format!(
            "the log of the store grows while it is copied, and {reserved} bytes of its disk must be free: {} are; \
             remove files",
            store.free
        );
        return Err(full(message, WAL_ROOM, store.free, min_free));
    }
    Ok(())
}

fn full(message: String, needed: u64, free: u64, min_free: u64) -> Error {
    Error::resource_exhausted(reason::STORE_FULL, message)
        .with_retryable(false)
        .with_info("needed_bytes", needed)
        .with_info("free_bytes", free)
        .with_info("keep_free_bytes", min_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn disk(device: u64, free: u64) -> Disk {
        let device = Some(device);
        Disk { device, free }
    }

    #[test]
    fn neither_disk_is_filled() {
        let check = |copies, store| check_room(100 * MIB, copies, store, 10 * MIB);
        let message = |copies, store| check(copies, store).unwrap_err().message().to_owned();
        // One disk has room for all of it.
        let (enough, less) = (disk(1, 174 * MIB), disk(1, 174 * MIB - 1));
        check(enough, enough).unwrap();
        assert!(message(less, less).contains("the copy needs"));
        // Two disks: one for the copy, one for the log.
        let (copies, store) = (disk(2, 110 * MIB), disk(1, 74 * MIB));
        check(copies, store).unwrap();
        assert!(message(disk(2, 110 * MIB - 1), store).contains("the copy needs"));
        assert!(message(copies, disk(1, 74 * MIB - 1)).contains("the log of the store"));
    }
}
