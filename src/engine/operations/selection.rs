//! Which invocations a filter selects: what the store matches, and what only the node knows.

use crate::codec::convert::{filter_from_proto, state_to_proto};
use crate::codec::proto::v1;
use crate::engine::results::lookup::InvocationView;
use crate::engine::store::Filter;
use crate::model::error::Result;

/// A filter of invocations, as it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What the store matches.
    pub filter: Filter,
    /// The store does not tell pending invocations from those that run here, and knows no pending reasons: both are
    /// matched again.
    states: Vec<i32>,
    pending_reasons: Vec<i32>,
}

impl Selection {
    /// Reads a filter whose lists have up to `max_values`; without one, all invocations match.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
    pub fn parse(filter: Option<v1::InvocationFilter>, max_values: usize) -> Result<Self> {
        let (states, pending_reasons) = filter.as_ref().map_or_else(Default::default, |filter| {
            (filter.states.clone(), filter.pending_reasons.clone())
        });
        Ok(Self {
            filter: filter_from_proto(filter, max_values)?,
            states,
            pending_reasons,
        })
    }

    /// Those of ended invocations that were not retried, and with `or_held` what is held besides.
    pub(super) fn not_retried(mut self, or_held: bool) -> Self {
        self.filter.not_retried = true;
        if or_held {
            self.filter.include_held = true;
            self.states.push(v1::State::Pending.into());
        }
        self
    }

    /// Whether the store alone can count what matches: it knows no pending reasons but that of held invocations.
    #[must_use]
    pub fn is_known_to_the_store(&self) -> bool {
        self.pending_reasons.is_empty() || self.filter.held
    }

    /// Whether an invocation that the store matched does match as it stands.
    #[must_use]
    pub fn matches(&self, found: &InvocationView) -> bool {
        let state = i32::from(state_to_proto(found.invocation.shown_state()));
        let reason = i32::from(found.pending_reason());
        (self.states.is_empty() || self.states.contains(&state))
            && (self.pending_reasons.is_empty() || self.pending_reasons.contains(&reason))
    }
}
