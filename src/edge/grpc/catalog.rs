//! The catalog of a node: a cached snapshot of its typed methods and of the descriptors for reflection.
//!
//! It is updated on the first use after a service was added or removed, so that no response shows outdated services. A
//! worker may bring or take thousands of services: the update runs on a thread of its own, computes only what changed,
//! and merges all changes since the last one. Calls of services that did not change do not wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::descriptor_pool::{DescriptorPool, PoolFile};
use super::visible::{VisiblePools, visible_pool};
use crate::codec::typed::names::SERVICE;
use crate::codec::typed::{Method, MethodDirectory, MethodMatch, Note, descriptor};
use crate::engine::Invoker;
use crate::model::access::Caller;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::service::Definition;

/// The catalog of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    invoker: Invoker,
    /// The built-in files.
    built_in: DescriptorPool,
    current: ArcSwap<Snapshot>,
    /// One caller updates, the others wait.
    update: Mutex<()>,
    visible: VisiblePools,
}

/// The catalog at one version of the services.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    version: u64,
    pub(super) directory: MethodDirectory,
    pub(super) pool: Arc<DescriptorPool>,
    definitions: HashMap<ServiceName, Arc<Definition>, RandomState>,
    files: HashMap<String, PackageFile, RandomState>,
}

/// The file of a package, and the methods that it describes.
#[derive(Debug)]
struct PackageFile {
    methods: Vec<Arc<Method>>,
    file: Arc<PoolFile>,
}

impl Catalog {
    /// Builds the catalog of a node.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the built-in descriptors cannot be decoded.
    pub(in crate::edge) fn new(invoker: &Invoker) -> Result<Self> {
        let built_in = DescriptorPool::built_in()?;
        let first = Snapshot::default().updated(invoker, &built_in);
        first.log_skipped(None);
        Ok(Self(Arc::new(Inner {
            invoker: invoker.clone(),
            built_in,
            current: ArcSwap::from_pointee(first),
            update: Mutex::new(()),
            visible: VisiblePools::default(),
        })))
    }

    /// Whether a path is that of a method: of a gRPC service of the node, or a typed one, as of the last update. With
    /// authentication on, the caller is not known here yet: typed methods are not told.
    pub(in crate::edge) fn has_method(&self, path: &str) -> bool {
        match self.0.invoker.requires_authentication() {
            true => self.0.built_in.has_method(path),
            false => self.0.current.load().pool.has_method(path),
        }
    }

    /// The descriptors of what a caller may invoke, or serve.
    pub(super) async fn visible_to(&self, invoker: &Invoker) -> Arc<DescriptorPool> {
        let current = self.current().await;
        let rights = match invoker.caller() {
            Caller::Trusted => return Arc::clone(&current.pool),
            Caller::Unauthenticated => return Arc::new(self.0.built_in.clone()),
            Caller::Authenticated(identity) => &identity.rights,
        };
        if rights.administer {
            return Arc::clone(&current.pool);
        }
        let version = current.version;
        if let Some(known) = self.0.visible.get(version, rights) {
            return known;
        }
        let make = {
            let (inner, invoker) = (Arc::clone(&self.0), invoker.clone());
            move || {
                let file = |package: &str| current.file(package);
                let pool = visible_pool(&current.directory, file, &inner.built_in, &invoker);
                Arc::new(pool)
            }
        };
        let Some(pool) = self.0.invoker.tasks().compute(make).await else {
            return Arc::new(self.0.built_in.clone());
        };
        self.0.visible.keep(version, rights.clone(), &pool);
        pool
    }

    /// The current snapshot, updated if services have changed.
    pub(super) async fn current(&self) -> Arc<Snapshot> {
        match self.if_current() {
            Some(current) => current,
            None => {
                // A caller that stops waiting does not stop the update.
                let update = Arc::clone(&self.0).update();
                let tasks = self.0.invoker.tasks();
                tasks.run_to_completion("catalog", update).await
            }
        }
    }

