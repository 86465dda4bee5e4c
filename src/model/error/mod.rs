//! The one error type of the crate.

mod builder;
mod detail;
mod kind;
pub mod reason;
mod trace;
mod violation;

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt};

pub use self::detail::Detail;
pub use self::kind::{Kind, Retry};
pub use self::violation::{Violation, push_segment};
use crate::model::cid::Cid;

/// What fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, described once for programs and once for people.
///
/// Match on [`kind`](Self::kind) or [`reason`](Self::reason); the message may change at any time.
///
/// ```
/// use cidery::{Error, Kind};
///
/// let error = Error::not_found("CUSTOMER_UNKNOWN", "there is no customer 7");
/// assert_eq!(error.kind(), Kind::NotFound);
/// assert_eq!(error.reason(), "CUSTOMER_UNKNOWN");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    reason: Cow<'static, str>,
    message: String,
    /// What the handler says; beats what the kind says.
    retryable: Option<bool>,
    retry_delay: Option<Duration>,
    cid: Option<Cid>,
    violations: Vec<Violation>,
    info: Vec<(Cow<'static, str>, String)>,
    details: Vec<Detail>,
    /// How it came about. Logged and kept, never part of an answer.
    trace: Option<Box<str>>,
    /// Logged, never sent.
    source: Option<Arc<dyn error::Error + Send + Sync>>,
    /// Where the error was made. Logged, never sent.
    location: &'static Location<'static>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
                Self::new(Kind::$kind, reason, message)
            }
        )*
    };
}

impl Error {
    /// Makes an error of any kind. `reason` is stable and `UPPER_SNAKE_CASE`; `message` is for people: lower case, no
    /// full stop.
    #[track_caller]
    pub fn new(
        kind: Kind,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            reason: reason.into(),
            message: message.into(),
            retryable: None,
            retry_delay: None,
            cid: None,
            violations: Vec::new(),
            info: Vec::new(),
            details: Vec::new(),
            trace: None,
            source: None,
            location: Location::caller(),
        }))
    }

    constructors! {
        /// Another one was faster; start again from the reading.
        aborted => Aborted;
        /// Something to be made exists.
        already_exists => AlreadyExists;
        /// Cancelled, by the caller or by someone who may.
        cancelled => Cancelled;
        /// Time ran out.
        deadline_exceeded => DeadlineExceeded;
        /// The state of the system does not allow it.
        failed_precondition => FailedPrecondition;
        /// A defect.
        internal => Internal;
        /// The input is wrong, whatever the state of the system.
        invalid_argument => InvalidArgument;
        /// Something asked for does not exist.
        not_found => NotFound;
        /// The caller may not.
        permission_denied => PermissionDenied;
        /// A limit was reached.
        resource_exhausted => ResourceExhausted;
        /// Cannot be had right now; repeat it.
        unavailable => Unavailable;
        /// Not done here.
        unimplemented => Unimplemented;
    }

    /// A failure that a handler did not declare: `INTERNAL` / `HANDLER_FAILED`. The cause is logged, never sent.
    #[track_caller]
    pub fn undeclared(source: impl error::Error + Send + Sync + 'static) -> Self {
        Self::internal(
            reason::HANDLER_FAILED,
            "the service failed; its log has the details",
        )
        .with_source(source)
    }

    /// An input that breaks its declaration: all violations at once.
    #[track_caller]
    pub fn violations(reason: &'static str, violations: Vec<Violation>) -> Self {
        let mut error = Self::invalid_argument(reason, summary(&violations));
        error.0.violations = violations;
        error
    }

    /// What is wrong, as part of something larger: each violation below `path`, or one there where there are none.
    #[must_use]
    pub fn violations_at(&self, path: &str) -> Vec<Violation> {
        let fields = self.field_violations();
        if fields.is_empty() {
            let code = self.reason().to_owned();
            return vec![Violation::new(path, code, self.message())];
        }
        let below = fields.iter().map(|field| {
            let path = format!("{path}{}", field.path);
            Violation::new(path, field.code.clone(), field.message.clone())
        });
        below.collect()
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The message, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// All that is wrong with the input.
    #[must_use]
    pub fn field_violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// What the handler said about repeats, if it said anything.
    #[must_use]
    pub fn retryable_mark(&self) -> Option<bool> {
        self.0.retryable
    }

    /// When a repeat may help, at the earliest.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_delay
    }

    /// The invocation that failed.
    #[must_use]
    pub fn cid(&self) -> Option<Cid> {
        self.0.cid
    }

    /// Facts for programs.
    #[must_use]
    pub fn info(&self) -> &[(Cow<'static, str>, String)] {
        &self.0.info
    }

    /// The value of a fact.
    #[must_use]
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.0
            .info
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Protobuf messages handed on as they are.
    #[must_use]
    pub fn details(&self) -> &[Detail] {
        &self.0.details
    }

    /// Where the error was made, for the log.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }

    /// Whether the same request, sent again, may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let by_kind = self.0.retry_delay.is_some() || self.0.kind.retry() != Retry::No;
        self.0.retryable.unwrap_or(by_kind)
    }

    /// Whether the request certainly had no effect, so that a repeat is safe.
    #[must_use]
    pub fn has_no_side_effects(&self) -> bool {
        self.0.kind.retry() == Retry::Yes
    }
}

fn summary(violations: &[Violation]) -> String {
    match violations {
        [] => "the input is wrong".to_owned(),
        [one] => one.to_string(),
        [one, rest @ ..] => format!("{one}, and {} more", rest.len()),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            reason,
            message,
            violations,
            source,
            location,
            ..
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("reason", reason)
            .field("message", message)
            .field("violations", violations)
            .field("source", source)
            .field("location", &format_args!("{location}"))
            .finish_non_exhaustive()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn error::Error + 'static))
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handlers_mark_beats_the_kind() {
        let error = Error::invalid_argument("X", "x");
        assert!(!error.is_retryable());
        assert!(error.with_retryable(true).is_retryable());
        let error = Error::unavailable("X", "x").with_retryable(false);
        assert!(!error.is_retryable());
    }

    #[test]
    fn only_what_failed_before_it_began_has_no_side_effects() {
        assert!(Error::unavailable("X", "x").has_no_side_effects());
        assert!(!Error::internal("X", "x").has_no_side_effects());
    }

    #[test]
    fn the_cause_is_kept_but_not_shown() {
        let error = Error::undeclared(fmt::Error);
        assert!(!error.to_string().contains(&fmt::Error.to_string()));
        assert!(error::Error::source(&error).is_some());
    }
}
