//! What a handler in a worker can ask of the platform: it goes to the node, as part of the dispatch.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::session::Session;
use crate::codec::convert::{
    PayloadOneof as _, duration_to_proto, progress_to_proto, reply_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::codec::proto::v1::serve_request::Message;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Outcome, Progress};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::Ignored;
use crate::model::token::Token;
use crate::remote::again::{self, is_transport, never_sent};
use crate::remote::client::Results;
use crate::remote::outcomes::outcomes;
use crate::remote::wire;
use crate::service::{BoxFuture, KnownService, Platform};

/// The metadata that names the dispatch of a nested call.
const DISPATCH_KEY: &str = "cidery-dispatch";
/// How often something is said whose connection is cut: until a worker that comes back would have lost its dispatches.
const TRIES: u32 = 15;
/// What one attempt may leave to be accepted with its outcome.
const FOLLOW_UPS: usize = 1_000;

/// One dispatch's way to the node.
#[derive(Debug)]
pub(super) struct WorkerPlatform {
    session: Arc<Session>,
    channel: Channel,
    token: String,
    /// Of a nested call.
    path: Option<String>,
    deadline: Option<Instant>,
    follow_ups: Mutex<Vec<v1::InvokeAsyncRequest>>,
    /// Set once the handler has answered "later".
    later: OnceLock<Token>,
}

