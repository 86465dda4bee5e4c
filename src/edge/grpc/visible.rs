//! What reflection shows to callers that may not invoke every service: the descriptors of those that they may.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::descriptor_pool::{DescriptorPool, PoolFile};
use crate::codec::typed::{Method, MethodDirectory, descriptor};
use crate::engine::Invoker;
use crate::model::access::Rights;

/// How many pools are kept: those of the rights that asked last.
const MAX_KEPT: usize = 8;

/// The pools of the last callers. Making one takes time with the number of services.
#[derive(Debug, Default)]
pub(super) struct VisiblePools(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    version: u64,
    rights: Rights,
    pool: Arc<DescriptorPool>,
}

impl VisiblePools {
    /// The pool for the rights of a caller, if it was made of this version.
    pub(super) fn get(&self, version: u64, rights: &Rights) -> Option<Arc<DescriptorPool>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = kept.iter();
        let found = kept.find(|one| one.version == version && one.rights == *rights)?;
        Some(Arc::clone(&found.pool))
    }

    pub(super) fn keep(&self, version: u64, rights: Rights, pool: &Arc<DescriptorPool>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of an earlier version are of no use any more.
        kept.retain(|one| one.version == version && one.rights != rights);
        kept.truncate(MAX_KEPT - 1);
        kept.push_front(Kept {
            version,
            rights,
            pool: Arc::clone(pool),
        });
    }
}

/// The built-in files, and the typed methods of services that a caller sees. `file` has the file of a whole package.
pub(super) fn visible_pool(
    directory: &MethodDirectory,
    file: impl Fn(&str) -> Option<Arc<PoolFile>>,
    built_in: &DescriptorPool,
    invoker: &Invoker,
) -> DescriptorPool {
    let mut pool = built_in.clone();
    for (package, methods) in directory.packages() {
        let seen = methods.iter();
        let seen = seen.filter(|method| invoker.sees_service(method.service.as_str()));
        let seen: Vec<Arc<Method>> = seen.cloned().collect();
        let shown = match seen.len() {
            0 => None,
            all if all == methods.len() => file(package),
            _ => PoolFile::decode(&descriptor(package, &seen)).map(Arc::new),
        };
        if let Some(shown) = shown {
            pool.add(&shown);
        }
    }
    pool
}
