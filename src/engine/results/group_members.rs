//! Groups that a follower follows with their members: the end of a group is sent after the ends of its members.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::model::id::Cid;
use crate::model::invocation::Event;

/// The groups of one follower.
#[derive(Debug, Default)]
pub(in crate::engine) struct FollowedGroups {
    groups: HashMap<Cid, FollowedGroup, RandomState>,
    /// The group of each member whose end was not sent.
    group_of: HashMap<Cid, Cid, RandomState>,
    /// The last sequences that the caller has seen of CIDs that are not followed, or no longer.
    seen: HashMap<Cid, u64, RandomState>,
}

#[derive(Debug, Default)]
struct FollowedGroup {
    /// How many ends of members were not sent.
    open_members: usize,
    /// The end of the group, until they are.
    end: Option<Arc<Event>>,
}

impl FollowedGroups {
    pub(in crate::engine) fn after(seen: HashMap<Cid, u64, RandomState>) -> Self {
        Self {
            seen,
            ..Self::default()
        }
    }

    /// Whether the members of a group are followed.
    pub(in crate::engine) fn contains(&self, cid: Cid) -> bool {
        self.groups.contains_key(&cid)
    }

    /// Adds a member to a group.
    pub(in crate::engine) fn add_member(&mut self, group: Cid, member: Cid) {
        self.groups.entry(group).or_default().open_members += 1;
        self.group_of.insert(member, group);
    }

    pub(in crate::engine) fn seen(&self, cid: Cid) -> u64 {
        self.seen.get(&cid).copied().unwrap_or_default()
    }

    pub(in crate::engine) fn set_seen(&mut self, cid: Cid, sequence: u64) {
        self.seen.insert(cid, sequence);
    }

    /// Keeps the end of a group while ends of its members were not sent; returns whether it does.
    pub(in crate::engine) fn hold_back(&mut self, cid: Cid, end: &Arc<Event>) -> bool {
        let group = self.groups.get_mut(&cid);
        let Some(group) = group.filter(|group| group.open_members > 0) else {
            return false;
        };
        group.end = Some(Arc::clone(end));
        true
    }

    /// Notes that the end of a member was sent. Returns its group and the end of that, where no other member is open.
    pub(in crate::engine) fn close_member(&mut self, member: Cid) -> Option<(Cid, Arc<Event>)> {
        let cid = self.group_of.remove(&member)?;
        let group = self.groups.get_mut(&cid)?;
        group.open_members = group.open_members.saturating_sub(1);
        let end = group.end.take_if(|_| group.open_members == 0)?;
        Some((cid, end))
    }
}
