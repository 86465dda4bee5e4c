//! The object of an explained invocation.

use crate::app::cli::names::{self, text_value};
use crate::codec::objects::{attempts, failure, input, invocation, location, summary};
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::Value;

/// What `explain` tells of an invocation.
pub(in crate::app::cli) struct Explanation<'a> {
    pub(in crate::app::cli) invocation: &'a v1::Invocation,
    /// What it waits for, in a sentence.
    pub(in crate::app::cli) waits: Option<&'a str>,
    /// Where its service is served now.
    pub(in crate::app::cli) served_by: &'a [v1::ServiceLocation],
    /// Objects of its children, each with theirs.
    pub(in crate::app::cli) children: Vec<Value>,
    pub(in crate::app::cli) callbacks: Vec<Value>,
    /// Of a group: how many members there are of each service, state and reason.
    pub(in crate::app::cli) member_counts: &'a [v1::InvocationSummary],
    pub(in crate::app::cli) members: &'a [v1::Invocation],
}

/// `explanation` in the schema.
pub(in crate::app::cli) fn explanation(explanation: Explanation<'_>) -> Value {
    let explained = explanation.invocation;
    let members = explanation.members.iter();
    let member_counts = explanation.member_counts.iter().map(summary);
    let max_attempts = explained.max_attempts;
    let mut object = invocation(explained);
    let more = dict! {
        "input": input(explained),
        "failure": names::failure(explained).map(failure),
        "max_attempts": (max_attempts > 0).then_some(max_attempts),
        "waits": explanation.waits,
        "invocations_ahead": explained.invocations_ahead,
        "key_holder_cid": text_value(&explained.key_holder_cid),
        "served_by": explanation.served_by.iter().map(location).collect::<Vec<_>>(),
        "attempts": attempts(explained),
        "children": explanation.children,
        "callbacks": explanation.callbacks,
        "member_counts": member_counts.collect::<Vec<_>>(),
        "members": members.map(|one| Value::Dict(invocation(one))).collect::<Vec<_>>(),
    };
    for (key, value) in more {
        object.insert(key, value);
    }
    object.into()
}
