//! A filter as conditions of SQL.

use jiff::Timestamp;
use rusqlite::types::Value as SqlValue;

use crate::engine::store::Filter;
use crate::model::id::Cid;
use crate::store::sqlite::blob;
use crate::store::sqlite::state_column::encode_state;

/// The conditions of a filter with their values. Without an index, those that name invocations compare columns.
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
    let in_states = (!states.is_empty()).then(|| is_in("state", states));
    let by_cid = (!filter.cids.is_empty())
        .then(|| is_in("cid", filter.cids.iter().map(cid_value).collect()));
    let waiting = filter.include_waiting.then(|| "awaited = 1".to_owned());
    let named = by_cid.into_iter().chain(waiting);
    let by_id: Vec<_> = match by_scan {
        true => named.collect(),
        false => {
            let ids = named.map(|it| format!("SELECT id FROM invocation WHERE {it}"));
            let ids: Vec<_> = ids.collect();
            let ids = (!ids.is_empty()).then(|| ids.join(" UNION ALL "));
            let by_id = ids.map(|ids| format!("invocation.id IN ({ids})"));
            by_id.into_iter().collect()
        }
    };
    let alternatives: Vec<_> = in_states.into_iter().chain(by_id).collect();
    if !alternatives.is_empty() {
        conditions.push(format!("({})", alternatives.join(" OR ")));
    }
    // With `=` instead of `IN`, the index of the service also gives the order.
    let services = filter.services.iter();
    let services: Vec<_> = services
        .map(|name| SqlValue::Text(name.to_string()))
        .collect();
    if !services.is_empty() {
        let named = is_in("name", services);
        let id = format!("(SELECT id FROM service WHERE {named})");
        let equals = if filter.services.len() == 1 {
            "="
        } else {
            "IN"
        };
        conditions.push(format!("invocation.service {equals} {id}"));
    }
    let reasons = filter.failure_reasons.iter().cloned().map(SqlValue::Text);
    for (column, allowed) in [
        ("failure_reason", reasons.collect::<Vec<_>>()),
        ("parent", filter.parent.iter().map(cid_value).collect()),
        ("root", filter.root.iter().map(cid_value).collect()),
        ("group_cid", filter.group.iter().map(cid_value).collect()),
    ] {
        if !allowed.is_empty() {
            conditions.push(is_in(column, allowed));
        }
    }
    for (condition, time) in time_conditions(filter) {
        conditions.push(condition.to_owned());
        values.push(SqlValue::Integer(blob::nanos(time)));
    }
    (conditions, values)
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
