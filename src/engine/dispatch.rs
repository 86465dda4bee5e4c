//! One hand-over of an attempt or a nested call to a handler: its slot, its deadline, its way back into the engine.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codec::{payload, struct_pb};
use crate::engine::Invoker;
use crate::engine::hub::{Live, Untold};
use crate::engine::limits::Limits;
use crate::engine::slot::Slot;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Outcome, Progress};
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload, Reply};
use crate::model::token::Token;
use crate::service::output_invalid;
use crate::service::{BoxFuture, Context, InvocationInfo, KnownService, Platform};

/// How long the note of a progress may be, in bytes.
const MAX_NOTE_BYTES: usize = 4 * 1024;

/// A dispatch under way. Its slot is free when the handler has ended or its grace period is over, whoever still holds
/// the context.
#[derive(Debug)]
pub(super) struct Dispatch {
    this: Weak<Self>,
    pub(super) invoker: Invoker,
    pub(super) service: ServiceName,
    pub(super) cid: Cid,
    pub(super) root: Cid,
    pub(super) deadline: Option<Instant>,
    pub(super) metadata: Arc<Metadata>,
    pub(super) cancel: CancellationToken,
    pub(super) slot: Slot,
    /// The calls this one is nested in, innermost first.
    pub(super) callers: Option<Arc<Link>>,
    /// What the handler tells goes here. `None` in nested and unstored calls: nobody listens.
    live: Option<Arc<Live>>,
    /// What the outcome can be given with later, once the handler has asked for it.
    token: OnceLock<Token>,
    /// The same, once the handler has answered so.
    later: OnceLock<Token>,
}

/// A call that waits for a nested one: a link of the chain of callers.
#[derive(Debug)]
pub(super) struct Link {
    service: ServiceName,
    caller: Option<Arc<Self>>,
    depth: u32,
}

impl Dispatch {
    /// Makes a dispatch and the context its handler gets.
    pub(super) fn new(
        invoker: Invoker,
        facts: InvocationInfo,
        slot: Slot,
        cancel: CancellationToken,
        callers: Option<Arc<Link>>,
        live: Option<Arc<Live>>,
    ) -> (Arc<Self>, Context) {
        let states = Arc::clone(&invoker.0.states);
        let dispatch = Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            invoker,
            service: facts.service.clone(),
            cid: facts.cid,
            root: facts.root,
            deadline: facts.deadline,
            metadata: Arc::clone(&facts.metadata),
            cancel: cancel.clone(),
            slot,
            callers,
            live,
            token: OnceLock::new(),
            later: OnceLock::new(),
        });
        let platform = Arc::clone(&dispatch);
        let context = Context::new(facts, cancel, platform, states);
        (dispatch, context)
    }

    /// This call, as the caller of a nested one.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DEPTH_EXCEEDED` with the chain of names.
    pub(super) fn as_caller(&self, next: &str) -> Result<Arc<Link>> {
        let limit = self.invoker.limits().depth;
        let depth = self.callers.as_ref().map_or(0, |caller| caller.depth) + 1;
        if depth > limit {
            let chain = self.chain(next);
            let message = format!("services invoke one another more than {limit} deep: {chain}");
            return Err(Error::failed_precondition(reason::DEPTH_EXCEEDED, message)
                .with_info("depth", limit)
                .with_info("chain", chain));
        }
        Ok(Arc::new(Link {
            service: self.service.clone(),
            caller: self.callers.clone(),
            depth,
        }))
    }

    /// The names from the outermost call to this one.
    fn names(&self) -> Vec<String> {
        let links = std::iter::successors(self.callers.as_deref(), |link| link.caller.as_deref());
        let mut names = vec![self.service.to_string()];
        names.extend(links.map(|link| link.service.to_string()));
        names.reverse();
        names
    }

    /// The names from the outermost call to `next`; the middle of a long chain is left out.
    fn chain(&self, next: &str) -> String {
        const SHOWN: usize = 6;
        let mut names = self.names();
        names.push(next.to_owned());
        if names.len() > SHOWN {
            names.splice(SHOWN / 2..names.len() - SHOWN / 2, ["…".to_owned()]);
        }
        names.join(" → ")
    }

    /// Whether the handler is no longer wanted. A handler that never waits would not let its own alarm ring.
    pub(super) fn is_over(&self) -> bool {
        self.cancel.is_cancelled()
            || self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Why a nested call ends when its caller does.
    pub(super) fn ended(&self) -> Error {
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => {
                let message = "the deadline of the calling service passed";
                Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
            }
            _ => Error::cancelled(reason::CANCELLED, "the calling service was cancelled"),
        }
    }
}

impl Platform for Dispatch {
    fn path(&self) -> Option<String> {
        self.callers.is_some().then(|| self.names().join("/"))
    }

