//! A filter as conditions of SQL.

use jiff::Timestamp;
use rusqlite::types::Value as SqlValue;

use crate::engine::store::Filter;
use crate::model::access::{Owners, Principal};
use crate::model::id::Cid;
use crate::store::blob;
use crate::store::state_column::encode_state;

/// The state of an invocation, as `encode_state` numbers it.
pub(super) const STATE: &str = "coalesce(outcome.state, pending.started, 0)";
/// The reason of its last failure; NULL if there was none.
pub(super) const FAILURE_REASON: &str = "coalesce(outcome.failure_reason, pending.failure_reason)";
/// Whether it is held: the number is `HELD`, as the index `dead_letters` has it.
pub(super) const IS_HELD: &str = "pending.due >= 9223372036854775807 AND pending.awaited = 0";
/// Whether it was not retried.
const NOT_RETRIED: &str = "NOT EXISTS (SELECT 1 FROM retry WHERE retry.id = invocation.id)";

/// The conditions of a filter with their values. `by_scan`: those that name invocations compare columns of the row, and
/// use no index.
pub(super) fn conditions(filter: &Filter, by_scan: bool) -> (Vec<String>, Vec<SqlValue>) {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    let mut is_in = |column: &str, allowed: Vec<SqlValue>| {
        let placeholders = vec!["?"; allowed.len()].join(", ");
        values.extend(allowed);
        format!("{column} IN ({placeholders})")
    };
    let cid_value = |cid: &Cid| SqlValue::Blob(cid.as_bytes().to_vec());
    let states = filter.states.iter();
    let states = states.map(|state| SqlValue::Integer(encode_state(*state)));
    let states = states.collect::<Vec<_>>();
    let in_states = (!states.is_empty()).then(|| is_in(STATE, states));
    let by_cid = (!filter.cids.is_empty())
        .then(|| is_in("cid", filter.cids.iter().map(cid_value).collect()));
    let waiting = filter.include_waiting.then(|| "awaited = 1".to_owned());
    let named = [("cid_index", by_cid), ("pending", waiting)];
    let named = named
        .into_iter()
        .filter_map(|(table, named)| Some((table, named?)));
    let by_id: Vec<_> = match by_scan {
        true => named.map(|(_, named)| named).collect(),
        false => {
            let ids = named.map(|(table, it)| format!("SELECT id FROM {table} WHERE {it}"));
            let ids: Vec<_> = ids.collect();
            let ids = (!ids.is_empty()).then(|| ids.join(" UNION ALL "));
            let by_id = ids.map(|ids| format!("invocation.id IN ({ids})"));
            by_id.into_iter().collect()
        }
    };
    let held = filter.include_held.then(|| format!("({IS_HELD})"));
    let alternatives = in_states.into_iter().chain(by_id).chain(held);
    let alternatives: Vec<_> = alternatives.collect();
    if !alternatives.is_empty() {
        conditions.push(format!("({})", alternatives.join(" OR ")));
    }
    let services = filter.services.iter();
    let services: Vec<_> = services
        .map(|name| SqlValue::Text(name.to_string()))
        .collect();
    if !services.is_empty() {
        let named = is_in("service.name", services);
        conditions.push(named);
    }
    let reasons = filter.failure_reasons.iter().cloned().map(SqlValue::Text);
    for (column, allowed) in [
        (FAILURE_REASON, reasons.collect::<Vec<_>>()),
        ("parent", filter.parent.iter().map(cid_value).collect()),
        ("root", filter.root.iter().map(cid_value).collect()),
        ("group_cid", filter.group.iter().map(cid_value).collect()),
    ] {
        if !allowed.is_empty() {
            conditions.push(is_in(column, allowed));
        }
    }
    conditions.extend(principal_conditions(filter, &mut values));
    // The message itself is matched when the row is read.
    let fails = filter.failure_text.is_some();
    conditions.extend(fails.then(|| format!("{FAILURE_REASON} IS NOT NULL")));
    conditions.extend(filter.held.then(|| IS_HELD.to_owned()));
    let dead = || format!("({IS_HELD} OR outcome.state = 3 AND {NOT_RETRIED})");
    conditions.extend(filter.dead_letter.then(dead));
    conditions.extend(filter.not_retried.then(|| NOT_RETRIED.to_owned()));
    for (condition, time) in time_conditions(filter) {
        conditions.push(condition.to_owned());
        values.push(SqlValue::Integer(blob::nanos(time)));
    }
    (conditions, values)
}

/// The conditions on who asked, and on whose they are. Their values are added to the others.
fn principal_conditions(filter: &Filter, values: &mut Vec<SqlValue>) -> Vec<String> {
    let mut conditions = Vec::new();
    if !filter.principals.is_empty() {
        let placeholders = vec!["?"; filter.principals.len()].join(", ");
        let names = filter.principals.iter();
        values.extend(names.map(|name| SqlValue::Text(name.to_string())));
        conditions.push(format!(
            "invocation.principal IN (SELECT id FROM principal WHERE name IN ({placeholders}))"
        ));
    }
    if let Some(owners) = &filter.owners {
        let alternatives = owned_by(owners).map(|(column, name)| {
            values.push(SqlValue::Text(name.to_string()));
            format!("invocation.{column} = (SELECT id FROM principal WHERE name = ?)")
        });
        let alternatives: Vec<_> = alternatives.collect();
        conditions.push(format!("({})", alternatives.join(" OR ")));
    }
    conditions
}

/// The columns that tell what belongs to owners, each with the name that it has.
pub(super) fn owned_by(owners: &Owners) -> impl Iterator<Item = (&'static str, &Principal)> {
    let group = owners.group.as_ref().map(|group| ("owner_group", group));
    std::iter::once(("owner", &owners.principal)).chain(group)
}

/// The conditions on times.
fn time_conditions(filter: &Filter) -> impl Iterator<Item = (&'static str, Timestamp)> {
    let times = [
        ("accept_time >= ?", filter.accepted_after),
        ("accept_time < ?", filter.accepted_before),
        ("end_time >= ?", filter.ended_after),
        ("end_time < ?", filter.ended_before),
    ];
    times
        .into_iter()
        .filter_map(|(condition, time)| Some((condition, time?)))
}
