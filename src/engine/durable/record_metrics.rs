//! What the metrics of a service count of a record: an invocation that ended, or an attempt that another one follows.

use crate::engine::events::{NodeEventKind, kind_of};
use crate::engine::metrics::{InvocationKind, OutcomeKind, ServiceMetrics};
use crate::engine::store::Record;
use crate::model::error::{Error, Kind};
use crate::model::invocation::{Invocation, State};

/// Counts a record that the store has taken.
pub(super) fn count(metrics: &ServiceMetrics, invocation: &Invocation, record: &Record) {
    match kind_of(invocation, record) {
        Some(NodeEventKind::AttemptFailed) => metrics.retried(),
        Some(NodeEventKind::InvocationEnded) => {
            let kind = match invocation.request.terms.in_reply_to {
                Some(_) => InvocationKind::Callback,
                None => InvocationKind::Async,
            };
            let outcome = match record.state {
                State::Succeeded => return metrics.ended(kind, OutcomeKind::Succeeded, None),
                State::Cancelled => OutcomeKind::Cancelled,
                State::Expired => OutcomeKind::Expired,
                State::Failed | State::Pending { .. } | State::Running { .. } => {
                    OutcomeKind::Failed
                }
            };
            let error = record.failure().map_or(Kind::Unknown, Error::kind);
            metrics.ended(kind, outcome, Some(error));
        }
        _ => {}
    }
}
