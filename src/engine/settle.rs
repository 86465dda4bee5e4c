//! What becomes of an invocation after an attempt: the state machine decides, this carries it out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::Invoker;
use crate::engine::background::Ended;
use crate::engine::clock::later;
use crate::engine::decide::{Decision, cancelled, decide};
use crate::engine::hub::{Live, next_sequence};
use crate::engine::routes::Route;
use crate::engine::store::Record;
use crate::model::error::{Error, reason};
use crate::model::invocation::{Event, EventKind, Invocation, State, Transition};

/// How long to wait before a record is tried again that the store refused.
const PAUSE: Duration = Duration::from_secs(1);
/// How long something waits that no worker takes now, before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Who claimed an invocation that is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Whoever ends it.
    Ours,
    /// Nobody, it is hoped: a claim beats the end.
    Nobodys,
}

impl Invoker {
    /// Records the end of an attempt and tells followers.
    pub(super) async fn settle(
        &self,
        route: &Route,
        invocation: &Invocation,
        live: &Live,
        ended: Ended,
    ) {
        let engine = &self.0;
        let cid = invocation.request.cid;
        let now = engine.clock.now();
        let limit = engine.limits.max_crashes;
        let decision = decide(route, invocation, live.state(), ended, now, limit);
        let record = self.record_of(route, invocation, live, decision, now);
        let taken = self.record_at_last(&record).await;
        // Followers are told of nothing that a crash could undo.
        if let Some(last) = record.events.last().filter(|_| taken) {
            live.publish(Arc::clone(last));
        }
        engine.hub.close(cid, taken);
        if taken {
            self.begin_what_follows(invocation, &record);
        }
    }

    /// Ends a claimed invocation whose time is over before it is attempted; answers whether it was.
    pub(super) async fn gave_up(&self, route: &Route, invocation: &Invocation) -> bool {
        let engine = &self.0;
        let now = engine.clock.now();
        let Some((change, error)) = over(invocation, now) else {
            return false;
        };
        self.end_pending(route, invocation, change, error, Whose::Ours)
            .await;
        true
    }

    /// Ends an invocation that nobody has claimed and whose time is over; answers whether it was.
    pub(super) async fn give_up_waiting(&self, route: &Route, invocation: &Invocation) -> bool {
        let now = self.0.clock.now();
        match over(invocation, now) {
            Some((change, error)) => {
                self.end_pending(route, invocation, change, error, Whose::Nobodys)
                    .await
            }
            // It needs neither a slot nor a worker for that.
            None if invocation.waits_for_completion() && invocation.due <= now => {
                self.give_up_awaiting(route, invocation, Whose::Nobodys)
                    .await
            }
            None => false,
        }
    }

    /// Ends an invocation that does not run; answers whether it had not ended before.
    pub(super) async fn end_pending(
        &self,
        route: &Route,
        invocation: &Invocation,
        change: Transition,
        error: Error,
        whose: Whose,
    ) -> bool {
        let state = invocation.state.after(change).unwrap_or(State::Failed);
        let kind = match state {
            State::Expired => EventKind::Expired(error),
            State::Cancelled => EventKind::Cancelled(error),
            _ => EventKind::Failed(error),
        };
        let decision = Decision {
            state,
            event: Some(kind),
            ..Decision::as_it_is(invocation)
        };
        self.settle_idle(route, invocation, decision, whose).await
    }

    /// Records a decision about an invocation that does not run here, and tells followers; answers whether it had not
    /// ended before.
    pub(super) async fn settle_idle(
        &self,
        route: &Route,
        invocation: &Invocation,
        decision: Decision,
        whose: Whose,
    ) -> bool {
        let now = self.0.clock.now();
        let event = decision.event.as_ref();
        let followed_by = self.callbacks(invocation, event, decision.attempts, now);
        let kept_for = kept_for(route, decision.state);
        let mut record = self.record_idle(kept_for, invocation, decision, now);
        record.followed_by = followed_by;
        record.expected_attempts = (whose == Whose::Nobodys).then_some(invocation.attempts);
        self.conclude(invocation, &record).await
    }

    /// What a decision makes of an invocation that does not run here.
    pub(super) fn record_idle(
        &self,
        kept_for: Duration,
        invocation: &Invocation,
        mut decision: Decision,
        now: Timestamp,
    ) -> Record {
        let event = decision.event.take();
        let mut record = self.record(kept_for, invocation, &decision, now);
        record.events.extend(event.map(|kind| {
            Arc::new(Event {
                sequence: next_sequence(invocation.sequence(), self.0.store.generation()),
                attempt: decision.attempts,
                time: now,
                kind,
            })
        }));
        record.first_attempt_time = invocation.first_attempt_time;
        record.progress.clone_from(&invocation.progress);
        record.last_failure = decision.last_failure;
        record
    }

    /// Records what became of an invocation that does not run here, tells followers and begins what follows; answers
    /// whether it had not ended before.
    pub(super) async fn conclude(&self, invocation: &Invocation, record: &Record) -> bool {
        let taken = self.record_at_last(record).await;
        if taken {
            self.0.hub.ring(invocation.request.cid);
            self.begin_what_follows(invocation, record);
        }
        taken
    }

