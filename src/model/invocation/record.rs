//! The stored record of one invocation: its request, its state, its events.

use std::sync::Arc;

use jiff::Timestamp;

use super::event::failure_of;
use super::{
    AsyncCompletion, Event, HELD, Outcome, ProgressRecord, Request, SEQUENCES_PER_GENERATION, State,
};
use crate::model::error::{Error, Violation};
use crate::model::id::Cid;

/// One stored invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The request.
    pub request: Arc<Request>,
    /// The state.
    pub state: State,
    /// The number of attempts that were started.
    pub attempts: u32,
    /// When it is due, while pending.
    pub due: Timestamp,
    /// When its first attempt started.
    pub first_attempt_time: Option<Timestamp>,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// When it will be removed, once it ended.
    pub purge_time: Option<Timestamp>,
    /// The last progress that an attempt reported.
    pub progress: Option<Arc<ProgressRecord>>,
    /// Why the last attempt failed, while another one follows.
    pub last_failure: Option<Error>,
    /// Whether it is deferred, while pending: when it was last polled, no connected worker accepted its input.
    pub deferred: bool,
    /// All events so far, in order; the last one of an ended invocation holds its outcome.
    pub events: Vec<Arc<Event>>,
    /// How often the node or a worker was lost during an attempt, since one ended by itself.
    pub crash_count: u32,
    /// The upper half of the sequences of its next events ([`SEQUENCES_PER_GENERATION`]). A claimed invocation has the
    /// generation of its claim, any other one that of its next change.
    pub generation: u32,
    /// Whether the node crashed since the record was last written. The invocation may have caused the crash, so its
    /// next attempt is recorded before it runs.
    pub recovered: bool,
    /// Whether its cancellation was requested while its handler ran.
    pub cancel_requested: bool,
    /// The reason that was given for it, if one was.
    pub cancel_reason: Option<String>,
    /// Whether an earlier invocation with its concurrency key blocks it, while it is pending.
    pub key_busy: bool,
    /// The asynchronous completion of its last attempt, if the handler returned `Later`.
    pub completion: Option<AsyncCompletion>,
    /// For a group: the number of members that have not ended.
    pub open_members: u32,
    /// The last invocation that retries it, if one does.
    pub retried_as: Option<Cid>,
}

impl Invocation {
    /// The longest reason of a cancellation, in bytes.
    pub const MAX_CANCEL_REASON_BYTES: usize = 1_024;

    /// The violation of a reason of a cancellation that is too long.
    #[must_use]
    pub fn check_cancel_reason(path: &'static str, cancel_reason: &str) -> Option<Violation> {
        (cancel_reason.len() > Self::MAX_CANCEL_REASON_BYTES).then(|| {
            let message = format!("is longer than {} bytes", Self::MAX_CANCEL_REASON_BYTES);
            Violation::new(path, "TOO_LARGE", message)
        })
    }

    /// How many bytes its input, its items and its outcome have.
    pub(crate) fn payload_bytes(&self) -> usize {
        let events = self.events.iter();
        let events: usize = events.map(|event| event.kind.payload_bytes()).sum();
        self.request.input.weight().saturating_add(events)
    }

    /// A new invocation with its `Accepted` event.
    #[must_use]
    pub fn accepted(request: Request, sequence: u64) -> Self {
        let accepted = Event::accepted(&request, sequence);
        Self {
            state: State::ACCEPTED,
            attempts: 0,
            due: request.due(),
            first_attempt_time: None,
            end_time: None,
            purge_time: None,
            progress: None,
            last_failure: None,
            deferred: false,
            events: vec![Arc::new(accepted)],
            crash_count: 0,
            generation: generation_of(sequence),
            recovered: false,
            cancel_requested: false,
            cancel_reason: None,
            key_busy: false,
            completion: None,
            open_members: request.group().map_or(0, |group| group.members),
            retried_as: None,
            request: Arc::new(request),
        }
    }

    /// Whether it waits for an asynchronous completion. In the store it is pending, and due when the attempt's timeout
    /// passes.
    #[must_use]
    pub fn waits_for_completion(&self) -> bool {
        !self.state.is_terminal() && self.completion.is_some_and(|completion| completion.pending)
    }

    /// When it expires while it is pending, if ever: at the expiration or the deadline of its terms, or at the timeout
    /// of its asynchronous completion. It expires immediately where its cancellation was requested, except for a group,
    /// which ends with its members.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let terms = self.request.terms.expires_at(self.state);
        let awaited = self.waits_for_completion().then_some(self.due);
        let unwanted = self.cancel_requested && !self.waits_for_members();
        let unwanted = unwanted.then_some(Timestamp::UNIX_EPOCH);
        terms.into_iter().chain(awaited).chain(unwanted).min()
    }

    /// Whether it is a group with members that have not ended.
    #[must_use]
    pub fn waits_for_members(&self) -> bool {
        !self.state.is_terminal() && self.request.group().is_some()
    }

    /// The state as callers see it: an invocation that waits for its completion counts as running, and so does a group.
    #[must_use]
    pub fn shown_state(&self) -> State {
        match self.waits_for_completion() || self.waits_for_members() {
            true => State::Running {
                cancel_requested: self.cancel_requested,
            },
            false => self.state,
        }
    }

    /// Whether it is held as a dead letter: no attempt is left, and it waits until an operator retries or cancels it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.shown_state(), State::Pending { .. }) && self.due >= HELD
    }

    /// Whether it belongs to the dead-letter queue: it is held, or it failed and was not retried since.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        self.is_held() || (self.state == State::Failed && self.retried_as.is_none())
    }

    /// When the scheduler has to process it, while it is pending.
    #[must_use]
    pub fn next_wakeup(&self) -> Timestamp {
        match self.open_members {
            0 => self.request.terms.next_wakeup(self.state, self.due),
            // A group wakes when its last member has ended.
            _ => Timestamp::MAX,
        }
    }

    /// The outcome, once it has ended.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.events.last()?.kind.outcome()
    }

    /// The error of its last attempt, if that failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        failure_of(&self.events, self.last_failure.as_ref())
    }

    /// The last sequence given to one of its events.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.events.last().map_or(0, |event| event.sequence)
    }
}

/// The generation that gave out a sequence.
fn generation_of(sequence: u64) -> u32 {
    u32::try_from(sequence / SEQUENCES_PER_GENERATION).unwrap_or(u32::MAX)
}
