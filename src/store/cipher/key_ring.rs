//! Keys with different ids, of which the first one encrypts.

use std::sync::Arc;

use super::key::StoreKey;
use crate::model::error::Result;

/// The keys that a store has: at least one.
#[derive(Clone, Debug)]
pub(in crate::store) struct KeyRing {
    first: Arc<StoreKey>,
    others: Vec<Arc<StoreKey>>,
}

impl KeyRing {
    pub(super) fn new(first: StoreKey, others: impl IntoIterator<Item = StoreKey>) -> Self {
        Self {
            first: Arc::new(first),
            others: others.into_iter().map(Arc::new).collect(),
        }
    }

    /// The key that encrypts.
    pub(in crate::store) fn first(&self) -> &StoreKey {
        &self.first
    }

    /// All keys, the one that encrypts first.
    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = &Arc<StoreKey>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The key with an id.
    pub(in crate::store) fn get(&self, id: &str) -> Option<&StoreKey> {
        self.iter().find(|key| key.id() == id).map(AsRef::as_ref)
    }

    /// Adds the known keys that it lacks, behind its own ones.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_KEY_INVALID`: an id has another key than before.
    pub(super) fn with_known(mut self, known: &Self) -> Result<Self> {
        for key in known.iter() {
            match self.get(key.id()) {
                Some(ours) => ours.check_sample(&key.sample()?)?,
                None => self.others.push(Arc::clone(key)),
            }
        }
        Ok(self)
    }
}
