//! The one error type of the crate.

mod builder;
mod debug;
mod detail;
mod foreign;
mod kind;
mod list_limits;
pub mod reason;
mod trace;
mod violation;
mod violations;

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt};

pub use self::detail::Detail;
pub(crate) use self::foreign::PANICKED;
pub use self::foreign::{BoxError, IntoError};
pub use self::kind::{Kind, Retry};
pub(crate) use self::list_limits::ListLimits;
pub use self::violation::{Violation, push_segment};
pub use self::violations::Violations;
pub(crate) use self::violations::{IGNORED, TOO_MANY_KEYS};
use crate::model::cid::Cid;

/// The result of a function that fails with an [`Error`]. In a program with `use cidery::Result`, another error type is
/// the second parameter: `Result<T, E>`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with a kind and a reason for programs, and a message for people.
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
///
/// # `?` and the errors of other crates
///
/// In a function that returns [`cidery::Result`], `?` converts these errors. They become `INTERNAL` /
/// `HANDLER_FAILED`: the cause is in the log and in `cidery explain CID`, and is never sent to the caller.
///
/// * std, numbers and text: `ParseIntError`, `ParseFloatError`, `ParseBoolError`, `ParseCharError`, `CharTryFromError`,
///   `TryFromIntError`, `TryFromSliceError`, `Utf8Error`, `FromUtf8Error`, `FromUtf16Error`, `fmt::Error`,
///   `Infallible`;
/// * std, the system: `io::Error`, `AddrParseError`, `VarError`, `NulError`, `StripPrefixError`, `SystemTimeError`,
///   `mpsc::RecvError`;
/// * tokio: `JoinError`, `Elapsed`, `AcquireError`, `oneshot::error::RecvError`, `watch::error::RecvError`;
/// * `jiff::Error` and `serde_json::Error`;
/// * [`BoxError`], which is `Box<dyn std::error::Error + Send + Sync>`: an [`Error`] in it, or among its causes, is
///   kept.
///
/// Every other error, such as `anyhow::Error`, or that of an HTTP client or a database:
///
/// * `.map_err(cidery::Error::undeclared)?` does the same as above: [`Error::undeclared`];
/// * `.map_err(|error| Error::unavailable("CRM_DOWN", "the CRM does not answer").with_source(error))?` tells the caller
///   a kind and a reason of your own;
/// * or the handler returns `anyhow::Result<T>`, or a `Result` with any error that implements [`std::error::Error`]. A
///   [`cidery::Error`] among its causes is what the caller gets; any other error is `HANDLER_FAILED`.
///
/// `anyhow::bail!` returns an `anyhow::Error`, so that it needs a function that returns `anyhow::Result`. In one that
/// returns [`cidery::Result`], write `return Err(Error::not_found("CUSTOMER_UNKNOWN", "no customer 7"))`.
///
/// # Formats
///
/// | format | for | has |
/// |---|---|---|
/// | `{error}` | text around it | the message |
/// | `{error:?}`, `{error:#}` | logs, `main`, `unwrap`, assertions | a line: also kind, reason, CID, causes |
/// | `{error:#?}` | debugging | the structure, on many lines, with the place in the source |
#[derive(Clone)]
pub struct Error(Box<ErrorInner>);

#[derive(Clone)]
struct ErrorInner {
    kind: Kind,
    reason: Cow<'static, str>,
    message: String,
    /// Overrides what the kind implies.
    retryable: Option<bool>,
    retry_delay: Option<Duration>,
    cid: Option<Cid>,
    violations: Vec<Violation>,
    info: Vec<(Cow<'static, str>, String)>,
    details: Vec<Detail>,
    /// The traceback or the chain of causes. Logged and stored, never sent to callers.
    trace: Option<Box<str>>,
    /// Logged, never sent.
    source: Option<Arc<dyn error::Error + Send + Sync>>,
    /// The place in the source that created the error, unless another process did. Logged, never sent.
    location: Option<&'static Location<'static>>,
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
    /// Creates an error of any kind. `reason` is stable and `UPPER_SNAKE_CASE`; `message` is for people: lower case, no
    /// full stop.
    #[track_caller]
    pub fn new(
        kind: Kind,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(ErrorInner {
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
            location: Some(Location::caller()),
        }))
    }

