//! `cidery.v1.WorkerService`: the node's end of worker streams: hello, messages, keep-alive.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tonic::{Code, Request, Response, Status, Streaming};

use super::oversize::max_message_bytes;
use super::request::into_status;
use crate::codec::convert::{PayloadOneof as _, progress_from_proto};
use crate::codec::payload;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::codec::proto::v1::worker_service_server::WorkerService;
use crate::codec::status::from_status;
use crate::edge::caller::caller;
use crate::edge::connection::Connection;
use crate::engine::{Invoker, Limits};
use crate::model::access::Caller;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::payload::{Format, Payload};
use crate::remote::protocol::batching::{Batcher, FlowControl};
use crate::remote::protocol::messages::Outbound;
use crate::remote::worker_registry::{
    ItemReceipt, RegisteredStream, WorkerRegistry, WorkerSession, protocol_error, validate_message,
};
use crate::service::Context;

/// How long the node waits for the hello of a worker.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval at which results are acknowledged, and a stuck worker is detected.
const TICK: Duration = Duration::from_secs(1);
/// The interval of keep-alive messages, for proxies that close idle streams.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct WorkerApi {
    invoker: Invoker,
    registry: WorkerRegistry,
}

impl WorkerApi {
    pub(super) fn new(invoker: Invoker, registry: WorkerRegistry) -> Self {
        Self { invoker, registry }
    }

    async fn receive_hello(
        inbound: &mut Streaming<v1::ServeRequest>,
        limit: usize,
    ) -> Result<v1::Hello> {
        let first = tokio::time::timeout(HELLO_TIMEOUT, inbound.message()).await;
        let message = match first {
            Ok(Ok(Some(first))) => first.message,
            Ok(Ok(None)) => None,
            Ok(Err(status)) => {
                let error = unreadable(&status, limit).unwrap_or_else(|| from_status(&status));
                let message = format!("the hello cannot be read: {}", error.message());
                return Err(error.with_message(message));
            }
            Err(_) => {
                let message = format!("no hello within {} s", HELLO_TIMEOUT.as_secs());
                return Err(Error::deadline_exceeded(
                    reason::REQUEST_INCOMPLETE,
                    message,
                ));
            }
        };
        match message {
            Some(Message::Hello(hello)) => Ok(hello),
            _ => {
                let message = "is the first message: it names the worker and its services";
                let violation = Violation::new("/hello", "MISSING", message);
                Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
            }
        }
    }
}

/// Handles the messages of a worker until its stream ends.
async fn serve(
    registry: WorkerRegistry,
    invoker: Invoker,
    session: Arc<WorkerSession>,
    stream: u64,
    inbound: Streaming<v1::ServeRequest>,
    flow_control: Arc<FlowControl>,
) {
    let end = receive(&registry, &invoker, &session, inbound, &flow_control).await;
    match end {
        WorkerStreamEnd::Disconnected { is_resumable } => {
            registry.disconnect(&session, stream, is_resumable)
        }
        WorkerStreamEnd::Ended(error) => registry.end(&session, &error),
    }
}

/// How a stream ended.
enum WorkerStreamEnd {
    /// By the worker, or because it broke.
    Disconnected { is_resumable: bool },
    /// By the node, with the session.
    Ended(Error),
}

async fn receive(
    registry: &WorkerRegistry,
    invoker: &Invoker,
    session: &Arc<WorkerSession>,
    mut inbound: Streaming<v1::ServeRequest>,
    flow_control: &FlowControl,
) -> WorkerStreamEnd {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_keep_alive = Instant::now();
    let mut closing = pin!(invoker.closing().cancelled());
    loop {
        tokio::select! {
            message = inbound.message() => match message {
                Ok(Some(message)) => {
                    if let Err(error) = validate_message(&message) {
                        return WorkerStreamEnd::Ended(error);
                    }
                    for result in message.results {
                        session.record_result(result);
                        if let Some(error) = session.protocol_failure() {
                            return WorkerStreamEnd::Ended(error);
                        }
                    }
                    handle_message(registry, invoker.limits(), session, message.message).await;
                    if let Some(error) = session.protocol_failure() {
                        return WorkerStreamEnd::Ended(error);
                    }
                    flow_control.record_answer();
                }
                // A stream that was reset ends in the same way: a worker that leaves in order has drained before.
                Ok(None) => {
                    let has_drained = session.is_draining() && session.is_idle();
                    return WorkerStreamEnd::Disconnected { is_resumable: !has_drained };
                }
                Err(status) => {
                    let limit = max_message_bytes(invoker.limits());
                    if let Some(error) = unreadable(&status, limit) {
                        return WorkerStreamEnd::Ended(error);
                    }
                    tracing::debug!(worker.id = session.id(), %status, "a worker's stream broke");
                    return WorkerStreamEnd::Disconnected { is_resumable: true };
                }
            },
            _ = tick.tick() => {
                session.send_pending();
                if session.is_stuck() {
                    let message = "the worker is stuck: every permit is held by a cancelled dispatch that did \
                                   not end within the grace period";
                    return WorkerStreamEnd::Ended(Error::aborted(reason::WORKER_LOST, message));
                }
                if last_keep_alive.elapsed() >= KEEP_ALIVE_INTERVAL {
                    last_keep_alive = Instant::now();
                    session.send_keep_alive();
                }
            }
            () = &mut closing => {
                session.acknowledge_results();
                let message = "the node is stopping";
                return WorkerStreamEnd::Ended(Error::unavailable(reason::NODE_STOPPING, message));
            }
        }
    }
}

