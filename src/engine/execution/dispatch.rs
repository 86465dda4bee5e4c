//! A dispatch: one hand-over of an attempt or a nested call to a handler, and the platform that its context reaches.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codec::{payload, struct_pb};
use crate::engine::acceptance::origin::{Acting, Origin, Parent};
use crate::engine::access::{self, Reach};
use crate::engine::admission::permits::HeldPermits;
use crate::engine::execution::call_chain::{self, CallChain};
use crate::engine::execution::nested_failure::NestedFailure;
use crate::engine::execution::runtime::HandlerRuntime;
use crate::engine::limits::Limits;
use crate::engine::results::live::{ItemRejected, Live};
use crate::model::access::{Caller, Principal, Principals};
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Outcome, Progress};
use crate::model::payload::{Format, Payload, Reply};
use crate::model::token::Token;
use crate::service::{
    BoxFuture, HandlerScope, InvocationInfo, KnownService, Platform, Response, output_invalid,
    refused_by,
};

/// The longest message of a progress report, in bytes. A longer one is cut.
const MAX_PROGRESS_MESSAGE_BYTES: usize = 4 * 1024;

/// The most services of a refused batch that its error names.
const MAX_NAMED_SERVICES: usize = 3;

/// The engine, as a dispatch reaches it. Implemented by the executor, which makes dispatches.
pub(in crate::engine) trait NestedInvoker: fmt::Debug + Send + Sync {
    fn runtime(&self) -> &HandlerRuntime;

    /// Invokes a service as part of the invocation of `parent`.
    fn invoke_nested<'a>(
        &'a self,
        call: Call,
        parent: &'a Dispatch,
    ) -> BoxFuture<'a, Result<Reply>>;

    /// As [`invoke_nested`](Self::invoke_nested), for a handler that reads the reply.
    fn respond_nested<'a>(
        &'a self,
        call: Call,
        parent: &'a Dispatch,
    ) -> BoxFuture<'a, Result<Response>>;
}

/// A dispatch under way. Its permits are released when the handler has ended or its grace period is over, even if its
/// context is still held.
#[derive(Debug)]
pub(in crate::engine) struct Dispatch {
    pub(in crate::engine) invoker: Arc<dyn NestedInvoker>,
    scope: HandlerScope,
    pub(in crate::engine) permits: HeldPermits,
    /// The calls that wait for this one, where it is nested.
    callers: Option<Arc<CallChain>>,
    /// The chain of the nested calls that this one makes, once it has made one.
    chain: OnceLock<Arc<CallChain>>,
    /// Why the handler is asked to stop, where that was known as it was asked.
    stop_cause: OnceLock<Error>,
    pub(in crate::engine) nested_failure: NestedFailure,
    /// Where items and progress go. `None` in nested calls and in those that are not stored: nothing can follow them.
    live: Option<Arc<Live>>,
    /// The completion token, once the handler has asked for it.
    offered_token: OnceLock<Token>,
    /// The same token, once the handler has answered "later".
    awaited_token: OnceLock<Token>,
}

impl Dispatch {
    /// Makes a dispatch. `cancelled` fires when the handler is asked to stop.
    pub(in crate::engine) fn new(
        invoker: Arc<dyn NestedInvoker>,
        info: InvocationInfo,
        permits: HeldPermits,
        cancelled: CancellationToken,
        callers: Option<Arc<CallChain>>,
        live: Option<Arc<Live>>,
    ) -> Arc<Self> {
        let states = Arc::clone(&invoker.runtime().states);
        Arc::new(Self {
            invoker,
            scope: HandlerScope {
                info,
                cancelled,
                states,
            },
            permits,
            callers,
            chain: OnceLock::new(),
            stop_cause: OnceLock::new(),
            nested_failure: NestedFailure::default(),
            live,
            offered_token: OnceLock::new(),
            awaited_token: OnceLock::new(),
        })
    }

    /// What is known of the invocation.
    pub(in crate::engine) fn info(&self) -> &InvocationInfo {
        &self.scope.info
    }

    /// Fires when the handler is asked to stop.
    pub(in crate::engine) fn cancelled(&self) -> &CancellationToken {
        &self.scope.cancelled
    }

