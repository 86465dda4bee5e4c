//! Operations on stored invocations: list, retry, purge.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::retrying::Retrying;
use crate::engine::acceptance::accept::Acceptor;
use crate::engine::acceptance::origin::{Acting, Origin};
use crate::engine::durable::commit::Committer;
use crate::engine::durable::deferral::Deferrals;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::results::hub::Hub;
use crate::engine::results::lookup::{CONCURRENT_READS, InvocationView, Results};
use crate::engine::results::reading::is_owned;
use crate::engine::routing::{Route, Routes};
use crate::engine::store::{Child, Filter, PageSize, Store, Stored};
use crate::model::access::Owners;
use crate::model::call::{Accepted, Call, DurableOptions};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, texts};
use crate::model::invocation::{HELD, Invocation, Request, State};
use crate::model::payload::Payload;
use crate::model::sio::Ignored;

/// A page of invocations as they stand.
#[derive(Clone, Debug, Default)]
pub struct InvocationPage {
    /// The invocations, the one accepted last first.
    pub found: Vec<InvocationView>,
    /// Where the next page starts, if there is one.
    pub next: Option<u64>,
}

/// The invocations that have another one as their parent.
#[derive(Clone, Debug, Default)]
pub struct Children {
    /// Those that its handler invoked, in order of acceptance.
    pub children: Vec<Cid>,
    /// Those that were invoked with its outcome, in order of acceptance.
    pub callbacks: Vec<Cid>,
}

/// Lists, retries and purges invocations.
#[derive(Debug)]
pub(in crate::engine) struct Maintenance {
    pub(in crate::engine) store: Arc<dyn Store>,
    pub(in crate::engine) hub: Arc<Hub>,
    pub(in crate::engine) routes: Arc<Routes>,
    pub(in crate::engine) results: Arc<Results>,
    pub(in crate::engine) acceptor: Arc<Acceptor>,
    pub(in crate::engine) committer: Arc<Committer>,
    pub(in crate::engine) deferrals: Arc<Deferrals>,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
    pub(in crate::engine) retrying: Retrying,
}

