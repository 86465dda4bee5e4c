//! What the members of a group came to, as one dict: what is too much for one message is left out, and it says so.

use crate::codec::struct_pb;
use crate::dict;
use crate::model::id::Cid;
use crate::model::invocation::State;
use crate::model::value::{Dict, Value};

/// How large it may be: what every worker takes in one message (4 MiB), with room for what surrounds it.
const MAX_BYTES: usize = (4 << 20) - (64 << 10);

/// Outcomes in the order of the requests.
#[derive(Debug)]
pub(in crate::engine) struct Outcomes {
    succeeded: u32,
    failed: u32,
    cancelled: u32,
    expired: u32,
    entries: Vec<Entry>,
    /// What all entries take.
    bytes: usize,
    limit: usize,
    truncated: bool,
}

#[derive(Debug)]
struct Entry {
    dict: Dict,
    /// What it takes, and what its response or error takes of that.
    bytes: usize,
    body: usize,
}

/// The keys that are left out where there is no room for them.
const BODIES: [&str; 2] = ["response", "error"];

impl Outcomes {
    pub(in crate::engine) fn new(message_bytes: usize) -> Self {
        Self {
            succeeded: 0,
            failed: 0,
            cancelled: 0,
            expired: 0,
            entries: Vec::new(),
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
        let entry = match whole {
            // It fits by itself, and may have to go later.
            Some(bytes) if self.bytes + bytes <= self.limit => Entry {
                dict,
                bytes,
                body: bytes.saturating_sub(bare_bytes),
            },
            _ => {
                self.truncated = true;
                Entry {
                    dict: bare,
                    bytes: bare_bytes,
                    body: 0,
                }
            }
        };
        self.bytes += entry.bytes;
        self.entries.push(entry);
        self.fit();
    }

    /// Leaves out what came last until the rest fits: responses first.
    fn fit(&mut self) {
        if self.bytes <= self.limit {
            return;
        }
        self.truncated = true;
        for entry in self.entries.iter_mut().rev().filter(|entry| entry.body > 0) {
            entry.dict = without_body(&entry.dict);
            self.bytes -= entry.body;
            entry.bytes -= entry.body;
            entry.body = 0;
            if self.bytes <= self.limit {
                return;
            }
        }
        while self.bytes > self.limit
            && let Some(last) = self.entries.pop()
        {
            self.bytes -= last.bytes;
        }
    }

    /// How many came to what.
    pub(in crate::engine) fn summary(&self) -> Dict {
        dict! {
            "members": self.succeeded + self.failed + self.cancelled + self.expired,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "expired": self.expired,
        }
    }

    /// The summary and every outcome.
    pub(in crate::engine) fn in_full(self, group: Cid) -> Dict {
        let mut all = self.summary();
        all.insert("group_cid", group.to_string());
        all.insert("truncated", self.truncated);
        let entries = self.entries.into_iter();
        let entries = entries.map(|entry| Value::from(entry.dict));
        all.insert("outcomes", Value::List(entries.collect()));
        all
    }
}

/// An outcome without its response or its error, which says so.
pub(in crate::engine) fn without_body(entry: &Dict) -> Dict {
    let kept = entry.iter().filter(|(key, _)| !BODIES.contains(key));
    let mut bare: Dict = kept
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    bare.insert("truncated", true);
    bare
}

/// What an entry takes where it stands; `None` where it cannot stand there: it is too deep.
pub(in crate::engine) fn nested_size(entry: &Dict) -> Option<usize> {
    let placed = dict! { "outcomes": vec![Value::from(entry.clone())] };
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
    fn responses_go_from_the_end_and_then_entries_until_it_fits() {
        let mut outcomes = Outcomes::new(usize::MAX);
        outcomes.limit = 1_000;
        for position in 0..6 {
            outcomes.count(State::Succeeded);
            outcomes.add(entry(position, &"x".repeat(200)));
        }
        let encoded = outcomes.bytes;
        let all = outcomes.in_full(Cid::new());
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
        let mut many = Outcomes::new(usize::MAX);
        many.limit = 1_000;
        (0..100).for_each(|position| many.add(entry(position, "x")));
        assert!(many.bytes <= 1_000 && many.truncated && many.entries.len() < 100);
    }

    #[test]
    fn what_is_too_deep_is_left_out() {
        let mut deep = Value::from(1);
        for _ in 0..31 {
            deep = dict! { "a": deep }.into();
        }
        let mut outcomes = Outcomes::new(usize::MAX);
        outcomes.add(dict! { "position": 0, "response": deep });
        assert!(outcomes.truncated);
        assert_eq!(outcomes.entries[0].dict["truncated"], Value::from(true));
    }
}
