//! What an operation does to each invocation, and which ones it can do it to: its filter selects no others.

use super::selection::Selection;
use crate::codec::limits::MAX_FILTER_VALUES;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action;
use crate::codec::{json, struct_pb};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::invocation::Invocation;
use crate::model::value::{Dict, Value};

/// What an operation does to each invocation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Cancels it, for this reason.
    Cancel(Option<String>),
    /// Retries it, or releases it if it is held; the merge patch is applied to its input.
    Retry(Option<Dict>),
    /// Releases it if it is held.
    Release,
    /// Removes it if it has ended.
    Purge,
}

impl Change {
    /// What it does, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Cancel(_) => "cancel",
            Self::Retry(_) => "retry",
            Self::Release => "release",
            Self::Purge => "purge",
        }
    }

    /// Reads an action.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
    pub(super) fn parse(action: Option<v1::OperationAction>) -> Result<Self> {
        match action.and_then(|action| action.action) {
            None => {
                let message = "is required: one of `cancel`, `retry`, `release`, `purge`";
                Err(violation("/action", "MISSING", message.to_owned()))
            }
            Some(Action::Cancel(cancel)) => {
                let path = "/action/cancel/reason";
                let too_large = Invocation::check_cancel_reason(path, &cancel.reason);
                Error::reject(reason::REQUEST_INVALID, too_large.into_iter().collect())?;
                let given = Some(cancel.reason).filter(|text| !text.is_empty());
                Ok(Self::Cancel(given))
            }
            Some(Action::Retry(retry)) => parse_patch(retry).map(Self::Retry),
            Some(Action::Release(_)) => Ok(Self::Release),
            Some(Action::Purge(_)) => Ok(Self::Purge),
        }
    }

    /// The invocations of a filter that can be changed as they stand. Those that were retried are not among those to
    /// retry.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations, and where a filter asks for nothing that can be
    /// changed.
    pub(super) fn selection(
        &self,
        filter: Option<v1::InvocationFilter>,
        max_values: usize,
    ) -> Result<Selection> {
        // The violations are those of the filter as it was given.
        Selection::parse(filter.clone(), max_values)?;
        let mut filter = filter.unwrap_or_default();
        let (ended, pending) = (self.ended_states(&filter), self.pending_states(&filter));
        let only_held = matches!(self, Self::Retry(_) | Self::Release) && !pending.is_empty();
        let (or_held, retries) = (only_held && !ended.is_empty(), !ended.is_empty());
        if only_held && !or_held {
            filter.pending_reasons = vec![v1::PendingReason::Held.into()];
        }
        filter.states = match or_held {
            true => ended,
            false => [ended, pending].concat(),
        };
        if filter.states.is_empty() {
            return Err(self.nothing_selected(&filter));
        }
        let selection = Selection::parse(Some(filter), MAX_FILTER_VALUES)?;
        Ok(match self {
            Self::Retry(_) if retries => selection.not_retried(or_held),
            _ => selection,
        })
    }

    /// The states of ended invocations that a filter asks for, and that can be changed.
    fn ended_states(&self, filter: &v1::InvocationFilter) -> Vec<i32> {
        let possible: &[v1::State] = match self {
            Self::Cancel(_) | Self::Release => &[],
            Self::Retry(_) => &[v1::State::Failed, v1::State::Cancelled, v1::State::Expired],
            Self::Purge => &[
                v1::State::Succeeded,
                v1::State::Failed,
                v1::State::Cancelled,
                v1::State::Expired,
            ],
        };
        // Only pending invocations have a reason to be pending.
        match filter.pending_reasons.is_empty() {
            true => asked(filter, possible),
            false => Vec::new(),
        }
    }

    /// The other ones.
    fn pending_states(&self, filter: &v1::InvocationFilter) -> Vec<i32> {
        let reasons = &filter.pending_reasons;
        let held = i32::from(v1::PendingReason::Held);
        match self {
            Self::Cancel(_) if reasons.is_empty() => {
                asked(filter, &[v1::State::Pending, v1::State::Running])
            }
            Self::Cancel(_) => asked(filter, &[v1::State::Pending]),
            Self::Retry(_) | Self::Release if reasons.is_empty() || reasons.contains(&held) => {
                asked(filter, &[v1::State::Pending])
            }
            Self::Retry(_) | Self::Release | Self::Purge => Vec::new(),
        }
    }

    fn nothing_selected(&self, filter: &v1::InvocationFilter) -> Error {
        let path = match filter.pending_reasons.is_empty() {
            true => "/filter/states",
            false => "/filter/pending_reasons",
        };
        let possible = match self {
            Self::Cancel(_) => "only pending and running invocations can be cancelled",
            Self::Retry(_) => "only failed, cancelled, expired and held invocations can be retried",
            Self::Release => "only held invocations can be released",
            Self::Purge => "only ended invocations can be purged",
        };
        let message = format!("selects nothing: {possible}");
        violation(path, "NOT_ALLOWED", message)
    }
}

