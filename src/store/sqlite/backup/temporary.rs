//! The temporary copies, and whether they are still read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::engine::backup::{BackupName, UNREAD_LIMIT};

/// The temporary copies, each with the first time at which it was seen unread since it was read, or written.
///
/// In memory: when the store is opened, all temporary copies are removed.
#[derive(Debug, Default)]
pub(super) struct Temporary(Mutex<HashMap<BackupName, Option<Timestamp>>>);

impl Temporary {
    /// Adds a copy.
    pub(super) fn add(&self, name: BackupName) {
        self.lock().insert(name, None);
    }

    /// A copy is read. Those that are not temporary are not in it.
    pub(super) fn touch(&self, name: &BackupName) {
        if let Some(unread_since) = self.lock().get_mut(name) {
            *unread_since = None;
        }
    }

    /// A copy is gone.
    pub(super) fn forget(&self, name: &BackupName) {
        self.lock().remove(name);
    }

    /// The copies that have been unread for too long.
    pub(super) fn unread(&self, now: Timestamp) -> Vec<BackupName> {
        let mut copies = self.lock();
        let unread = copies.iter_mut().filter_map(|(name, unread_since)| {
            let since = *unread_since.get_or_insert(now);
            let is_over = now.duration_since(since) >= UNREAD_LIMIT;
            is_over.then(|| name.clone())
        });
        unread.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BackupName, Option<Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_copy_that_nobody_reads_is_unread() {
        let (copies, name) = (Temporary::default(), BackupName::parse("a").unwrap());
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        copies.touch(&name);
        assert_eq!(copies.unread(at(0)), []);
        // However long it took to write it.
        copies.add(name.clone());
        assert_eq!(copies.unread(at(60)), []);
        assert_eq!(copies.unread(at(69)), []);
        copies.touch(&name);
        assert_eq!(copies.unread(at(71)), []);
        assert_eq!(copies.unread(at(80)), []);
        assert_eq!(copies.unread(at(81)), std::slice::from_ref(&name));
        // Until it is gone.
        assert_eq!(copies.unread(at(82)), std::slice::from_ref(&name));
        copies.forget(&name);
        assert_eq!(copies.unread(at(999)), []);
    }
}
