//! What an operation does with one invocation. Pure.

use jiff::Timestamp;

use super::request::Change;
use crate::codec::payload;
use crate::engine::results::lookup::InvocationView;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Invocation, State};
use crate::model::operation::OperationId;
use crate::model::payload::{Format, Payload};
use crate::model::value::{Dict, Value};

/// What is done with an invocation.
#[derive(Debug)]
pub(super) enum Decision {
    Cancel(Option<String>),
    /// As a new invocation with this CID, and with this input instead of its own.
    Retry(Cid, Option<Payload>),
    Release,
    Purge,
    /// It was done already, by this operation before a crash.
    Done,
    Refuse(Error),
}

/// An operation, as far as the decisions depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decider<'a> {
    pub(super) id: OperationId,
    pub(super) change: &'a Change,
    /// When the operation started.
    pub(super) start: Timestamp,
}

impl Decider<'_> {
    /// What is done with an invocation, as it stands. The change itself checks it again: it may be another one by then.
    pub(super) fn decide(&self, found: &InvocationView) -> Decision {
        let invocation = &found.invocation;
        if invocation.end_time.is_some_and(|end| end > self.start) {
            // As it was when the operation started, nobody has seen this end.
            let message = format!(
                "{} ended after the operation had started",
                invocation.request.cid
            );
            return Decision::Refuse(Error::failed_precondition(reason::ENDED, message));
        }
        match self.change {
            Change::Cancel(cancel_reason) => Decision::Cancel(cancel_reason.clone()),
            Change::Purge => Decision::Purge,
            Change::Release | Change::Retry(None) if self.was_held_since(found) => Decision::Done,
            Change::Release => Decision::Release,
            Change::Retry(None) if found.is_held() => Decision::Release,
            Change::Retry(patch) => self.retry(invocation, patch.as_ref()),
        }
    }

    /// Whether an invocation is held because of an attempt that ended after the start: it was released, by this
    /// operation before a crash, or was not held when it started.
    fn was_held_since(&self, found: &InvocationView) -> bool {
        let last = found.invocation.events.last();
        found.is_held() && last.is_some_and(|event| event.time > self.start)
    }

    /// The CID of the retry of an invocation: the same one, whenever it is asked for.
    fn retry_cid(&self, retried: Cid) -> Cid {
        let millis = u64::try_from(self.start.as_millisecond()).unwrap_or_default();
        Cid::derive_retry(self.id.as_bytes(), millis, retried)
    }

    fn retry(&self, invocation: &Invocation, patch: Option<&Dict>) -> Decision {
        let cid = invocation.request.cid;
        let retry_cid = self.retry_cid(cid);
        match invocation.retried_as {
            Some(retry) if retry == retry_cid => return Decision::Done,
            Some(retry) => return Decision::Refuse(already_retried(cid, retry)),
            None => {}
        }
        let Some(patch) = patch else {
            return Decision::Retry(retry_cid, None);
        };
        // Checked here: what was patched as something that had failed must not be retried as anything else.
        let may_be_retried = match invocation.state {
            State::Failed | State::Cancelled | State::Expired => true,
            _ => invocation.is_held(),
        };
        if !may_be_retried {
            let state = invocation.shown_state().name();
            let message = format!(
                "{cid} is {state}; only failed, expired, cancelled and held invocations are retried with a patch"
            );
            let error = Error::failed_precondition(reason::NOT_RETRYABLE, message);
            return Decision::Refuse(error);
        }
        match patched(invocation, patch) {
            Ok(input) => Decision::Retry(retry_cid, Some(input)),
            Err(error) => Decision::Refuse(error),
        }
    }
}

/// `FAILED_PRECONDITION` / `ALREADY_RETRIED`.
pub(super) fn already_retried(cid: Cid, retry: Cid) -> Error {
    let message = format!("{cid} has been retried already, as {retry}");
    Error::failed_precondition(reason::ALREADY_RETRIED, message)
}

