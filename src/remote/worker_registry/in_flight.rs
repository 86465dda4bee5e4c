//! A dispatch in flight at a worker: from when it is sent to its result, or to the loss of the worker.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use super::dispatch_message::EncodedInput;
use crate::codec::convert::failure_to_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::payload::Reply;
use crate::model::token::Token;
use crate::remote::protocol::messages::{Outbound, to_worker};
use crate::service::{Context, Definition, DispatchStatus};

/// A response of a worker, with the invocations that are accepted with it.
#[derive(Debug)]
pub(super) struct WorkerReply {
    pub(super) reply: Reply,
    pub(super) follow_ups: Vec<v1::InvokeAsyncRequest>,
}

/// A dispatch in the table of its session.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Kept for a worker that can resume: the dispatch may not have arrived.
    pub(super) input: Option<EncodedInput>,
    pub(super) state: Arc<DispatchState>,
    pub(super) context: Context,
    /// `None` where the outcome is no longer needed.
    pub(super) reply_to: Option<oneshot::Sender<Result<WorkerReply>>>,
    pub(super) cancellation: Cancellation,
    /// The number of the last item received.
    pub(super) last_item: u32,
}

/// The part of a dispatch that its session and its permit share. The session keeps it until the worker has answered, so
/// that the credit stays in use although the engine has dropped the permit.
#[derive(Debug)]
pub(super) struct DispatchState {
    /// The declaration of the worker.
    pub(super) definition: Arc<Definition>,
    status: AtomicU8,
    /// `None` while it is released for a nested call.
    credit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl DispatchState {
    pub(super) fn new(definition: Arc<Definition>, credit: OwnedSemaphorePermit) -> Arc<Self> {
        Arc::new(Self {
            definition,
            status: AtomicU8::new(DispatchStatus::Open as u8),
            credit: Mutex::new(Some(credit)),
        })
    }

    pub(super) fn credit(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_status(&self, status: DispatchStatus) {
        self.status.store(status as u8, Ordering::Release);
    }

    pub(super) fn status(&self) -> DispatchStatus {
        match self.status.load(Ordering::Acquire) {
            status if status == DispatchStatus::Lost as u8 => DispatchStatus::Lost,
            status if status == DispatchStatus::HandedBack as u8 => DispatchStatus::HandedBack,
            status if status == DispatchStatus::NotStarted as u8 => DispatchStatus::NotStarted,
            _ => DispatchStatus::Open,
        }
    }
}

/// Whether a dispatch is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancellation {
    None,
    /// Requested at this time, and not sent: there is no stream, or its queue is full.
    Pending(Instant),
    /// Sent at this time; or nothing is sent, because the worker does not have `CAPABILITY_CANCEL`.
    Sent(Instant),
}

impl InFlight {
    /// Requests the cancellation, and sends it where the stream has room. The grace period starts with the request, and
    /// again when it is sent.
    pub(super) fn cancel(
        &mut self,
        token: Token,
        outbox: Option<&mpsc::Sender<Outbound>>,
        can_cancel: bool,
    ) {
        self.cancellation = Cancellation::Pending(Instant::now());
        self.send_cancel(token, outbox, can_cancel);
    }

    /// Sends a requested cancellation where the stream has room. A worker without `CAPABILITY_CANCEL` gets none.
    pub(super) fn send_cancel(
        &mut self,
        token: Token,
        outbox: Option<&mpsc::Sender<Outbound>>,
        can_cancel: bool,
    ) {
        let message = || cancel_message(token, &self.context.platform().stop_cause());
        let is_sent =
            !can_cancel || outbox.is_some_and(|outbox| outbox.try_send(message()).is_ok());
        if is_sent {
            self.cancellation = Cancellation::Sent(Instant::now());
        }
    }
}

fn cancel_message(token: Token, cause: &Error) -> Outbound {
    to_worker(v1::serve_response::Message::Cancel(v1::CancelDispatch {
        token: token.to_string(),
        failure: Some(failure_to_proto(cause)),
    }))
}

/// `UNKNOWN` / `WORKER_LOST`, for a worker that was lost.
pub(super) fn worker_lost(worker: &str) -> Error {
    let message =
        format!("the worker `{worker}` was lost before it answered; the call may have run");
    Error::new(Kind::Unknown, reason::WORKER_LOST, message)
}

/// `UNKNOWN` / `WORKER_LOST`, for a dispatch that the worker handed back.
pub(super) fn handed_back(worker: &str) -> Error {
    let message = format!("the worker `{worker}` returned the call; it may have started");
    Error::new(Kind::Unknown, reason::WORKER_LOST, message)
}