    fn if_current(&self) -> Option<Arc<Snapshot>> {
        let current = self.0.current.load_full();
        (current.version == self.0.invoker.catalog_version()).then_some(current)
    }

    /// The method at a path. Only calls of services that have changed wait for an update.
    pub(super) async fn method(&self, path: &str) -> Option<MethodMatch> {
        if let Some(current) = self.if_current() {
            return current.directory.at(path).cloned();
        }
        if let Some(found) = self.unchanged_method(path) {
            self.begin_update();
            return Some(found);
        }
        self.current().await.directory.at(path).cloned()
    }

    /// The typed method whose request or response has a name, as of the last update.
    pub(super) fn method_of_message(&self, name: &str) -> Option<Arc<Method>> {
        let (package, message) = name.rsplit_once('.')?;
        let current = self.0.current.load();
        let methods = current
            .directory
            .of_grpc_service(&format!("{package}.{SERVICE}"))?;
        let is_own = |method: &&Arc<Method>| {
            let own = [&method.request, &method.response];
            own.iter().any(|body| body.message.name == message)
        };
        methods.iter().find(is_own).cloned()
    }

    /// Starts an update in the background, unless one is under way.
    fn begin_update(&self) {
        if self.0.update.try_lock().is_ok() {
            let update = Arc::clone(&self.0).update();
            let tasks = self.0.invoker.tasks();
            tasks.spawn("catalog", async move { drop(update.await) });
        }
    }

    /// The method at a path in the last snapshot, if its service has not changed since.
    fn unchanged_method(&self, path: &str) -> Option<MethodMatch> {
        let snapshot = self.0.current.load();
        let found = snapshot.directory.at(path)?;
        let service = &found.method.service;
        let known = snapshot.definitions.get(service)?;
        let in_force = self.0.invoker.definition(service.as_str()).ok()?;
        Arc::ptr_eq(known, &in_force).then(|| found.clone())
    }
}

impl Inner {
    async fn update(self: Arc<Self>) -> Arc<Snapshot> {
        let _update = self.update.lock().await;
        let before = self.current.load_full();
        if before.version == self.invoker.catalog_version() {
            return before;
        }
        let updated = {
            let (before, this) = (Arc::clone(&before), Arc::clone(&self));
            move || Arc::new(before.updated(&this.invoker, &this.built_in))
        };
        let Some(updated) = self.invoker.tasks().compute(updated).await else {
            return before;
        };
        updated.log_skipped(Some(&before));
        self.current.store(Arc::clone(&updated));
        updated
    }
}

impl Snapshot {
    /// A snapshot of the services as they are now; what has not changed is shared with this one.
    fn updated(&self, invoker: &Invoker, built_in: &DescriptorPool) -> Self {
        // Read before the services: a change in between causes another update.
        let version = invoker.catalog_version();
        let definitions = invoker.definitions();
        let unchanged = |service: &ServiceName| {
            let known = self.definitions.get(service)?;
            let is_same = Arc::ptr_eq(known, definitions.get(service)?);
            is_same.then(|| self.directory.of(service.as_str()).cloned())?
        };
        let services = definitions.values().map(|definition| {
            let description = definition.service_options().description.as_str();
            (definition.name(), &**definition.declaration(), description)
        });
        // The services of the node itself come first, then those that workers announced first.
        let rank = |service: &ServiceName| {
            let definition = definitions.get(service);
            let is_of_workers = definition.is_none_or(|it| it.is_served_by_workers());
            // One that is forgotten meanwhile is the last one.
            let announced = || {
                invoker
                    .announced(service.as_str())
                    .unwrap_or(Timestamp::MAX)
            };
            is_of_workers.then(announced)
        };
        let directory = MethodDirectory::updated(services, unchanged, rank);
        let mut pool = built_in.clone();
        let mut files = HashMap::default();
        for (package, methods) in directory.packages() {
            let known = self.files.get(package);
            let known = known.filter(|known| is_same(&known.methods, methods));
            let file = match known {
                Some(known) => Some(Arc::clone(&known.file)),
                None => PoolFile::decode(&descriptor(package, methods)).map(Arc::new),
            };
            if let Some(file) = file {
                pool.add(&file);
                let methods = methods.to_vec();
                files.insert(package.to_owned(), PackageFile { methods, file });
            }
        }
        Self {
            version,
            directory,
            pool: Arc::new(pool),
            definitions,
            files,
        }
    }

