//! One dispatch at a worker: handed over in a seat, answered, or lost.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::codec::convert::{
    duration_to_proto, metadata_from_proto, metadata_to_proto, progress_to_proto,
    timestamp_to_proto,
};
use crate::codec::proto::v1;
use crate::model::call::Call;
use crate::model::error::{Error, Result, reason};
use crate::model::metadata::TRACEPARENT;
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::remote::introduced::Introduced;
use crate::remote::offer::Member;
use crate::remote::session::{Answered, Session, lost};
use crate::remote::wire;
use crate::service::{BoxFuture, Context, Definition, DispatchStatus, HandlerFuture, WorkerPermit};

/// What surrounds an input in its message, at most, the metadata aside.
const ENVELOPE: usize = 1024;

/// A seat at a worker, and the dispatch in it.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) member: Arc<Member>,
    credit: Mutex<Option<OwnedSemaphorePermit>>,
    fate: AtomicU8,
}

impl Handed {
    pub(super) fn new(member: Arc<Member>, credit: OwnedSemaphorePermit) -> Arc<Self> {
        Arc::new(Self {
            member,
            credit: Mutex::new(Some(credit)),
            fate: AtomicU8::new(DispatchStatus::Open as u8),
        })
    }

    pub(super) fn decide(&self, fate: DispatchStatus) {
        self.fate.store(fate as u8, Ordering::Release);
    }

    fn credit(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> &Session {
        &self.member.session
    }

    /// Sends the dispatch.
    fn hand_over(
        self: &Arc<Self>,
        context: &Context,
        input: Payload,
    ) -> Result<(Void, oneshot::Receiver<Result<Answered>>)> {
        let session = self.session();
        let token = Token::new();
        let dispatch = dispatch(token, context, Given::from(input)?, session.now())?;
        check_size(&dispatch, session.introduced())?;
        let (answer, answered) = oneshot::channel();
        if !session.hand_over(token, dispatch, self, context, answer) {
            self.decide(DispatchStatus::NotStarted);
            let message = "the worker left before the dispatch was handed over";
            return Err(Error::unavailable(reason::NO_WORKER, message));
        }
        self.member.running.fetch_add(1, Ordering::Relaxed);
        let void = Void {
            seat: Arc::clone(self),
            token,
            has_ended: false,
        };
        Ok((void, answered))
    }
}

impl WorkerPermit for Handed {
    fn definition(&self) -> &Arc<Definition> {
        &self.member.definition
    }

    fn status(&self) -> DispatchStatus {
        match self.fate.load(Ordering::Acquire) {
            fate if fate == DispatchStatus::Lost as u8 => DispatchStatus::Lost,
            fate if fate == DispatchStatus::HandedBack as u8 => DispatchStatus::HandedBack,
            fate if fate == DispatchStatus::NotStarted as u8 => DispatchStatus::NotStarted,
            _ => DispatchStatus::Open,
        }
    }

    fn worker(&self) -> &str {
        self.session().label()
    }

    fn run(self: Arc<Self>, context: Context, input: Payload) -> HandlerFuture {
        Box::pin(async move {
            let (mut void, mut answered) = self.hand_over(&context, input)?;
            let answered = tokio::select! {
                biased;
                answered = &mut answered => answered,
                () = context.cancelled() => {
                    void.ask_to_stop();
                    answered.await
                }
            };
            let answered = answered.unwrap_or_else(|_| Err(lost(self.session().name())));
            void.has_ended = true;
            drop(void);
            let Answered { reply, follow_ups } = answered?;
            if !follow_ups.is_empty() {
                // Apart: what most calls do not need would make all of them larger.
                Box::pin(accept_with_outcome(&context, follow_ups)).await?;
            }
            Ok(reply)
        })
    }

    fn lend(&self) {
        let credit = self.credit().take();
        drop(credit);
    }

    fn try_take_back(&self) -> bool {
        let mut held = self.credit();
        if held.is_none() {
            *held = Arc::clone(self.session().credit()).try_acquire_owned().ok();
        }
        held.is_some()
    }

