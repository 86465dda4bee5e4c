//! Progress reports of a running attempt: a heartbeat, and a checkpoint for the next attempt.

use jiff::Timestamp;

use crate::model::value::{IntoValue, Value};

/// A progress report: the heartbeat of a running handler, and a checkpoint for the next attempt.
///
/// ```
/// use cidery::Progress;
///
/// let progress = Progress::at(0.5).message("half of it");
/// assert_eq!(progress.fraction, Some(0.5));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// From 0 to 1.
    pub fraction: Option<f64>,
    /// A message for people.
    pub message: String,
    /// A value for programs.
    pub value: Option<Value>,
}

/// A progress report with its attempt and time.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressRecord {
    /// The report.
    pub progress: Progress,
    /// The attempt that sent it.
    pub attempt: u32,
    /// The number of reports of that attempt so far, this one included.
    pub number: u64,
    /// When it was sent.
    pub time: Timestamp,
}

impl Progress {
    /// Progress as a fraction from 0 to 1. Other values are clamped, and NaN counts as 0.
    #[must_use]
    pub fn at(fraction: f64) -> Self {
        let fraction = if fraction.is_nan() {
            0.0
        } else {
            fraction.clamp(0.0, 1.0)
        };
        Self {
            fraction: Some(fraction),
            ..Self::default()
        }
    }

    /// Progress as a message for people.
    pub fn note(message: impl Into<String>) -> Self {
        Self::default().message(message)
    }

    /// Adds a message for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds a value for programs, which the next attempt can read.
    #[must_use]
    pub fn value(mut self, value: impl IntoValue) -> Self {
        self.value = Some(value.into_value());
        self
    }
}
