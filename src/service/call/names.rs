//! The names of the handlers of one process, by which typed calls find their services.

use std::any::TypeId;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::id::ServiceName;

/// The names of the handlers of one process, by their types.
#[derive(Debug, Default)]
pub struct HandlerNames(HashMap<TypeId, Vec<ServiceName>, RandomState>);

impl HandlerNames {
    /// Adds a handler under a name.
    pub(crate) fn add(&mut self, handler: TypeId, name: ServiceName) {
        self.0.entry(handler).or_default().push(name);
    }

    pub(super) fn of(&self, handler: TypeId) -> &[ServiceName] {
        self.0.get(&handler).map_or(&[], Vec::as_slice)
    }
}
