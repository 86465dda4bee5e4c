//! Progress of a running attempt: a sign of life, and a checkpoint for the next attempt.

use jiff::Timestamp;

use crate::model::value::Value;

/// A sign of life of a running handler, and what the next attempt may start from.
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
    /// For people.
    pub message: String,
    /// For programs: whatever the handler reports.
    pub value: Option<Value>,
}

/// Progress, with who showed it and when.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressRecord {
    /// What was shown.
    pub progress: Progress,
    /// The attempt that showed it.
    pub attempt: u32,
    /// How many times that attempt had shown some, this one included.
    pub number: u64,
    /// When.
    pub time: Timestamp,
}

impl Progress {
    /// So far, from 0 to 1. What is outside, or no number, is brought inside.
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

    /// A note, for people.
    pub fn note(message: impl Into<String>) -> Self {
        Self::default().message(message)
    }

    /// Adds a note, for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds a value, for programs: the next attempt can read it.
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.value = Some(value.into());
        self
    }
}
