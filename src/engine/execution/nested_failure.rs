//! The failure of a nested call, as the cause of the failure of its caller.
//!
//! A handler often returns the failure of a nested call with `?`. Its trace says which service failed, and why. In a
//! worker the handler does not get the trace of the nested call, so that the node adds it.

use std::sync::{Mutex, PoisonError};

use crate::model::error::Error;

/// The last failure of a nested call that a handler made.
#[derive(Debug, Default)]
pub(in crate::engine) struct NestedFailure(Mutex<Option<Box<Failed>>>);

#[derive(Debug)]
struct Failed {
    service: String,
    error: Error,
}

impl NestedFailure {
    /// Keeps a failure of a nested call.
    pub(in crate::engine) fn set(&self, service: &str, error: &Error) {
        let failed = Failed {
            service: service.to_owned(),
            error: error.clone(),
        };
        // Every change is one assignment.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Box::new(failed));
    }

    /// Adds the nested call to the trace of a failure, where the handler passed the failure of that call on.
    pub(in crate::engine) fn explain(&self, error: Error) -> Error {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(nested) = last.as_deref().filter(|last| is_same(&last.error, &error)) else {
            return error;
        };
        let (service, reason) = (&nested.service, nested.error.reason());
        let message = nested.error.truncated_message();
        let mut trace = format!("called `{service}`, which failed: {message} ({reason})");
        let of_nested = nested.error.trace();
        for line in of_nested.iter().flat_map(|trace| trace.lines()) {
            trace.push_str("\n  ");
            trace.push_str(line);
        }
        // What the handler itself added, such as the context of `anyhow` or a traceback.
        if let Some(own) = error.trace().filter(|own| Some(own) != of_nested.as_ref()) {
            trace = format!("{own}\n{trace}");
        }
        error.with_trace(trace)
    }
}

fn is_same(nested: &Error, passed_on: &Error) -> bool {
    nested.kind() == passed_on.kind()
        && nested.reason() == passed_on.reason()
        && nested.message() == passed_on.message()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_failure_that_is_passed_on_is_explained() {
        let failed = Error::not_found("NO_STOCK", "nothing is left").with_trace("a\nb");
        let last = NestedFailure::default();
        last.set("stock.get", &failed);
        let called = "called `stock.get`, which failed: nothing is left (NO_STOCK)\n  a\n  b";
        // The trace is lost on the way through a worker, and kept in a node.
        let passed_on = Error::not_found("NO_STOCK", "nothing is left");
        for passed_on in [passed_on.clone(), failed] {
            assert_eq!(last.explain(passed_on).trace().unwrap(), called);
        }
        let in_context = passed_on.with_trace("placing an order");
        let expected = format!("placing an order\n{called}");
        assert_eq!(last.explain(in_context).trace().unwrap(), expected);
        let own = Error::not_found("NO_STOCK", "another one");
        assert_eq!(last.explain(own).trace(), None);
    }
}
