//! The notice of a program without a log: failures point to a log that does not exist.

use std::io::Write as _;
use std::sync::Once;

const NOTICE: &str = "cidery: warning: this program has no log, which is where the details of failures are; add the \
                      crate `tracing-subscriber`, and call `tracing_subscriber::fmt().init()` at the start of `main`";

/// Writes one line to standard error, once in a process, where no `tracing` subscriber was ever installed.
pub(crate) fn warn_without_subscriber() {
    static WARNED: Once = Once::new();
    if !tracing::dispatcher::has_been_set() {
        // Standard error may be closed.
        WARNED.call_once(|| drop(writeln!(std::io::stderr(), "{NOTICE}")));
    }
}
