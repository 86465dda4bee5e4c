//! Changes of an invocation in `top`: the question before one, and what came of it.

use super::poll::Verb;
use super::table::Tone;
use crate::app::cli::names::short_cid;
use crate::codec::proto::v1;
use crate::model::id::Cid;

/// A change that has to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) verb: Verb,
    pub(super) cid: Cid,
}

impl Question {
    /// The question.
    pub(super) fn text(&self) -> String {
        let Self { verb, cid } = self;
        match verb {
            Verb::Cancel => format!("Cancel {cid}? [y/N]"),
            Verb::Retry => format!("Retry {cid}? [y/N]"),
        }
    }
}

/// What came of a change.
pub(super) fn message(verb: Verb, change: &v1::InvocationChange) -> (Tone, String) {
    let cid = short_cid(&change.cid);
    if let Some(failure) = &change.failure {
        let text = format!("{cid}: {} ({})", failure.message, failure.reason);
        return (Tone::Bad, text);
    }
    let text = match verb {
        Verb::Cancel if change.cancel_requested => format!("{cid}: cancel requested"),
        Verb::Cancel => format!("{cid}: cancelled"),
        Verb::Retry if change.new_cid == change.cid => format!("{cid}: released"),
        Verb::Retry => format!("{cid}: retried as {}", change.new_cid),
    };
    (Tone::Good, text)
}
