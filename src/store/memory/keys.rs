//! What invocations are found by.

use jiff::Timestamp;

use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;

/// A key of a service's.
pub(super) type Key = (ServiceName, String);

/// The key under which an invocation is accepted once.
pub(super) fn key_of(invocation: &Invocation) -> Option<&String> {
    invocation.request.terms.idempotency_key.as_ref()
}

/// When the time of a pending one is over, if ever.
pub(super) fn over_of(invocation: &Invocation) -> Option<(Timestamp, Cid)> {
    let request = &invocation.request;
    let over = invocation.expires_at()?;
    (!invocation.state.is_terminal()).then_some((over, request.cid))
}

/// The service and the key that it runs alone with.
pub(super) fn queue_of(invocation: &Invocation) -> Option<Key> {
    let request = &invocation.request;
    let key = request.terms.concurrency_key.clone()?;
    Some((request.service.clone(), key))
}