/// Those of some states that a filter asks for.
fn asked(filter: &v1::InvocationFilter, states: &[v1::State]) -> Vec<i32> {
    let states = states.iter().map(|state| i32::from(*state));
    let is_asked = |state: &i32| filter.states.is_empty() || filter.states.contains(state);
    states.filter(is_asked).collect()
}

/// Reads the merge patch of a retry, in one of its two forms.
fn parse_patch(retry: v1::RetryAction) -> Result<Option<Dict>> {
    let (path, patch) = match (retry.input_patch, retry.input_patch_json.as_str()) {
        (None, "") => return Ok(None),
        (Some(patch), "") => (
            "/action/retry/input_patch",
            struct_pb::decode_value(&patch)?,
        ),
        (None, text) => {
            let path = "/action/retry/input_patch_json";
            let malformed = |error: Error| violation(path, "MALFORMED", error.message().to_owned());
            (path, json::read(text.as_bytes()).map_err(malformed)?)
        }
        (Some(_), _) => {
            let message = "cannot be combined with `input_patch`: use one of them".to_owned();
            return Err(violation(
                "/action/retry/input_patch_json",
                "CONFLICT",
                message,
            ));
        }
    };
    match patch {
        Value::Dict(patch) => Ok(Some(patch)),
        other => {
            let message = format!("is {}, and must be a dict", other.kind_name());
            Err(violation(path, "WRONG_TYPE", message))
        }
    }
}

fn violation(path: &'static str, code: &'static str, message: String) -> Error {
    let violation = Violation::new(path, code, message);
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;
    use crate::model::invocation::State;

    fn filter(states: &[v1::State], reasons: &[v1::PendingReason]) -> Option<v1::InvocationFilter> {
        Some(v1::InvocationFilter {
            states: states.iter().copied().map(i32::from).collect(),
            pending_reasons: reasons.iter().copied().map(i32::from).collect(),
            ..v1::InvocationFilter::default()
        })
    }

    #[test]
    fn a_filter_selects_only_what_can_be_changed() {
        let select =
            |change: &Change, asked| change.selection(asked, MAX_FILTER_VALUES).unwrap().filter;
        let retry = Change::Retry(None);
        let all = select(&retry, None);
        assert_eq!(
            all.states,
            [State::Failed, State::Cancelled, State::Expired]
        );
        assert!(all.include_held && all.not_retried);
        let some = filter(&[v1::State::Succeeded, v1::State::Failed], &[]);
        let failed = select(&retry, some.clone());
        assert_eq!(
            (failed.states, failed.include_held),
            (vec![State::Failed], false)
        );
        let held = select(&retry, filter(&[v1::State::Pending], &[]));
        assert!(held.held && !held.not_retried);
        assert!(select(&Change::Release, None).held);
        let ended = select(&Change::Purge, some);
        assert_eq!(ended.states, [State::Succeeded, State::Failed]);
        let open = select(&Change::Cancel(None), None);
        assert!(open.states.iter().all(|state| !state.is_terminal()));
    }

    #[test]
    fn a_filter_that_asks_for_nothing_else_is_refused() {
        let held = filter(&[], &[v1::PendingReason::Held]);
        let queued = filter(&[], &[v1::PendingReason::Queued]);
        for (change, asked, path) in [
            (Change::Purge, held, "/filter/pending_reasons"),
            (
                Change::Retry(None),
                queued.clone(),
                "/filter/pending_reasons",
            ),
            (Change::Release, queued, "/filter/pending_reasons"),
            (
                Change::Cancel(None),
                filter(&[v1::State::Failed], &[]),
                "/filter/states",
            ),
            (
                Change::Retry(None),
                filter(&[v1::State::Running], &[]),
                "/filter/states",
            ),
        ] {
            let error = change.selection(asked, MAX_FILTER_VALUES).unwrap_err();
            assert_eq!(error.field_violations()[0].path, path, "{change:?}");
        }
    }

    #[test]
    fn a_patch_as_json_keeps_every_digit() {
        let patch = |json: &str| {
            parse_patch(v1::RetryAction {
                input_patch_json: json.to_owned(),
                ..v1::RetryAction::default()
            })
        };
        let read = patch("{\"n\": 9007199254740993}").unwrap();
        assert_eq!(read, Some(dict! { "n": 9_007_199_254_740_993_i64 }));
        for (json, code) in [("[1]", "WRONG_TYPE"), ("{", "MALFORMED")] {
            let error = patch(json).unwrap_err();
            let violation = &error.field_violations()[0];
            assert_eq!(
                (violation.path.as_str(), &*violation.code),
                ("/action/retry/input_patch_json", code)
            );
        }
    }
}
