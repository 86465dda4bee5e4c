//! Arguments that several commands share, and the parsers of durations and sizes.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::app::telemetry::{self, LogFormat};
use crate::model::error::Result;
use crate::remote::client::ContractClient;

/// The format of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Human-readable: tables, indented JSON.
    #[default]
    Table,
    /// One JSON value per line.
    Json,
}

/// The node to connect to.
#[derive(Args, Clone, Debug)]
pub(super) struct NodeArgs {
    /// Address of the node.
    #[arg(
        long,
        env = "CIDERY_NODE",
        default_value = "127.0.0.1:24337",
        value_name = "HOST:PORT"
    )]
    node: String,
}

impl NodeArgs {
    pub(super) async fn connect(&self) -> Result<ContractClient> {
        ContractClient::connect(&self.node).await
    }
}

/// Logging options.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// Format of log lines on standard error.
    #[arg(long, env = "CIDERY_LOG_FORMAT", value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
    /// Log filter: a level, or per-target levels such as `info,cidery=debug`.
    #[arg(
        long,
        env = "CIDERY_LOG",
        default_value = "info",
        value_name = "FILTER",
        value_parser = telemetry::filter
    )]
    pub(super) log: String,
}

/// The longest duration: clocks and timers add it to the current time.
const MAX_DURATION: Duration = Duration::from_hours(876_000);

/// Parses a duration: `500ms`, `2s`, `1m 30s`, `1h`.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "use a number and a unit, such as `500ms`, `2s` or `5m`".to_owned())?;
    let duration = Duration::try_from(parsed);
    let duration = duration.map_err(|_| "a duration must not be negative".to_owned())?;
    match duration <= MAX_DURATION {
        true => Ok(duration),
        false => Err("a duration is at most 876000h (100 years)".to_owned()),
    }
}

/// Parses a size: `1048576`, `64MiB`, `1GiB`.
#[cfg(feature = "sqlite")]
pub(super) fn bytes(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => {
            return Err(
                "use a number of bytes, or one with `KiB`, `MiB`, `GiB` or `TiB`".to_owned(),
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

    #[cfg(feature = "sqlite")]
    #[test]
    fn sizes_are_parsed() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        for wrong in ["", "MiB", "1.5GiB", "1MB", "-1", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_parsed() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err());
        assert!(duration("5").is_err());
        assert!(duration("876000h").is_ok());
        assert!(duration("9223372036854775807s").is_err());
    }
}
