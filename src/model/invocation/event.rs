//! The events of an invocation, as result streams deliver them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{NestedCalls, Request, State};
use crate::model::error::Error;
use crate::model::id::ServiceName;
use crate::model::payload::{Payload, Reply};

/// The outcome of an invocation: a reply or an error.
pub type Outcome = Result<Reply, Error>;

/// The number of sequences of an invocation in one generation ([`Invocation::generation`]).
///
/// A sequence is the generation times this, plus a counter. Each opening of a store begins a generation, and in a store
/// that several nodes share, each claim of an invocation. A sequence that a crashed node sent and did not store is
/// therefore never reused.
///
/// [`Invocation::generation`]: super::Invocation::generation
pub const SEQUENCES_PER_GENERATION: u64 = 1 << 32;

/// Something that happened to an invocation.
#[derive(Clone, Debug)]
pub struct Event {
    /// Increases with each event of an invocation, with gaps.
    pub sequence: u64,
    /// The number of the attempt, from 1; 0 where the event belongs to none.
    pub attempt: u32,
    /// When it happened.
    pub time: Timestamp,
    /// Its kind, with the data of that kind.
    pub kind: EventKind,
}

/// The kind of an event.
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
        /// The name and the ID of the worker; empty where the node runs the handler itself.
        worker: String,
        /// The synchronous calls that it made until it ended, or until now.
        calls: NestedCalls,
    },
    /// The handler emitted an item.
    Item(Payload),
    /// An attempt failed and another one follows.
    RetryScheduled {
        /// Why it failed.
        failure: Error,
        /// When the next attempt is due.
        due: Timestamp,
    },
    /// Terminal: the handler's response.
    Succeeded(Reply),
    /// Terminal: a failure.
    Failed(Error),
    /// Terminal: it was cancelled.
    Cancelled(Error),
    /// Terminal: it expired before its first attempt.
    Expired(Error),
}

impl Event {
    /// The first event of every invocation.
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
    /// The error in the event, if there is one.
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

    /// The terminal state that the event leads to, if it is terminal.
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

    /// How many bytes its item or its response has.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Item(payload) => payload.weight(),
            Self::Succeeded(reply) => reply.payload.weight(),
            Self::Accepted { .. }
            | Self::Started { .. }
            | Self::RetryScheduled { .. }
            | Self::Failed(_)
            | Self::Cancelled(_)
            | Self::Expired(_) => 0,
        }
    }

    /// The outcome in the event, if it is terminal.
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

/// The error in the last event, or else the last recorded one.
pub(crate) fn failure_of<'a>(
    events: &'a [Arc<Event>],
    last: Option<&'a Error>,
) -> Option<&'a Error> {
    let in_event = events.last().and_then(|event| event.kind.failure());
    in_event.or(last)
}
