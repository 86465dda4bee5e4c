//! Examples of counts: the message of a failure for each of the most frequent summaries.

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::engine::results::lookup::CONCURRENT_READS;
use crate::engine::store::{BoundedRead, Store, Stored};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::invocation::{Summaries, Summary};

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

/// The `max` most frequent summaries, with the failure messages of their examples.
///
/// # Errors
///
/// The errors of the store.
pub(in crate::engine) async fn with_examples(
    store: &dyn Store,
    all: Summaries,
    max: usize,
) -> Result<InvocationSummaries> {
    let total = all.total();
    let summaries = futures_util::stream::iter(all.most_frequent(max)).map(async |one| {
        let has_failed = one.key.failure_reason.is_some();
        let message = match has_failed {
            true => failure_message(store, one.count.example).await?,
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
async fn failure_message(store: &dyn Store, cid: Cid) -> Result<Option<String>> {
    let read = store.get_up_to(cid, MAX_EXAMPLE_BYTES).await?;
    Ok(match read {
        BoundedRead::Read(Stored::Found(found)) => {
            found.failure().map(|failure| beginning(failure.message()))
        }
        BoundedRead::Read(Stored::Removed(_) | Stored::Unknown) | BoundedRead::Larger(_) => None,
    })
}

fn beginning(message: &str) -> String {
    let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
    match message.get(..end) {
        Some(kept) if kept.len() < message.len() => format!("{kept}…"),
        _ => message.to_owned(),
    }
}
