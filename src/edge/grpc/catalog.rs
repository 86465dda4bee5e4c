//! What a node serves right now, as callers find it: typed methods and the files that reflection answers with.
//!
//! Made anew when services have come or gone since it was last looked at, so that no answer is older than the services.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::files::Files;
use crate::codec::typed::{Directory, descriptor};
use crate::engine::Invoker;
use crate::model::error::Result;

/// The catalog of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    invoker: Invoker,
    /// The files of the contract, which never change.
    api: Files,
    current: ArcSwap<Snapshot>,
    /// One makes it, the others wait.
    making: Mutex<()>,
}

/// The catalog of one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    generation: u64,
    pub(super) directory: Directory,
    pub(super) files: Files,
}

impl Catalog {
    /// Makes the catalog of a node.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the descriptors that are built in cannot be read.
    pub(in crate::edge) fn new(invoker: &Invoker) -> Result<Self> {
        let api = Files::of_the_api()?;
        let first = Snapshot::make(invoker, &api);
        first.warn(None);
        Ok(Self(Arc::new(Inner {
            invoker: invoker.clone(),
            api,
            current: ArcSwap::from_pointee(first),
            making: Mutex::new(()),
        })))
    }

    /// What is served now.
    pub(super) fn current(&self) -> Arc<Snapshot> {
        let Inner {
            invoker,
            api,
            current,
            making,
        } = &*self.0;
        let found = current.load_full();
        if found.generation == invoker.catalog_version() {
            return found;
        }
        let _making = making.lock().unwrap_or_else(PoisonError::into_inner);
        let found = current.load_full();
        if found.generation == invoker.catalog_version() {
            return found;
        }
        let made = Arc::new(Snapshot::make(invoker, api));
        made.warn(Some(&found));
        current.store(Arc::clone(&made));
        made
    }
}

impl Snapshot {
    fn make(invoker: &Invoker, api: &Files) -> Self {
        // Read first: what comes in between is seen the next time.
        let generation = invoker.catalog_version();
        let services = invoker.services();
        let directory = Directory::new(services.iter().map(|facts| {
            let definition = &facts.definition;
            let description = facts.effective.description.as_str();
            (definition.name(), &**definition.declaration(), description)
        }));
        let mut files = api.clone();
        for (package, methods) in directory.packages() {
            files.add_encoded(&descriptor(package, methods));
        }
        Self {
            generation,
            directory,
            files,
        }
    }

    /// Says which services have no typed method although they declare something, unless that was said before.
    fn warn(&self, before: Option<&Self>) {
        for (service, note) in self.directory.notes() {
            let said =
                before.is_some_and(|before| before.directory.note(service.as_str()) == Some(note));
            if !said && note != crate::codec::typed::UNDECLARED {
                tracing::warn!(%service, "no typed method: {note}");
            }
        }
    }
}