    fn invoke(&self, call: Call) -> BoxFuture<'_, Result<Reply>> {
        let Some(this) = self.this.upgrade() else {
            return Box::pin(std::future::ready(Err(self.ended())));
        };
        Box::pin(async move { this.invoker.invoke_nested(call, &this).await })
    }

    fn invoke_async(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        let with_outcome = call
            .durable
            .as_ref()
            .is_some_and(|asked| asked.with_outcome);
        if let (true, Some(live)) = (with_outcome, &self.live) {
            return Box::pin(self.invoker.accept_with_outcome(call, self, live));
        }
        Box::pin(self.invoker.accept(call, Some(self)))
    }

    fn invoke_batch(&self, batch: Batch) -> BoxFuture<'_, Result<AcceptedGroup>> {
        Box::pin(self.invoker.accept_batch(batch, Some(self)))
    }

    fn wait_for(&self, cid: Cid, at_most: Duration) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let ended = async |at_most| {
                let found = self.invoker.find(cid, at_most).await?;
                Ok(found.invocation.state.is_terminal())
            };
            // Whoever only looks, or is late, need not give its slot away.
            let has_ended = ended(Duration::ZERO).await?;
            if has_ended || at_most.is_zero() {
                return Ok(has_ended);
            }
            let wait = async {
                tokio::select! {
                    ended = ended(at_most) => ended,
                    () = self.cancel.cancelled() => Err(self.ended()),
                }
            };
            self.slot.lend(&self.cancel, wait).await
        })
    }

    fn outcomes<'a>(
        &'a self,
        group: &'a AcceptedGroup,
    ) -> BoxFuture<'a, Result<Vec<(Cid, Outcome)>>> {
        Box::pin(self.invoker.outcomes(group))
    }

    fn progress(&self, progress: Progress) {
        if let Some(live) = &self.live {
            live.show(self.showable(progress), self.invoker.0.clock.now());
            self.invoker.0.hub.ring(live.cid);
        }
    }

    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(self.tell_item(item)))
    }

    fn later(&self) -> Result<Token> {
        match self.token.get() {
            Some(token) => Ok(*token),
            None => self.offer(Token::new()),
        }
    }

    fn answer_later(&self, token: Token) -> Result<()> {
        if self.live.as_ref().is_some_and(|live| live.has_follow_ups()) {
            let message =
                "what is to be accepted with the response cannot wait for one that comes later";
            return Err(Error::failed_precondition(reason::NOT_SUPPORTED, message));
        }
        // A worker's token is that of its dispatch: it is known here only now.
        if self.token.get().is_none() {
            self.offer(token)?;
        }
        let _ = self.later.set(token);
        Ok(())
    }

    fn answers_later(&self) -> Option<Token> {
        self.later.get().copied()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>> {
        let services = self
            .invoker
            .services()
            .into_iter()
            .map(|facts| KnownService {
                name: facts.definition.name().clone(),
                description: facts.effective.description,
            });
        Box::pin(std::future::ready(Ok(services.collect())))
    }
}

impl Dispatch {
    /// Makes a token known. What is stored has its outcome given to the store.
    fn offer(&self, token: Token) -> Result<Token> {
        let laters = &self.invoker.0.laters;
        if self.live.is_none() {
            laters.offer(token, self.cid, &self.service)?;
        }
        if let Err(token) = self.token.set(token) {
            laters.withdraw(token);
        }
        Ok(self.token.get().copied().unwrap_or(token))
    }

    /// The handler has ended: its token gives no outcome, unless it answered "later".
    pub(super) fn withdraw(&self) {
        if let Some(token) = self.token.get() {
            self.invoker.0.laters.withdraw(*token);
        }
    }

    /// Where the outcome comes later and goes to a caller that waits: by which token.
    pub(super) fn awaited(&self) -> Option<Token> {
        self.later.get().copied().filter(|_| self.live.is_none())
    }

    /// Progress that can be carried: a value that cannot be is left out, since progress has nobody to fail to.
    fn showable(&self, mut progress: Progress) -> Progress {
        let limit = self.invoker.limits().item_bytes;
        let encoded = progress.value.as_ref().map(struct_pb::encode_value);
        match encoded {
            Some(Err(error)) => {
                tracing::warn!(%error, "progress without its value: it cannot be carried");
                progress.value = None;
            }
            Some(Ok(bytes)) if bytes.len() > limit => {
                tracing::warn!(
                    bytes = bytes.len(),
                    limit,
                    "progress without its value: it is too large"
                );
                progress.value = None;
            }
            Some(Ok(_)) | None => {}
        }
        progress
            .message
            .truncate(progress.message.floor_char_boundary(MAX_NOTE_BYTES));
        progress
    }

    fn tell_item(&self, item: Payload) -> Result<()> {
        let Some(live) = &self.live else {
            return Ok(());
        };
        // Once, here: what cannot be carried is the handler's to hear of, not its followers'.
        let item = payload::encode(item, Format::Dict).map_err(output_invalid)?;
        let limits = self.invoker.limits();
        let now = self.invoker.0.clock.now();
        live.tell_item(item, now, limits)
            .map_err(|untold| match untold {
                Untold::Ended => Error::cancelled(reason::CANCELLED, "the attempt has ended"),
                Untold::Limit => too_many_items(limits),
            })?;
        self.invoker.0.hub.ring(live.cid);
        Ok(())
    }
}

fn too_many_items(limits: &Limits) -> Error {
    let message = format!(
        "an invocation emits at most {} items and {} bytes of them",
        limits.items, limits.item_bytes
    );
    Error::resource_exhausted(reason::ITEMS_LIMIT, message)
        .with_retryable(false)
        .with_info("items", limits.items)
        .with_info("item_bytes", limits.item_bytes)
}
