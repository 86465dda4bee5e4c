//! Groups: they end when their members have, are cancelled with them, and give their outcomes in order.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::dict;
use crate::engine::callbacks::{described, entry, follow_up};
use crate::engine::decide::Decision;
use crate::engine::lookup::InvocationView;
use crate::engine::manage::has_ended;
use crate::engine::store::{Claim, Filter, Stored};
use crate::engine::{Invoker, outcomes::Outcomes};
use crate::model::batch::AcceptedGroup;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{EventKind, Invocation, Outcome, State};
use crate::model::payload::{Payload, Reply};
use crate::model::value::Dict;
use crate::service::BoxFuture;

/// How many groups are taken from the store at once.
const BATCH: usize = 4;
/// How many members are cancelled at once: they share the store's commits.
const AT_ONCE: usize = 64;
/// How many are read at once: each may have megabytes.
const READ_AT_ONCE: usize = 4;
/// How many groups are looked at together, for those that are to be cancelled.
const PAGE: usize = 100;
/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends groups whose members have ended: those of before the last restart as well.
pub(super) fn start(invoker: &Invoker) {
    invoker.spawn_until_drain("groups", look(invoker.clone()));
    invoker.spawn_until_drain("cancelled groups", invoker.clone().go_on_cancelling());
}

async fn look(invoker: Invoker) {
    let none = ServiceName::none();
    loop {
        let now = invoker.0.clock.now();
        match invoker.0.store.claim(&none, now, BATCH).await {
            Ok(Claim { invocations, .. }) if invocations.is_empty() => {
                invoker.0.groups.notified().await;
            }
            Ok(Claim { invocations, .. }) => {
                // Together: a small one need not wait for a large one. Whoever stops the node waits for what was begun.
                let ends = invocations.into_iter().map(|group| {
                    let end = invoker.clone().end_group(group);
                    invoker.0.tasks.run_to_completion("group", end)
                });
                futures_util::future::join_all(ends).await;
            }
            Err(error) => {
                tracing::error!(%error, "cannot look after groups");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Invoker {
    /// Tells that a member has ended: its group may have ended as well.
    pub(super) fn look_after_groups(&self) {
        self.0.groups.notify_one();
    }

    /// Ends a group whose members have ended, and has those invoked who want to know.
    async fn end_group(self, group: Invocation) {
        let _work = self.0.work.token();
        let cid = group.request.cid;
        let outcomes = loop {
            match self.gather(&group).await {
                Ok(outcomes) => break outcomes,
                Err(error) => {
                    tracing::error!(%cid, %error, "cannot read the members of a group, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let now = self.0.clock.now();
        let summary = outcomes.summary();
        let input = Payload::Value(outcomes.in_full(cid).into());
        let reply = Reply::from(Payload::Value(summary.into()));
        let decision = Decision {
            state: State::Succeeded,
            event: Some(EventKind::Succeeded(reply)),
            ..Decision::as_it_is(&group)
        };
        let mut record = self.record_idle(self.0.limits.retention, &group, decision, now);
        let final_services = group.request.terms.callbacks.iter();
        let generation = self.0.store.generation();
        record.followed_by = final_services
            .map(|service| follow_up(&group, service, input.clone(), 0, now, generation))
            .collect();
        self.conclude(&group, &record).await;
    }

    /// Reads what the members of a group came to, in the order of their requests.
    async fn gather(&self, group: &Invocation) -> Result<Outcomes> {
        let members = self.0.store.members(group.request.cid).await?;
        let wants_all = !group.request.terms.callbacks.is_empty();
        let mut outcomes = Outcomes::new(self.limits().message_bytes);
        let read = futures_util::stream::iter(members);
        let read = read.map(async |(position, cid)| (position, cid, self.0.store.get(cid).await));
        let mut read = read.buffered(READ_AT_ONCE);
        while let Some((position, cid, stored)) = read.next().await {
            match stored {
                Ok(Stored::Found(member)) => {
                    outcomes.count(member.state);
                    if wants_all && let Some(last) = member.events.last() {
                        outcomes.add(entry(&member.request, &last.kind, last.time));
                    }
                }
                // One that cannot be read must not keep the others from whoever waits for them.
                Err(error) if error.kind() == Kind::DataLoss => {
                    tracing::error!(%cid, %error, "a member of a group cannot be read");
                    outcomes.count(State::Failed);
                    outcomes.add(unreadable(position, cid, &error));
                }
                Ok(Stored::Removed(_) | Stored::Unknown) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    /// Cancels the members of a group that have not ended; the group ends with the last of them.
    pub(super) fn cancel_group(&self, group: Invocation) -> BoxFuture<'_, Result<InvocationView>> {
        Box::pin(async move {
            if group.state.is_terminal() {
                return Err(has_ended(&group));
            }
            let cid = group.request.cid;
            // Where the node ends before all of them are cancelled, the next one goes on.
            self.0.store.request_cancel(cid).await?;
            let members = self.0.store.members(cid).await?;
            let cancelled = futures_util::stream::iter(members).map(|(_, cid)| self.cancel(cid));
            let mut cancelled = cancelled.buffer_unordered(AT_ONCE);
            let mut failed = None;
            while let Some(cancelled) = cancelled.next().await {
                // Others may have been faster, and one that cannot be cancelled does not keep the others.
                let error = cancelled
                    .err()
                    .filter(|error| error.reason() != reason::ENDED);
                failed = failed.or(error);
            }
            match failed {
                Some(error) => Err(error),
                None => self.look(cid).await,
            }
        })
    }

    /// Goes on with the groups that the node before was told to cancel, and ended meanwhile: until all are cancelled.
    async fn go_on_cancelling(self) {
        while let Err(error) = self.cancel_on().await {
            // The services of workers may not be known yet.
            tracing::warn!(%error, "cannot go on cancelling groups, trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn cancel_on(&self) -> Result<()> {
        let waiting = || Filter {
            include_waiting: true,
            ..Filter::default()
        };
        let (mut before, mut failed) = (None, Ok(()));
        loop {
            let page = self.0.store.list(waiting(), before, PAGE).await?;
            for found in page.invocations {
                if found.request.group().is_some()
                    && found.cancel_requested
                    && let Err(error) = self.cancel(found.request.cid).await
                    && error.reason() != reason::ENDED
                {
                    failed = Err(error);
                }
            }
            before = page.next;
            if before.is_none() {
                return failed;
            }
        }
    }

    /// The outcomes of the members of a group that has ended, in the order of their requests.
    pub(super) async fn outcomes(&self, group: &AcceptedGroup) -> Result<Vec<(Cid, Outcome)>> {
        let members = group.members.iter().copied();
        let read = futures_util::stream::iter(members).map(async |cid| {
            let outcome = match self.look(cid).await {
                Ok(found) => found.invocation.outcome().unwrap_or_else(|| Err(open(cid))),
                Err(error) if error.reason() == reason::RESULT_EXPIRED => Err(error),
                Err(error) => return Err(error),
            };
            Ok((cid, outcome))
        });
        read.buffered(READ_AT_ONCE).try_collect().await
    }
}

/// What is told of a member that cannot be read.
fn unreadable(position: u32, cid: Cid, error: &Error) -> Dict {
    dict! {
        "position": position,
        "cid": cid.to_string(),
        "state": State::Failed.name(),
        "error": described(error),
    }
}

fn open(cid: Cid) -> Error {
    let message = format!("{cid} has not ended yet");
    Error::failed_precondition(reason::NOT_ENDED, message)
}
