//! The registry of the services of one process.

use std::collections::BTreeMap;

use tower_layer::Layer;
use tower_service::Service;

use crate::model::error::{BoxError, Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::payload::Reply;
use crate::service::call::HandlerNames;
use crate::service::definition::{Definition, HandlerRequest, HandlerService};
use crate::service::handler::Handler;

/// A registry of services, for a module that defines several. It is added to a node or a worker with `register`.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<ServiceName, Definition>);

impl Registry {
    /// Creates an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service: a name and a handler.
    ///
    /// # Errors
    ///
    /// As for [`register`](Self::register), and where the name is invalid.
    pub fn service<Args>(&mut self, name: &str, handler: impl Handler<Args>) -> Result<()> {
        self.register(Definition::new(name, handler)?)
    }

    /// Adds declared services: a [`Definition`], several, or all services of another registry.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS` where a name is taken; `INVALID_ARGUMENT` / `DECLARATION_INVALID`. The
    /// services before the first error are added.
    pub fn register(&mut self, services: impl Into<Vec<Definition>>) -> Result<()> {
        let mut services = services.into().into_iter();
        services.try_for_each(|definition| self.insert(definition))
    }

    fn insert(&mut self, definition: Definition) -> Result<()> {
        let definition = definition.prepared()?;
        let name = definition.name().clone();
        if self.0.contains_key(&name) {
            let message = format!("there are two services with the name `{name}`");
            return Err(Error::already_exists(reason::SERVICE_EXISTS, message));
        }
        self.0.insert(name, definition);
        Ok(())
    }

    /// Wraps the handlers of all services that have been added in a tower layer: see [`Definition::layer`].
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<HandlerService>,
        L::Service: Service<HandlerRequest, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<BoxError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        let services = self.0.into_iter();
        let layered = services.map(|(name, definition)| (name, definition.layer(&layer)));
        Self(layered.collect())
    }

    /// Adds demo services.
    ///
    /// # Errors
    ///
    /// As for [`register`](Self::register).
    pub(crate) fn add_demos(&mut self, demos: Self) -> Result<()> {
        demos
            .into_iter()
            .try_for_each(|definition| self.insert(definition.demo()))
    }

    /// The names of the handlers.
    pub(crate) fn handler_names(&self) -> HandlerNames {
        let mut names = HandlerNames::default();
        for definition in self.iter() {
            if let Some(handler) = definition.handler_type() {
                names.add(handler, definition.name().clone());
            }
        }
        names
    }

    /// The services, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.0.values()
    }
}

impl IntoIterator for Registry {
    type Item = Definition;
    type IntoIter = std::collections::btree_map::IntoValues<ServiceName, Definition>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values()
    }
}

impl From<Registry> for Vec<Definition> {
    fn from(registry: Registry) -> Self {
        registry.into_iter().collect()
    }
}

impl From<Definition> for Vec<Definition> {
    fn from(definition: Definition) -> Self {
        vec![definition]
    }
}
