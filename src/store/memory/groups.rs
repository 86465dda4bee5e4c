//! Groups: kept with all of their members or with none, and due once the last of those has ended.

use jiff::Timestamp;

use super::Kept;
use super::weight::weight;
use crate::engine::store::Acceptance;
use crate::model::id::Cid;
use crate::model::invocation::Invocation;

impl Kept {
    /// Which of the members is known already, if one is.
    pub(super) fn known_member(&self, members: &[Invocation]) -> Option<Acceptance> {
        let known = members.iter().find(|member| self.known(member).is_some());
        let cid = known?.request.cid;
        Some(Acceptance::MemberKnown(cid))
    }

    pub(super) fn keep_group(&mut self, group: Invocation, members: Vec<Invocation>) {
        let places = members.iter().zip(0..);
        let places = places.map(|(member, position)| (position, member.request.cid));
        self.members.insert(group.request.cid, places.collect());
        for invocation in std::iter::once(group).chain(members) {
            let bytes = weight(&invocation);
            self.keep(invocation, bytes);
        }
    }

    /// A member has ended: it is kept until its group has, which is due where it was the last one.
    pub(super) fn end_member(&mut self, group: Cid, member: Cid, until: Timestamp) {
        self.held.insert(member, until);
        let Some(invocation) = self.invocations.get_mut(&group) else {
            return;
        };
        let service = invocation.request.service.clone();
        let before = (invocation.next_wakeup(), group);
        invocation.open_members = invocation.open_members.saturating_sub(1);
        let after = (invocation.next_wakeup(), group);
        if after != before {
            self.take_pending(&service, None, before);
            self.add_pending(service, None, after, false);
        }
    }

    /// A group has ended: its members are removed when their time has come, and not before it is.
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
                self.purge
                    .insert((time, cid), until.unwrap_or(Timestamp::MAX));
            }
        }
    }

    /// The members of a group that are still there, with their places.
    pub(super) fn members_of(&self, group: Cid) -> Vec<(u32, Cid)> {
        let members = self.members.get(&group);
        let all = members.into_iter().flatten().copied();
        all.filter(|(_, cid)| self.invocations.contains_key(cid))
            .collect()
    }
}
