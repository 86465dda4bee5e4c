//! The arguments of `cidery bench`, and the plan that they make.

use std::time::Duration;

use clap::Args;

use crate::app::cli::args::{duration, positive_duration, usage_error};
use crate::app::cli::input::InputArgs;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::times::duration_text;
use crate::model::error::Result;
use crate::model::rate::Rate;

/// The longest measurement.
const MAX_DURATION: Duration = Duration::from_hours(24);
/// How long is measured where neither a duration nor a number of calls is given.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Measure how long calls of a service take.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Bench {
    /// Name of the service.
    pub(super) name: String,
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// Number of callers, each of which waits for its response before it calls again.
    #[arg(
        long,
        value_parser = clap::value_parser!(u16).range(1..=10_000),
        default_value = "1",
        conflicts_with = "rate",
        value_name = "NUMBER"
    )]
    callers: u16,
    /// Calls per second, such as `100` or `100/s`.
    #[arg(long, value_parser = per_second, value_name = "RATE")]
    rate: Option<f64>,
    /// With --rate: the most calls at once. A call that would be one more is not made, and is counted as missed.
    #[arg(
        long,
        value_parser = clap::value_parser!(u32).range(1..=100_000),
        default_value = "1000",
        value_name = "NUMBER"
    )]
    in_flight: u32,
    /// Time to measure. Default: 10s, or as long as --count takes. At most 1d.
    #[arg(long, value_parser = positive_duration, value_name = "DURATION")]
    duration: Option<Duration>,
    /// Number of calls to measure.
    #[arg(
        long,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000),
        value_name = "NUMBER"
    )]
    count: Option<u64>,
    /// Time before the measurement, in which calls are made and not counted.
    #[arg(long, value_parser = duration, default_value = "1s", value_name = "DURATION")]
    warm_up: Duration,
    /// Number of connections that the calls share.
    #[arg(
        long,
        value_parser = clap::value_parser!(u16).range(1..=256),
        default_value = "1",
        value_name = "NUMBER"
    )]
    connections: u16,
    /// Invoke in the background, and measure the acceptance.
    #[arg(long = "async", alias = "background")]
    is_async: bool,
    /// With --async: measure until the outcome.
    #[arg(long = "await", requires = "is_async")]
    awaits: bool,
    /// Time to wait for a response; with --async, time that an attempt may run.
    #[arg(long, value_parser = positive_duration, value_name = "DURATION")]
    pub(super) timeout: Option<Duration>,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

/// What is measured of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The response.
    Invoke,
    /// The acceptance of an invocation in the background.
    Accept,
    /// Its outcome.
    Outcome,
}

/// When calls begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// One after the other, by so many callers.
    Callers(usize),
    /// So many in a second, and at most so many at once.
    Rate { per_second: f64, in_flight: usize },
}

/// What is done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) service: String,
    pub(super) kind: Kind,
    pub(super) pace: Pace,
    pub(super) connections: usize,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) count: Option<u64>,
}

impl Bench {
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` for what takes too long.
    pub(super) fn plan(&self) -> Result<Plan> {
        let duration = match (self.duration, self.count) {
            (Some(duration), _) => duration,
            (None, Some(_)) => MAX_DURATION,
            (None, None) => DEFAULT_DURATION,
        };
        for (option, time) in [("--duration", duration), ("--warm-up", self.warm_up)] {
            if time > MAX_DURATION {
                let longest = duration_text(MAX_DURATION);
                return Err(usage_error(format!("`{option}` is at most {longest}")));
            }
        }
        Ok(Plan {
            service: self.name.clone(),
            kind: match (self.is_async, self.awaits) {
                (false, _) => Kind::Invoke,
                (true, false) => Kind::Accept,
                (true, true) => Kind::Outcome,
            },
            pace: match self.rate {
                None => Pace::Callers(usize::from(self.callers)),
                Some(per_second) => Pace::Rate {
                    per_second,
                    in_flight: usize::try_from(self.in_flight).unwrap_or(usize::MAX),
                },
            },
            connections: usize::from(self.connections),
            warm_up: self.warm_up,
            duration,
            count: self.count,
        })
    }
}

impl Plan {
    /// How long is measured, for people.
    pub(super) fn length(&self) -> String {
        let time = duration_text(self.duration);
        match self.count {
            Some(count) if self.duration == MAX_DURATION => format!("{count} calls"),
            Some(count) => format!("{count} calls, for at most {time}"),
            None => time,
        }
    }
}

/// Parses calls per second.
fn per_second(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= Rate::MOST => Ok(rate),
        _ => Err(format!(
            "use a number of calls per second, such as `100/s`, at most {}",
            Rate::MOST
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_per_second() {
        for (text, rate) in [("100", 100.0), ("100/s", 100.0), ("0.5 /s", 0.5)] {
            assert_eq!(per_second(text), Ok(rate), "{text}");
        }
        for wrong in ["", "0", "-1", "nan", "inf", "1e9", "10/m"] {
            assert!(per_second(wrong).is_err(), "{wrong}");
        }
    }
}
