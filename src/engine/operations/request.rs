//! What an operation is asked to do.

use std::num::NonZero;

use prost::Message as _;

use super::change::Change;
use super::selection::Selection;
use crate::codec::convert::FieldErrors;
use crate::codec::filter::write;
use crate::codec::limits::MAX_FILTER_VALUES;
use crate::codec::proto::v1;
use crate::model::error::{Error, Kind, Result, Violation, reason};
use crate::model::id::truncated_to;
use crate::model::operation::OperationId;

/// How many invocations an operation changes in a second at most, by default.
const DEFAULT_RATE: u32 = 2_000;
/// The most that one may ask for.
const MAX_RATE: u32 = 100_000;
/// The largest request, in bytes. About a thousand operations are kept in memory.
const MAX_BYTES: usize = 64 << 10;
/// How many characters of its filter are in the audit log.
const MAX_FILTER: usize = 1_900;

/// A request of an operation.
#[derive(Clone, Debug)]
pub struct OperationRequest {
    /// Its identifier.
    pub id: OperationId,
    /// As it was asked, with its defaults: it is compared with a repeated request, and stored.
    pub(super) asked: v1::Operation,
    pub(super) change: Change,
    pub(super) selection: Selection,
    /// The most invocations that it changes in a second.
    pub(super) rate: NonZero<u32>,
}

impl OperationRequest {
    /// Reads what is asked of an operation: its action, filter, rate, principal and its group, and the text that the
    /// filter was given as. All else of the message is ignored. The lists of its filter have up to `max_values`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
    pub fn parse(operation: v1::Operation, max_values: usize) -> Result<Self> {
        Self::read(operation, MAX_BYTES, max_values)
    }

    fn read(operation: v1::Operation, max_bytes: usize, max_values: usize) -> Result<Self> {
        let mut errors = FieldErrors::default();
        let id = match operation.id.as_str() {
            "" => None,
            id => errors.take(OperationId::parse(id).map(Some)),
        };
        let change = errors.take(Change::parse(operation.action.clone()).map(Some));
        if let Some(violation) = selection_violation(operation.filter.as_ref(), operation.all) {
            errors.refuse(violation);
        }
        let selection = match &change {
            Some(change) => change.selection(operation.filter.clone(), max_values),
            None => Selection::parse(operation.filter.clone(), max_values),
        };
        let selection = errors.take(selection);
        if operation.max_per_second > MAX_RATE {
            let message = format!("is at most {MAX_RATE}");
            errors.refuse(Violation::new("/max_per_second", "OUT_OF_RANGE", message));
        }
        if operation.encoded_len() > max_bytes {
            let message = format!("makes the request larger than {max_bytes} bytes");
            errors.refuse(Violation::new("/filter", "TOO_LARGE", message));
        }
        errors.finish()?;
        let id = id.unwrap_or_else(OperationId::new);
        let rate = match operation.max_per_second {
            0 => DEFAULT_RATE,
            given => given,
        };
        let asked = v1::Operation {
            id: id.to_string(),
            action: operation.action,
            filter: operation.filter,
            all: operation.all,
            max_per_second: rate,
            principal: operation.principal,
            principal_group: operation.principal_group,
            filter_expression: operation.filter_expression,
            ..v1::Operation::default()
        };
        Ok(Self {
            id,
            asked,
            // Without an action there is a violation.
            change: change.unwrap_or(Change::Release),
            selection,
            rate: NonZero::new(rate).unwrap_or(NonZero::<u32>::MIN),
        })
    }

    /// Reads a stored request.
    ///
    /// # Errors
    ///
    /// `DATA_LOSS` / `STORE_DAMAGED` for a message that cannot be decoded; as for [`parse`](Self::parse), for what only
    /// a newer version knows.
    pub(super) fn decode(stored: &[u8]) -> Result<Self> {
        let operation = v1::Operation::decode(stored).map_err(|error| {
            let message = format!("the store contains an unreadable operation: {error}");
            Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
        })?;
        // With its defaults it may be larger than when it was taken.
        Self::read(operation, usize::MAX, MAX_FILTER_VALUES)
    }

    /// The invocations that it changes.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// What it does to which invocations, for the audit log: its id, its action, and its filter as text.
    #[must_use]
    pub fn summary(&self) -> String {
        let filter = self.asked.filter.as_ref().map(write).unwrap_or_default();
        let filter = match filter.as_str() {
            "" => "all".to_owned(),
            text => truncated_to(MAX_FILTER, text),
        };
        format!("{} {}: {filter}", self.id, self.change.name())
    }

