//! Groups: stored with all of their members or not at all, and due once the last member has ended.

use jiff::Timestamp;

use super::contents::Contents;
use super::due::DueEntry;
use super::weight::weight;
use crate::engine::store::Acceptance;
use crate::model::id::Cid;
use crate::model::invocation::Invocation;

impl Contents {
    /// The first member that was accepted before, if there is one.
    pub(super) fn known_member(&self, members: &[Invocation]) -> Option<Acceptance> {
        let known = members.iter().find(|member| self.known(member).is_some());
        Some(Acceptance::MemberKnown(known?.request.cid))
    }

    pub(super) fn insert_group(&mut self, group: Invocation, members: Vec<Invocation>) {
        let positions = members.iter().zip(0..);
        let positions = positions.map(|(member, position)| (position, member.request.cid));
        self.members.insert(group.request.cid, positions.collect());
        for invocation in std::iter::once(group).chain(members) {
            let bytes = weight(&invocation);
            self.insert(invocation, bytes);
        }
    }

    /// Holds a member that has ended until its group has ended; with the last member the group is due.
    pub(super) fn end_member(&mut self, group: Cid, member: Cid, tombstone_until: Timestamp) {
        self.held.insert(member, tombstone_until);
        let Some(group) = self.invocations.get_mut(&group) else {
            return;
        };
        let before = DueEntry::of(group);
        group.open_members = group.open_members.saturating_sub(1);
        let after = DueEntry::of(group);
        if after.wakeup != before.wakeup {
            self.due.remove(&before, false);
            self.due.insert(after, false);
        }
    }

    /// Releases the members of a group that has ended: they are purged at their own time, and not before the group.
    pub(super) fn release_members(&mut self, group: Cid, purge_time: Timestamp) {
        let members = self.members.get(&group).cloned().unwrap_or_default();
        for (_, cid) in members {
            if let Some(until) = self.held.remove(&cid)
                && let Some(member) = self.invocations.get_mut(&cid)
            {
                let own = member.purge_time.unwrap_or(purge_time);
                let time = own.max(purge_time);
                member.purge_time = Some(time);
                let until = until.checked_add(time.duration_since(own));
                self.purge_queue
                    .insert((time, cid), until.unwrap_or(Timestamp::MAX));
            }
        }
    }

    /// The members of a group that have not been removed, with their positions.
    pub(super) fn members_of(&self, group: Cid) -> Vec<(u32, Cid)> {
        let members = self.members.get(&group);
        let all = members.into_iter().flatten().copied();
        all.filter(|(_, cid)| self.invocations.contains_key(cid))
            .collect()
    }
}
