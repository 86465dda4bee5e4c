//! The trace of an error (a traceback or a chain of causes), for operators and never for callers, and size limits of
//! stored errors.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::{error, mem};

use super::Error;

/// The size limit of a stored message or trace: 8 KiB. A longer trace keeps its end, where the failure is.
const MAX_BYTES: usize = 8 << 10;

impl Error {
    /// The message as it is stored: its first 8 KiB. Each attempt adds a message to the history of an invocation, which
    /// must fit into one response.
    #[must_use]
    pub fn truncated_message(&self) -> Cow<'_, str> {
        let message = self.message();
        match message.split_at_checked(message.floor_char_boundary(MAX_BYTES)) {
            Some((kept, rest)) if !rest.is_empty() => Cow::Owned(format!("{kept}…")),
            _ => Cow::Borrowed(message),
        }
    }

    /// Sets the trace, such as a traceback, for the log and for `explain`. It is never sent to callers. Only its last 8
    /// KiB are kept.
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

    /// The trace: the one that was set, or the chain of causes and the place in the source. `None` where there is no
    /// cause.
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
        match self.location() {
            Some(location) => drop(write!(trace, "at {location}")),
            None => trace.truncate(trace.trim_end().len()),
        }
        Some(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_lists_the_causes_and_the_location() {
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
    fn long_traces_keep_their_end_and_long_messages_their_start() {
        let long = "é".repeat(MAX_BYTES) + "the end";
        let trace = Error::internal("X", "x").with_trace(long).trace().unwrap();
        assert!(trace.len() <= MAX_BYTES + 3 && trace.ends_with("the end"));
        let message = Error::internal("X", "é".repeat(MAX_BYTES));
        assert!(message.truncated_message().len() <= MAX_BYTES + 3);
        assert_eq!(Error::internal("X", "short").truncated_message(), "short");
    }
}
