//! What follows from an outcome: callbacks, accepted together with it.

use jiff::Timestamp;

use crate::dict;
use crate::engine::Invoker;
use crate::engine::hub::next_sequence;
use crate::model::error::Error;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{EventKind, InReplyTo, Invocation, Request};
use crate::model::payload::Payload;
use crate::model::value::{Dict, Value};

impl Invoker {
    /// The invocations of the callbacks of one that ends with this event.
    pub(super) fn callbacks(
        &self,
        invocation: &Invocation,
        last: Option<&EventKind>,
        attempt: u32,
        now: Timestamp,
    ) -> Vec<Invocation> {
        let terms = &invocation.request.terms;
        let (services, input) = match last {
            Some(EventKind::Succeeded(reply)) => (&terms.callbacks, reply.payload.clone()),
            Some(
                EventKind::Failed(error) | EventKind::Cancelled(error) | EventKind::Expired(error),
            ) => (&terms.failure_callbacks, described(error)),
            _ => return Vec::new(),
        };
        let call = |service: &ServiceName| {
            let request = &invocation.request;
            let mut next = Request::new(Cid::new(), service.clone(), input.clone(), now);
            next.parent = Some(request.cid);
            next.root = request.root;
            next.terms.in_reply_to = Some(InReplyTo {
                cid: request.cid,
                service: request.service.clone(),
                attempt,
            });
            Invocation::accepted(next, next_sequence(0, self.0.store.generation()))
        };
        services.iter().map(call).collect()
    }

    /// Tells lanes and followers of what was accepted together with an outcome.
    pub(super) fn begin_callbacks(&self, followed_by: &[Invocation]) {
        for next in followed_by {
            self.0.hub.ring(next.request.cid);
            if let Ok(route) = self.0.routes.find(next.request.service.as_str()) {
                self.wake(&route);
            }
        }
    }
}

/// A failure as the payload of a callback.
fn described(error: &Error) -> Payload {
    let violations = error.field_violations().iter().map(|violation| {
        dict! {
            "path": violation.path.as_str(),
            "code": &*violation.code,
            "message": violation.message.as_str(),
        }
    });
    dict! {
        "code": error.kind().name(),
        "reason": error.reason(),
        "message": error.message(),
        "retryable": error.is_retryable(),
        "violations": Value::List(violations.map(Dict::into).collect()),
    }
    .into()
}
