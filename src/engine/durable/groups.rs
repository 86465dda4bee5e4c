//! Groups: a group ends when its last member has ended, and its callbacks get all outcomes in order.

use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::Notify;

use crate::codec::failure::failure_dict;
use crate::dict;
use crate::engine::clock::Clock;
use crate::engine::control::gates::Gates;
use crate::engine::durable::callbacks::{callback, member_outcome};
use crate::engine::durable::commit::{Committer, Source};
use crate::engine::durable::group_outcomes::GroupOutcomes;
use crate::engine::durable::transition::group_ended;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::Limits;
use crate::engine::results::lookup::CONCURRENT_READS;
use crate::engine::store::{
    Claim, ClaimLimit, SHARED_POLL_INTERVAL, STORE_RETRY_DELAY, Store, Stored,
};
use crate::model::error::{Error, Kind, Result};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, State};
use crate::model::payload::{Payload, Reply};
use crate::model::value::Dict;

/// How many groups one claim takes, at most.
const MAX_CLAIM: usize = 4;

/// Ends groups whose members have ended.
#[derive(Debug)]
pub(in crate::engine) struct Groups {
    pub(in crate::engine) store: Arc<dyn Store>,
    pub(in crate::engine) committer: Arc<Committer>,
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) limits: Arc<Limits>,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
    /// Notified when a member has ended, or a group without members was accepted.
    pub(in crate::engine) group_wakeup: Arc<Notify>,
    pub(in crate::engine) gates: Arc<Gates>,
}

impl Groups {
    /// Ends groups until the node drains, those included whose members ended before a restart. A held node ends none.
    pub(in crate::engine) fn start(self: Arc<Self>) {
        let lifecycle = Arc::clone(&self.lifecycle);
        lifecycle.spawn_until_drain("groups", self.run());
    }

    async fn run(self: Arc<Self>) {
        let none = ServiceName::none();
        let limit = ClaimLimit::invocations(MAX_CLAIM);
        self.gates.released().cancelled().await;
        loop {
            match self.store.claim(&none, self.clock.now(), limit).await {
                Ok(Claim { invocations, .. }) if invocations.is_empty() => {
                    self.wakeup().await;
                }
                Ok(Claim { invocations, .. }) => {
                    // Concurrently, so that a small group does not wait for a large one. A claimed group is ended even
                    // if the drain begins.
                    let ends = invocations.into_iter().map(|group| {
                        let end = Arc::clone(&self).end(group);
                        self.lifecycle.tasks().run_to_completion("group", end)
                    });
                    futures_util::future::join_all(ends).await;
                }
                Err(error) => {
                    tracing::error!(%error, "cannot claim groups");
                    tokio::time::sleep(STORE_RETRY_DELAY).await;
                }
            }
        }
    }

    /// Waits until a member of a group may have ended: one that ends on another node does not notify this one.
    async fn wakeup(&self) {
        let elsewhere = async {
            match self.store.is_shared() {
                true => self.clock.pause(SHARED_POLL_INTERVAL).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.group_wakeup.notified() => {}
            () = elsewhere => {}
        }
    }

    /// Ends a group, and has its callbacks accepted in the same transaction.
    async fn end(self: Arc<Self>, group: Invocation) {
        let _work = self.lifecycle.work_token();
        let cid = group.request.cid;
        let outcomes = loop {
            match self.read_outcomes(&group).await {
                Ok(outcomes) => break outcomes,
                Err(error) => {
                    tracing::error!(%cid, %error, "cannot read the members of a group; retrying");
                    tokio::time::sleep(STORE_RETRY_DELAY).await;
                }
            }
        };
        let (now, generation) = (self.clock.now(), self.store.first_generation());
        let summary = Reply::from(Payload::Value(outcomes.summary().into()));
        let input = Payload::Value(outcomes.into_dict(cid).into());
        let trace = &group.request.metadata;
        let callbacks = group.request.terms.callbacks.iter();
        let callbacks = callbacks
            .map(|service| {
                let input = input.clone();
                callback(&group, service, input, 0, now, generation, trace)
            })
            .collect();
        let retention = self.limits.retention;
        match group_ended(&group, summary, now) {
            Ok(change) => {
                let source = Source::Claimed;
                self.committer
                    .commit(&group, change, source, retention, callbacks, None)
                    .await;
            }
            Err(error) => tracing::error!(%cid, %error, "cannot end a group"),
        }
    }

    /// Reads the outcomes of the members of a group, in the order of their requests.
    async fn read_outcomes(&self, group: &Invocation) -> Result<GroupOutcomes> {
        let members = self.store.members(group.request.cid).await?;
        let has_callbacks = !group.request.terms.callbacks.is_empty();
        let mut outcomes = GroupOutcomes::new(self.limits.message_bytes);
        let read = futures_util::stream::iter(members);
        let read = read.map(async |(position, cid)| (position, cid, self.store.get(cid).await));
        let mut read = read.buffered(CONCURRENT_READS);
        while let Some((position, cid, stored)) = read.next().await {
            match stored {
                Ok(Stored::Found(member)) => {
                    outcomes.count(member.state);
                    if has_callbacks && let Some(last) = member.events.last() {
                        outcomes.add(member_outcome(&member.request, &last.kind, last.time));
                    }
                }
                // A damaged member must not keep its group from ending.
                Err(error) if error.kind() == Kind::DataLoss => {
                    tracing::error!(%cid, %error, "cannot read a member of a group");
                    outcomes.count(State::Failed);
                    outcomes.add(unreadable_member(position, cid, &error));
                }
                Ok(Stored::Removed(_) | Stored::Unknown) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
    }
}

/// The outcome of a member that cannot be read.
fn unreadable_member(position: u32, cid: Cid, error: &Error) -> Dict {
    dict! {
        "position": position,
        "cid": cid.to_string(),
        "state": State::Failed.name(),
        "error": failure_dict(error),
    }
}
