//! The [`Platform`] of a handler in a worker: its nested calls, items and progress go to the node, with the token of
//! the dispatch.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::remote::protocol::credential::NodeChannel;
use tokio::time::Instant;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Request, Response, Status};

use super::session::NodeSession;
use crate::codec::convert::{
    DISPATCH_KEY, PayloadOneof as _, accepted_from_proto, accepted_group_from_proto,
    async_call_to_proto, batch_to_proto, call_to_proto, duration_to_proto, progress_to_proto,
    reply_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::codec::proto::v1::serve_request::Message;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call, DurableOptions};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Outcome, Progress};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::Ignored;
use crate::model::token::Token;
use crate::remote::protocol::endpoint::MAX_TIMEOUT;
use crate::remote::protocol::group_outcomes::group_outcomes;
use crate::remote::protocol::result_stream::ResultStream;
use crate::remote::protocol::retry::{Retries, call_with_retry, was_not_processed};
use crate::remote::protocol::trace_context::add_trace;
use crate::remote::protocol::transport::{ignored_keys, is_transport_error};
use crate::service::{BoxFuture, HandlerScope, KnownService, Platform};

/// The number of attempts of a nested call whose connection breaks. With the backoff they outlast the worker's lease.
const NESTED_CALL_MAX_ATTEMPTS: u32 = 15;

/// The platform of one dispatch.
#[derive(Debug)]
pub(super) struct WorkerPlatform {
    session: Arc<NodeSession>,
    channel: Arc<NodeChannel>,
    token: String,
    /// The path of a nested call.
    path: Option<String>,
    scope: HandlerScope,
    follow_ups: Mutex<Vec<v1::InvokeAsyncRequest>>,
    /// Set once the handler has answered "later".
    later: OnceLock<Token>,
}

impl WorkerPlatform {
    pub(super) fn new(
        session: Arc<NodeSession>,
        channel: Arc<NodeChannel>,
        token: String,
        path: Option<String>,
        scope: HandlerScope,
    ) -> Self {
        Self {
            session,
            channel,
            token,
            path,
            scope,
            follow_ups: Mutex::default(),
            later: OnceLock::new(),
        }
    }

    /// Takes the invocations that are accepted with the outcome.
    pub(super) fn take_follow_ups(&self) -> Vec<v1::InvokeAsyncRequest> {
        std::mem::take(&mut *self.follow_ups())
    }

