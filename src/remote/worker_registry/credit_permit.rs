//! The credit that one dispatch at a worker holds, and the dispatch itself: the [`WorkerPermit`] of the engine.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::dispatch_message::{EncodedInput, check_size, dispatch_to_proto};
use super::in_flight::{DispatchState, WorkerReply, worker_lost};
use super::member::PoolMember;
use super::refusals::broken_protocol;
use super::session::WorkerSession;
use crate::codec::convert::{
    TraceHeaders, async_call_from_proto, complete_retry_policy, failure_to_proto,
    parse_optional_cid,
};
use crate::codec::proto::v1;
use crate::model::access::Caller;
use crate::model::call::{Call, DurableOptions};
use crate::model::error::{Error, Kind, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::invocation::RetryPolicy;
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::service::{BoxFuture, Context, Definition, DispatchStatus, HandlerFuture, WorkerPermit};

/// One unit of a worker's credit, and the dispatch that it is used for, once that is sent.
#[derive(Debug)]
pub(super) struct CreditPermit {
    member: Arc<PoolMember>,
    state: Arc<DispatchState>,
    /// The token of the dispatch, once it is sent.
    token: OnceLock<Token>,
}

impl CreditPermit {
    pub(super) fn new(member: Arc<PoolMember>, credit: OwnedSemaphorePermit) -> Arc<Self> {
        Arc::new(Self {
            state: DispatchState::new(Arc::clone(&member.definition), credit),
            member,
            token: OnceLock::new(),
        })
    }

    fn session(&self) -> &WorkerSession {
        &self.member.session
    }

    /// Sends the dispatch.
    fn send(
        self: &Arc<Self>,
        context: &Context,
        input: Payload,
    ) -> Result<(DispatchGuard, oneshot::Receiver<Result<WorkerReply>>)> {
        let session = self.session();
        let token = *self.token.get_or_init(Token::new);
        let input = EncodedInput::encode(input)?;
        let dispatch = dispatch_to_proto(
            token,
            context,
            input,
            session.invoker().now(),
            session.invoker().tracer(),
        )?;
        check_size(&dispatch, session.info().max_message_bytes)?;
        let (reply_to, reply) = oneshot::channel();
        if !session.send_dispatch(token, dispatch, &self.state, context, reply_to) {
            self.state.set_status(DispatchStatus::NotStarted);
            let message = "the worker disconnected before the dispatch was sent";
            let error = Error::unavailable(reason::NO_WORKER, message);
            // With the service, callers see that their call was not dispatched.
            return Err(error.with_info("service", context.service()));
        }
        self.member.running.fetch_add(1, Ordering::Relaxed);
        let guard = DispatchGuard {
            permit: Arc::clone(self),
            token,
            has_ended: false,
        };
        Ok((guard, reply))
    }
}

impl WorkerPermit for CreditPermit {
    fn definition(&self) -> &Arc<Definition> {
        &self.member.definition
    }

    fn status(&self) -> DispatchStatus {
        self.state.status()
    }

    fn token(&self) -> Option<Token> {
        self.token.get().copied()
    }

    fn caller(&self) -> Caller {
        self.session().caller()
    }

    fn worker(&self) -> &str {
        self.session().label()
    }

    fn dispatch(self: Arc<Self>, context: Context, input: Payload) -> HandlerFuture {
        Box::pin(async move {
            let (mut guard, mut reply) = self.send(&context, input)?;
            let reply = tokio::select! {
                biased;
                reply = &mut reply => reply,
                () = context.cancelled() => {
                    guard.cancel();
                    reply.await
                }
            };
            let reply = reply.unwrap_or_else(|_| Err(worker_lost(self.session().name())));
            guard.has_ended = true;
            drop(guard);
            let WorkerReply { reply, follow_ups } = reply?;
            if !follow_ups.is_empty() {
                // Boxed: few calls need it, and it would make the future of every call larger.
                let retries = self.session().invoker().limits().retry_policy();
                let accepted = Box::pin(accept_with_outcome(&context, follow_ups, &retries)).await;
                accepted.map_err(|error| follow_up_failed(self.session().name(), error))?;
            }
            Ok(reply)
        })
    }

    fn report_invalid_output(&self, cid: Cid, error: &Error) {
        if let Some(token) = self.token.get() {
            self.session()
                .send_if_room(v1::serve_response::Message::OutputInvalid(
                    v1::OutputInvalid {
                        token: token.to_string(),
                        cid: cid.to_string(),
                        service: self.definition().name().to_string(),
                        failure: Some(failure_to_proto(error)),
                    },
                ));
        }
    }

    fn release(&self) {
        let credit = self.state.credit().take();
        drop(credit);
    }

    fn try_reacquire(&self) -> bool {
        let mut held = self.state.credit();
        if held.is_none() {
            *held = Arc::clone(self.session().credit()).try_acquire_owned().ok();
        }
        held.is_some()
    }

    fn reacquire(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.state.credit().is_some() {
                return;
            }
            // The semaphore is closed when the session ends: then there is no credit to reacquire.
            if let Ok(credit) = Arc::clone(self.session().credit()).acquire_owned().await {
                self.state.credit().get_or_insert(credit);
            }
        })
    }
}

/// Cancels a dispatch and voids its token, if it is dropped before the result is received.
struct DispatchGuard {
    permit: Arc<CreditPermit>,
    token: Token,
    /// The session no longer has the dispatch.
    has_ended: bool,
}

impl DispatchGuard {
    fn cancel(&self) {
        self.permit.session().cancel(self.token);
    }
}

impl Drop for DispatchGuard {
    fn drop(&mut self) {
        if !self.has_ended {
            self.cancel();
            self.permit.session().void(self.token);
        }
        self.permit.member.running.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accept_with_outcome(
    context: &Context,
    follow_ups: Vec<v1::InvokeAsyncRequest>,
    retries: &RetryPolicy,
) -> Result<()> {
    let limit = DurableOptions::MAX_FOLLOW_UPS;
    let too_many = Violation::too_many("/follow_ups", follow_ups.len(), limit);
    Error::reject(reason::REQUEST_INVALID, too_many.into_iter().collect())?;
    for request in follow_ups {
        let call = follow_up(request, retries)?;
        context.platform().invoke_async(call).await?;
    }
    Ok(())
}

/// The failure of a dispatch whose follow-ups were not accepted. What a caller would have to fix is a mistake of the
/// worker here. A key that is taken, or a node that is full or stopping, is not.
fn follow_up_failed(worker: &str, error: Error) -> Error {
    match error.kind() {
        Kind::NotFound
        | Kind::InvalidArgument
        | Kind::FailedPrecondition
        | Kind::PermissionDenied => {
            let message = format!("a follow-up of its result is refused: {}", error.message());
            let reason = error.reason().to_owned();
            let violations = error.field_violations().iter().cloned();
            let broken = broken_protocol(worker, &message).with_info("follow_up_reason", reason);
            violations.fold(broken, Error::with_violation)
        }
        _ => error,
    }
}

fn follow_up(mut request: v1::InvokeAsyncRequest, retries: &RetryPolicy) -> Result<Call> {
    if let Some(policy) = &mut request.retry_policy {
        complete_retry_policy(policy, retries);
    }
    let cid = parse_optional_cid("cid", &request.cid);
    let mut call = async_call_from_proto(cid, request, TraceHeaders::default())?;
    call.durable().with_outcome = true;
    Ok(call)
}
