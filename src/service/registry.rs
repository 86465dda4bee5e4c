//! The registry of the services of one process.

use std::collections::BTreeMap;

use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::service::definition::Definition;
use crate::service::handler::Handler;
use crate::service::typed::Service;

/// Services by name, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<ServiceName, Definition>);

impl Registry {
    /// Creates an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service with a name, a handler and default options.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add), and where the name is invalid.
    pub fn service<Args>(&mut self, name: &str, handler: impl Handler<Args>) -> Result<()> {
        self.add(Definition::new(name, handler)?)
    }

    /// Adds a service that is implemented as a type.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add), and where the name is invalid.
    pub fn serve(&mut self, service: impl Service) -> Result<()> {
        self.add(service.define()?)
    }

    /// Adds a service.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS` where the name is taken; `INVALID_ARGUMENT` / `DECLARATION_INVALID`.
    pub fn add(&mut self, definition: Definition) -> Result<()> {
        let definition = definition.prepared()?;
        let name = definition.name().clone();
        if self.0.contains_key(&name) {
            let message = format!("there are two services with the name `{name}`");
            return Err(Error::already_exists(reason::SERVICE_EXISTS, message));
        }
        self.0.insert(name, definition);
        Ok(())
    }

    /// Adds demo services.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub(crate) fn add_demos(&mut self, demos: Self) -> Result<()> {
        demos
            .into_iter()
            .try_for_each(|definition| self.add(definition.demo()))
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