    constructors! {
        /// A concurrent change won; restart the read-modify-write sequence.
        aborted => Aborted;
        /// The resource to create already exists.
        already_exists => AlreadyExists;
        /// Cancelled by the caller or by an operator.
        cancelled => Cancelled;
        /// The deadline passed.
        deadline_exceeded => DeadlineExceeded;
        /// The system is not in a state that allows the operation.
        failed_precondition => FailedPrecondition;
        /// An internal error: a defect.
        internal => Internal;
        /// The input is invalid in every state of the system.
        invalid_argument => InvalidArgument;
        /// The requested resource does not exist.
        not_found => NotFound;
        /// The caller lacks the permission.
        permission_denied => PermissionDenied;
        /// A limit was reached.
        resource_exhausted => ResourceExhausted;
        /// The service is unavailable; retry later.
        unavailable => Unavailable;
        /// The operation is not implemented.
        unimplemented => Unimplemented;
    }

    /// Creates the error of an invalid input: `INVALID_ARGUMENT` with all violations at once.
    #[track_caller]
    pub fn violations(reason: &'static str, violations: Vec<Violation>) -> Self {
        let mut error = Self::invalid_argument(reason, summary(&violations));
        error.0.violations = violations;
        error
    }

    /// Rejects an input that has violations; `Ok` where there are none.
    ///
    /// # Errors
    ///
    /// [`violations`](Self::violations).
    pub fn reject(reason: &'static str, violations: Vec<Violation>) -> Result<()> {
        match violations.is_empty() {
            true => Ok(()),
            false => Err(Self::violations(reason, violations)),
        }
    }

    /// The violations of a part of a larger input: each one below `path`, or a single one at `path` where there are
    /// none.
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

    /// All violations of the input.
    #[must_use]
    pub fn field_violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The handler's override of whether a retry may help, if there is one.
    #[must_use]
    pub fn retryable_override(&self) -> Option<bool> {
        self.0.retryable
    }

    /// The earliest delay after which a retry may help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_delay
    }

    /// The invocation that failed.
    #[must_use]
    pub fn cid(&self) -> Option<Cid> {
        self.0.cid
    }

    /// The entries of the `google.rpc.ErrorInfo` metadata, for programs.
    #[must_use]
    pub fn info(&self) -> &[(Cow<'static, str>, String)] {
        &self.0.info
    }

    /// The value of an entry of the `google.rpc.ErrorInfo` metadata.
    #[must_use]
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.0
            .info
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Protobuf messages that are forwarded unchanged.
    #[must_use]
    pub fn details(&self) -> &[Detail] {
        &self.0.details
    }

    /// The place in the source that created the error, for the log. `None` where another process created it, or where
    /// it was converted from another error that does not tell.
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.location
    }

    /// Whether the same request may succeed when it is retried.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let by_kind = self.0.retry_delay.is_some() || self.0.kind.retry() != Retry::No;
        self.0.retryable.unwrap_or(by_kind)
    }

    /// Whether the request certainly had no effect, so that a retry is safe.
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
        match f.alternate() {
            true => self.fmt_line(f),
            false => f.write_str(&self.0.message),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retryable_override_beats_the_kind() {
        let error = Error::invalid_argument("X", "x");
        assert!(!error.is_retryable());
        assert!(error.with_retryable(true).is_retryable());
        let error = Error::unavailable("X", "x").with_retryable(false);
        assert!(!error.is_retryable());
    }

    #[test]
    fn only_failures_before_the_start_have_no_side_effects() {
        assert!(Error::unavailable("X", "x").has_no_side_effects());
        assert!(!Error::internal("X", "x").has_no_side_effects());
    }

    #[test]
    fn the_source_is_kept_but_not_displayed() {
        let error = Error::undeclared(fmt::Error);
        assert!(!error.to_string().contains(&fmt::Error.to_string()));
        assert!(error::Error::source(&error).is_some());
    }
}