    fn follow_ups(&self) -> MutexGuard<'_, Vec<v1::InvokeAsyncRequest>> {
        // Every change is one push.
        self.follow_ups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A request with the token and the trace context of the dispatch.
    fn with_token<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token: Result<AsciiMetadataValue, _> = MetadataValue::try_from(&self.token);
        if let Ok(token) = token {
            request.metadata_mut().insert(DISPATCH_KEY, token);
        }
        add_trace(&mut request, &self.scope.info.metadata);
        request
    }

    fn invocation(&self) -> InvocationServiceClient<NodeChannel> {
        InvocationServiceClient::new(NodeChannel::clone(&self.channel))
            .max_decoding_message_size(usize::MAX)
    }

    /// Makes a call, and retries it where the connection broke. A failure that the node returns goes to the handler, as
    /// in a node.
    async fn call<T, F>(
        &self,
        is_safe: impl Fn(&Error) -> bool,
        call: impl Fn() -> F,
    ) -> Result<Response<T>>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        call_with_retry(
            self.scope.info.deadline,
            &Retries::at_most(NESTED_CALL_MAX_ATTEMPTS),
            is_safe,
            call,
        )
        .await
    }

    async fn invoke_nested(&self, call: Call) -> Result<Reply> {
        let message = call_to_proto(call)?;
        let invoke = async || {
            let mut request = self.with_token(message.clone());
            if let Some(deadline) = self.scope.info.deadline {
                let timeout = deadline.saturating_duration_since(Instant::now());
                request.set_timeout(timeout.min(MAX_TIMEOUT));
            }
            self.invocation().invoke(request).await
        };
        let response = self.call(was_not_processed, invoke).await?.into_inner();
        let (output, format) = (response.output, response.data_format);
        reply_from_proto(output, format, response.metadata)
    }

    async fn accept(&self, call: Call) -> Result<Accepted> {
        let with_outcome = call
            .durable
            .as_ref()
            .is_some_and(|options| options.with_outcome);
        if with_outcome {
            let first = self.find_by_key(&call).await?;
            // Sent again although accepted, so that the node compares the inputs.
            let accepted = self.follow_up(call)?;
            return Ok(first.unwrap_or(accepted));
        }
        let is_generated = call.cid.is_none();
        let message = async_call_to_proto(Call {
            cid: Some(call.cid.unwrap_or_else(Cid::new)),
            ..call
        })?;
        let accept = async || {
            let request = self.with_token(message.clone());
            self.invocation().invoke_async(request).await
        };
        let response = self.call(is_transport_error, accept).await?;
        let ignored = ignored_keys(&response);
        let generated = is_generated.then_some(&*message.cid);
        accepted_from_proto(response.get_ref(), ignored, generated)
    }

    async fn get(&self, message: v1::GetInvocationRequest) -> Result<v1::Invocation> {
        let get = async || {
            let request = self.with_token(message.clone());
            self.invocation().get_invocation(request).await
        };
        let response = self.call(is_transport_error, get).await?.into_inner();
        Ok(response.invocation.unwrap_or_default())
    }

    /// Finds the invocation that was accepted before with the same key. It has another CID than this call would get.
    async fn find_by_key(&self, call: &Call) -> Result<Option<Accepted>> {
        let options = call.durable.as_deref();
        let Some(key) = options.and_then(|options| options.idempotency_key.clone()) else {
            return Ok(None);
        };
        let message = v1::GetInvocationRequest {
            service: call.service.to_string(),
            idempotency_key: key,
            ..v1::GetInvocationRequest::default()
        };
        let found = match self.get(message).await {
            Ok(found) => found,
            Err(error) if error.reason() == reason::CID_UNKNOWN => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Accepted {
            cid: Cid::parse(&found.cid)?,
            already_accepted: true,
            ignored: Ignored::default(),
        }))
    }

    async fn accept_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        let is_generated = batch.cid.is_none();
        let message = batch_to_proto(Batch {
            cid: Some(batch.cid.unwrap_or_else(Cid::new)),
            ..batch
        })?;
        let accept = async || {
            let request = self.with_token(message.clone());
            self.invocation().invoke_batch(request).await
        };
        let response = self.call(is_transport_error, accept).await?;
        let ignored = ignored_keys(&response);
        let generated = is_generated.then_some(&*message.cid);
        accepted_group_from_proto(response.get_ref(), ignored, generated)
    }

    async fn wait(&self, cid: Cid, at_most: Duration) -> Result<bool> {
        let message = v1::GetInvocationRequest {
            cid: cid.to_string(),
            wait: Some(duration_to_proto(at_most)),
            ..v1::GetInvocationRequest::default()
        };
        Ok(self.get(message).await?.end_time.is_some())
    }

    /// Keeps a call for the result of the dispatch: the node accepts both together.
    fn follow_up(&self, mut call: Call) -> Result<Accepted> {
        let cid = *call.cid.get_or_insert_with(Cid::new);
        let request = async_call_to_proto(call)?;
        let mut follow_ups = self.follow_ups();
        if follow_ups.len() >= DurableOptions::MAX_FOLLOW_UPS {
            return Err(DurableOptions::too_many_follow_ups());
        }
        follow_ups.push(request);
        Ok(Accepted {
            cid,
            already_accepted: false,
            ignored: Ignored::default(),
        })
    }

    fn send_item(&self, item: Payload) -> Result<()> {
        let item = v1::dispatch_item::Item::from_payload(item)?;
        self.session.send_item(&self.token, item)
    }

    async fn list_services(&self) -> Result<Vec<KnownService>> {
        let (mut services, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListServicesRequest {
                page_token,
                ..v1::ListServicesRequest::default()
            };
            let list = async || {
                let mut discovery = DiscoveryServiceClient::new(NodeChannel::clone(&self.channel));
                discovery.list_services(request.clone()).await
            };
            let page = self.call(is_transport_error, list).await?.into_inner();
            for service in page.services {
                services.push(KnownService {
                    name: service.name.parse()?,
                    description: service.description,
                });
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(services);
            }
        }
    }
}

impl Platform for WorkerPlatform {
    fn scope(&self) -> &HandlerScope {
        &self.scope
    }

    fn path(&self) -> Option<String> {
        self.path.clone()
    }

    fn invoke(&self, call: Call) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.invoke_nested(call))
    }

    fn invoke_async(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        Box::pin(self.accept(call))
    }

    fn invoke_batch(&self, batch: Batch) -> BoxFuture<'_, Result<AcceptedGroup>> {
        Box::pin(self.accept_batch(batch))
    }

    fn wait_for(&self, cid: Cid, at_most: Duration) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.wait(cid, at_most))
    }

    fn outcomes<'a>(
        &'a self,
        group: &'a AcceptedGroup,
    ) -> BoxFuture<'a, Result<Vec<(Cid, Outcome)>>> {
        Box::pin(async {
            let results = ResultStream::open(
                self.invocation(),
                group.cid,
                Retries::at_most(NESTED_CALL_MAX_ATTEMPTS),
            )
            .await?;
            group_outcomes(results, group).await
        })
    }

    fn progress(&self, progress: Progress) -> Result<()> {
        // The node checks its size, and keeps the report before where it refuses this one.
        let progress = v1::DispatchProgress {
            token: self.token.clone(),
            progress: Some(progress_to_proto(&progress)?),
        };
        self.session.send(Message::Progress(progress));
        Ok(())
    }

    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(self.send_item(item)))
    }

    fn later(&self) -> Result<Token> {
        Token::parse(&self.token).ok_or_else(|| {
            let message = "the token of the dispatch has an unknown form";
            Error::internal(reason::NOT_SUPPORTED, message)
        })
    }

    fn answer_later(&self, token: Token) -> Result<()> {
        if !self.follow_ups().is_empty() {
            let message =
                "invocations that are accepted with the outcome cannot be combined with \"later\"";
            return Err(Error::failed_precondition(reason::NOT_SUPPORTED, message));
        }
        let _ = self.later.set(token);
        Ok(())
    }

    fn answers_later(&self) -> Option<Token> {
        self.later.get().copied()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>> {
        Box::pin(self.list_services())
    }
}
