//! What an operation does with one invocation. Pure.

use jiff::Timestamp;

use super::change::Change;
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
    /// Of a group, which ends with its last member.
    CancelGroup(Option<String>),
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
    /// Whether the operation is about an invocation that matches. Its caller has not seen what ended since the start,
    /// and what was retried is not retried again.
    pub(super) fn concerns(&self, invocation: &Invocation) -> bool {
        let ended_before = invocation.end_time.is_none_or(|end| end <= self.start);
        let is_own_retry = |retry| retry == self.retry_cid(invocation.request.cid);
        ended_before
            && match self.change {
                // By this operation, before a crash: it counts.
                Change::Retry(_) => invocation.retried_as.is_none_or(is_own_retry),
                Change::Cancel(_) | Change::Release | Change::Purge => true,
            }
    }

    /// What is done with an invocation that [concerns](Self::concerns) the operation, as it stands. The change itself
    /// checks it again: it may be another one by then.
    pub(super) fn decide(&self, found: &InvocationView) -> Decision {
        let invocation = &found.invocation;
        match self.change {
            Change::Cancel(cancel_reason) if invocation.request.group().is_some() => {
                Decision::CancelGroup(cancel_reason.clone())
            }
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
        if invocation.retried_as == Some(retry_cid) {
            return Decision::Done;
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

/// The input of an invocation with a merge patch applied, in the same form; as JSON where that form does not carry its
/// numbers.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `INPUT_INVALID` where it is not a dict.
fn patched(invocation: &Invocation, patch: &Dict) -> Result<Payload> {
    let input = &invocation.request.input;
    match payload::decode(input.clone())? {
        Value::Dict(mut dict) => {
            dict.merge_patch(patch);
            let patched = Value::Dict(dict);
            // The format of the response follows that of the input.
            let is_document = matches!(input, Payload::Document(..));
            if !is_document && payload::is_exact_in_dict(&patched) {
                return Ok(Payload::Value(patched));
            }
            payload::encode(Payload::Value(patched), Format::Json)
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

    fn decider(change: &Change) -> Decider<'_> {
        Decider {
            id: OperationId::from_bytes([7; 16]),
            change,
            start: START,
        }
    }

    fn decide(change: &Change, found: &InvocationView) -> Decision {
        decider(change).decide(found)
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
    fn what_ended_or_was_retried_since_is_left_as_it_is() {
        let concerns =
            |change: &Change, invocation: &Invocation| decider(change).concerns(invocation);
        let failed = invocation(dict! {}, State::Failed).invocation;
        let late = Invocation {
            end_time: Some(Timestamp::constant(61, 0)),
            ..failed.clone()
        };
        let retried_as = |retry| Invocation {
            retried_as: Some(retry),
            ..failed.clone()
        };
        let retry = Change::Retry(None);
        let own = decider(&retry).retry_cid(failed.request.cid);
        for change in [
            &retry,
            &Change::Purge,
            &Change::Release,
            &Change::Cancel(None),
        ] {
            assert!(concerns(change, &failed), "{change:?}");
            assert!(!concerns(change, &late), "{change:?}");
        }
        assert!(concerns(&retry, &retried_as(own)));
        assert!(!concerns(&retry, &retried_as(Cid::new())));
        assert!(concerns(&Change::Purge, &retried_as(Cid::new())));
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
        // A dict of the contract has numbers of 53 bits.
        let large = Change::Retry(Some(dict! { "n": 9_007_199_254_740_993_i64 }));
        let Decision::Retry(_, Some(input)) = decide(&large, &invocation(dict! {}, State::Failed))
        else {
            panic!("not retried");
        };
        assert!(
            matches!(input, Payload::Document(_, Format::Json)),
            "{input:?}"
        );
        let list = invocation(Value::List(Vec::new()), State::Failed);
        assert_eq!(refused(&patch(), &list), reason::INPUT_INVALID);
    }
}
