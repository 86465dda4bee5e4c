//! The events of an invocation: what result streams carry.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Request, State};
use crate::model::error::Error;
use crate::model::id::ServiceName;
use crate::model::payload::{Payload, Reply};

/// What an invocation came to.
pub type Outcome = Result<Reply, Error>;

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

/// The failure that the last event tells of, or that was the last one.
pub(crate) fn failure_of<'a>(
    events: &'a [Arc<Event>],
    last: Option<&'a Error>,
) -> Option<&'a Error> {
    let told = events.last().and_then(|event| event.kind.failure());
    told.or(last)
}
