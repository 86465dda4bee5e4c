//! What a principal may use of a node.

use crate::model::rate::Rate;

/// What a principal may use of a node. `None`: what the node allows each principal, or any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many calls are taken: in a time, and at once.
    pub rate: Option<Rate>,
    /// How many synchronous calls are in flight at once.
    pub in_flight: Option<usize>,
    /// How many of its invocations may be pending.
    pub pending: Option<usize>,
}

impl Quota {
    /// This quota, with another one where it says nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            rate: self.rate.or(other.rate),
            in_flight: self.in_flight.or(other.in_flight),
            pending: self.pending.or(other.pending),
        }
    }

    /// Whether it says nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.rate.is_none() && self.in_flight.is_none() && self.pending.is_none()
    }
}
