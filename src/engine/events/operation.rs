//! What the events of operations tell people: what is done to which invocations, and what came of it.

use crate::codec::filter;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_action::Action;

/// How many bytes of a filter are told.
const MAX_FILTER_BYTES: usize = 500;

/// `retry of 4000 invocations: service = a.b AND state = failed`
pub(super) fn started(operation: &v1::Operation) -> String {
    let (what, of) = (verb(operation), selection(operation));
    let matched = operation.matched;
    let invocations = if matched == 1 {
        "invocation"
    } else {
        "invocations"
    };
    format!("{what} of {matched} {invocations}: {of}")
}

/// `retry succeeded: 3990 of 4000 changed, 10 not; service = a.b AND state = failed`
pub(super) fn ended(operation: &v1::Operation) -> String {
    let (what, of) = (verb(operation), selection(operation));
    let state = match operation.state() {
        v1::OperationState::Succeeded => "succeeded",
        v1::OperationState::Cancelled => "was cancelled",
        v1::OperationState::Failed => "failed",
        v1::OperationState::Running | v1::OperationState::Unspecified => "runs",
    };
    let (processed, changed) = (operation.processed, operation.changed);
    let not = match processed.saturating_sub(changed) {
        0 => String::new(),
        not => format!(", {not} not"),
    };
    let why = match &operation.failure {
        Some(failure) => format!(", {}", failure.message),
        None => String::new(),
    };
    let matched = operation.matched;
    format!("{what} {state}: {changed} of {matched} changed{not}{why}; {of}")
}

fn verb(operation: &v1::Operation) -> &'static str {
    let action = operation.action.as_ref();
    match action.and_then(|action| action.action.as_ref()) {
        Some(Action::Cancel(_)) => "cancel",
        Some(Action::Retry(_)) => "retry",
        Some(Action::Release(_)) => "release",
        Some(Action::Purge(_)) => "purge",
        None => "change",
    }
}

/// The filter as text.
fn selection(operation: &v1::Operation) -> String {
    let Some(filter) = operation.filter.as_ref().filter(|_| !operation.all) else {
        return "all".to_owned();
    };
    let text = filter::write(filter);
    let end = text.floor_char_boundary(MAX_FILTER_BYTES);
    match text.get(..end) {
        Some(kept) if kept.len() < text.len() => format!("{kept}…"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_tells_what_it_does_and_what_came_of_it() {
        let mut operation = v1::Operation {
            action: Some(v1::OperationAction {
                action: Some(Action::Retry(v1::RetryAction::default())),
            }),
            filter: Some(v1::InvocationFilter {
                services: vec!["a.b".to_owned()],
                ..v1::InvocationFilter::default()
            }),
            matched: 3,
            ..v1::Operation::default()
        };
        let text = "retry of 3 invocations: service = a.b";
        assert_eq!(started(&operation), text);
        operation.set_state(v1::OperationState::Succeeded);
        (operation.processed, operation.changed) = (3, 2);
        let text = "retry succeeded: 2 of 3 changed, 1 not; service = a.b";
        assert_eq!(ended(&operation), text);
        let all = v1::Operation {
            all: true,
            matched: 1,
            ..v1::Operation::default()
        };
        assert_eq!(started(&all), "change of 1 invocation: all");
        if let Some(filter) = &mut operation.filter {
            filter.services = vec!["é".repeat(400)];
        }
        assert!(started(&operation).len() < 600);
    }
}
