//! The fields of the language, and what becomes of their values.

use jiff::{SignedDuration, Timestamp};

use super::fault::Fault;
use super::parser::{Term, Value};
use super::time;
use crate::codec::convert::{timestamp_from_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::model::id::{Cid, ServiceName};

/// The fields, in the order of the documentation.
pub(crate) const FIELDS: [&str; 14] = [
    "service",
    "state",
    "pending_reason",
    "failure_reason",
    "failure_message",
    "accept_time",
    "end_time",
    "metadata",
    "principal",
    "parent",
    "root",
    "group",
    "kind",
    "dead_letter",
];
/// How similar a name must be to be meant for a field.
const MIN_SIMILARITY: f64 = 0.7;

/// The filter of some terms. The error has all faults.
pub(super) fn to_filter(
    terms: Vec<Term>,
    now: Timestamp,
) -> Result<v1::InvocationFilter, Vec<Fault>> {
    let (mut filter, mut faults, mut given) = (v1::InvocationFilter::default(), Vec::new(), vec![]);
    for term in terms {
        let is_range = matches!(term.field.as_str(), "accept_time" | "end_time");
        let name = (term.field.clone(), term.key.clone());
        if !is_range && given.contains(&name) {
            let message = format!(
                "`{}` is given twice; several values are written `{0} = (a OR b)`",
                term.field
            );
            faults.push(Fault::new(term.at, "DUPLICATE", message));
            continue;
        }
        given.push(name);
        if let Err(mut of_term) = add(&mut filter, &term, now) {
            faults.append(&mut of_term);
        }
    }
    match faults.is_empty() {
        true => Ok(filter),
        false => Err(faults),
    }
}

/// Adds a term to a filter.
fn add(filter: &mut v1::InvocationFilter, term: &Term, now: Timestamp) -> Result<(), Vec<Fault>> {
    match term.field.as_str() {
        "service" => filter.services = each(term, service)?,
        "state" => filter.states = each(term, state)?,
        "pending_reason" => filter.pending_reasons = each(term, pending_reason)?,
        "failure_reason" => filter.failure_reasons = each(term, non_empty)?,
        "failure_message" => {
            allow(term, &[":"], "`:`, which searches for a text")?;
            filter.failure_text = one(term, non_empty)?;
        }
        "accept_time" => add_bound(
            &mut filter.accepted_after,
            &mut filter.accepted_before,
            term,
            now,
        )?,
        "end_time" => add_bound(&mut filter.ended_after, &mut filter.ended_before, term, now)?,
        "metadata" => {
            allow_equal(term)?;
            let key = term.key.clone().filter(|key| !key.is_empty());
            let key = key.ok_or_else(|| {
                let message = "`metadata` needs a key: `metadata.tenant = \"acme\"`";
                vec![Fault::malformed(term.at, message)]
            })?;
            filter.metadata.insert(key, one(term, any)?);
        }
        "principal" => filter.principals = each(term, non_empty)?,
        "parent" => filter.parent_cid = one_equal(term, cid)?,
        "root" => filter.root_cid = one_equal(term, cid)?,
        "group" => filter.group_cid = one_equal(term, cid)?,
        "kind" => filter.groups_only = one_equal(term, is_group)?,
        "dead_letter" => filter.dead_letter = one_equal(term, is_true)?,
        unknown => return Err(vec![Fault::new(term.at, "UNKNOWN_KEY", no_field(unknown))]),
    }
    Ok(())
}

fn no_field(name: &str) -> String {
    let similarity = |field: &&&str| strsim::jaro_winkler(name, field);
    let near = FIELDS
        .iter()
        .filter(|field| similarity(field) >= MIN_SIMILARITY);
    let nearest = near.max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    match nearest {
        Some(nearest) => format!("`{name}` is not a field: did you mean `{nearest}`?"),
        None => format!(
            "`{name}` is not a field: the fields are {}",
            FIELDS.join(", ")
        ),
    }
}

/// Refuses operators that a field does not have.
fn allow(term: &Term, operators: &[&str], allowed: &str) -> Result<(), Vec<Fault>> {
    if operators.contains(&term.operator) {
        return Ok(());
    }
    let (field, operator) = (&term.field, term.operator);
    let message = format!("`{field}` does not have the operator `{operator}`: it has {allowed}");
    Err(vec![Fault::new(term.operator_at, "NOT_ALLOWED", message)])
}

fn allow_equal(term: &Term) -> Result<(), Vec<Fault>> {
    allow(term, &["="], "`=`")
}

/// Converts all values of a term with the operator `=`.
fn each<T>(
    term: &Term,
    convert: impl Fn(&Value) -> Result<T, Fault>,
) -> Result<Vec<T>, Vec<Fault>> {
    allow_equal(term)?;
    let (mut converted, mut faults) = (Vec::with_capacity(term.values.len()), Vec::new());
    for value in &term.values {
        match convert(value) {
            Ok(value) => converted.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(converted),
        false => Err(faults),
    }
}

/// Converts the only value of a term.
fn one<T>(term: &Term, convert: impl Fn(&Value) -> Result<T, Fault>) -> Result<T, Vec<Fault>> {
    match term.values.as_slice() {
        [value] => convert(value).map_err(|fault| vec![fault]),
        values => {
            let at = values.get(1).map_or(term.at, |second| second.at);
            let message = format!("`{}` has one value", term.field);
            Err(vec![Fault::new(at, "NOT_ALLOWED", message)])
        }
    }
}

fn one_equal<T>(
    term: &Term,
    convert: impl Fn(&Value) -> Result<T, Fault>,
) -> Result<T, Vec<Fault>> {
    allow_equal(term)?;
    one(term, convert)
}

/// Narrows the range of a time. `after` is inclusive, `before` is not.
fn add_bound(
    after: &mut Option<prost_types::Timestamp>,
    before: &mut Option<prost_types::Timestamp>,
    term: &Term,
    now: Timestamp,
) -> Result<(), Vec<Fault>> {
    allow(term, &[">=", ">", "<", "<="], "`>=`, `>`, `<` and `<=`")?;
    let time = one(term, |value| {
        time::parse(&value.text, now).ok_or_else(|| {
            let message = format!("`{}` is not a time: use {}", value.text, time::FORMS);
            Fault::malformed(value.at, message)
        })
    })?;
    let time = match term.operator {
        ">" | "<=" => time.checked_add(SignedDuration::from_nanos(1)).ok(),
        _ => Some(time),
    };
    let time = time.filter(|time| timestamp_from_proto(&timestamp_to_proto(*time)).is_some());
    let time = time.ok_or_else(|| {
        let message = "the time is too early or too late";
        vec![Fault::new(term.operator_at, "OUT_OF_RANGE", message)]
    })?;
    let known = |bound: &Option<_>| bound.as_ref().and_then(timestamp_from_proto);
    match term.operator {
        ">=" | ">" => {
            let latest = known(after).map_or(time, |known| known.max(time));
            *after = Some(timestamp_to_proto(latest));
        }
        _ => {
            let earliest = known(before).map_or(time, |known| known.min(time));
            *before = Some(timestamp_to_proto(earliest));
        }
    }
    Ok(())
}

fn any(value: &Value) -> Result<String, Fault> {
    Ok(value.text.clone())
}

fn non_empty(value: &Value) -> Result<String, Fault> {
    match value.text.is_empty() {
        true => Err(Fault::new(value.at, "EMPTY", "must not be empty")),
        false => any(value),
    }
}

fn service(value: &Value) -> Result<String, Fault> {
    match ServiceName::parse(&value.text) {
        Ok(name) => Ok(name.to_string()),
        Err(error) => Err(Fault::malformed(value.at, error.message())),
    }
}

fn cid(value: &Value) -> Result<String, Fault> {
    match Cid::parse(&value.text) {
        Ok(cid) => Ok(cid.to_string()),
        Err(error) => Err(Fault::malformed(value.at, error.message())),
    }
}

fn is_true(value: &Value) -> Result<bool, Fault> {
    match value.text.as_str() {
        "true" => Ok(true),
        _ => Err(Fault::new(value.at, "UNKNOWN_VALUE", "must be `true`")),
    }
}

fn is_group(value: &Value) -> Result<bool, Fault> {
    match value.text.eq_ignore_ascii_case("group") {
        true => Ok(true),
        false => Err(Fault::new(value.at, "UNKNOWN_VALUE", "must be `GROUP`")),
    }
}

fn state(value: &Value) -> Result<i32, Fault> {
    let known = |name: &str| v1::State::from_str_name(&format!("STATE_{name}")).map(i32::from);
    let names = "PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED";
    enumerated(value, known, "a state", names)
}

fn pending_reason(value: &Value) -> Result<i32, Fault> {
    let known = |name: &str| {
        v1::PendingReason::from_str_name(&format!("PENDING_REASON_{name}")).map(i32::from)
    };
    let names =
        "DUE_LATER, QUEUED, BACKOFF, NO_WORKER, NO_COMPATIBLE_WORKER, KEY_BUSY, PAUSED, HELD";
    enumerated(value, known, "a pending reason", names)
}

/// The number of a value of an enum, in any case of its letters. 0 is unspecified.
fn enumerated(
    value: &Value,
    known: impl Fn(&str) -> Option<i32>,
    what: &str,
    names: &str,
) -> Result<i32, Fault> {
    let number = known(&value.text.to_ascii_uppercase());
    number.filter(|number| *number != 0).ok_or_else(|| {
        let message = format!("`{}` is not {what}: one of {names}", value.text);
        Fault::new(value.at, "UNKNOWN_VALUE", message)
    })
}