/// The error of a message that cannot be read; `None` where the stream broke.
fn unreadable(status: &Status, limit: usize) -> Option<Error> {
    match status.code() {
        Code::OutOfRange => {
            let message = format!("a message of the worker has more than {limit} bytes");
            let error = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message);
            Some(
                error
                    .with_retryable(false)
                    .with_info("message_bytes", limit),
            )
        }
        Code::InvalidArgument => Some(from_status(status)),
        // The stream ended within a message: it broke. The transport has no other sign for that.
        Code::Internal if status.message().starts_with("Unexpected EOF") => None,
        Code::Internal | Code::Unimplemented | Code::ResourceExhausted => {
            let message = format!("the message cannot be decoded: {}", status.message());
            Some(Error::invalid_argument(reason::MALFORMED_MESSAGE, message))
        }
        _ => None,
    }
}

async fn handle_message(
    registry: &WorkerRegistry,
    limits: &Limits,
    session: &Arc<WorkerSession>,
    message: Option<Message>,
) {
    match message {
        Some(Message::Result(result)) => session.record_result(*result),
        Some(Message::Progress(progress)) => handle_progress(session, limits, progress),
        Some(Message::Item(item)) => handle_item(session, item).await,
        Some(Message::HandBack(hand_back)) => session.hand_back(&hand_back.tokens),
        Some(Message::Drain(_)) => {
            registry.drain(session);
            session.acknowledge_results();
        }
        Some(Message::Hello(_)) => {
            let message = "a worker sends one hello";
            let error = Error::failed_precondition(reason::WORKER_REFUSED, message);
            registry.end(session, &error);
        }
        // A message of a later version.
        None => {}
    }
}

fn handle_progress(
    session: &WorkerSession,
    limits: &Limits,
    v1::DispatchProgress { token, progress }: v1::DispatchProgress,
) {
    let Some(context) = session.context(&token) else {
        return session.refuse_void(&token);
    };
    let platform = context.platform();
    platform.heartbeat();
    let Some(progress) = progress else {
        return;
    };
    // Checked before it is decoded, which takes several times the memory.
    let bytes = progress.value.as_ref().map_or(0, |value| value.len());
    let reported = limits
        .check_progress(bytes)
        .and_then(|()| platform.progress(progress_from_proto(progress)?));
    if let Err(error) = reported {
        session.refuse(&token, &error);
    }
}

async fn handle_item(session: &WorkerSession, item: v1::DispatchItem) {
    match session.record_item(&item) {
        ItemReceipt::Void => session.refuse_void(&item.token),
        ItemReceipt::Duplicate => {}
        ItemReceipt::New(context) => {
            let payload = item.item.and_then(|item| item.into_payload(Format::Dict));
            let emitted = match payload {
                Some(payload) => emit(&context, payload).await,
                None => Err(protocol_error("an item has no content")),
            };
            if let Err(error) = emitted {
                session.refuse(&item.token, &error);
            }
        }
    }
}

async fn emit(context: &Context, item: Payload) -> Result<()> {
    payload::scan(&item)?;
    context.emit(item).await
}

#[tonic::async_trait]
impl WorkerService for WorkerApi {
    type ServeStream = Batcher<Outbound>;

    async fn serve(
        &self,
        request: Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Batcher<Outbound>>, Status> {
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let caller = caller(&self.invoker, request.extensions());
        if caller == Caller::Unauthenticated {
            // Before anything is read.
            into_status(
                self.invoker
                    .on_behalf_of(caller.clone())
                    .check_authenticated(),
            )?;
        }
        let peer = connection.as_ref().map(|it| it.peer.to_string());
        let mut inbound = request.into_inner();
        let limit = max_message_bytes(self.invoker.limits());
        let hello = into_status(Self::receive_hello(&mut inbound, limit).await)?;
        let stream = self
            .registry
            .register(hello, peer.unwrap_or_default(), &caller)
            .await;
        let RegisteredStream {
            session,
            number,
            outbound,
            flow_control,
        } = into_status(stream)?;
        let (registry, invoker) = (self.registry.clone(), self.invoker.clone());
        // A worker that is refused, and one that never says hello, are no workers.
        let carries_worker = connection.map(|connection| connection.carry_worker());
        let serves = serve(registry, invoker, session, number, inbound, flow_control);
        self.invoker.tasks().spawn("worker", async move {
            serves.await;
            drop(carries_worker);
        });
        Ok(Response::new(outbound))
    }
}
