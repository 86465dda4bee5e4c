//! What lies before an invocation that has not ended: its attempts, its place in the queue, who holds its key.

use super::lookup::{InvocationView, Results};
use crate::model::id::Cid;
use crate::model::invocation::{HELD, State};

/// How many invocations are counted before another one, so that the answer stays cheap however long the queue is.
const MAX_AHEAD: usize = 1_000;

/// What lies before an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// How many attempts it has at most, the first one included.
    pub max_attempts: u32,
    /// How many invocations of its service are started before it, while it is due and does not wait for its key: at
    /// most 1 001, which stands for more than 1 000.
    pub ahead: Option<usize>,
    /// The invocation that holds its concurrency key, while it waits for the key.
    pub key_holder: Option<Cid>,
    /// Whether no attempt would start, whatever else it waits for ([`InvocationView::paused`]).
    pub paused: bool,
}

impl Results {
    /// What lies before an invocation.
    pub(in crate::engine) async fn outlook(&self, view: &InvocationView) -> Outlook {
        let invocation = &view.invocation;
        let request = &invocation.request;
        let own = request.terms.retry_policy.as_ref();
        let max_attempts = own.map(|policy| policy.max_attempts).or_else(|| {
            let route = self.routes().get(request.service.as_str())?;
            Some(route.options.retry_policy.max_attempts)
        });
        let max_attempts = match request.terms.at_most_once {
            true => 1,
            false => max_attempts.unwrap_or_else(|| self.routes().limits().attempts),
        };
        let is_pending = matches!(invocation.shown_state(), State::Pending { .. });
        let waits = is_pending && view.due && invocation.due < HELD;
        let place = match waits {
            // A store that is damaged elsewhere still has this invocation.
            true => self
                .store()
                .queue_place(invocation, MAX_AHEAD + 1)
                .await
                .ok(),
            false => None,
        };
        Outlook {
            max_attempts,
            // One that waits for its key has no place yet.
            ahead: place
                .filter(|place| place.key_holder.is_none())
                .map(|place| place.ahead),
            key_holder: place.and_then(|place| place.key_holder),
            paused: is_pending && view.paused,
        }
    }
}
