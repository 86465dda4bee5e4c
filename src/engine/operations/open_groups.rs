//! Groups that an operation has yet to cancel, and of which it has cancelled members: a group that ends with them is
//! not found in its turn, and counts nevertheless.

use std::collections::HashSet;

use crate::engine::results::lookup::InvocationView;
use crate::model::id::Cid;

/// How many groups are remembered; further ones count only if they have not ended in their turn. A group is accepted
/// just before its members, so that there are few between a member and its group.
const MAX_GROUPS: usize = 10_000;

/// Groups that an operation has yet to cancel.
#[derive(Debug, Default)]
pub(super) struct OpenGroups(HashSet<Cid>);

impl OpenGroups {
    /// The groups of the members among some invocations, each once, without those that are remembered.
    pub(super) fn unknown(&self, found: &[InvocationView]) -> HashSet<Cid> {
        let members = found.iter();
        let members = members.filter_map(|found| found.invocation.request.member());
        let groups = members.map(|member| member.group);
        groups.filter(|group| !self.0.contains(group)).collect()
    }

    /// Remembers a group.
    pub(super) fn add(&mut self, group: Cid) {
        if self.0.len() < MAX_GROUPS {
            self.0.insert(group);
        }
    }

    /// Forgets a group in its turn.
    pub(super) fn remove(&mut self, group: Cid) {
        self.0.remove(&group);
    }

    /// Those that are left.
    pub(super) fn take(self) -> HashSet<Cid> {
        self.0
    }
}
