//! Arguments that several commands share, and the parsers of durations and sizes.

use std::time::Duration;

use anstream::ColorChoice;
use clap::{ArgAction, Args, ValueEnum};
use jiff::{Span, SpanRelativeTo};
use tracing::{Level, enabled};

use crate::app::log_queue::LogGuard;
use crate::app::telemetry::{self, LogFormat};
use crate::model::error::{Error, Result, reason};
use crate::model::service_limit::ServiceLimit;

/// The format of the output, for all commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Human-readable: tables, indented JSON.
    #[default]
    Table,
    /// One JSON document: a list is an array. Streams of events as with `jsonl`.
    Json,
    /// One JSON value per line.
    Jsonl,
    /// YAML: as `json`, and one document per event of a stream.
    Yaml,
    /// Identifiers only, one per line: CIDs, names of services, IDs of workers.
    Name,
}

/// When output is colored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless `NO_COLOR` is set; with `CLICOLOR_FORCE` also elsewhere.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Options of all commands.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArgs {
    /// Output format.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(super) output: Output,
    /// Print only data and errors: no notes, no progress.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Log more to standard error (repeatable).
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// When to color output.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
}

impl GlobalArgs {
    /// Applies `--color` to the output of this process.
    pub(super) fn apply_color(&self) {
        let choice = match self.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
    }

    /// The log filter that `--quiet` and `--verbose` ask for.
    pub(super) fn log_filter(&self) -> Option<&'static str> {
        match (self.quiet, self.verbose) {
            (true, _) => Some("warn"),
            (false, 0) => None,
            (false, 1) => Some("debug,h2=info,hyper=info,tower=info"),
            (false, _) => Some("trace"),
        }
    }
}

/// Logging options.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// Format of log lines on standard error.
    #[arg(long, env = "CIDERY_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// Log filter: a level, or per-target levels such as `info,cidery=debug`. Default: `info`; `warn` with --quiet,
    /// `debug` with --verbose.
    #[arg(
        long,
        env = "CIDERY_LOG",
        value_name = "FILTER",
        value_parser = telemetry::filter
    )]
    log: Option<String>,
}

impl LogArgs {
    /// Starts logging, as [`telemetry::init`] does. `filter` is the one of [`GlobalArgs::log_filter`].
    pub(super) fn init(&self, filter: Option<&str>) -> Result<LogGuard> {
        let filter = self.log.as_deref().or(filter);
        telemetry::init(self.log_format, filter.unwrap_or("info"))
    }

    /// Whether the log is JSON, and has errors.
    pub(super) fn has_json_errors(&self) -> bool {
        self.log_format == LogFormat::Json && enabled!(Level::ERROR)
    }
}

/// An error in how a command is used.
pub(super) fn usage_error(message: impl Into<String>) -> Error {
    Error::invalid_argument(reason::USAGE_INVALID, message)
}

/// The longest duration: clocks and timers add it to the current time.
const MAX_DURATION: Duration = Duration::from_hours(876_000);

/// Parses a duration: `500ms`, `2s`, `1m 30s`, `1h`, `7d`, `2w`. A day has 24 hours.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let parsed = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| "use a number and a unit, such as `500ms`, `2s`, `5m`, `1h` or `7d`")?;
    let duration = Duration::try_from(parsed);
    let duration = duration.map_err(|_| "a duration must not be negative")?;
    match duration <= MAX_DURATION {
        true => Ok(duration),
        false => Err("a duration is at most 876000h (100 years)".to_owned()),
    }
}

/// Parses a duration that is not zero, see [`duration`].
pub(super) fn positive_duration(text: &str) -> std::result::Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than 0s".to_owned()),
        duration => Ok(duration),
    }
}

/// Parses `key=value`.
pub(super) fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "use `key=value`".to_owned())
}

/// Parses a limit of services, see [`ServiceLimit::parse`].
pub(super) fn service_limit(text: &str) -> std::result::Result<ServiceLimit, String> {
    ServiceLimit::parse("", text).map_err(|error| {
        let violations = error.field_violations().iter();
        let messages: Vec<_> = violations.map(|one| one.message.to_string()).collect();
        messages.join("; ")
    })
}

/// The smallest limit of a store: 16 MiB. A smaller one is most likely a number without its unit.
const MIN_STORE_LIMIT: u64 = 16 << 20;

/// Parses the limit of a store: a [size](bytes) of at least 16 MiB.
pub(super) fn store_limit(text: &str) -> std::result::Result<u64, String> {
    match bytes(text)? {
        limit if limit < MIN_STORE_LIMIT => Err(format!(
            "{limit} bytes is less than the smallest store, 16MiB"
        )),
        limit => Ok(limit),
    }
}

/// Parses a size: `1048576`, `64MiB`, `1GiB`; `64M` and `1G` are the same, as in units of systemd.
pub(super) fn bytes(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => {
            return Err(
                "use a number of bytes, or one with `K`, `M`, `G` or `T` (or `KiB`, `MiB`, `GiB`, `TiB`)"
                    .to_owned(),
            );
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a size must start with a whole number".to_owned())?;
    let bytes = u128::from(number) << shift;
    u64::try_from(bytes).map_err(|_| "the size does not fit into 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("64M"), Ok(64 << 20));
        assert_eq!(store_limit("16M"), Ok(16 << 20));
        assert!(store_limit("5").is_err() && store_limit("15M").is_err());
        for wrong in ["", "MiB", "1.5GiB", "1MB", "-1", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_parsed() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1w 2d"), Ok(Duration::from_hours(9 * 24)));
        assert!(duration("-1s").is_err());
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(positive_duration("0s").is_err());
        assert!(duration("1mo").is_err());
        assert!(duration("5").is_err());
        assert!(duration("876000h").is_ok());
        assert!(duration("9223372036854775807s").is_err());
    }
}
