//! Application state, which handlers extract by type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::service::call::HandlerNames;

/// The states that a handler requires.
#[derive(Clone, Debug, Default)]
pub struct Requirements(Vec<(TypeId, &'static str)>);

impl Requirements {
    /// Adds the state of a type.
    pub fn add<T: 'static>(&mut self) {
        self.0.push((TypeId::of::<T>(), type_name::<T>()));
    }

    /// The names of the required types that are missing.
    #[doc(hidden)]
    pub fn missing<'a>(&'a self, states: &'a States) -> impl Iterator<Item = &'static str> + 'a {
        self.0
            .iter()
            .filter(|(id, _)| !states.values.contains_key(id))
            .map(|(_, name)| *name)
    }
}

/// The states of a node, one of each type, and the names of its handlers.
#[derive(Default)]
pub struct States {
    values: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    handlers: Arc<HandlerNames>,
}

impl States {
    /// Adds a state, and replaces one of the same type.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, state: T) {
        self.values.insert(TypeId::of::<T>(), Box::new(state));
    }

    pub(super) fn get<T: Clone + 'static>(&self) -> Option<T> {
        self.values.get(&TypeId::of::<T>())?.downcast_ref().cloned()
    }

    /// Sets the names of the handlers, which typed calls look up.
    pub(crate) fn set_handler_names(&mut self, handlers: Arc<HandlerNames>) {
        self.handlers = handlers;
    }

    pub(super) fn handler_names(&self) -> &HandlerNames {
        &self.handlers
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.values.len())
    }
}
