//! The outcomes of a group as one dict for its callbacks. What exceeds one message is left out and marked as truncated.

use crate::codec::struct_pb;
use crate::dict;
use crate::model::id::Cid;
use crate::model::invocation::State;
use crate::model::value::{Dict, Value};

/// The largest dict, in bytes: the smallest message limit of workers (4 MiB), with room for the rest of the message.
const MAX_BYTES: usize = (4 << 20) - (64 << 10);

/// Outcomes of members, in the order of their requests.
#[derive(Debug)]
pub(in crate::engine) struct GroupOutcomes {
    succeeded: u32,
    failed: u32,
    cancelled: u32,
    expired: u32,
    members: Vec<MemberOutcome>,
    /// The size of all members.
    bytes: usize,
    limit: usize,
    truncated: bool,
}

#[derive(Debug)]
struct MemberOutcome {
    dict: Dict,
    /// Its size, and the part of its response or error in that.
    bytes: usize,
    body_bytes: usize,
}

/// The keys that are left out first.
const BODIES: [&str; 2] = ["response", "error"];

impl GroupOutcomes {
    pub(in crate::engine) fn new(message_bytes: usize) -> Self {
        Self {
            succeeded: 0,
            failed: 0,
            cancelled: 0,
            expired: 0,
            members: Vec::new(),
            bytes: 0,
            limit: MAX_BYTES.min(message_bytes.saturating_sub(64 << 10)),
            truncated: false,
        }
    }

    pub(in crate::engine) fn count(&mut self, state: State) {
        match state {
            State::Succeeded => self.succeeded += 1,
            State::Cancelled => self.cancelled += 1,
            State::Expired => self.expired += 1,
            State::Failed | State::Pending { .. } | State::Running { .. } => self.failed += 1,
        }
    }

    /// Adds an outcome.
    pub(in crate::engine) fn add(&mut self, dict: Dict) {
        let whole = nested_size(&dict);
        let bare = without_body(&dict);
        let bare_bytes = nested_size(&bare).unwrap_or(0);
        let member = match whole {
            Some(bytes) if self.bytes + bytes <= self.limit => MemberOutcome {
                dict,
                bytes,
                body_bytes: bytes.saturating_sub(bare_bytes),
            },
            _ => {
                self.truncated = true;
                MemberOutcome {
                    dict: bare,
                    bytes: bare_bytes,
                    body_bytes: 0,
                }
            }
        };
        self.bytes += member.bytes;
        self.members.push(member);
        self.truncate();
    }

    /// Leaves out the last ones until the rest fits: responses and errors first, then members.
    fn truncate(&mut self) {
        if self.bytes <= self.limit {
            return;
        }
        self.truncated = true;
        let with_body = |member: &&mut MemberOutcome| member.body_bytes > 0;
        for member in self.members.iter_mut().rev().filter(with_body) {
            member.dict = without_body(&member.dict);
            self.bytes -= member.body_bytes;
            member.bytes -= member.body_bytes;
            member.body_bytes = 0;
            if self.bytes <= self.limit {
                return;
            }
        }
        while self.bytes > self.limit
            && let Some(last) = self.members.pop()
        {
            self.bytes -= last.bytes;
        }
    }

    /// How many members ended in which state.
    pub(in crate::engine) fn summary(&self) -> Dict {
        dict! {
            "members": self.succeeded + self.failed + self.cancelled + self.expired,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "expired": self.expired,
        }
    }

    /// The summary and all outcomes.
    pub(in crate::engine) fn into_dict(self, group: Cid) -> Dict {
        let mut all = self.summary();
        all.insert("group_cid", group.to_string());
        all.insert("truncated", self.truncated);
        let outcomes = self.members.into_iter();
        let outcomes = outcomes.map(|member| Value::from(member.dict));
        all.insert("outcomes", Value::List(outcomes.collect()));
        all
    }
}

/// An outcome without its response or error, marked as truncated.
pub(in crate::engine) fn without_body(outcome: &Dict) -> Dict {
    let kept = outcome.iter().filter(|(key, _)| !BODIES.contains(key));
    let mut bare: Dict = kept
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    bare.insert("truncated", true);
    bare
}

/// The encoded size of an outcome in the list of outcomes; `None` where it is too deeply nested for that.
pub(in crate::engine) fn nested_size(outcome: &Dict) -> Option<usize> {
    let placed = dict! { "outcomes": vec![Value::from(outcome.clone())] };
    let encoded = struct_pb::encode_value(&placed.into());
    encoded.ok().map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(position: i64, response: &str) -> Dict {
        dict! { "position": position, "response": response }
    }

    #[test]
    fn responses_are_left_out_from_the_end_and_then_members_until_it_fits() {
        let mut outcomes = GroupOutcomes::new(usize::MAX);
        outcomes.limit = 1_000;
        for position in 0..6 {
            outcomes.count(State::Succeeded);
            outcomes.add(entry(position, &"x".repeat(200)));
        }
        let encoded = outcomes.bytes;
        let all = outcomes.into_dict(Cid::new());
        assert!(encoded <= 1_000);
        assert_eq!(all["members"], Value::from(6));
        assert_eq!(all["truncated"], Value::from(true));
        let Value::List(entries) = &all["outcomes"] else {
            panic!("no list: {all:?}");
        };
        assert_eq!(entries.len(), 6);
        let whole: Vec<bool> = entries
            .iter()
            .map(|entry| entry["truncated"] == Value::Null)
            .collect();
        assert_eq!(whole, [true, true, true, false, false, false]);
        let mut many = GroupOutcomes::new(usize::MAX);
        many.limit = 1_000;
        (0..100).for_each(|position| many.add(entry(position, "x")));
        assert!(many.bytes <= 1_000 && many.truncated && many.members.len() < 100);
    }

    #[test]
    fn a_response_that_is_too_deep_is_left_out() {
        let mut deep = Value::from(1);
        for _ in 0..31 {
            deep = dict! { "a": deep }.into();
        }
        let mut outcomes = GroupOutcomes::new(usize::MAX);
        outcomes.add(dict! { "position": 0, "response": deep });
        assert!(outcomes.truncated);
        assert_eq!(outcomes.members[0].dict["truncated"], Value::from(true));
    }
}
