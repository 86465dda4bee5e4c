//! What is kept of a failure: how it came about, for those who operate a node, never for its callers; and how much of
//! what it says.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::{error, mem};

use super::Error;

/// How much is kept of a message, or of a trace: 8 KiB. Of a longer trace it is the end, where the failure is.
const MAX_BYTES: usize = 8 << 10;

impl Error {
    /// The message, as it is stored: 8 KiB of it at most. Each attempt adds one to the history of an invocation, and
    /// what is longer fits no answer.
    #[must_use]
    pub fn kept_message(&self) -> Cow<'_, str> {
        let message = self.message();
        match message.split_at_checked(message.floor_char_boundary(MAX_BYTES)) {
            Some((kept, rest)) if !rest.is_empty() => Cow::Owned(format!("{kept}…")),
            _ => Cow::Borrowed(message),
        }
    }

    /// Keeps how it came about, a traceback for one: for the log and for `explain`. It is never part of an answer. Of
    /// more than 8 KiB the end is kept.
    #[must_use]
    pub fn with_trace(mut self, trace: impl Into<String>) -> Self {
        let mut trace = trace.into();
        if trace.len() > MAX_BYTES {
            let cut = trace.ceil_char_boundary(trace.len() - MAX_BYTES);
            trace = format!("…{}", trace.split_off(cut));
        }
        self.0.trace = Some(trace.into());
        self
    }

    /// How it came about: what was kept of that, or its causes and where it was made. `None` where there is no cause.
    #[must_use]
    pub fn trace(&self) -> Option<String> {
        if let Some(trace) = &self.0.trace {
            return Some(trace.to_string());
        }
        let mut trace = String::new();
        let mut cause = error::Error::source(self);
        while let Some(error) = mem::take(&mut cause) {
            let before = if trace.is_empty() { "" } else { "caused by: " };
            let _ = writeln!(trace, "{before}{error}");
            cause = error.source().filter(|_| trace.len() < MAX_BYTES);
        }
        if trace.is_empty() {
            return None;
        }
        let _ = write!(trace, "at {}", self.location());
        Some(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_named_with_the_place() {
        let inner = Error::internal("X", "the inner one").with_source(std::fmt::Error);
        let error = Error::undeclared(inner);
        let trace = error.trace().unwrap();
        let lines: Vec<_> = trace.lines().collect();
        assert_eq!(lines[0], "the inner one");
        assert_eq!(lines[1], format!("caused by: {}", std::fmt::Error));
        assert!(
            lines[2].starts_with("at ") && lines[2].contains("trace.rs"),
            "{trace}"
        );
        assert_eq!(Error::internal("X", "no cause").trace(), None);
    }

    #[test]
    fn of_a_long_one_the_end_is_kept() {
        let long = "é".repeat(MAX_BYTES) + "the end";
        let trace = Error::internal("X", "x").with_trace(long).trace().unwrap();
        assert!(trace.len() <= MAX_BYTES + 3 && trace.ends_with("the end"));
        let message = Error::internal("X", "é".repeat(MAX_BYTES));
        assert!(message.kept_message().len() <= MAX_BYTES + 3);
        assert_eq!(Error::internal("X", "short").kept_message(), "short");
    }
}
