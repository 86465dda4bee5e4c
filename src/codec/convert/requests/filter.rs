//! Filters of stored invocations.

use crate::codec::convert::field::{FieldErrors, enum_from_proto, parse_optional_cid};
use crate::codec::convert::metadata::metadata_from_proto;
use crate::codec::convert::time::optional_timestamp_from_proto;
use crate::codec::limits::MAX_FILTER_VALUES;
use crate::codec::proto::v1;
use crate::model::access::Principal;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::ServiceName;
use crate::model::invocation::{AnyCaseText, Filter, State};

/// The longest text that is searched for, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// Converts a filter. An absent filter matches every invocation.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`, for each list with more than [`MAX_FILTER_VALUES`], for a text of more than
/// 1 KiB, and for each value that its enum does not have or that is unspecified; `METADATA_TOO_LARGE` for more than
/// 8 KiB.
pub fn filter_from_proto(filter: Option<v1::InvocationFilter>) -> Result<Filter> {
    let filter = filter.unwrap_or_default();
    check_values(&filter, MAX_FILTER_VALUES)?;
    check_text(&filter)?;
    let time = |field: &str, time| optional_timestamp_from_proto(&format!("/filter/{field}"), time);
    let mut errors = FieldErrors::default();
    let mut reasons = Vec::new();
    for (index, reason) in filter.pending_reasons.into_iter().enumerate() {
        let path = format!("/filter/pending_reasons/{index}");
        match errors.take(enum_from_proto(&path, reason).map(Some)) {
            Some(v1::PendingReason::Unspecified) => errors.refuse(unspecified(path)),
            reason => reasons.extend(reason),
        }
    }
    let mut states = Vec::new();
    for (index, state) in filter.states.into_iter().enumerate() {
        let path = format!("/filter/states/{index}");
        match errors.take(enum_from_proto(&path, state).map(Some)) {
            Some(v1::State::Unspecified) => errors.refuse(unspecified(path)),
            Some(state) => states.extend(states_from_proto(state)),
            None => {}
        }
    }
    if filter.groups_only && !filter.services.is_empty() {
        let message = "a group has no service: name services, or ask for groups";
        errors.refuse(Violation::new("/filter/services", "CONFLICT", message));
    }
    errors.finish()?;
    // Only pending invocations have a reason to be pending. The store knows one of the reasons.
    let is_held = |reason: &v1::PendingReason| *reason == v1::PendingReason::Held;
    let held = !reasons.is_empty() && reasons.iter().all(is_held);
    if !reasons.is_empty() && states.is_empty() {
        states = states_from_proto(v1::State::Pending);
    }
    let services = filter.services.iter().map(|name| ServiceName::parse(name));
    // Groups are stored under the empty name, which no request has.
    let of_groups = filter.groups_only.then(|| Ok(ServiceName::none()));
    let failure_text = Some(filter.failure_text).filter(|text| !text.is_empty());
    Ok(Filter {
        services: services.chain(of_groups).collect::<Result<_>>()?,
        states,
        cids: Vec::new(),
        include_waiting: false,
        include_held: false,
        accepted_after: time("accepted_after", filter.accepted_after)?,
        accepted_before: time("accepted_before", filter.accepted_before)?,
        ended_after: time("ended_after", filter.ended_after)?,
        ended_before: time("ended_before", filter.ended_before)?,
        failure_reasons: filter.failure_reasons,
        failure_text: failure_text.as_deref().map(AnyCaseText::new),
        metadata: metadata_from_proto(filter.metadata)?,
        held,
        dead_letter: filter.dead_letter,
        not_retried: false,
        root: parse_optional_cid("filter/root_cid", &filter.root_cid)?,
        parent: parse_optional_cid("filter/parent_cid", &filter.parent_cid)?,
        group: parse_optional_cid("filter/group_cid", &filter.group_cid)?,
        principals: filter
            .principals
            .iter()
            .map(|name| Principal::known(name))
            .collect(),
        owners: None,
    })
}

/// Checks how many values the lists of a filter have.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`, for each list with more than `limit` values.
pub fn check_values(filter: &v1::InvocationFilter, limit: usize) -> Result<()> {
    let lists = [
        ("/filter/services", filter.services.len()),
        ("/filter/states", filter.states.len()),
        ("/filter/pending_reasons", filter.pending_reasons.len()),
        ("/filter/failure_reasons", filter.failure_reasons.len()),
        ("/filter/principals", filter.principals.len()),
    ];
    let too_long = lists.into_iter();
    let too_long = too_long.filter_map(|(field, n)| Violation::too_many(field, n, limit));
    let checked = Error::reject(reason::REQUEST_INVALID, too_long.collect());
    checked.map_err(|error| error.with_info("filter_values", limit))
}

fn check_text(filter: &v1::InvocationFilter) -> Result<()> {
    let text = (filter.failure_text.len() > MAX_TEXT_BYTES).then(|| {
        let message = format!("is longer than {MAX_TEXT_BYTES} bytes");
        Violation::new("/filter/failure_text", "TOO_LARGE", message)
    });
    Error::reject(reason::REQUEST_INVALID, text.into_iter().collect())
}

/// The violation of a value that is the default of its enum: nothing matches it.
fn unspecified(path: String) -> Violation {
    Violation::new(
        path,
        "UNKNOWN_VALUE",
        "is unspecified: omit it, or name a value",
    )
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
