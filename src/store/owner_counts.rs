//! How many invocations of each principal are pending.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::access::Principal;

/// The number of pending invocations by the principal to which they belong. Contains only those that have some.
#[derive(Debug, Default)]
pub(super) struct OwnerCounts(HashMap<Principal, usize, RandomState>);

impl OwnerCounts {
    pub(super) fn get(&self, owner: &Principal) -> usize {
        self.0.get(owner).copied().unwrap_or_default()
    }

    /// Adds pending invocations of an owner; nothing where nobody owns them.
    pub(super) fn add(&mut self, owner: Option<&Principal>, count: usize) {
        if let Some(owner) = owner.filter(|_| count > 0) {
            *self.0.entry(owner.clone()).or_default() += count;
        }
    }

    /// Removes a pending invocation of an owner.
    pub(super) fn remove(&mut self, owner: Option<&Principal>) {
        let Some(owner) = owner else {
            return;
        };
        match self.0.get_mut(owner) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(self.0.remove(owner)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_without_pending_invocations_are_forgotten() {
        let (mut counts, anna) = (OwnerCounts::default(), Principal::known("anna"));
        counts.add(Some(&anna), 2);
        counts.add(None, 2);
        counts.add(Some(&Principal::known("berta")), 0);
        assert_eq!((counts.get(&anna), counts.0.len()), (2, 1));
        for left in [1, 0, 0] {
            counts.remove(Some(&anna));
            counts.remove(None);
            assert_eq!(counts.get(&anna), left);
        }
        assert!(counts.0.is_empty());
    }
}
