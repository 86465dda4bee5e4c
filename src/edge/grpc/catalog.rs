//! The catalog of a node: a cached snapshot of its typed methods and of the descriptors for reflection.
//!
//! It is rebuilt on the first use after a service was added or removed, so that no response shows outdated services.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::descriptor_pool::DescriptorPool;
use crate::codec::typed::{MethodDirectory, descriptor};
use crate::engine::Invoker;
use crate::model::error::Result;

/// The catalog of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    invoker: Invoker,
    /// The built-in files.
    built_in: DescriptorPool,
    current: ArcSwap<Snapshot>,
    /// One caller rebuilds, the others wait.
    rebuild: Mutex<()>,
}

/// The catalog at one version of the services.
#[derive(Debug)]
pub(super) struct Snapshot {
    version: u64,
    pub(super) directory: MethodDirectory,
    pub(super) pool: DescriptorPool,
}

impl Catalog {
    /// Builds the catalog of a node.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the built-in descriptors cannot be decoded.
    pub(in crate::edge) fn new(invoker: &Invoker) -> Result<Self> {
        let built_in = DescriptorPool::built_in()?;
        let first = Snapshot::build(invoker, &built_in);
        first.log_skipped(None);
        Ok(Self(Arc::new(Inner {
            invoker: invoker.clone(),
            built_in,
            current: ArcSwap::from_pointee(first),
            rebuild: Mutex::new(()),
        })))
    }

    /// Whether a path is that of a method: of a gRPC service of the node, or a typed one.
    pub(in crate::edge) fn has_method(&self, path: &str) -> bool {
        self.current().pool.has_method(path)
    }

    /// The current snapshot.
    pub(super) fn current(&self) -> Arc<Snapshot> {
        let Inner {
            invoker,
            built_in,
            current,
            rebuild,
        } = &*self.0;
        let found = current.load_full();
        if found.version == invoker.catalog_version() {
            return found;
        }
        let _rebuild = rebuild.lock().unwrap_or_else(PoisonError::into_inner);
        let found = current.load_full();
        if found.version == invoker.catalog_version() {
            return found;
        }
        let rebuilt = Arc::new(Snapshot::build(invoker, built_in));
        rebuilt.log_skipped(Some(&found));
        current.store(Arc::clone(&rebuilt));
        rebuilt
    }
}

impl Snapshot {
    fn build(invoker: &Invoker, built_in: &DescriptorPool) -> Self {
        // Read before the services: a change in between causes another rebuild.
        let version = invoker.catalog_version();
        let services = invoker.services();
        let directory = MethodDirectory::new(services.iter().map(|service| {
            let definition = &service.definition;
            let description = service.effective.description.as_str();
            (definition.name(), &**definition.declaration(), description)
        }));
        let mut pool = built_in.clone();
        for (package, methods) in directory.packages() {
            pool.add_encoded(&descriptor(package, methods));
        }
        Self {
            version,
            directory,
            pool,
        }
    }

    /// Logs which services have a declaration but no typed method, unless the previous snapshot has logged it.
    fn log_skipped(&self, previous: Option<&Self>) {
        for (service, note) in self.directory.notes() {
            let was_logged = previous
                .is_some_and(|previous| previous.directory.note(service.as_str()) == Some(note));
            if !was_logged && note != crate::codec::typed::UNDECLARED {
                tracing::warn!(%service, "no typed method: {note}");
            }
        }
    }
}