    /// Whether another request asks for the same, of any caller.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let by_text = !self.asked.filter_expression.is_empty();
        let asked = v1::Operation {
            principal: self.asked.principal.clone(),
            principal_group: self.asked.principal_group.clone(),
            // An age in a text is another time whenever it is read.
            filter: match by_text && self.asked.filter_expression == other.asked.filter_expression {
                true => self.asked.filter.clone(),
                false => other.asked.filter.clone(),
            },
            ..other.asked.clone()
        };
        self.asked == asked
    }

    /// What was asked, with its defaults.
    #[must_use]
    pub fn into_proto(self) -> v1::Operation {
        self.asked
    }

    /// The request as it is stored.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.asked.encode_to_vec()
    }
}

/// The violation of a request that selects nothing, or in two ways.
///
/// An empty filter does not select everything: clients that drop unknown names send it for one that is misspelled. A
/// filter that cannot be read asks for something.
fn selection_violation(filter: Option<&v1::InvocationFilter>, all: bool) -> Option<Violation> {
    let read = filter.map(|filter| Selection::parse(Some(filter.clone()), MAX_FILTER_VALUES));
    let has_criterion = read.is_some_and(|read| !read.is_ok_and(|read| read.filter.is_empty()));
    match (has_criterion, all) {
        (true, true) => {
            let message = "cannot be combined with a criterion in `filter`";
            Some(Violation::new("/all", "CONFLICT", message))
        }
        (false, false) => {
            let message =
                "has no criterion: set one of its fields, or set `all` to select every invocation";
            Some(Violation::new("/filter", "MISSING", message))
        }
        (true, false) | (false, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::proto::v1::operation_action::Action;
    use crate::codec::struct_pb;
    use crate::dict;
    use crate::model::value::Value;

    fn operation(action: Action) -> v1::Operation {
        v1::Operation {
            action: Some(v1::OperationAction {
                action: Some(action),
            }),
            all: true,
            ..v1::Operation::default()
        }
    }

    #[test]
    fn all_violations_of_a_request_are_reported_at_once() {
        let request = v1::Operation {
            id: "x".to_owned(),
            max_per_second: MAX_RATE + 1,
            filter: Some(v1::InvocationFilter::default()),
            ..v1::Operation::default()
        };
        let error = OperationRequest::parse(request, MAX_FILTER_VALUES).unwrap_err();
        let paths: Vec<_> = error
            .field_violations()
            .iter()
            .map(|one| one.path.as_str())
            .collect();
        assert_eq!(paths, ["/id", "/action", "/filter", "/max_per_second"]);
    }

    #[test]
    fn a_filter_has_a_criterion_if_it_excludes_any_invocation() {
        fn code(filter: &v1::InvocationFilter, all: bool) -> Option<String> {
            selection_violation(Some(filter), all).map(|one| one.code.to_string())
        }
        let nothing = v1::InvocationFilter::default();
        assert_eq!(code(&nothing, false).as_deref(), Some("MISSING"));
        assert_eq!(code(&nothing, true), None);
        for text in [
            "service = a",
            "state = FAILED",
            "pending_reason = NO_WORKER",
            "pending_reason = HELD",
            "failure_reason = A",
            "failure_message : a",
            "accept_time > -1h",
            "end_time < -1h",
            "metadata.a = ''",
            "root = 01890a5d-ac96-774b-bcce-b302099a8057",
            "dead_letter = true",
        ] {
            let filter = crate::codec::filter::parse(text, jiff::Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(code(&filter, false), None, "{text}");
            assert_eq!(code(&filter, true).as_deref(), Some("CONFLICT"), "{text}");
        }
    }

    #[test]
    fn a_request_is_read_back_as_it_was_stored() {
        let patch = Value::from(dict! { "a": 1 });
        let patch = Some(struct_pb::encode_value(&patch).unwrap());
        let retry = Action::Retry(v1::RetryAction {
            input_patch: patch,
            ..v1::RetryAction::default()
        });
        let request = OperationRequest::parse(operation(retry), MAX_FILTER_VALUES).unwrap();
        let again = OperationRequest::decode(&request.encode()).unwrap();
        assert_eq!((again.id, &again.asked), (request.id, &request.asked));
        assert_eq!(again.change, Change::Retry(Some(dict! { "a": 1 })));
        assert_eq!(again.rate.get(), DEFAULT_RATE);
        assert!(OperationRequest::decode(b"\xff").is_err());
    }

    #[test]
    fn a_patch_must_be_a_dict() {
        let patch = Some(struct_pb::encode_value(&Value::from("x")).unwrap());
        let retry = Action::Retry(v1::RetryAction {
            input_patch: patch,
            ..v1::RetryAction::default()
        });
        let error = OperationRequest::parse(operation(retry), MAX_FILTER_VALUES).unwrap_err();
        assert_eq!(
            error.field_violations()[0].path,
            "/action/retry/input_patch"
        );
    }
}