    /// The file of a package.
    fn file(&self, package: &str) -> Option<Arc<PoolFile>> {
        self.files.get(package).map(|known| Arc::clone(&known.file))
    }

    /// Logs which services have a declaration but no typed method, unless the previous snapshot has logged it.
    fn log_skipped(&self, previous: Option<&Self>) {
        for (service, note) in self.directory.notes() {
            let was_logged = previous
                .is_some_and(|previous| previous.directory.note(service.as_str()) == Some(note));
            let is_usual =
                matches!(note, Note::Declaration(why) if why == crate::codec::typed::UNDECLARED);
            if !was_logged && !is_usual {
                tracing::warn!(%service, "no typed method: {note}");
            }
        }
    }
}

/// Whether two lists have the same methods, made once.
fn is_same(before: &[Arc<Method>], now: &[Arc<Method>]) -> bool {
    let pairs = before.iter().zip(now);
    before.len() == now.len() && pairs.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::dict;
    use crate::model::value::Dict;
    use crate::sio::{Int, Sio};
    use crate::store::started_engine;

    fn definition(name: &str) -> Definition {
        let handler = async || -> Dict {
            dict! {}
        };
        let sio = Sio::new().input(Int("id"));
        Definition::new(name, handler).unwrap().sio(sio)
    }

    async fn catalog() -> (Invoker, Catalog) {
        let invoker = started_engine().await;
        for name in ["a.one", "a.two", "b.one"] {
            invoker.add_service(definition(name)).unwrap();
        }
        let catalog = Catalog::new(&invoker).unwrap();
        (invoker, catalog)
    }

    #[tokio::test]
    async fn calls_of_unchanged_services_do_not_wait_for_an_update() {
        let (invoker, catalog) = catalog().await;
        invoker.add_service(definition("b.two")).unwrap();
        // An update that takes long.
        let update = catalog.0.update.lock().await;
        let unchanged = catalog.method("/a.Service/One").now_or_never();
        assert!(unchanged.expect("it waits").is_some());
        let mut added = Box::pin(catalog.method("/b.Service/Two"));
        assert!((&mut added).now_or_never().is_none());
        drop(update);
        assert!(added.await.is_some());
    }

    #[tokio::test]
    async fn a_call_of_an_unchanged_service_starts_the_update() {
        let (invoker, catalog) = catalog().await;
        invoker.add_service(definition("b.two")).unwrap();
        assert!(catalog.if_current().is_none());
        assert!(catalog.method("/a.Service/One").await.is_some());
        let updated = async {
            while catalog.if_current().is_none() {
                tokio::task::yield_now().await;
            }
        };
        let updated = tokio::time::timeout(Duration::from_secs(10), updated).await;
        assert!(updated.is_ok(), "the catalog is not updated");
    }

    #[tokio::test]
    async fn an_update_computes_only_what_changed() {
        let (invoker, catalog) = catalog().await;
        let before = catalog.current().await;
        invoker.add_service(definition("b.two")).unwrap();
        let after = catalog.current().await;
        let file = |snapshot: &Snapshot, package: &str| Arc::clone(&snapshot.files[package].file);
        assert!(Arc::ptr_eq(&file(&before, "a"), &file(&after, "a")));
        assert!(!Arc::ptr_eq(&file(&before, "b"), &file(&after, "b")));
        let method = |snapshot: &Snapshot| Arc::clone(snapshot.directory.of("b.one").unwrap());
        assert!(Arc::ptr_eq(&method(&before), &method(&after)));
    }
}