    /// Begins what follows from a record: callbacks, and the end of a group.
    fn begin_what_follows(&self, invocation: &Invocation, record: &Record) {
        self.begin_callbacks(&record.followed_by);
        if record.state.is_terminal() && invocation.request.member().is_some() {
            self.look_after_groups();
        }
    }

    /// Puts an invocation off that was claimed and that no worker takes now.
    pub(super) async fn put_off(&self, route: &Arc<Route>, invocation: &Invocation, error: Error) {
        let now = self.0.clock.now();
        let decision = Decision {
            due: later(now, LOOK_AGAIN),
            last_failure: Some(error),
            ..Decision::as_it_is(invocation)
        };
        let cid = invocation.request.cid;
        let noted = route.lane.note_put_off(cid);
        self.settle_idle(route, invocation, decision, Whose::Ours)
            .await;
        // A worker has come meanwhile, and whoever looked again then did not find it put off yet.
        if noted && !route.lane.is_put_off(cid) {
            self.take_up(route, cid).await;
        }
    }

    /// Makes an invocation that is held due again, as it is.
    pub(super) async fn release(&self, route: &Arc<Route>, invocation: &Invocation) -> bool {
        let now = self.0.clock.now();
        let decision = Decision {
            due: now,
            last_failure: invocation.last_failure.clone(),
            ..Decision::as_it_is(invocation)
        };
        let taken = self
            .settle_idle(route, invocation, decision, Whose::Nobodys)
            .await;
        self.wake(route);
        taken
    }

    /// Records, again and again until the store takes it: what happened must not be lost, and there may be room later.
    async fn record_at_last(&self, record: &Record) -> bool {
        let mut waiting = None;
        loop {
            match self.0.store.record(record.clone()).await {
                Ok(taken) => return taken,
                Err(error) => {
                    // Nothing more is begun meanwhile: its outcome could not be kept either.
                    waiting.get_or_insert_with(|| self.0.unrecorded.token());
                    tracing::error!(cid = %record.cid, %error, "cannot record an outcome, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn record_of(
        &self,
        route: &Route,
        invocation: &Invocation,
        live: &Live,
        mut decision: Decision,
        now: Timestamp,
    ) -> Record {
        let event = decision.event.take();
        let kept_for = kept_for(route, decision.state);
        let mut record = self.record(kept_for, invocation, &decision, now);
        record.followed_by = self.callbacks(invocation, event.as_ref(), decision.attempts, now);
        record.last_failure = decision.last_failure;
        record.first_attempt_time = Some(live.first_attempt_time());
        record.events = live.seal(event, now);
        record.progress = live.progress().or_else(|| invocation.progress.clone());
        if record.state == State::Succeeded {
            record.followed_by.extend(live.followed_by());
        }
        record
    }

    /// What a decision makes of an invocation, but for what its attempt told.
    /// It is kept for so long, unless its terms say something else.
    fn record(
        &self,
        kept_for: Duration,
        invocation: &Invocation,
        decision: &Decision,
        now: Timestamp,
    ) -> Record {
        let terms = &invocation.request.terms;
        let retention = terms.retention.unwrap_or(kept_for);
        let ended = decision.state.is_terminal();
        let awaited = decision.completion.filter(|completion| completion.pending);
        let awaited = awaited.map(|_| decision.due);
        let purge_time = ended.then(|| later(now, retention));
        let tombstone = retention.min(self.0.limits.tombstone_retention);
        Record {
            cid: invocation.request.cid,
            service: invocation.request.service.clone(),
            state: decision.state,
            attempts: decision.attempts,
            crash_count: decision.crash_count,
            due: decision.due,
            next_wakeup: terms.next_wakeup(decision.state, decision.due),
            expires_at: terms
                .expires_at(decision.state)
                .into_iter()
                .chain(awaited)
                .min()
                .filter(|_| !ended),
            first_attempt_time: None,
            events: Vec::new(),
            progress: None,
            last_failure: None,
            end_time: ended.then_some(now),
            purge_time,
            tombstone_until: purge_time.map(|time| later(time, tombstone)),
            followed_by: Vec::new(),
            completion: decision.completion,
            expected_attempts: None,
        }
    }
}

/// How long what ended is kept, as its service says.
fn kept_for(route: &Route, state: State) -> Duration {
    match state {
        State::Succeeded => route.options.retention,
        _ => route.options.failure_retention,
    }
}

/// Why an invocation that is pending is given up, if its time is over.
pub(super) fn over(invocation: &Invocation, now: Timestamp) -> Option<(Transition, Error)> {
    if invocation.cancel_requested {
        return Some((Transition::Cancel, cancelled()));
    }
    let terms = &invocation.request.terms;
    let passed = |time: Option<Timestamp>| time.filter(|time| *time <= now);
    if let State::Pending { started: false } = invocation.state
        && let Some(time) = passed(terms.expire_time)
    {
        let message = format!("the invocation had not started at {time}, when it expired");
        let error = Error::deadline_exceeded(reason::EXPIRED, message);
        return Some((Transition::ExpirationPassed, error));
    }
    let time = passed(terms.deadline)?;
    Some((Transition::DeadlinePassed, deadline_passed(time)))
}

/// `DEADLINE_EXCEEDED`, for good.
pub(super) fn deadline_passed(time: Timestamp) -> Error {
    let message = format!("the invocation had not ended at {time}, its deadline");
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message).with_retryable(false)
}
