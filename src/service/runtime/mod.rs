//! What every process that runs handlers needs, node or worker: background tasks and signals.

#[cfg(test)]
mod captured_log;
mod log_notice;
mod signals;
mod tasks;

#[cfg(test)]
pub(crate) use self::captured_log::CapturedLog;
pub(crate) use self::log_notice::warn_without_subscriber;
pub(crate) use self::signals::Signals;
#[cfg(unix)]
pub(crate) use self::signals::signals_failed;
pub use self::tasks::{RunToCompletion, Tasks};