impl WorkerPlatform {
    pub(super) fn new(
        session: Arc<Session>,
        channel: Channel,
        token: String,
        path: Option<String>,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            session,
            channel,
            token,
            path,
            deadline,
            follow_ups: Mutex::default(),
            later: OnceLock::new(),
        }
    }

    /// What is to be accepted with the outcome.
    pub(super) fn follow_ups(&self) -> Vec<v1::InvokeAsyncRequest> {
        std::mem::take(&mut *self.kept())
    }

    fn kept(&self) -> MutexGuard<'_, Vec<v1::InvokeAsyncRequest>> {
        // Every change is one push.
        self.follow_ups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A request that names the dispatch.
    fn named<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token: Result<AsciiMetadataValue, _> = MetadataValue::try_from(&self.token);
        if let Ok(token) = token {
            request.metadata_mut().insert(DISPATCH_KEY, token);
        }
        request
    }

    fn invocation(&self) -> InvocationServiceClient<Channel> {
        InvocationServiceClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    /// Says something to the node: again where the connection was cut. What the node answers is the handler's to tell,
    /// as it is in a node.
    async fn say<T, F>(
        &self,
        is_safe: impl Fn(&Error) -> bool,
        say: impl Fn() -> F,
    ) -> Result<Response<T>>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        again::say(TRIES, is_safe, say).await
    }

    async fn invoke_nested(&self, call: Call) -> Result<Reply> {
        let message = wire::request(call)?;
        let invoke = async || {
            let mut request = self.named(message.clone());
            if let Some(deadline) = self.deadline {
                request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            }
            self.invocation().invoke(request).await
        };
        let response = self.say(never_sent, invoke).await?.into_inner();
        let (output, format) = (response.output, response.data_format);
        reply_from_proto(output, format, response.metadata)
    }

    async fn accept(&self, call: Call) -> Result<Accepted> {
        let with_outcome = call
            .durable
            .as_ref()
            .is_some_and(|asked| asked.with_outcome);
        if with_outcome {
            let first = self.known(&call).await?;
            // The node says whether it is the same.
            let accepted = self.follow_up(call)?;
            return Ok(first.unwrap_or(accepted));
        }
        let is_ours = call.cid.is_none();
        let message = wire::async_request(Call {
            cid: Some(call.cid.unwrap_or_else(Cid::new)),
            ..call
        })?;
        let accept = async || {
            let request = self.named(message.clone());
            self.invocation().invoke_async(request).await
        };
        let response = self.say(is_transport, accept).await?;
        wire::accepted(&response, is_ours.then_some(&message.cid))
    }

    async fn get(&self, message: v1::GetInvocationRequest) -> Result<v1::Invocation> {
        let get = async || {
            let request = self.named(message.clone());
            self.invocation().get_invocation(request).await
        };
        let response = self.say(is_transport, get).await?.into_inner();
        Ok(response.invocation.unwrap_or_default())
    }

    /// What was accepted before with the same key: its CID is not the one that this call would get.
    async fn known(&self, call: &Call) -> Result<Option<Accepted>> {
        let asked = call.durable.as_deref();
        let Some(key) = asked.and_then(|asked| asked.idempotency_key.clone()) else {
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

    async fn accept_all(&self, batch: Batch) -> Result<AcceptedGroup> {
        let is_ours = batch.cid.is_none();
        let message = wire::batch_request(Batch {
            cid: Some(batch.cid.unwrap_or_else(Cid::new)),
            ..batch
        })?;
        let accept = async || {
            let request = self.named(message.clone());
            self.invocation().invoke_batch(request).await
        };
        let response = self.say(is_transport, accept).await?;
        wire::accepted_group(response, is_ours.then_some(&message.cid))
    }

    async fn wait(&self, cid: Cid, at_most: Duration) -> Result<bool> {
        let message = v1::GetInvocationRequest {
            cid: cid.to_string(),
            wait: Some(duration_to_proto(at_most)),
            ..v1::GetInvocationRequest::default()
        };
        Ok(self.get(message).await?.end_time.is_some())
    }

    /// Keeps it for the result: the node accepts both together.
    fn follow_up(&self, mut call: Call) -> Result<Accepted> {
        let cid = *call.cid.get_or_insert_with(Cid::new);
        let request = wire::async_request(call)?;
        let mut follow_ups = self.kept();
        if follow_ups.len() >= FOLLOW_UPS {
            let message = format!("an attempt has at most {FOLLOW_UPS} follow-ups");
            return Err(Error::resource_exhausted(reason::PENDING_LIMIT, message));
        }
        follow_ups.push(request);
        Ok(Accepted {
            cid,
            already_accepted: false,
            ignored: Ignored::default(),
        })
    }

    fn tell_item(&self, item: Payload) -> Result<()> {
        let item = v1::dispatch_item::Item::from_payload(item)?;
        self.session.tell_item(&self.token, item)
    }

    async fn announced(&self) -> Result<Vec<KnownService>> {
        let (mut services, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListServicesRequest {
                page_token,
                ..v1::ListServicesRequest::default()
            };
            let list = async || {
                let mut discovery = DiscoveryServiceClient::new(self.channel.clone());
                discovery.list_services(request.clone()).await
            };
            let page = self.say(is_transport, list).await?.into_inner();
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
        Box::pin(self.accept_all(batch))
    }

    fn wait_for(&self, cid: Cid, at_most: Duration) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.wait(cid, at_most))
    }

    fn outcomes<'a>(
        &'a self,
        group: &'a AcceptedGroup,
    ) -> BoxFuture<'a, Result<Vec<(Cid, Outcome)>>> {
        Box::pin(async {
            let results = Results::follow(self.invocation(), group.cid, TRIES).await?;
            outcomes(results, group).await
        })
    }

    fn progress(&self, progress: Progress) {
        match progress_to_proto(&progress) {
            Ok(progress) => {
                let progress = v1::DispatchProgress {
                    token: self.token.clone(),
                    progress: Some(progress),
                };
                self.session.show(Message::Progress(progress));
            }
            Err(error) => tracing::warn!(%error, "progress cannot be carried"),
        }
    }

    fn emit(&self, item: Payload) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(self.tell_item(item)))
    }

    fn later(&self) -> Result<Token> {
        Token::parse(&self.token).ok_or_else(|| {
            let message = "the node gave the dispatch a token of another kind";
            Error::internal(reason::NOT_SUPPORTED, message)
        })
    }

    fn answer_later(&self, token: Token) -> Result<()> {
        if !self.kept().is_empty() {
            let message =
                "what is to be accepted with the response cannot wait for one that comes later";
            return Err(Error::failed_precondition(reason::NOT_SUPPORTED, message));
        }
        let _ = self.later.set(token);
        Ok(())
    }

    fn answers_later(&self) -> Option<Token> {
        self.later.get().copied()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<KnownService>>> {
        Box::pin(self.announced())
    }
}