    fn take_back(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.credit().is_some() {
                return;
            }
            // Closed with the session: then there is nothing to come back to.
            if let Ok(credit) = Arc::clone(self.session().credit()).acquire_owned().await {
                self.credit().get_or_insert(credit);
            }
        })
    }
}

/// A dispatch under way: dropped before its result came, its token is void.
struct Void {
    seat: Arc<Handed>,
    token: Token,
    /// The session has it no more.
    has_ended: bool,
}

impl Void {
    /// Tells the worker that the outcome is no longer wanted.
    fn ask_to_stop(&self) {
        self.seat.session().ask_to_stop(self.token);
    }
}

impl Drop for Void {
    fn drop(&mut self) {
        if !self.has_ended {
            self.ask_to_stop();
            self.seat.session().void(self.token);
        }
        self.seat.member.running.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accept_with_outcome(
    context: &Context,
    follow_ups: Vec<v1::InvokeAsyncRequest>,
) -> Result<()> {
    for request in follow_ups {
        let call = follow_up(request)?;
        context.platform().invoke_async(call).await?;
    }
    Ok(())
}

fn follow_up(mut request: v1::InvokeAsyncRequest) -> Result<Call> {
    let metadata = metadata_from_proto(std::mem::take(&mut request.metadata))?;
    let metadata = (!metadata.is_empty()).then(|| Arc::new(metadata));
    let cid = wire::given(std::mem::take(&mut request.cid));
    let cid = cid.map(|cid| cid.parse()).transpose()?;
    let mut call = wire::async_call(cid, request, metadata)?;
    call.durable().with_outcome = true;
    Ok(call)
}

/// An input, encoded.
#[derive(Clone, Debug)]
pub(super) struct Given {
    input: Option<v1::dispatch::Input>,
    data_format: i32,
}

impl Given {
    fn from(input: Payload) -> Result<Self> {
        let (input, data_format) = wire::input_to_proto(input)?;
        Ok(Self {
            input: Some(input),
            data_format,
        })
    }

    /// That of a dispatch: it shares the bytes.
    pub(super) fn of(dispatch: &v1::Dispatch) -> Self {
        Self {
            input: dispatch.input.clone(),
            data_format: dispatch.data_format,
        }
    }
}

/// What a worker is told of a call.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for progress that cannot be carried.
pub(super) fn dispatch(
    token: Token,
    context: &Context,
    Given { input, data_format }: Given,
    now: Timestamp,
) -> Result<Box<v1::Dispatch>> {
    let facts = context.info();
    let reply = facts.in_reply_to.as_ref();
    let left = context.time_left();
    let deadline = left.and_then(|left| now.checked_add(left).ok());
    Ok(Box::new(v1::Dispatch {
        token: token.to_string(),
        cid: facts.cid.to_string(),
        service: facts.service.as_str().to_owned(),
        attempt: facts.attempt,
        input,
        data_format,
        metadata: metadata_to_proto(&facts.metadata),
        timeout: left.map(duration_to_proto),
        deadline: deadline.map(timestamp_to_proto),
        traceparent: facts
            .metadata
            .get(TRACEPARENT)
            .unwrap_or_default()
            .to_owned(),
        parent_cid: facts.parent.map(|cid| cid.to_string()).unwrap_or_default(),
        root_cid: facts.root.to_string(),
        in_reply_to: reply.map(|reply| reply.cid.to_string()).unwrap_or_default(),
        in_reply_to_service: reply
            .map(|reply| reply.service.to_string())
            .unwrap_or_default(),
        in_reply_to_attempt: reply.map_or(0, |reply| reply.attempt),
        asynchronous: facts.asynchronous,
        last_progress: context.last_progress().map(progress_to_proto).transpose()?,
        principal: String::new(),
        path: context.platform().path().unwrap_or_default(),
    }))
}

/// What a worker cannot read would end its whole stream.
fn check_size(dispatch: &v1::Dispatch, introduced: &Introduced) -> Result<()> {
    use prost::Message as _;
    let limit = introduced.max_message_bytes;
    if dispatch.encoded_len() + ENVELOPE <= limit {
        return Ok(());
    }
    let message =
        format!("the input is larger than the {limit} bytes that the worker takes in one message");
    Err(
        Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
            .with_retryable(false)
            .with_info("message_bytes", limit),
    )
}
