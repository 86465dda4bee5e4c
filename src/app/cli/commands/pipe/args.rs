//! The arguments of `cidery pipe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::app::cli::args::{duration, positive_duration};
use crate::app::cli::node_option::NodeArgs;
use crate::model::sio::CsvOptions;

/// The format of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum RowFormat {
    /// CSV (RFC 4180) with a header.
    #[default]
    Csv,
    /// One JSON value per line.
    Jsonl,
}

impl RowFormat {
    /// Its name in the file of `--state`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Invoke a service once for each row of standard input.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Pipe {
    /// Name of the service.
    pub(super) name: String,
    /// Format of the input, and of the output and the failed rows.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) format: RowFormat,
    /// Delimiter of CSV: one ASCII character.
    #[arg(long, value_parser = delimiter, default_value = ",", value_name = "CHARACTER")]
    delimiter: u8,
    /// Columns of the input that the output begins with (repeatable, or separated by commas).
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(super) keep: Vec<String>,
    /// Write the output to this file, which must be empty or new, or be the one that --state continues. Default:
    /// standard output.
    #[arg(long, value_parser = file, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Write rows that failed to this file, after the number of the row, the reason, the message and the CID.
    #[arg(long, value_parser = file, value_name = "FILE")]
    pub(super) failed: Option<PathBuf>,
    /// Number of rows that are invoked at once.
    #[arg(
        long,
        value_parser = clap::value_parser!(u16).range(1..=10_000),
        default_value = "64",
        value_name = "ROWS"
    )]
    in_flight: u16,
    /// Write responses as they come, not in the order of the input.
    #[arg(long, conflicts_with = "state")]
    pub(super) unordered: bool,
    /// Invoke in the background: the node stores each row, and runs it also if the pipe is ended.
    #[arg(long = "async", alias = "background")]
    pub(super) is_async: bool,
    /// Record in this file how far the output is written, and continue there.
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(super) state: Option<PathBuf>,
    /// Time to wait for a response; with --async, time that an attempt may run without progress.
    #[arg(long, value_parser = positive_duration, value_name = "DURATION")]
    pub(super) timeout: Option<Duration>,
    /// Maximum number of attempts of a row, including the first.
    #[arg(
        long,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "ATTEMPTS",
        requires = "is_async"
    )]
    pub(super) retry: Option<u32>,
    /// Time that the node keeps an outcome, and so the longest break of a pipe that continues.
    #[arg(long, value_parser = duration, value_name = "DURATION", requires = "is_async")]
    pub(super) retention: Option<Duration>,
    /// Time to wait for a node that is lost or has no room.
    #[arg(long, value_parser = duration, default_value = "5m", value_name = "DURATION")]
    pub(super) node_wait: Duration,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

impl Pipe {
    pub(super) fn in_flight(&self) -> usize {
        usize::from(self.in_flight)
    }

    pub(super) fn csv_options(&self) -> CsvOptions {
        CsvOptions {
            delimiter: self.delimiter,
            ..CsvOptions::default()
        }
    }
}

/// Parses the path of a file to write. Elsewhere, `-` is a stream.
fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("must be a file, not `-`; one of this name is `./-`".to_owned()),
        path => Ok(path.into()),
    }
}

/// Parses a delimiter; `\t` is a tab.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        br"\t" => Ok(b'\t'),
        [b'"' | b'\r' | b'\n'] => Err("cannot be a quote or a line end".to_owned()),
        [one] if one.is_ascii() => Ok(*one),
        _ => Err("must be one ASCII character".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_one_character() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter(r"\t"), Ok(b'\t'));
        for wrong in ["", ",,", "\"", "\n", "ä"] {
            assert!(delimiter(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_stream_is_no_file() {
        assert_eq!(file("./-"), Ok("./-".into()));
        assert!(file("-").is_err());
    }
}