    pub(in crate::engine) fn runtime(&self) -> &HandlerRuntime {
        self.invoker.runtime()
    }

    /// Whether it is an attempt of a stored invocation.
    pub(in crate::engine) fn is_stored(&self) -> bool {
        self.live.is_some()
    }

    pub(in crate::engine) fn is_nested(&self) -> bool {
        self.callers.is_some()
    }

    /// The chain of a nested call that this dispatch makes.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DEPTH_EXCEEDED`.
    pub(in crate::engine) fn extend_chain(&self, next: &str) -> Result<Arc<CallChain>> {
        if let Some(chain) = self.chain.get() {
            return Ok(Arc::clone(chain));
        }
        let max_depth = self.runtime().limits.depth;
        let attempt = self.attempt();
        let chain = CallChain::extend(
            self.callers.as_ref(),
            &self.info().service,
            next,
            max_depth,
            attempt,
        )?;
        Ok(Arc::clone(self.chain.get_or_init(|| chain)))
    }

    /// The stored attempt that this dispatch is part of, if it is.
    pub(in crate::engine) fn attempt(&self) -> Option<&Arc<Live>> {
        let callers = self.callers.as_ref();
        let live = self.live.as_ref();
        live.or_else(|| callers.and_then(|callers| callers.attempt()))
    }

    /// This dispatch as the origin of what it has accepted.
    fn as_origin(&self) -> Origin<'_> {
        Origin {
            parent: Some(Parent {
                cid: self.info().cid,
                root: self.info().root,
                metadata: &self.info().metadata,
            }),
            acting: Acting {
                principals: self.principals_of_calls(),
                identity: self.actor().identity().cloned(),
            },
        }
    }

    /// For whom the handler acts: the principal of its worker. A handler in the node may do everything.
    pub(in crate::engine) fn actor(&self) -> Caller {
        if !self.runtime().requires_authentication {
            return Caller::Trusted;
        }
        match self.permits.worker() {
            Some(worker) => worker.caller(),
            None => Caller::Trusted,
        }
    }

    /// Whether the handler may make a call.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` / `NOT_PERMITTED`.
    pub(in crate::engine) fn check_invoke(&self, call: &Call) -> Result<()> {
        if !self.runtime().requires_authentication {
            return Ok(());
        }
        access::check_call(&self.actor(), call).map_err(|error| refused_by(error, &call.service))
    }

    /// Who asks and who acts, for the calls of the handler.
    pub(in crate::engine) fn principals_of_calls(&self) -> Option<Arc<Principals>> {
        if !self.runtime().requires_authentication {
            return None;
        }
        let actor = self.actor();
        let asked = self.info().principals.as_deref().cloned();
        let principals = asked.unwrap_or_default().of_call_by(actor.identity());
        (!principals.is_empty()).then(|| Arc::new(principals))
    }

    /// Whether the handler was asked to stop, or its deadline has passed: a handler that never yields does not let its
    /// own timer fire.
    pub(in crate::engine) fn is_cancelled_or_expired(&self, now: Instant) -> bool {
        let deadline = self.info().deadline;
        self.cancelled().is_cancelled() || deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Why a nested call ends when its caller does.
    pub(in crate::engine) fn end_reason(&self) -> Error {
        match self.info().deadline {
            Some(deadline) if deadline <= Instant::now() => {
                let message = "the deadline of the calling service passed";
                Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
            }
            _ => Error::cancelled(reason::CANCELLED, "the calling service was cancelled"),
        }
    }

    /// Records why the handler is asked to stop, before it is. The first cause counts.
    pub(in crate::engine) fn set_stop_cause(&self, cause: Error) {
        let _ = self.stop_cause.set(cause);
    }

    /// Why the handler was asked to stop, where that was recorded.
    pub(in crate::engine) fn known_stop_cause(&self) -> Option<&Error> {
        self.stop_cause.get()
    }

    /// Makes a completion token known. That of a stored invocation is known by its live state, and by the store later.
    fn offer_token(&self, token: Token) -> Result<Token> {
        let completions = &self.runtime().completions;
        if self.live.is_none() {
            completions.offer(token, self.info())?;
        }
        // Another task of the handler may have been first.
        if let Err(token) = self.offered_token.set(token) {
            completions.withdraw(token);
        }
        let token = self.offered_token.get().copied().unwrap_or(token);
        if let Some(live) = &self.live {
            live.set_completion_token(token);
        }
        Ok(token)
    }

    /// Voids the completion token at the end of the handler, unless it answered "later".
    pub(in crate::engine) fn withdraw_token(&self) {
        if let Some(token) = self.offered_token.get() {
            self.runtime().completions.withdraw(*token);
        }
    }

    /// The token whose outcome the caller waits for, where the handler answered "later" and the call is not stored.
    pub(in crate::engine) fn awaited_call_token(&self) -> Option<Token> {
        let token = self.awaited_token.get().copied();
        token.filter(|_| self.live.is_none())
    }

    /// Progress within the limits. A value that cannot be carried is left out: progress has no caller to fail to.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `PROGRESS_TOO_LARGE`.
    fn limit_progress(&self, mut progress: Progress) -> Result<Progress> {
        match progress.value.as_ref().map(struct_pb::encode_value) {
            Some(Err(error)) => {
                tracing::warn!(%error, "progress value dropped: it cannot be encoded");
                progress.value = None;
            }
            Some(Ok(bytes)) => self.runtime().limits.check_progress(bytes.len())?,
            None => {}
        }
        let end = progress
            .message
            .floor_char_boundary(MAX_PROGRESS_MESSAGE_BYTES);
        progress.message.truncate(end);
        Ok(progress)
    }

    fn add_item(&self, item: Payload) -> Result<()> {
        let Some(live) = &self.live else {
            return Ok(());
        };
        // Encoded here, once: an item that cannot be encoded fails its handler and not its followers.
        let within = self.runtime().limits.check_payload(&item);
        within.map_err(output_invalid)?;
        let item = payload::encode(item, Format::Dict).map_err(output_invalid)?;
        let HandlerRuntime {
            limits, clock, hub, ..
        } = self.runtime();
        let added = live.add_item(item, clock.now(), limits);
        added.map_err(|rejected| match rejected {
            ItemRejected::Ended => Error::cancelled(reason::CANCELLED, "the attempt has ended"),
            ItemRejected::Limit => too_many_items(limits),
            ItemRejected::NoRoom(error) => {
                // A worker sends items and does not wait for what becomes of them.
                if self.permits.worker().is_some() {
                    live.lose_item(error.clone());
                }
                error
            }
        })?;
        hub.notify(live.cid);
        Ok(())
    }
}

