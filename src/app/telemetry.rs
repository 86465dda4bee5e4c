//! Logging: the tracing subscriber and the panic hook of the command line. A host that embeds a node installs its own.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::panic::PanicHookInfo;

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, FmtSpan, Writer};

use super::escape::EscapeWriter;
use super::json_log::WithCall;
use super::log_queue::{LogGuard, LogQueue, report_dropped};
use crate::model::error::Result;

/// The format of log lines.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human-readable.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// Validates a log filter in the syntax of `tracing`: `info,cidery=debug`.
///
/// # Errors
///
/// The message of the parse error.
pub fn filter(text: &str) -> std::result::Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// The log of this process. The last lines are written when it is dropped.
#[must_use = "log lines are written asynchronously: the last ones when this is dropped"]
pub struct Log {
    set_filter: Box<dyn Fn(EnvFilter) + Send + Sync>,
    _guard: LogGuard,
}

impl Log {
    /// Replaces the filter. One that [`filter`] refuses lets everything through that it understands of it.
    pub(in crate::app) fn set_filter(&self, filter: &str) {
        (self.set_filter)(EnvFilter::new(filter));
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

/// Installs a subscriber that writes log lines to standard error, filtered by a [`filter`], and a hook that logs
/// panics.
///
/// Logging never blocks: lines without a reader are dropped, and their number is logged.
///
/// # Errors
///
/// `INTERNAL` where the thread that writes the lines cannot be started.
pub fn init(format: LogFormat, filter: &str) -> Result<Log> {
    let (queue, guard) = LogQueue::start(std::io::stderr(), report_dropped)?;
    let builder = tracing_subscriber::fmt()
        .with_span_events(FmtSpan::NONE)
        .with_target(false)
        // Internal errors would be printed to standard error, past the queue.
        .log_internal_errors(false)
        .with_writer(queue);
    // An error means that a subscriber is installed already; it stays, and its filter, too.
    let set_filter: Box<dyn Fn(EnvFilter) + Send + Sync> = match format {
        LogFormat::Human => {
            let builder = builder
                .with_ansi(AutoStream::choice(&std::io::stderr()) != ColorChoice::Never)
                .fmt_fields(EscapedFields)
                .with_env_filter(EnvFilter::new(filter))
                .with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Json => {
            let builder = builder
                .json()
                .flatten_event(true)
                // The fields of the call are added at the top level.
                .with_current_span(false)
                .with_span_list(false)
                .map_event_format(WithCall)
                .with_env_filter(EnvFilter::new(filter))
                .with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    };
    std::panic::set_hook(Box::new(log_panic));
    Ok(Log {
        set_filter,
        _guard: guard,
    })
}

/// Logs a panic. The default hook prints to standard error, which can block.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = panic.location().map(tracing::field::display);
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let thread = thread.name().unwrap_or("(unnamed)");
    tracing::error!(thread, location, "panic: {message}");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        for line in backtrace.to_string().lines() {
            tracing::error!("{line}");
        }
    }
}

/// The message and fields of human-readable lines, without control characters: each event stays on one line.
struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut escaped = EscapeWriter(&mut writer);
        // A value that cannot be formatted is cut off. As an error, it would be printed to standard error.
        let _ = DefaultFields::new().format_fields(Writer::new(&mut escaped), fields);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::runtime::CapturedLog;

    #[test]
    fn an_event_is_one_line() {
        const FORGED: &str = "a\n2026-01-01 ERROR \u{1b}[2J\u{9b}";
        let log = CapturedLog::default();
        let subscriber = {
            let log = log.clone();
            tracing_subscriber::fmt()
                .with_ansi(false)
                .fmt_fields(EscapedFields)
                .with_writer(move || log.clone())
                .finish()
        };
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("call", service = %FORGED).entered();
            tracing::info!(display = %FORGED, debug = ?FORGED, text = FORGED, "message {FORGED}");
        });
        let text = log.text();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "{line:?}");
        assert_eq!(line.matches("ERROR").count(), 5, "{line}");
    }
}
