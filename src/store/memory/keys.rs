//! Idempotency keys: those of each owner apart.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::access::Principal;
use crate::model::id::Cid;

type Keys = HashMap<String, Cid, RandomState>;

/// The invocations by the keys with which they were accepted.
#[derive(Debug, Default)]
pub(super) struct IdempotencyKeys {
    /// Of invocations that belong to nobody.
    unowned: Keys,
    owned: HashMap<Principal, Keys, RandomState>,
}

impl IdempotencyKeys {
    pub(super) fn get(&self, owner: Option<&Principal>, key: &str) -> Option<Cid> {
        let keys = match owner {
            None => &self.unowned,
            Some(owner) => self.owned.get(owner)?,
        };
        keys.get(key).copied()
    }

    pub(super) fn insert(&mut self, owner: Option<&Principal>, key: &str, cid: Cid) {
        let keys = match owner {
            None => &mut self.unowned,
            Some(owner) => self.owned.entry(owner.clone()).or_default(),
        };
        keys.insert(key.to_owned(), cid);
    }

    pub(super) fn remove(&mut self, owner: Option<&Principal>, key: &str) {
        let Some(owner) = owner else {
            self.unowned.remove(key);
            return;
        };
        if let Some(keys) = self.owned.get_mut(owner) {
            keys.remove(key);
            if keys.is_empty() {
                self.owned.remove(owner);
            }
        }
    }
}
