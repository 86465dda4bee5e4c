//! What operators do with stored invocations: list them, cancel them, run them again.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Invoker;
use crate::engine::decide::cancelled;
use crate::engine::lookup::InvocationView;
use crate::engine::settle::Whose;
use crate::engine::store::{Filter, Stored};
use crate::model::call::{Accepted, Call, DurableOptions};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, texts};
use crate::model::invocation::{HELD, Invocation, State, Transition};
use crate::model::payload::Payload;
use crate::model::sio::Ignored;

/// A page of invocations as they stand.
#[derive(Clone, Debug, Default)]
pub struct InvocationPage {
    /// Those accepted last first.
    pub found: Vec<InvocationView>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

impl Invoker {
    /// Lists stored invocations, newest first. Of a filter's states, [`State::Running`] stands for what runs here.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn list(
        &self,
        mut filter: Filter,
        before: Option<u64>,
        max: usize,
    ) -> Result<InvocationPage> {
        let asked = filter.states.len();
        // A store does not know what runs; as many as that are in memory.
        let runs = |state: &State| matches!(state, State::Running { .. });
        filter.states.retain(|state| !runs(state));
        if filter.states.len() < asked {
            filter.cids.extend(self.0.hub.running());
            filter.include_waiting = true;
        }
        let page = self.0.store.list(filter, before, max).await?;
        let found = page
            .invocations
            .into_iter()
            .map(|invocation| self.as_it_stands(invocation));
        Ok(InvocationPage {
            found: found.collect(),
            next: page.next,
        })
    }

    /// Cancels an invocation: at once where it does not run; otherwise its handler is asked to stop, which is recorded
    /// before this resolves, and it is dropped after the grace period.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `ENDED` where it has ended.
    pub async fn cancel(&self, cid: Cid) -> Result<InvocationView> {
        let cancel = self.clone().cancel_whole(cid);
        self.0.tasks.run_to_completion("cancel", cancel).await
    }

