//! How many CIDs are followed: by all followers, and by those of each principal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::model::access::Principal;

/// The counts. Callers without a principal are only counted among all.
#[derive(Debug, Default)]
pub(in crate::engine) struct Followed {
    all: AtomicUsize,
    principals: Mutex<HashMap<Principal, Arc<AtomicUsize>, RandomState>>,
}

/// What one follower follows. Dropped, it follows nothing.
#[derive(Debug)]
pub(super) struct FollowedCids {
    followed: Arc<Followed>,
    principal: Option<(Principal, Arc<AtomicUsize>)>,
    count: usize,
}

impl Followed {
    /// How many CIDs all followers follow.
    pub(in crate::engine) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Begins to count what a follower of a principal follows.
    pub(super) fn begin(self: &Arc<Self>, principal: Option<Principal>) -> FollowedCids {
        let principal = principal.map(|principal| {
            let count = Arc::clone(self.principals().entry(principal.clone()).or_default());
            (principal, count)
        });
        FollowedCids {
            followed: Arc::clone(self),
            principal,
            count: 0,
        }
    }

    fn principals(&self) -> MutexGuard<'_, HashMap<Principal, Arc<AtomicUsize>, RandomState>> {
        self.principals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl FollowedCids {
    /// How many CIDs all followers follow.
    pub(super) fn of_all(&self) -> usize {
        self.followed.all()
    }

    /// The principal, and how many CIDs its followers follow.
    pub(super) fn of_principal(&self) -> Option<(&Principal, usize)> {
        let (principal, count) = self.principal.as_ref()?;
        Some((principal, count.load(Ordering::Relaxed)))
    }

    pub(super) fn add(&mut self, cids: usize) {
        self.count += cids;
        self.followed.all.fetch_add(cids, Ordering::Relaxed);
        if let Some((_, count)) = &self.principal {
            count.fetch_add(cids, Ordering::Relaxed);
        }
    }

    pub(super) fn remove(&mut self, cids: usize) {
        let cids = cids.min(self.count);
        self.count -= cids;
        self.followed.all.fetch_sub(cids, Ordering::Relaxed);
        if let Some((_, count)) = &self.principal {
            count.fetch_sub(cids, Ordering::Relaxed);
        }
    }
}

impl Drop for FollowedCids {
    fn drop(&mut self) {
        self.remove(self.count);
        if let Some((principal, count)) = self.principal.take() {
            let mut principals = self.followed.principals();
            // The table's, and this one.
            if Arc::strong_count(&count) == 2 {
                principals.remove(&principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_counted_apart_and_forgotten() {
        let followed = Arc::new(Followed::default());
        let begin = |name: &str| followed.begin(Some(Principal::known(name)));
        let of = |cids: &FollowedCids| cids.of_principal().map(|(_, count)| count);
        let (mut one, mut same, mut other) = (begin("a"), begin("a"), begin("b"));
        let mut nobody = followed.begin(None);
        one.add(3);
        same.add(2);
        other.add(1);
        nobody.add(10);
        assert_eq!(
            (of(&one), of(&other), of(&nobody)),
            (Some(5), Some(1), None)
        );
        assert_eq!(followed.all(), 16);
        same.remove(1);
        drop(one);
        assert_eq!((of(&same), followed.all()), (Some(1), 12));
        drop((same, other, nobody));
        assert_eq!(followed.all(), 0);
        assert!(followed.principals().is_empty());
    }
}
