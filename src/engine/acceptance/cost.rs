//! The cost of a request: what it can cause at most, known and checked when it is accepted.

use std::time::Duration;

use crate::engine::limits::Limits;
use crate::engine::store::Store;
use crate::model::access::Principal;
use crate::model::error::{Error, Result, reason};
use crate::model::invocation::Invocation;

/// How soon a call may be retried that a pending limit refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many invocations a request can cause.
///
/// Its bytes are bounded by the message limit, its retries by [`RetryPolicy`](crate::model::invocation::RetryPolicy)
/// (attempts, and a shortest backoff), and its followers by the limits of streams.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Those that are stored with it: itself, and its members.
    accepted: usize,
    /// The callbacks that they promise. A callback has none of its own.
    promised: usize,
}

impl Cost {
    /// Adds an invocation that the request asks for.
    pub(super) fn add(&mut self, invocation: &Invocation) {
        self.accepted += 1;
        self.promised += invocation.request.promised_callbacks();
    }

    /// The cost of one invocation.
    pub(super) fn of(invocation: &Invocation) -> Self {
        let mut cost = Self::default();
        cost.add(invocation);
        cost
    }

    /// Checks the cost of a request by itself.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `COST_LIMIT`.
    pub(super) fn check(self, limits: &Limits) -> Result<()> {
        let Self { accepted, promised } = self;
        let limit = limits.caused_invocations;
        if accepted + promised <= limit {
            return Ok(());
        }
        let message = format!(
            "the request asks for {accepted} invocations and {promised} callbacks; one request causes at most {limit}"
        );
        Err(Error::invalid_argument(reason::COST_LIMIT, message)
            .with_info("caused_invocations", limit))
    }

    /// Checks whether the node may have as many more pending invocations.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `PENDING_LIMIT`.
    pub(super) fn check_room(self, store: &dyn Store, limits: &Limits) -> Result<()> {
        let more = self.accepted + self.promised;
        let limit = limits.node_pending;
        match store.total_pending_count().saturating_add(more) > limit {
            true => Err(too_many_pending("in all, with promised callbacks,", limit)),
            false => Ok(()),
        }
    }
}

/// Checks whether a principal may have as many more pending invocations.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `PENDING_LIMIT`.
pub(super) fn check_principal(
    store: &dyn Store,
    principal: &Principal,
    limit: usize,
    more: usize,
) -> Result<()> {
    let pending = store.pending_count_of(principal);
    if more == 0 || pending.saturating_add(more) <= limit {
        return Ok(());
    }
    let message = format!(
        "`{principal}` may have {limit} pending invocations, has {pending} and asks for {more} more"
    );
    let refused = Error::resource_exhausted(reason::PENDING_LIMIT, message)
        .with_info("principal", principal)
        .with_info("principal_pending", limit);
    Err(match more > limit {
        // It never fits.
        true => refused.with_retryable(false),
        false => refused.with_retry_after(RETRY_AFTER),
    })
}

/// `RESOURCE_EXHAUSTED` / `PENDING_LIMIT`.
pub(super) fn too_many_pending(of: &str, limit: usize) -> Error {
    let message = format!("{limit} invocations {of} are already pending");
    Error::resource_exhausted(reason::PENDING_LIMIT, message)
        .with_info("pending", limit)
        .with_retry_after(RETRY_AFTER)
}