    /// Looks at what [`cancel`](Self::cancel) would cancel.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn check_cancel(&self, cid: Cid) -> Result<InvocationView> {
        let found = self.look(cid).await?;
        match found.invocation.state.is_terminal() {
            true => Err(has_ended(&found.invocation)),
            false => Ok(found),
        }
    }

    async fn cancel_whole(self, cid: Cid) -> Result<InvocationView> {
        // Between its claim and its first attempt an invocation is nobody's to end, for some microseconds.
        const TRIES: usize = 100;
        const PAUSE: Duration = Duration::from_millis(1);
        for _ in 0..TRIES {
            if let Some(live) = self.0.hub.live(cid) {
                if self.0.store.request_cancel(cid).await? && live.request_cancel() {
                    return self.look(cid).await;
                }
                // It ends right now: its record is on its way.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let found = self.look(cid).await?;
            if found.invocation.state.is_terminal() {
                return Err(has_ended(&found.invocation));
            }
            if found.invocation.request.group().is_some() {
                return self.cancel_group(found.invocation).await;
            }
            let route = self
                .0
                .routes
                .find(found.invocation.request.service.as_str())?;
            if self
                .end_pending(
                    &route,
                    &found.invocation,
                    Transition::Cancel,
                    cancelled(),
                    Whose::Nobodys,
                )
                .await
            {
                return self.look(cid).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        // Whoever has it will see that it is wanted cancelled.
        self.0.store.request_cancel(cid).await?;
        let found = self.look(cid).await?;
        match found.invocation.state.is_terminal() {
            true => Err(has_ended(&found.invocation)),
            false => Ok(found),
        }
    }

    /// Runs an invocation again that ended without a response: as a new one, with the same input or another. One that
    /// is held goes on as it is.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE` where it runs, waits or
    /// succeeded; as for [`invoke_async`](Self::invoke_async).
    pub async fn retry(&self, cid: Cid, input: Option<Payload>) -> Result<Accepted> {
        let retry = self.clone().retry_whole(cid, input);
        self.0.tasks.run_to_completion("retry", retry).await
    }

    /// Looks at what [`retry`](Self::retry) would run again, with another input or the same.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE`.
    pub async fn check_retry(&self, cid: Cid, with_input: bool) -> Result<InvocationView> {
        let found = self.look(cid).await?;
        let invocation = &found.invocation;
        let what = match invocation.shown_state() {
            State::Failed | State::Cancelled | State::Expired => return Ok(found),
            State::Pending { .. } if invocation.due >= HELD && !with_input => return Ok(found),
            State::Pending { .. } if invocation.due >= HELD => {
                "is held: it is run again as it is; cancel it first to run it with another input"
            }
            State::Pending { .. } => "is pending: it will run",
            State::Running { .. } => "runs",
            State::Succeeded => {
                "succeeded: only what failed, expired or was cancelled is run again"
            }
        };
        let message = format!("{cid} {what}");
        Err(Error::failed_precondition(reason::NOT_RETRYABLE, message))
    }

    async fn retry_whole(self, cid: Cid, input: Option<Payload>) -> Result<Accepted> {
        let found = self.check_retry(cid, input.is_some()).await?;
        let invocation = found.invocation;
        let request = &invocation.request;
        if !invocation.state.is_terminal() {
            let route = self.0.routes.find(request.service.as_str())?;
            self.release(&route, &invocation).await;
            return Ok(Accepted {
                cid,
                already_accepted: true,
                ignored: Ignored::default(),
            });
        }
        let mut call = Call::new(
            request.service.to_string(),
            input.unwrap_or_else(|| request.input.clone()),
        );
        call.timeout = request.attempt_timeout;
        call.response_format = request.response_format;
        call.metadata = Some(Arc::new(request.metadata.clone()));
        call.durable = Some(Box::new(DurableOptions {
            retry_policy: request.terms.retry_policy.clone(),
            hold: request.terms.hold,
            callbacks: texts(&request.terms.callbacks),
            failure_callbacks: texts(&request.terms.failure_callbacks),
            retention: request.terms.retention,
            concurrency_key: request.terms.concurrency_key.clone(),
            retry_of: Some(cid),
            ..DurableOptions::default()
        }));
        self.invoke_async(call).await
    }

    /// Removes an invocation that has ended before its retention is over.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_ENDED`.
    pub async fn purge(&self, cid: Cid) -> Result<InvocationView> {
        let found = self.check_purge(cid).await?;
        if self.0.store.remove(cid).await? {
            return Ok(found);
        }
        // Somebody else was faster, or its group has not ended.
        let found = self.look(cid).await?;
        Err(not_ended(&found.invocation))
    }

    /// Looks at what [`purge`](Self::purge) would remove.
    ///
    /// # Errors
    ///
    /// As for [`purge`](Self::purge).
    pub async fn check_purge(&self, cid: Cid) -> Result<InvocationView> {
        let found = self.look(cid).await?;
        let group_has_ended = match found.invocation.request.member() {
            Some(member) => match self.0.store.get(member.group).await? {
                Stored::Found(group) => group.state.is_terminal(),
                Stored::Removed(_) | Stored::Unknown => true,
            },
            None => true,
        };
        match found.invocation.state.is_terminal() && group_has_ended {
            true => Ok(found),
            false => Err(not_ended(&found.invocation)),
        }
    }

    /// The children of an invocation, the first `max` of them.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn children(&self, cid: Cid, max: usize) -> Result<Vec<Cid>> {
        let children = self.0.store.children(cid, max).await?;
        Ok(children.iter().map(|child| child.cid).collect())
    }

    fn as_it_stands(&self, mut invocation: Invocation) -> InvocationView {
        if let Some(live) = self.0.hub.live(invocation.request.cid)
            && !invocation.state.is_terminal()
        {
            live.overlay(&mut invocation);
        }
        self.found(invocation)
    }
}

/// `FAILED_PRECONDITION` / `ENDED`.
pub(super) fn has_ended(invocation: &Invocation) -> Error {
    let message = format!(
        "{} has ended already: {}",
        invocation.request.cid,
        invocation.state.name()
    );
    Error::failed_precondition(reason::ENDED, message)
}

fn not_ended(invocation: &Invocation) -> Error {
    let cid = invocation.request.cid;
    let message = match invocation.request.member() {
        Some(member) if invocation.state.is_terminal() => {
            format!("the group of {cid} has not ended: {}", member.group)
        }
        _ => format!("{cid} has not ended: cancel it first"),
    };
    Error::failed_precondition(reason::NOT_ENDED, message)
}
