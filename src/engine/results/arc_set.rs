//! A set of shared values, compared by identity: mostly one, sometimes thousands.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The set. One value needs no allocation; inserting and removing take the same time however many there are.
#[derive(Debug, Default)]
pub(super) enum ArcSet<T> {
    #[default]
    Empty,
    One(Arc<T>),
    Many(Box<Many<T>>),
}

#[derive(Debug)]
pub(super) struct Many<T>(HashSet<ByIdentity<T>, RandomState>);

#[derive(Debug)]
struct ByIdentity<T>(Arc<T>);

impl<T> PartialEq for ByIdentity<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for ByIdentity<T> {}

impl<T> Hash for ByIdentity<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl<T> ArcSet<T> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    pub(super) fn insert(&mut self, value: Arc<T>) {
        match self {
            Self::Empty => *self = Self::One(value),
            Self::One(one) if Arc::ptr_eq(one, &value) => {}
            Self::One(one) => {
                let both = [Arc::clone(one), value];
                let both = both.into_iter().map(ByIdentity).collect();
                *self = Self::Many(Box::new(Many(both)));
            }
            Self::Many(many) => {
                many.0.insert(ByIdentity(value));
            }
        }
    }

    pub(super) fn remove(&mut self, value: &Arc<T>) {
        let is_empty = match self {
            Self::Empty => true,
            Self::One(one) => Arc::ptr_eq(one, value),
            Self::Many(many) => {
                many.0.remove(&ByIdentity(Arc::clone(value)));
                many.0.is_empty()
            }
        };
        if is_empty {
            *self = Self::Empty;
        }
    }

    /// The values, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        let (one, many) = match self {
            Self::Empty => (None, None),
            Self::One(one) => (Some(one), None),
            Self::Many(many) => (None, Some(many.0.iter())),
        };
        let many = many.into_iter().flatten().map(|ByIdentity(value)| value);
        one.into_iter().chain(many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_inserted_once_and_removed_by_identity() {
        let mut set = ArcSet::default();
        let values: Vec<Arc<u8>> = (0..3).map(|_| Arc::new(1)).collect();
        for (count, value) in values.iter().enumerate() {
            set.insert(Arc::clone(value));
            set.insert(Arc::clone(value));
            assert_eq!(set.iter().count(), count + 1);
        }
        set.remove(&Arc::new(1));
        for (removed, value) in values.iter().enumerate() {
            assert!(!set.is_empty() && set.iter().any(|one| Arc::ptr_eq(one, value)));
            set.remove(value);
            assert_eq!(set.iter().count(), values.len() - removed - 1);
        }
        assert!(set.is_empty());
    }
}