/// The input of an invocation with a merge patch applied, in the same form.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `INPUT_INVALID` where it is not a dict.
fn patched(invocation: &Invocation, patch: &Dict) -> Result<Payload> {
    let input = &invocation.request.input;
    match payload::decode(input.clone())? {
        Value::Dict(mut dict) => {
            dict.merge_patch(patch);
            let patched = Payload::Value(Value::Dict(dict));
            match input {
                // The format of the response follows that of the input.
                Payload::Document(..) => payload::encode(patched, Format::Json),
                Payload::Value(_) | Payload::Struct(_) | Payload::Any(_) => Ok(patched),
            }
        }
        other => {
            let (cid, kind) = (invocation.request.cid, other.kind_name());
            let message = format!("the input of {cid} is {kind}, and a merge patch needs a dict");
            Err(Error::invalid_argument(reason::INPUT_INVALID, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;
    use crate::model::id::ServiceName;
    use crate::model::invocation::{HELD, Request};

    const ACCEPTED: Timestamp = Timestamp::UNIX_EPOCH;
    const START: Timestamp = Timestamp::constant(60, 0);

    fn invocation(input: impl Into<Payload>, state: State) -> InvocationView {
        let service = ServiceName::parse("a").unwrap();
        let request = Request::new(Cid::new(), service, input.into(), ACCEPTED);
        let mut invocation = Invocation::accepted(request, 1);
        invocation.state = state;
        invocation.end_time = state.is_terminal().then_some(START);
        InvocationView {
            invocation,
            due: false,
            unserved: false,
            paused: false,
        }
    }

    fn decide(change: &Change, found: &InvocationView) -> Decision {
        let decider = Decider {
            id: OperationId::from_bytes([7; 16]),
            change,
            start: START,
        };
        decider.decide(found)
    }

    fn refused(change: &Change, found: &InvocationView) -> String {
        match decide(change, found) {
            Decision::Refuse(error) => error.reason().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn patch() -> Change {
        Change::Retry(Some(dict! { "a": 2, "b": Value::Null }))
    }

    #[test]
    fn the_retry_of_an_invocation_always_has_the_same_cid() {
        let failed = invocation(dict! {}, State::Failed);
        let cid = |found: &InvocationView| match decide(&Change::Retry(None), found) {
            Decision::Retry(cid, None) => cid,
            other => panic!("{other:?}"),
        };
        assert_eq!(cid(&failed), cid(&failed));
        assert_ne!(cid(&failed), cid(&invocation(dict! {}, State::Failed)));
    }

    #[test]
    fn what_ended_after_the_start_is_left_as_it_is() {
        let mut failed = invocation(dict! {}, State::Failed);
        failed.invocation.end_time = Some(Timestamp::constant(61, 0));
        for change in [
            Change::Retry(None),
            Change::Purge,
            Change::Release,
            Change::Cancel(None),
        ] {
            assert_eq!(refused(&change, &failed), reason::ENDED, "{change:?}");
        }
    }

    #[test]
    fn a_held_invocation_is_released_or_retried_with_a_patch() {
        let mut held = invocation(dict! {}, State::Pending { started: true });
        held.invocation.due = HELD;
        let decision = decide(&Change::Retry(None), &held);
        assert!(matches!(decision, Decision::Release), "{decision:?}");
        let decision = decide(&patch(), &held);
        assert!(
            matches!(decision, Decision::Retry(_, Some(_))),
            "{decision:?}"
        );
        let succeeded = invocation(dict! {}, State::Succeeded);
        assert_eq!(refused(&patch(), &succeeded), reason::NOT_RETRYABLE);
    }

    #[test]
    fn a_patched_input_keeps_its_form() {
        let patched = |input: Payload| match decide(&patch(), &invocation(input, State::Expired)) {
            Decision::Retry(_, Some(input)) => input,
            other => panic!("{other:?}"),
        };
        let document = Payload::Document("{\"b\":1,\"c\":3}".into(), Format::Json);
        let Payload::Document(text, Format::Json) = patched(document) else {
            panic!("no JSON");
        };
        assert_eq!(text, "{\"c\":3,\"a\":2}");
        let value = payload::decode(patched(Payload::from(dict! { "b": 1 }))).unwrap();
        assert_eq!(value, Value::from(dict! { "a": 2 }));
        let list = invocation(Value::List(Vec::new()), State::Failed);
        assert_eq!(refused(&patch(), &list), reason::INPUT_INVALID);
    }
}
