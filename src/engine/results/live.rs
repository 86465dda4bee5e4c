//! Live invocations: the events of a running attempt that the store does not have yet.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::limits::Limits;
use crate::engine::results::event_page::{EventPage, READ_AHEAD};
use crate::engine::running_budget::AttemptMemory;
use crate::model::call::DurableOptions;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{
    Event, EventKind, Invocation, NestedCall, NestedCalls, Progress, ProgressRecord, Request,
    SEQUENCES_PER_GENERATION, State, Transition,
};
use crate::model::metadata::Metadata;
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::service::WorkerPermit;

/// A running invocation: its state, and its events, those included that are not stored yet.
#[derive(Debug)]
pub(in crate::engine) struct Live {
    pub(in crate::engine) cid: Cid,
    /// That of its claim ([`Invocation::generation`]).
    pub(in crate::engine) generation: u32,
    /// Fires when the handler is asked to stop, for any reason.
    pub(in crate::engine) cancel: CancellationToken,
    /// Fires when a caller cancels the invocation.
    pub(in crate::engine) cancel_requested: CancellationToken,
    /// Why, if the caller gave a reason. That of the first request stays.
    cancel_reason: OnceLock<String>,
    /// Where a worker runs the attempt: its permit, which knows the token of the dispatch.
    worker_permit: Option<Weak<dyn WorkerPermit>>,
    /// The completion token that the handler in this process asked for.
    completion_token: OnceLock<Token>,
    memory: Arc<AttemptMemory>,
    /// Why an item was lost that its handler was not told about.
    lost_item: OnceLock<Error>,
    /// The metadata with which its handler runs, where that has the trace context of a span.
    trace: OnceLock<Arc<Metadata>>,
    state: Mutex<LiveState>,
}

#[derive(Debug)]
struct LiveState {
    state: State,
    attempts: u32,
    first_attempt_time: Timestamp,
    next_sequence: u64,
    events: Vec<Arc<Event>>,
    /// How many of the events are stored.
    stored_events: usize,
    items: usize,
    item_bytes: usize,
    /// The synchronous calls of the attempt that have ended.
    calls: NestedCalls,
    /// The last progress, of this attempt or an earlier one.
    progress: Option<Arc<ProgressRecord>>,
    /// When the handler last reported progress, or started.
    last_heartbeat: Instant,
    /// The attempt has ended: later events are refused.
    sealed: bool,
    /// Invocations that are accepted together with the response.
    follow_ups: Vec<Invocation>,
}

/// How far a follower has read the progress of an invocation: the attempt, and the number of the report in it.
pub(in crate::engine) type ProgressVersion = (u32, u64);

/// What is new of an invocation since a follower last read it.
#[derive(Debug, Default)]
pub(in crate::engine) struct Update {
    pub(in crate::engine) events: Vec<Arc<Event>>,
    /// The run before these events: the sequence of the last `Started` event; 0 where there is none.
    pub(in crate::engine) run: u64,
    pub(in crate::engine) progress: Option<Arc<ProgressRecord>>,
    /// Whether there are further events, which were not read.
    pub(in crate::engine) has_more: bool,
}

impl Update {
    /// The events of a page after a sequence; `run` is the run before them, where it is known. Progress comes after the
    /// last event.
    pub(in crate::engine) fn of(
        EventPage {
            events, has_more, ..
        }: EventPage<'_>,
        sequence: u64,
        run: Option<u64>,
        progress: Option<Arc<ProgressRecord>>,
    ) -> Self {
        let first = events.partition_point(|event| event.sequence <= sequence);
        let (before, after) = events.split_at(first);
        let last_start = || {
            let mut starts = before.iter().rev();
            let start = starts.find(|event| matches!(event.kind, EventKind::Started { .. }));
            start.map_or(0, |event| event.sequence)
        };
        Self {
            events: after.to_vec(),
            run: run.unwrap_or_else(last_start),
            progress: progress.filter(|_| !has_more),
            has_more,
        }
    }
}

/// Why an item was refused.
#[derive(Debug)]
pub(in crate::engine) enum ItemRejected {
    /// The attempt has ended.
    Ended,
    /// The limit on the number of items or on their bytes is reached.
    Limit,
    /// The attempts of the node hold too much memory.
    NoRoom(Error),
}

