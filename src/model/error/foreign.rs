//! Errors of other crates as errors of this one: in a handler, and with `?`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::{array, char, env, error, ffi, fmt, io, net, num, path, str, string, sync, time};

use super::{Error, reason};

/// The message of a failure that a handler did not declare. Workers in other languages send the same.
const FAILED: &str = "the service failed; its log has the details";
/// The message of a panic.
pub(crate) const PANICKED: &str = "the service panicked; its log has the details";

/// A boxed error of any type that can be sent between threads.
pub type BoxError = Box<dyn error::Error + Send + Sync>;

impl Error {
    /// Creates the error of a failure that a handler did not declare: `INTERNAL` / `HANDLER_FAILED`. The cause is any
    /// error that converts to a [`BoxError`], such as one that implements [`std::error::Error`], or an `anyhow::Error`.
    /// It is logged, never sent.
    ///
    /// ```
    /// # fn read(text: &str) -> anyhow::Result<u64> { Ok(text.parse()?) }
    /// # fn example(text: &str) -> cidery::Result<()> {
    /// // `?` alone does not convert these errors.
    /// let id = uuid::Uuid::parse_str(text).map_err(cidery::Error::undeclared)?;
    /// let count = read(text).map_err(cidery::Error::undeclared)?;
    /// # let _ = (id, count);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn undeclared(source: impl Into<BoxError>) -> Self {
        let mut error = Self::unknown_to_callers();
        error.0.source = Some(Arc::from(source.into()));
        error
    }

    #[track_caller]
    fn unknown_to_callers() -> Self {
        Self::internal(reason::HANDLER_FAILED, FAILED)
    }

    /// Names the process whose log has the details, in the message that says no more than that.
    #[must_use]
    pub(crate) fn with_log_of(self, process: fmt::Arguments<'_>) -> Self {
        let what = match self.message() {
            FAILED => "failed",
            PANICKED => "panicked",
            _ => return self,
        };
        self.with_message(format!(
            "the service {what}; the log of {process} has the details"
        ))
    }

    /// Converts any error as if a handler had returned it. An [`Error`] is kept, and is found among the causes of any
    /// other error, which then are its trace. An error without one is `INTERNAL` / `HANDLER_FAILED`: its text is
    /// logged, never sent.
    #[must_use]
    pub fn of_handler(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => *error,
            Err(error) => {
                let found = Self::among_causes(&*error);
                found.unwrap_or_else(|| {
                    let unknown = Self::unknown_to_callers().without_location();
                    let mut unknown = unknown.with_trace(causes(&*error));
                    unknown.0.source = Some(Arc::from(error));
                    unknown
                })
            }
        }
    }

    /// The first [`Error`] among an error and its causes. The errors before it are its trace.
    pub(crate) fn among_causes(error: &(dyn error::Error + 'static)) -> Option<Self> {
        if let Some(first) = error.downcast_ref::<Self>() {
            return Some(first.clone());
        }
        let mut cause = error.source();
        while let Some(current) = cause {
            if let Some(found) = current.downcast_ref::<Self>() {
                return Some(match found.0.trace {
                    Some(_) => found.clone(),
                    None => found.clone().with_trace(causes(error)),
                });
            }
            cause = current.source();
        }
        None
    }
}

/// An error and its causes, one a line.
fn causes(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, "\ncaused by: {error}");
        cause = error.source();
    }
    text
}

/// An error that `?` converts to an [`Error`]: those of [the list](Error#-and-the-errors-of-other-crates).
///
/// A crate converts errors of its own with `impl From<MyError> for cidery::Error`.
// With `?` the compiler prints the label, and neither the message nor notes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not convert to `cidery::Error`",
    label = "not converted: write `.map_err(cidery::Error::undeclared)?`, or return `anyhow::Result<T>` from the \
             handler"
)]
pub trait IntoError {
    /// Converts it.
    #[track_caller]
    fn into_error(self) -> Error;
}

/// The compiler names [`IntoError`] where `?` does not convert an error, and prints its notes.
impl<E: IntoError> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        error.into_error()
    }
}

#[diagnostic::do_not_recommend]
impl IntoError for std::convert::Infallible {
    fn into_error(self) -> Error {
        match self {}
    }
}

/// As for [`Error::of_handler`].
#[diagnostic::do_not_recommend]
impl IntoError for BoxError {
    fn into_error(self) -> Error {
        Error::of_handler(self)
    }
}

macro_rules! undeclared {
    ($($error:ty),* $(,)?) => {
        #[cfg(test)]
        const CONVERTED: &[&str] = &[$(stringify!($error)),*];

        $(
            /// `INTERNAL` / `HANDLER_FAILED`: the error is the cause, which is logged and never sent.
            #[diagnostic::do_not_recommend]
            impl IntoError for $error {
                #[track_caller]
                fn into_error(self) -> Error {
                    Error::undeclared(self)
                }
            }
        )*
    };
}

// The list is also in the documentation of `Error`.
undeclared!(
    array::TryFromSliceError,
    char::CharTryFromError,
    char::ParseCharError,
    env::VarError,
    ffi::NulError,
    fmt::Error,
    io::Error,
    jiff::Error,
    net::AddrParseError,
    num::ParseFloatError,
    num::ParseIntError,
    num::TryFromIntError,
    path::StripPrefixError,
    serde_json::Error,
    str::ParseBoolError,
    str::Utf8Error,
    string::FromUtf8Error,
    string::FromUtf16Error,
    sync::mpsc::RecvError,
    time::SystemTimeError,
    tokio::sync::AcquireError,
    tokio::sync::oneshot::error::RecvError,
    tokio::sync::watch::error::RecvError,
    tokio::task::JoinError,
    tokio::time::error::Elapsed,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapper(Error);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("placing an order")
        }
    }

    impl error::Error for Wrapper {
        fn source(&self) -> Option<&(dyn error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_of_this_crate_is_found_in_a_box_and_among_causes() {
        let no_stock = || Error::failed_precondition("NO_STOCK", "nothing is left");
        assert_eq!(Error::of_handler(no_stock().into()).reason(), "NO_STOCK");
        let found = Error::of_handler(Wrapper(no_stock()).into());
        assert_eq!(found.reason(), "NO_STOCK");
        assert_eq!(
            found.trace().unwrap(),
            "placing an order\ncaused by: nothing is left"
        );
    }

    /// The last part of a name, or the last two where other types have the same.
    #[test]
    fn the_documentation_lists_every_error_that_is_converted() {
        let documentation = include_str!("mod.rs");
        for error in CONVERTED {
            let parts: Vec<&str> = error.split("::").collect();
            let kept = match parts.last() {
                Some(&("Error" | "RecvError")) => 2,
                _ => 1,
            };
            let name = format!("{}`", parts[parts.len() - kept..].join("::"));
            assert!(documentation.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_text_of_any_other_error_is_in_the_trace_only() {
        let error = Error::from(io::Error::other("disk on fire"));
        assert_eq!(
            (error.reason(), error.trace().is_some()),
            ("HANDLER_FAILED", true)
        );
        let error = Error::of_handler("disk on fire".into());
        assert_eq!(error.reason(), "HANDLER_FAILED");
        assert!(!error.message().contains("fire"));
        assert_eq!(error.trace().unwrap(), "disk on fire");
    }
}
