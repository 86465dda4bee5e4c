//! The groups of a follower: each is told of with the ends of its members, and its own end comes last.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::model::id::Cid;
use crate::model::invocation::Event;

/// The groups that one follower follows with their members.
#[derive(Debug, Default)]
pub(in crate::engine) struct Groups {
    followed: HashMap<Cid, Group, RandomState>,
    /// The groups of members that have not been told of.
    group_of: HashMap<Cid, Cid, RandomState>,
    /// The last sequences that were seen of what is not followed, or not any more.
    seen: HashMap<Cid, u64, RandomState>,
}

#[derive(Debug, Default)]
struct Group {
    /// How many members have not been told of.
    left: usize,
    /// Its end, until all of them have.
    end: Option<Arc<Event>>,
}

impl Groups {
    pub(in crate::engine) fn after(seen: HashMap<Cid, u64, RandomState>) -> Self {
        Self {
            seen,
            ..Self::default()
        }
    }

    /// Whether it is a group whose members are followed.
    pub(in crate::engine) fn has(&self, cid: Cid) -> bool {
        self.followed.contains_key(&cid)
    }

    /// Takes note of a member.
    pub(in crate::engine) fn add(&mut self, group: Cid, member: Cid) {
        self.followed.entry(group).or_default().left += 1;
        self.group_of.insert(member, group);
    }

    pub(in crate::engine) fn seen(&self, cid: Cid) -> u64 {
        self.seen.get(&cid).copied().unwrap_or_default()
    }

    pub(in crate::engine) fn note_seen(&mut self, cid: Cid, sequence: u64) {
        self.seen.insert(cid, sequence);
    }

    /// Keeps the end of a group while members of it have not been told of; answers whether it does.
    pub(in crate::engine) fn hold_back(&mut self, cid: Cid, end: &Arc<Event>) -> bool {
        let group = self.followed.get_mut(&cid);
        let Some(group) = group.filter(|group| group.left > 0) else {
            return false;
        };
        group.end = Some(Arc::clone(end));
        true
    }

    /// A member has been told of: answers with its group and the end of that, where nothing else is left of it.
    pub(in crate::engine) fn close(&mut self, member: Cid) -> Option<(Cid, Arc<Event>)> {
        let cid = self.group_of.remove(&member)?;
        let group = self.followed.get_mut(&cid)?;
        group.left = group.left.saturating_sub(1);
        let end = group.end.take_if(|_| group.left == 0)?;
        Some((cid, end))
    }
}