impl Live {
    /// Starts an attempt of a claimed invocation; `worker` is the permit of the worker that runs it, if one does.
    pub(in crate::engine) fn start(
        invocation: &Invocation,
        worker: Option<&Arc<dyn WorkerPermit>>,
        memory: &Arc<AttemptMemory>,
        now: Timestamp,
    ) -> Self {
        let attempt = invocation.attempts + 1;
        let mut events = invocation.events.clone();
        let sequence = next_sequence(invocation.sequence(), invocation.generation);
        events.push(Arc::new(Event {
            sequence,
            attempt,
            time: now,
            kind: EventKind::Started {
                worker: worker.map_or_else(String::new, |permit| permit.worker().to_owned()),
                calls: NestedCalls::default(),
            },
        }));
        let items = invocation
            .events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Item(item) => Some(item.weight()),
                _ => None,
            });
        let (items, item_bytes) = items.fold((0, 0), |(n, bytes), weight| (n + 1, bytes + weight));
        Self {
            cid: invocation.request.cid,
            generation: invocation.generation,
            cancel: CancellationToken::new(),
            cancel_requested: CancellationToken::new(),
            cancel_reason: OnceLock::new(),
            worker_permit: worker.map(Arc::downgrade),
            completion_token: OnceLock::new(),
            memory: Arc::clone(memory),
            lost_item: OnceLock::new(),
            trace: OnceLock::new(),
            state: Mutex::new(LiveState {
                state: started(invocation.state),
                attempts: attempt,
                first_attempt_time: invocation.first_attempt_time.unwrap_or(now),
                next_sequence: sequence + 1,
                stored_events: invocation.events.len(),
                events,
                items,
                item_bytes,
                calls: NestedCalls::default(),
                progress: invocation.progress.clone(),
                last_heartbeat: Instant::now(),
                sealed: false,
                follow_ups: Vec::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LiveState> {
        // Every change is one push or one assignment: the state is whole even after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds: its input, its items, and its follow-ups.
    pub(in crate::engine) fn memory(&self) -> &Arc<AttemptMemory> {
        &self.memory
    }

    /// Notes that an item was lost, for which its handler does not fail by itself: the attempt fails in its place.
    pub(in crate::engine) fn lose_item(&self, error: Error) {
        let _ = self.lost_item.set(error);
    }

    pub(in crate::engine) fn lost_item(&self) -> Option<&Error> {
        self.lost_item.get()
    }

    /// Notes the metadata with which the handler runs: what it causes is part of the same trace.
    pub(in crate::engine) fn set_trace(&self, metadata: &Arc<Metadata>) {
        let _ = self.trace.set(Arc::clone(metadata));
    }

    /// The metadata with the trace context of the attempt, where that is known.
    pub(in crate::engine) fn trace(&self) -> Option<&Metadata> {
        self.trace.get().map(|metadata| &**metadata)
    }

    /// Notes the token that a handler in this process gives away to have its outcome completed from outside.
    pub(in crate::engine) fn set_completion_token(&self, token: Token) {
        let _ = self.completion_token.set(token);
    }

    /// Whether a token belongs to the attempt under way: its completion token, or the token of its dispatch at a
    /// worker.
    pub(in crate::engine) fn owns_token(&self, token: Token) -> bool {
        let permit = self.worker_permit.as_ref().and_then(Weak::upgrade);
        self.completion_token.get() == Some(&token)
            || permit.is_some_and(|permit| permit.token() == Some(token))
    }

    /// Adds an item. A handler may keep its context beyond the end of the attempt and still try.
    ///
    /// # Errors
    ///
    /// [`ItemRejected`].
    pub(in crate::engine) fn add_item(
        &self,
        item: Payload,
        time: Timestamp,
        limits: &Limits,
    ) -> Result<(), ItemRejected> {
        let weight = item.weight();
        let mut state = self.lock();
        if state.sealed {
            return Err(ItemRejected::Ended);
        }
        let bytes = state.item_bytes.saturating_add(weight);
        if state.items >= limits.items || bytes > limits.item_bytes {
            return Err(ItemRejected::Limit);
        }
        self.memory.hold(weight).map_err(ItemRejected::NoRoom)?;
        state.items += 1;
        state.item_bytes = bytes;
        let event = state.make_event(EventKind::Item(item), time);
        state.events.push(event);
        Ok(())
    }

    /// Notes a synchronous call of the attempt that has ended.
    pub(in crate::engine) fn add_call(&self, call: NestedCall) {
        let mut state = self.lock();
        if !state.sealed {
            state.calls.add(call);
        }
    }

    /// Ends the attempt: later items and progress are refused. Returns the events to be stored, the last one included,
    /// which followers do not see before it is [`publish`](Self::publish)ed.
    pub(in crate::engine) fn seal(
        &self,
        last: Option<EventKind>,
        time: Timestamp,
    ) -> Vec<Arc<Event>> {
        let mut state = self.lock();
        state.sealed = true;
        let stored = state.stored_events;
        let LiveState { events, calls, .. } = &mut *state;
        put_calls(events.get_mut(stored..).unwrap_or_default(), calls);
        let mut events = state.events.get(stored..).unwrap_or_default().to_vec();
        events.extend(last.map(|kind| state.make_event(kind, time)));
        events
    }

    /// How many bytes its items and its outcome have.
    pub(in crate::engine) fn payload_bytes(&self) -> usize {
        let state = self.lock();
        let last = state.events.last();
        let outcome = last.filter(|event| event.kind.terminal_state().is_some());
        state.item_bytes + outcome.map_or(0, |event| event.kind.payload_bytes())
    }

    /// Shows the last event of the attempt to followers, once it is stored.
    pub(in crate::engine) fn publish(&self, last: Arc<Event>) {
        let mut state = self.lock();
        let newest = state.events.last().map(|event| event.sequence);
        if newest.is_some_and(|newest| newest < last.sequence) {
            state.events.push(last);
        }
    }

    /// The reason that a caller gave for the cancellation.
    pub(in crate::engine) fn cancel_reason(&self) -> Option<&str> {
        self.cancel_reason.get().map(String::as_str)
    }

    /// Restarts the attempt timeout.
    pub(in crate::engine) fn heartbeat(&self) {
        self.lock().last_heartbeat = Instant::now();
    }

    /// Records progress. A [`heartbeat`](Self::heartbeat) restarts the attempt timeout.
    pub(in crate::engine) fn report_progress(&self, progress: Progress, time: Timestamp) {
        let mut state = self.lock();
        if state.sealed {
            return;
        }
        let attempt = state.attempts;
        let reports = match &state.progress {
            Some(last) if last.attempt == attempt => last.number,
            _ => 0,
        };
        state.progress = Some(Arc::new(ProgressRecord {
            progress,
            attempt,
            number: reports + 1,
            time,
        }));
    }

    /// Keeps an invocation that is accepted together with the response. Returns the first request where this attempt
    /// asked for it before, with the same CID or key.
    ///
    /// # Errors
    ///
    /// `CANCELLED` where the attempt has ended; `RESOURCE_EXHAUSTED` / `PENDING_LIMIT` beyond 1 000 of them, or
    /// `MEMORY_LIMIT`.
    pub(in crate::engine) fn add_follow_up(
        &self,
        next: Invocation,
    ) -> Result<Option<Arc<Request>>> {
        let mut state = self.lock();
        if state.sealed {
            return Err(Error::cancelled(reason::CANCELLED, "the attempt has ended"));
        }
        let mut earlier = state.follow_ups.iter();
        if let Some(first) = earlier.find(|first| is_repeat(&first.request, &next.request)) {
            return Ok(Some(Arc::clone(&first.request)));
        }
        if state.follow_ups.len() >= DurableOptions::MAX_FOLLOW_UPS {
            return Err(DurableOptions::too_many_follow_ups());
        }
        self.memory.hold(next.payload_bytes())?;
        state.follow_ups.push(next);
        Ok(None)
    }

    pub(in crate::engine) fn has_follow_ups(&self) -> bool {
        !self.lock().follow_ups.is_empty()
    }

    pub(in crate::engine) fn take_follow_ups(&self) -> Vec<Invocation> {
        std::mem::take(&mut self.lock().follow_ups)
    }

    /// Asks the handler to stop because a caller cancels the invocation; returns whether the attempt still runs.
    pub(in crate::engine) fn request_cancel(&self, cancel_reason: Option<&str>) -> bool {
        let mut state = self.lock();
        if state.sealed {
            return false;
        }
        if let Some(text) = cancel_reason {
            let _ = self.cancel_reason.set(text.to_owned());
        }
        state.state = state.state.after(Transition::Cancel).unwrap_or(state.state);
        drop(state);
        self.cancel_requested.cancel();
        self.cancel.cancel();
        true
    }

    pub(in crate::engine) fn last_heartbeat(&self) -> Instant {
        self.lock().last_heartbeat
    }

    pub(in crate::engine) fn first_attempt_time(&self) -> Timestamp {
        self.lock().first_attempt_time
    }

    pub(in crate::engine) fn state(&self) -> State {
        self.lock().state
    }

    pub(in crate::engine) fn progress(&self) -> Option<Arc<ProgressRecord>> {
        let state = self.lock();
        state.progress.clone()
    }

    /// Whether one of its events has a sequence in a range.
    pub(in crate::engine) fn has_event_in(&self, range: &Range<u64>) -> bool {
        let state = self.lock();
        let mut events = state.events.iter();
        events.any(|event| range.contains(&event.sequence))
    }

    /// The last sequence that an event has, or that the store is about to have.
    pub(in crate::engine) fn last_sequence(&self) -> u64 {
        self.lock().next_sequence.saturating_sub(1)
    }

    /// How many bytes the next events after a sequence have.
    pub(in crate::engine) fn next_bytes(&self, sequence: u64) -> usize {
        EventPage::after(sequence, &self.lock().events, READ_AHEAD).bytes
    }

    /// The next events after a sequence, as far as they have `max_bytes`, and the progress if it is newer than `seen`.
    /// `run` is the run before them, where it is known.
    pub(in crate::engine) fn update_since(
        &self,
        sequence: u64,
        run: Option<u64>,
        seen: ProgressVersion,
        max_bytes: usize,
    ) -> Update {
        let state = self.lock();
        let progress = state.progress.clone();
        let progress = progress.filter(|progress| progress_version(progress) > seen);
        let page = EventPage::after(sequence, &state.events, max_bytes);
        Update::of(page, sequence, run, progress)
    }

    /// Replaces the stored state of the invocation by the live one.
    pub(in crate::engine) fn overlay(&self, invocation: &mut Invocation) {
        let state = self.lock();
        invocation.state = state.state;
        invocation.deferred = false;
        invocation.attempts = state.attempts;
        invocation.first_attempt_time = Some(state.first_attempt_time);
        invocation.events.clone_from(&state.events);
        let stored = state.stored_events;
        let unstored = invocation.events.get_mut(stored..);
        put_calls(unstored.unwrap_or_default(), &state.calls);
        if let Some(progress) = &state.progress {
            invocation.progress = Some(Arc::clone(progress));
        }
    }
}

impl LiveState {
    fn make_event(&mut self, kind: EventKind, time: Timestamp) -> Arc<Event> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Arc::new(Event {
            sequence,
            attempt: self.attempts,
            time,
            kind,
        })
    }
}

/// Puts the calls of an attempt into the event of its start, which followers may share: they get it as it was.
fn put_calls(events: &mut [Arc<Event>], made: &NestedCalls) {
    if made.is_empty() {
        return;
    }
    let is_start = |event: &Event| matches!(event.kind, EventKind::Started { .. });
    let start = events.iter_mut().find(|event| is_start(event));
    if let Some(event) = start
        && let EventKind::Started { calls, .. } = &mut Arc::make_mut(event).kind
    {
        calls.clone_from(made);
    }
}

/// The state of an invocation whose attempt starts.
fn started(state: State) -> State {
    const RUNNING: State = State::Running {
        cancel_requested: false,
    };
    state.after(Transition::Start).unwrap_or(RUNNING)
}

/// The version of a progress report.
pub(in crate::engine) fn progress_version(progress: &ProgressRecord) -> ProgressVersion {
    (progress.attempt, progress.number)
}

/// Whether one request repeats the other: the same CID or the same idempotency key.
fn is_repeat(one: &Request, other: &Request) -> bool {
    let (key, other_key) = (&one.terms.idempotency_key, &other.terms.idempotency_key);
    one.cid == other.cid || (key.is_some() && key == other_key)
}

/// The sequence after `last`, in this generation of the invocation.
pub(in crate::engine) fn next_sequence(last: u64, generation: u32) -> u64 {
    (last + 1).max(u64::from(generation) * SEQUENCES_PER_GENERATION + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_rise_and_restart_with_each_generation() {
        assert_eq!(next_sequence(0, 1), (1 << 32) + 1);
        assert_eq!(next_sequence((1 << 32) + 1, 1), (1 << 32) + 2);
        assert_eq!(next_sequence((1 << 32) + 7, 2), (2 << 32) + 1);
    }
}
