//! The words for events, for `events` and `tail`.

use super::names::{failure, state_name};
use crate::codec::proto::v1;

/// What happened to an invocation: `failed`, `retrying`, `held`.
pub(super) fn invocation_word(kind: v1::EventKind, invocation: &v1::Invocation) -> String {
    match kind {
        v1::EventKind::InvocationEnded => state_name(invocation.state).to_lowercase(),
        v1::EventKind::AttemptFailed => "retrying".to_owned(),
        _ => last_word(kind),
    }
}

/// The failure of an invocation, or of its last attempt.
pub(super) fn last_failure(invocation: &v1::Invocation) -> Option<&v1::Failure> {
    failure(invocation).or(invocation.last_failure.as_ref())
}

/// What happened: the last word of the kind, `draining` of `WORKER_DRAINING`.
pub(super) fn last_word(kind: v1::EventKind) -> String {
    let name = kind.as_str_name();
    let word = name.rsplit_once('_').map_or(name, |(_, word)| word);
    word.to_lowercase()
}
