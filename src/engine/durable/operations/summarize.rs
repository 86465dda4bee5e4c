//! Summaries of stored invocations: counted by the store in parts.

use std::collections::HashSet;
use std::sync::Arc;

use super::maintenance::Maintenance;
use crate::engine::store::Filter;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{State, Summaries, Summary};

impl Maintenance {
    /// Counts the invocations that match a filter. In a filter, [`State::Running`] stands for what runs here.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::engine) async fn summarize(&self, filter: Filter) -> Result<Summaries> {
        let running: Arc<HashSet<Cid>> = Arc::new(self.hub.live_cids().into_iter().collect());
        let (states, include_held) = (filter.states.clone(), filter.include_held);
        // Of the invocations that are stored as pending, some run.
        let is_wanted = |state: State| {
            let mut wanted = states.iter();
            states.is_empty()
                || wanted.any(|one| std::mem::discriminant(one) == std::mem::discriminant(&state))
        };
        let filter = self.stored_filter(filter);
        let (mut all, mut before) = (Summaries::default(), None);
        loop {
            let part = self
                .store
                .summarize(filter.clone(), Arc::clone(&running), before);
            let part = part.await?;
            for Summary { key, count } in part.summaries {
                if is_wanted(key.state) || (include_held && key.held) {
                    all.add(key, &count);
                }
            }
            before = part.next;
            if before.is_none() {
                return Ok(all);
            }
        }
    }
}
