//! Failures as values: what callbacks get, what HTTP answers, and what the command line prints for programs.

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

/// `error` in docs/cli.schema.json.
#[must_use]
pub(crate) fn error_object(error: &Error) -> Value {
    let mut object = failure_dict(error);
    let retry_delay = error.retry_after().map(|delay| delay.as_secs_f64());
    object.insert("retry_delay", retry_delay);
    object.insert("cid", error.cid().map(|cid| cid.to_string()));
    object.insert("causes", causes(error).map(Value::Text).collect::<Vec<_>>());
    object.into()
}

/// The causes of an error in this process, from the first to the last.
pub(crate) fn causes(error: &Error) -> impl Iterator<Item = String> {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |cause| cause.source()).map(ToString::to_string)
}
