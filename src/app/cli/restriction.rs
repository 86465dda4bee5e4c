//! Restricts a filter to what a command can change.

use super::action::{Action, Held};
use super::args::usage_error;
use super::names::{pending_reason_name, state_name};
use crate::codec::proto::v1;
use crate::model::error::{Error, Result};

/// Restricts a filter to the states in which a command can change an invocation, unless it names states.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID` where it names another state, or a reason to be pending for which the command
/// changes nothing.
pub(super) fn restrict(filter: &mut v1::InvocationFilter, action: &Action) -> Result<()> {
    let possible: Vec<v1::State> = action.states.iter().map(|state| state.to_proto()).collect();
    if let Some(state) = filter.states().find(|state| !possible.contains(state)) {
        return Err(not_changed(&state_name(state.into()), action));
    }
    let changes_pending = possible.contains(&v1::State::Pending);
    let changes_any_pending = action.held == Held::AsOthers && changes_pending;
    let is_impossible = |reason: &v1::PendingReason| {
        let is_held = *reason == v1::PendingReason::Held && action.held != Held::AsOthers;
        !changes_any_pending && !is_held
    };
    if let Some(reason) = filter.pending_reasons().find(is_impossible) {
        return Err(not_changed(pending_reason_name(reason.into()), action));
    }
    // Only pending invocations have a reason to be pending.
    if has_no_states(filter) {
        filter.states = possible.into_iter().map(i32::from).collect();
    }
    match action.held {
        Held::Only => only_held(filter),
        Held::LeftOut | Held::AsOthers => Ok(()),
    }
}

/// Whether a filter selects invocations whatever their state. Dead letters are held or have failed.
pub(super) fn has_no_states(filter: &v1::InvocationFilter) -> bool {
    filter.states.is_empty() && filter.pending_reasons.is_empty() && !filter.dead_letter
}

/// Restricts a filter to held invocations.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID` where it names another state or reason.
pub(super) fn only_held(filter: &mut v1::InvocationFilter) -> Result<()> {
    let is_held = |reason| reason == v1::PendingReason::Held;
    let is_pending = |state| state == v1::State::Pending;
    if !filter.pending_reasons().all(is_held) || !filter.states().all(is_pending) {
        return Err(usage_error("only held ones can be selected here"));
    }
    filter.pending_reasons = vec![v1::PendingReason::Held.into()];
    Ok(())
}

fn not_changed(name: &str, action: &Action) -> Error {
    usage_error(format!("`{name}`: {}", action.otherwise))
}
