//! Application state, which handlers extract by type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;

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
            .filter(|(id, _)| !states.0.contains_key(id))
            .map(|(_, name)| *name)
    }
}

/// The states of a node, one of each type.
#[derive(Default)]
pub struct States(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl States {
    /// Adds a state, and replaces one of the same type.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, state: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(state));
    }

    pub(super) fn get<T: Clone + 'static>(&self) -> Option<T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref().cloned()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}
