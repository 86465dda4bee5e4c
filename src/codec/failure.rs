//! Failures as values: what callbacks get, and what the command line prints for programs.

use crate::dict;
use crate::model::error::Error;
use crate::model::value::{Dict, Value};

/// `code`, `reason`, `message`, `retryable` and `violations` of a failure.
#[must_use]
pub(crate) fn failure_dict(error: &Error) -> Dict {
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
}