impl Platform for Dispatch {
    fn scope(&self) -> &HandlerScope {
        &self.scope
    }

    fn acting_principal(&self) -> Option<Principal> {
        self.actor().principal().cloned()
    }

    fn path(&self) -> Option<String> {
        let callers = self.callers.as_ref()?;
        Some(call_chain::names(Some(callers), &self.info().service).join("/"))
    }

    fn invoke(&self, call: Call) -> BoxFuture<'_, Result<Reply>> {
        self.invoker.invoke_nested(call, self)
    }

    fn respond(&self, call: Call) -> BoxFuture<'_, Result<Response>> {
        self.invoker.respond_nested(call, self)
    }

    fn invoke_async(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        let options = call.durable.as_ref();
        let with_outcome = options.is_some_and(|options| options.with_outcome);
        let acceptor = &self.runtime().acceptor;
        let service = call.service.clone();
        Box::pin(async move {
            self.check_invoke(&call)?;
            let rated = self.runtime().routes.check_rate(&service);
            rated.map_err(|error| refused_by(error, &service))?;
            let origin = self.as_origin();
            let accepted = match &self.live {
                Some(live) if with_outcome => {
                    acceptor.accept_with_outcome(call, origin, live).await
                }
                _ => acceptor.accept(call, origin).await,
            };
            accepted.map_err(|error| refused_by(error, &service))
        })
    }

    fn invoke_batch(&self, batch: Batch) -> BoxFuture<'_, Result<AcceptedGroup>> {
        let batches = &self.runtime().batches;
        let mut services: Vec<_> = batch.calls.iter().map(|it| it.service.clone()).collect();
        services.dedup();
        services.truncate(MAX_NAMED_SERVICES);
        Box::pin(async move {
            let routes = &self.runtime().routes;
            let checked = access::check_batch(&self.actor(), &batch)
                .and_then(|()| routes.check_rates(&batch.calls));
            let accepted = match checked {
                Ok(()) => batches.accept(batch, self.as_origin()).await,
                Err(refused) => Err(refused),
            };
            accepted.map_err(|error| refused_by(error, &services.join(", ")))
        })
    }

    fn wait_for(&self, cid: Cid, at_most: Duration) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let results = &self.runtime().results;
            let readable = Reach::to_read(&self.actor())?;
            let has_ended = async |at_most| {
                let found = results.find(cid, at_most, readable.owners()).await?;
                Ok(found.invocation.state.is_terminal())
            };
            // An invocation that has ended is no reason to release the permits.
            let ended = has_ended(Duration::ZERO).await?;
            if ended || at_most.is_zero() {
                return Ok(ended);
            }
            // The one that it waits for may need the room that this attempt takes.
            let _waiting = self.attempt().map(|attempt| attempt.memory().waiting());
            let wait = async {
                tokio::select! {
                    ended = has_ended(at_most) => ended,
                    () = self.cancelled().cancelled() => Err(self.end_reason()),
                }
            };
            self.permits.release_during(self.cancelled(), wait).await
        })
    }

    fn outcomes<'a>(
        &'a self,
        group: &'a AcceptedGroup,
    ) -> BoxFuture<'a, Result<Vec<(Cid, Outcome)>>> {
        Box::pin(self.runtime().results.group_outcomes(group))
    }

    fn progress(&self, progress: Progress) -> Result<()> {
        let Some(live) = &self.live else {
            return Ok(());
        };
        live.heartbeat();
        let progress = self.limit_progress(progress)?;
        let HandlerRuntime { clock, hub, .. } = self.runtime();
        live.report_progress(progress, clock.now());
        hub.notify(live.cid);
        Ok(())
    }

    fn heartbeat(&self) {
        if let Some(live) = &self.live {
            live.heartbeat();
        }
    }

    fn stop_cause(&self) -> Error {
        if let Some(cause) = self.stop_cause.get() {
            return cause.clone();
        }
        let live = self.live.as_ref();
        if live.is_some_and(|live| live.cancel_requested.is_cancelled()) {
            let message = "a caller cancelled the invocation";
            return Error::cancelled(reason::CANCELLED, message);
        }
        match self.info().deadline {
            Some(deadline) if deadline <= Instant::now() => {
                let message = "the deadline of the call passed";
                Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
            }
            _ => Error::cancelled(reason::CANCELLED, "the caller no longer waits"),
        }
    }

    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(self.add_item(item)))
    }

    fn later(&self) -> Result<Token> {
        match self.offered_token.get() {
            Some(token) => Ok(*token),
            None => self.offer_token(Token::new()),
        }
    }

    fn answer_later(&self, token: Token) -> Result<()> {
        let live = self.live.as_ref();
        if live.is_some_and(|live| live.has_follow_ups()) {
            let message =
                "follow-ups are accepted with a response: this invocation is completed later";
            return Err(Error::failed_precondition(reason::NOT_SUPPORTED, message));
        }
        // The token of a worker's dispatch is not known here before.
        if self.offered_token.get().is_none() {
            self.offer_token(token)?;
        }
        let _ = self.awaited_token.set(token);
        Ok(())
    }

    fn answers_later(&self) -> Option<Token> {
        self.awaited_token.get().copied()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>> {
        let routes = self.runtime().routes.all();
        let services = routes.values().map(|route| KnownService {
            name: route.name().clone(),
            description: route.definition.service_options().description.clone(),
        });
        let mut services: Vec<_> = services.collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Box::pin(std::future::ready(Ok(services)))
    }
}

fn too_many_items(limits: &Limits) -> Error {
    let message = format!(
        "an invocation emits at most {} items of {} bytes in all",
        limits.items, limits.item_bytes
    );
    Error::resource_exhausted(reason::ITEMS_LIMIT, message)
        .with_retryable(false)
        .with_info("items", limits.items)
        .with_info("item_bytes", limits.item_bytes)
}
