//! Arguments that several commands share, and their parsers.

use std::time::Duration;

use anstream::ColorChoice;
use clap::{ArgAction, Args, ValueEnum};

use crate::app::telemetry::{self, Log, LogFormat};
pub(super) use crate::codec::units::duration;
use crate::model::error::{Error, Result, reason};

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
    pub(super) log_format: LogFormat,
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
    pub(super) fn init(&self, filter: Option<&str>) -> Result<Log> {
        let filter = self.log.as_deref().or(filter);
        telemetry::init(self.log_format, filter.unwrap_or("info"))
    }
}

/// An error in how a command is used.
pub(super) fn usage_error(message: impl Into<String>) -> Error {
    Error::invalid_argument(reason::USAGE_INVALID, message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_duration_is_not_zero() {
        assert_eq!(positive_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(positive_duration("0s").is_err());
    }
}
