//! What takes the lines of the audit log, and whether it still does. The process installs one
//! (`app::audit_log`); the status of a node reads why its last line was lost.

use std::sync::{Mutex, OnceLock, PoisonError};

/// What takes the lines, in place of `tracing`.
static SINK: OnceLock<Sink> = OnceLock::new();
/// Why the last line could not be written.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

/// Takes a line of JSON, with its line feed. It must not block.
pub(crate) type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Writes the audit log of this process as lines of JSON from now on. Returns whether it was not written so before.
#[cfg(feature = "cli")]
pub(crate) fn install(sink: Sink) -> bool {
    SINK.set(sink).is_ok()
}

/// What takes the lines, if something was installed.
pub(super) fn installed() -> Option<&'static Sink> {
    SINK.get()
}

/// Notes why lines are lost, or that they are written again. Returns whether that is news.
#[cfg(feature = "cli")]
pub(crate) fn note_failure(failure: Option<String>) -> bool {
    let mut noted = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    let is_news = noted.is_some() != failure.is_some();
    *noted = failure;
    is_news
}

/// Why the last line of the audit log of this process was lost, until one is written again.
pub(crate) fn failure() -> Option<String> {
    let failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    failure.clone()
}
