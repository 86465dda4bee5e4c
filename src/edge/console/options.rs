//! The options of the console.

use std::time::Duration;

/// Whether a node serves its console, and how long those who log in there stay so.
///
/// ```
/// use std::time::Duration;
///
/// use cidery::{ConsoleOptions, Node};
///
/// let mut options = ConsoleOptions::default();
/// options.session_lifetime = Duration::from_hours(1);
/// let builder = Node::builder().console(options);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleOptions {
    /// Whether the console is served at `/` and below `/console/`. Default: it is.
    pub enabled: bool,
    /// How long a session lasts without a request. Default: 1 h.
    pub session_idle: Duration,
    /// How long a session lasts, whatever is requested. Default: 12 h.
    pub session_lifetime: Duration,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            session_idle: Duration::from_hours(1),
            session_lifetime: Duration::from_hours(12),
        }
    }
}
