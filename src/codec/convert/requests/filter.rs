//! Filters of stored invocations.

use crate::codec::convert::field::{FieldErrors, parse_optional_cid};
use crate::codec::convert::metadata::metadata_from_proto;
use crate::codec::convert::time::optional_timestamp_from_proto;
use crate::codec::proto::v1;
use crate::model::access::Principal;
use crate::model::error::{ListLimits, Result, Violation};
use crate::model::id::ServiceName;
use crate::model::invocation::{AnyCaseText, Filter, State};

/// The longest text that is searched for, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// Converts a filter whose lists have up to `max_values`. An absent filter matches every invocation.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations: each list with more values, a text of more than 1 KiB,
/// each value that its enum does not have or that is unspecified, and each time, name or CID that is malformed. If
/// there is one violation, it has the reason of its field, such as `CID_INVALID` or `METADATA_TOO_LARGE`.
pub fn filter_from_proto(
    filter: Option<v1::InvocationFilter>,
    max_values: usize,
) -> Result<Filter> {
    let filter = filter.unwrap_or_default();
    let mut errors = FieldErrors::default();
    errors.take(check_lengths(&filter, max_values));
    let reasons = &filter.pending_reasons;
    let reasons = errors.enums("/filter/pending_reasons", reasons, max_values, "value");
    let states = errors.enums("/filter/states", &filter.states, max_values, "value");
    let mut states: Vec<_> = states.into_iter().flat_map(states_from_proto).collect();
    let services = services(&filter, max_values, &mut errors);
    // Only pending invocations have a reason to be pending. The store knows one of the reasons.
    let is_held = |reason: &v1::PendingReason| *reason == v1::PendingReason::Held;
    let held = !reasons.is_empty() && reasons.iter().all(is_held);
    if !reasons.is_empty() && states.is_empty() {
        states = states_from_proto(v1::State::Pending);
    }
    let failure_text = Some(filter.failure_text).filter(|text| !text.is_empty());
    let mut time = |field: &str, time| {
        errors.take(optional_timestamp_from_proto(
            &format!("/filter/{field}"),
            time,
        ))
    };
    let (accepted_after, accepted_before) = (
        time("accepted_after", filter.accepted_after),
        time("accepted_before", filter.accepted_before),
    );
    let (ended_after, ended_before) = (
        time("ended_after", filter.ended_after),
        time("ended_before", filter.ended_before),
    );
    let mut cid =
        |field: &str, text: &str| errors.take(parse_optional_cid(&format!("filter/{field}"), text));
    let root = cid("root_cid", &filter.root_cid);
    let parent = cid("parent_cid", &filter.parent_cid);
    let group = cid("group_cid", &filter.group_cid);
    let metadata = errors.take(metadata_from_proto(filter.metadata));
    errors.finish()?;
    Ok(Filter {
        services,
        states,
        cids: Vec::new(),
        include_waiting: false,
        include_held: false,
        accepted_after,
        accepted_before,
        ended_after,
        ended_before,
        failure_reasons: filter.failure_reasons,
        failure_text: failure_text.as_deref().map(AnyCaseText::new),
        metadata,
        held,
        dead_letter: filter.dead_letter,
        not_retried: false,
        root,
        parent,
        group,
        principals: filter
            .principals
            .iter()
            .map(|name| Principal::known(name))
            .collect(),
        owners: None,
    })
}

/// Checks how many values the lists of a filter have, and how long its text is.
fn check_lengths(filter: &v1::InvocationFilter, max_values: usize) -> Result<()> {
    let limit = ("filter_values", max_values);
    let text = (filter.failure_text.len() > MAX_TEXT_BYTES).then(|| {
        let message = format!("is longer than {MAX_TEXT_BYTES} bytes");
        Violation::new("/filter/failure_text", "TOO_LARGE", message)
    });
    ListLimits::default()
        .check("/filter/services", filter.services.len(), limit)
        .check("/filter/states", filter.states.len(), limit)
        .check(
            "/filter/pending_reasons",
            filter.pending_reasons.len(),
            limit,
        )
        .check(
            "/filter/failure_reasons",
            filter.failure_reasons.len(),
            limit,
        )
        .check("/filter/principals", filter.principals.len(), limit)
        .with(text)
        .reject()
}

/// The services, of which up to `max` are read. Groups are stored under the empty name, which no request has.
fn services(
    filter: &v1::InvocationFilter,
    max: usize,
    errors: &mut FieldErrors,
) -> Vec<ServiceName> {
    if filter.groups_only && !filter.services.is_empty() {
        let message = "a group has no service: name services, or ask for groups";
        errors.refuse(Violation::new("/filter/services", "CONFLICT", message));
    }
    let mut services: Vec<_> = filter
        .groups_only
        .then(ServiceName::none)
        .into_iter()
        .collect();
    for (index, name) in filter.services.iter().take(max).enumerate() {
        match ServiceName::parse(name) {
            Ok(name) => services.push(name),
            Err(error) => {
                let path = format!("/filter/services/{index}");
                errors.refuse(Violation::new(path, "MALFORMED", error.message()));
            }
        }
    }
    services
}

/// The states of the model that a state of the contract matches.
fn states_from_proto(state: v1::State) -> Vec<State> {
    match state {
        v1::State::Unspecified => Vec::new(),
        v1::State::Pending => [false, true]
            .map(|started| State::Pending { started })
            .into(),
        v1::State::Running => vec![State::Running {
            cancel_requested: false,
        }],
        v1::State::Succeeded => vec![State::Succeeded],
        v1::State::Failed => vec![State::Failed],
        v1::State::Cancelled => vec![State::Cancelled],
        v1::State::Expired => vec![State::Expired],
    }
}
