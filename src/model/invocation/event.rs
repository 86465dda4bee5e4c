//! The events of an invocation: what result streams carry.

use jiff::Timestamp;

use super::{Outcome, Request, State};
use crate::model::error::Error;
use crate::model::id::ServiceName;
use crate::model::payload::{Payload, Reply};
use crate::model::value::Value;

/// How many sequences one generation of a store may give to one invocation.
///
/// A sequence is the generation (how often the store was opened) times this, plus a counter: what a crashed node had
/// given out and not stored is never given out again.
pub const SEQUENCES_PER_GENERATION: u64 = 1 << 32;

/// Something that happened to an invocation.
#[derive(Clone, Debug)]
pub struct Event {
    /// Rises with each event of an invocation, with gaps.
    pub sequence: u64,
    /// The attempt it belongs to, from 1; 0 where it belongs to none.
    pub attempt: u32,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// The invocation is stored.
    Accepted {
        /// The service it invokes.
        service: ServiceName,
        /// When it is due.
        due: Timestamp,
    },
    /// An attempt started.
    Started {
        /// The worker that runs it, by name and id; empty where the node itself does.
        worker: String,
    },
    /// The handler emitted something.
    Item(Payload),
    /// An attempt failed and another one follows.
    RetryScheduled {
        /// Why it failed.
        failure: Error,
        /// When the next one is due.
        due: Timestamp,
    },
    /// The end: the handler's response.
    Succeeded(Reply),
    /// The end: a failure.
    Failed(Error),
    /// The end: someone cancelled it.
    Cancelled(Error),
    /// The end: it never started in time.
    Expired(Error),
}

impl Event {
    /// What every invocation begins with.
    #[must_use]
    pub fn accepted(request: &Request, sequence: u64) -> Self {
        Self {
            sequence,
            attempt: 0,
            time: request.accept_time,
            kind: EventKind::Accepted {
                service: request.service.clone(),
                due: request.due(),
            },
        }
    }
}

impl EventKind {
    /// The failure it tells of, if it does.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        match self {
            Self::RetryScheduled { failure, .. } => Some(failure),
            Self::Failed(error) | Self::Cancelled(error) | Self::Expired(error) => Some(error),
            Self::Accepted { .. } | Self::Started { .. } | Self::Item(_) | Self::Succeeded(_) => {
                None
            }
        }
    }

    /// The terminal state this event leads to, if it leads to one.
    #[must_use]
    pub fn terminal_state(&self) -> Option<State> {
        match self {
            Self::Accepted { .. }
            | Self::Started { .. }
            | Self::Item(_)
            | Self::RetryScheduled { .. } => None,
            Self::Succeeded(_) => Some(State::Succeeded),
            Self::Failed(_) => Some(State::Failed),
            Self::Cancelled(_) => Some(State::Cancelled),
            Self::Expired(_) => Some(State::Expired),
        }
    }

    /// The outcome this event carries, if it is the end.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Accepted { .. }
            | Self::Started { .. }
            | Self::Item(_)
            | Self::RetryScheduled { .. } => None,
            Self::Succeeded(reply) => Some(Ok(reply.clone())),
            Self::Failed(error) | Self::Cancelled(error) | Self::Expired(error) => {
                Some(Err(error.clone()))
            }
        }
    }
}

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