impl Maintenance {
    /// Lists stored invocations, newest first. In a filter, [`State::Running`] stands for what runs here.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::engine) async fn list(
        &self,
        filter: Filter,
        before: Option<u64>,
        size: PageSize,
    ) -> Result<InvocationPage> {
        let filter = self.stored_filter(filter);
        let page = self.store.list_page(filter, before, size).await?;
        let found = page.invocations.into_iter();
        let found = found.map(|invocation| self.results.overlay(invocation));
        Ok(InvocationPage {
            found: found.collect(),
            next: page.next,
        })
    }

    /// The filter of the store, which has running invocations as pending: they are named by their CIDs.
    pub(super) fn stored_filter(&self, mut filter: Filter) -> Filter {
        let states = filter.states.len();
        let is_running = |state: &State| matches!(state, State::Running { .. });
        filter.states.retain(|state| !is_running(state));
        let has = |state| filter.states.contains(&state);
        // All of them are stored as pending.
        let has_all_open =
            [false, true].map(|started| has(State::Pending { started })) == [true; 2];
        if filter.states.len() < states && !has_all_open {
            filter.cids.extend(self.hub.live_cids());
            filter.include_waiting = true;
        }
        filter
    }

    /// Retries an invocation that ended without a response: as a new one, with the same input or another. One that is
    /// held is released as it is; with another input it ends as cancelled, and a new one takes its place. `by`: the
    /// caller, whose call one with another input is; with the same input it keeps its principals.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE` where it runs, waits or
    /// succeeded; as for accepting an invocation.
    pub(in crate::engine) async fn retry(
        self: &Arc<Self>,
        cid: Cid,
        input: Option<Payload>,
        by: Acting,
    ) -> Result<Accepted> {
        let retry = Arc::clone(self).retry_now(cid, input, None, by);
        let tasks = self.lifecycle.tasks();
        tasks.run_to_completion("retry", retry).await
    }

    /// Makes a held invocation due now.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_HELD`.
    pub(in crate::engine) async fn release(self: &Arc<Self>, cid: Cid) -> Result<()> {
        let release = Arc::clone(self).release_now(cid);
        let tasks = self.lifecycle.tasks();
        tasks.run_to_completion("release", release).await
    }

    async fn release_now(self: Arc<Self>, cid: Cid) -> Result<()> {
        let view = self.results.get(cid).await?;
        if !view.is_held() {
            let state = view.invocation.shown_state().name();
            let message = format!("{cid} is not held: it is {state}");
            return Err(Error::failed_precondition(reason::NOT_HELD, message));
        }
        let route = self.routes.find(view.invocation.request.service.as_str())?;
        match self.deferrals.try_release(&route, &view.invocation).await? {
            true => Ok(()),
            false => {
                let message = format!("{cid} was changed just now, and is not held any more");
                Err(Error::failed_precondition(reason::NOT_HELD, message))
            }
        }
    }

    /// The invocation that [`retry`](Self::retry) would retry, with the same input or another.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE`; `INVALID_ARGUMENT`
    /// with all violations of the input.
    pub(in crate::engine) async fn check_retry(
        &self,
        cid: Cid,
        input: Option<&Payload>,
    ) -> Result<InvocationView> {
        let view = self.results.get(cid).await?;
        let invocation = &view.invocation;
        let why_not = match invocation.shown_state() {
            State::Failed | State::Cancelled | State::Expired => None,
            State::Pending { .. } if invocation.due >= HELD => None,
            State::Pending { .. } => Some("is pending and will run"),
            State::Running { .. } => Some("is running"),
            State::Succeeded => {
                Some("succeeded; only failed, expired or cancelled invocations are retried")
            }
        };
        if let Some(why_not) = why_not {
            return Err(not_retryable(cid, why_not));
        }
        if let Some(input) = input {
            let service = invocation.request.service.as_str();
            self.acceptor.check_input(service, input)?;
        }
        Ok(view)
    }

    pub(super) async fn retry_now(
        self: Arc<Self>,
        cid: Cid,
        input: Option<Payload>,
        new_cid: Option<Cid>,
        by: Acting,
    ) -> Result<Accepted> {
        let view = self.check_retry(cid, input.as_ref()).await?;
        let invocation = view.invocation;
        let request = &invocation.request;
        if invocation.state.is_terminal() {
            self.lifecycle.check_accepting()?;
            let acting = acting_for_retry(request, input.as_ref(), by);
            let mut call = retry_of(request, input);
            call.cid = new_cid;
            let origin = Origin::outside(acting);
            return self.acceptor.accept(call, origin).await;
        }
        let route = self.routes.find(request.service.as_str())?;
        if input.is_some() {
            return self.replace(&route, &invocation, input, new_cid, by).await;
        }
        self.deferrals.try_release(&route, &invocation).await?;
        Ok(Accepted {
            cid,
            already_accepted: true,
            ignored: Ignored::default(),
        })
    }

    /// Ends a held invocation, and accepts its retry in the same record: what was asked for under a CID never changes.
    async fn replace(
        &self,
        route: &Route,
        held: &Invocation,
        input: Option<Payload>,
        new_cid: Option<Cid>,
        by: Acting,
    ) -> Result<Accepted> {
        self.lifecycle.check_accepting()?;
        let (request, cid) = (&held.request, new_cid.unwrap_or_else(Cid::new));
        let acting = acting_for_retry(request, input.as_ref(), by);
        let call = retry_of(request, input);
        let prepared = self
            .acceptor
            .prepare_successor(cid, call, acting, request.owner(), route);
        let (retry, ignored) = prepared?;
        match self.committer.replace(route, held, retry).await? {
            true => Ok(Accepted {
                cid,
                already_accepted: false,
                ignored,
            }),
            false => Err(not_retryable(request.cid, "was changed just now")),
        }
    }

    /// Removes an invocation that has ended, before its retention ends.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_ENDED`.
    pub(in crate::engine) async fn purge(&self, cid: Cid) -> Result<InvocationView> {
        let view = self.check_purge(cid).await?;
        if self.store.remove(cid).await? {
            return Ok(view);
        }
        // Another caller has removed it, or its group has not ended.
        let view = self.results.get(cid).await?;
        Err(not_ended(&view.invocation))
    }

    /// The invocation that [`purge`](Self::purge) would remove.
    ///
    /// # Errors
    ///
    /// As for [`purge`](Self::purge).
    pub(in crate::engine) async fn check_purge(&self, cid: Cid) -> Result<InvocationView> {
        let view = self.results.get(cid).await?;
        let group_has_ended = match view.invocation.request.member() {
            Some(member) => match self.store.get(member.group).await? {
                Stored::Found(group) => group.state.is_terminal(),
                Stored::Removed(_) | Stored::Unknown => true,
            },
            None => true,
        };
        match view.invocation.state.is_terminal() && group_has_ended {
            true => Ok(view),
            false => Err(not_ended(&view.invocation)),
        }
    }

    /// The children of an invocation, and its callbacks: the first `max` of each, of those that belong to `owners`.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::engine) async fn children(
        &self,
        cid: Cid,
        max: usize,
        owners: Option<Owners>,
    ) -> Result<Children> {
        // Callbacks are stored after all other children: the newest children are the callbacks.
        let mut first = self.store.children(cid, max).await?;
        if let Some(owners) = &owners {
            first = self.owned(first, owners).await?;
        }
        let children = first.iter().filter(|child| !child.is_callback);
        let children: Vec<Cid> = children.map(|child| child.cid).collect();
        let (mut callbacks, mut before, mut listed) = (Vec::new(), None, 0);
        // One page may have only a few of them: the input of each is the outcome.
        while listed < max {
            let filter = Filter {
                parent: Some(cid),
                owners: owners.clone(),
                ..Filter::default()
            };
            let page = self.store.list(filter, before, max - listed).await?;
            listed += page.invocations.len();
            let children = page.invocations.iter();
            let found = children.filter(|child| child.request.terms.in_reply_to.is_some());
            callbacks.extend(found.map(|callback| callback.request.cid));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        callbacks.reverse();
        Ok(Children {
            children,
            callbacks,
        })
    }

    /// Those of these children that belong to owners.
    async fn owned(&self, children: Vec<Child>, owners: &Owners) -> Result<Vec<Child>> {
        let reads = futures_util::stream::iter(children).map(async |child| {
            let stored = self.store.get(child.cid).await?;
            Ok::<_, Error>(is_owned(&stored, Some(owners)).then_some(child))
        });
        let owned: Vec<_> = reads.buffered(CONCURRENT_READS).try_collect().await?;
        Ok(owned.into_iter().flatten().collect())
    }
}

