//! Summaries of stored invocations: counted by the store in parts, with an example of each count.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::maintenance::Maintenance;
use crate::engine::results::lookup::CONCURRENT_READS;
use crate::engine::store::{BoundedRead, Filter, Stored};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::invocation::{State, Summaries, Summary};

/// The message of a larger example is left out.
const MAX_EXAMPLE_BYTES: usize = 1 << 20;
/// How many bytes of a message are shown.
const MAX_MESSAGE_BYTES: usize = 1_024;

/// The most frequent summaries of a filter.
#[derive(Clone, Debug, Default)]
pub struct InvocationSummaries {
    /// Those first, each with the failure message of its example, if that failed.
    pub summaries: Vec<(Summary, Option<String>)>,
    /// How many invocations match in all.
    pub total: u64,
}

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

    /// The `max` most frequent summaries, with the failure messages of their examples.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::engine) async fn with_examples(
        &self,
        all: Summaries,
        max: usize,
    ) -> Result<InvocationSummaries> {
        let total = all.total();
        let summaries = futures_util::stream::iter(all.most_frequent(max)).map(async |one| {
            let has_failed = one.key.failure_reason.is_some();
            let message = match has_failed {
                true => self.failure_message(one.count.example).await?,
                false => None,
            };
            Ok::<_, Error>((one, message))
        });
        Ok(InvocationSummaries {
            summaries: summaries.buffered(CONCURRENT_READS).try_collect().await?,
            total,
        })
    }

    /// The message of the last failure of an invocation. `None` if it is gone by now, or large.
    async fn failure_message(&self, cid: Cid) -> Result<Option<String>> {
        let read = self.store.get_up_to(cid, MAX_EXAMPLE_BYTES).await?;
        Ok(match read {
            BoundedRead::Read(Stored::Found(found)) => {
                found.failure().map(|failure| beginning(failure.message()))
            }
            BoundedRead::Read(Stored::Removed(_) | Stored::Unknown) | BoundedRead::Larger(_) => {
                None
            }
        })
    }
}

fn beginning(message: &str) -> String {
    let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
    match message.get(..end) {
        Some(kept) if kept.len() < message.len() => format!("{kept}…"),
        _ => message.to_owned(),
    }
}