/// The principals of a retry. With the same input it is what was asked for, by the principal that asked, and belongs to
/// the one that it belonged to: a caller that may control it, and not read it, reads nothing by retrying it. What the
/// caller writes itself is a call of its own.
fn acting_for_retry(request: &Request, input: Option<&Payload>, by: Acting) -> Acting {
    match input {
        Some(_) => by,
        None => Acting {
            principals: request.principals.clone(),
            identity: None,
        },
    }
}

/// The call that repeats a request under a new CID, with the same input or another.
pub(in crate::engine) fn retry_of(request: &Request, input: Option<Payload>) -> Call {
    let input = input.unwrap_or_else(|| request.input.clone());
    let mut call = Call::new(request.service.to_string(), input);
    call.timeout = request.attempt_timeout;
    call.response_format = request.response_format;
    call.metadata = Some(Arc::new(request.metadata.clone()));
    call.durable = Some(Box::new(DurableOptions {
        retry_policy: request.terms.retry_policy.clone(),
        on_exhausted: request.terms.on_exhausted,
        callbacks: texts(&request.terms.callbacks),
        failure_callbacks: texts(&request.terms.failure_callbacks),
        retention: request.terms.retention,
        concurrency_key: request.terms.concurrency_key.clone(),
        at_most_once: request.terms.at_most_once,
        retry_of: Some(request.cid),
        ..DurableOptions::default()
    }));
    call
}

/// `FAILED_PRECONDITION` / `NOT_RETRYABLE`.
fn not_retryable(cid: Cid, why_not: &str) -> Error {
    let message = format!("{cid} {why_not}");
    Error::failed_precondition(reason::NOT_RETRYABLE, message)
}

fn not_ended(invocation: &Invocation) -> Error {
    let cid = invocation.request.cid;
    let message = match invocation.request.member() {
        Some(member) if invocation.state.is_terminal() => {
            format!(
                "{cid} belongs to group {}, which has not ended",
                member.group
            )
        }
        _ => format!("{cid} has not ended: cancel it first"),
    };
    Error::failed_precondition(reason::NOT_ENDED, message)
}
