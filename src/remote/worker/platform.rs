//! What a handler in a worker can ask of the platform: it goes to the node, as part of the dispatch.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::transport::Channel;

use super::line::Shared;
use crate::codec::convert::{
    PayloadOneof as _, duration_to_proto, progress_to_proto, reply_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::codec::proto::v1::serve_request::Message;
use crate::codec::status::from_status;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{Outcome, Progress};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::Ignored;
use crate::model::token::Token;
use crate::remote::client::Results;
use crate::remote::outcomes::outcomes;
use crate::remote::wire;
use crate::service::{Accepted, AcceptedGroup, Batch, BoxFuture, Call, Invoke, KnownService};

/// The metadata that names the dispatch of a nested call.
const DISPATCH_KEY: &str = "cidery-dispatch";
/// What one attempt may leave to be accepted with its outcome.
const FOLLOW_UPS: usize = 1_000;

/// One dispatch's way to the node.
#[derive(Debug)]
pub(super) struct Platform {
    shared: Arc<Shared>,
    channel: Channel,
    token: String,
    deadline: Option<Instant>,
    follow_ups: Mutex<Vec<v1::InvokeAsyncRequest>>,
    /// Set once the handler has answered "later".
    later: OnceLock<Token>,
}

impl Platform {
    pub(super) fn new(
        shared: Arc<Shared>,
        channel: Channel,
        token: String,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            shared,
            channel,
            token,
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

    async fn invoke_nested(&self, call: Call) -> Result<Reply> {
        let mut request = self.named(wire::request(call)?);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let response = self.invocation().invoke(request).await;
        let response = response.map_err(|status| from_status(&status))?;
        let response = response.into_inner();
        let (output, format) = (response.output, response.data_format);
        reply_from_proto(output, format, response.metadata)
    }

    async fn accept(&self, call: Call) -> Result<Accepted> {
        let with_outcome = call
            .background
            .as_ref()
            .is_some_and(|asked| asked.with_outcome);
        if with_outcome {
            return self.follow_up(call);
        }
        let request = self.named(wire::async_request(call)?);
        let response = self.invocation().invoke_async(request).await;
        let response = response.map_err(|status| from_status(&status))?;
        Ok(Accepted {
            ignored: wire::ignored(&response),
            cid: Cid::parse(&response.get_ref().cid)?,
            already_accepted: response.get_ref().already_accepted,
        })
    }

    async fn accept_all(&self, batch: Batch) -> Result<AcceptedGroup> {
        let request = self.named(wire::batch_request(batch)?);
        let response = self.invocation().invoke_batch(request).await;
        wire::accepted_group(response.map_err(|status| from_status(&status))?)
    }

    async fn wait(&self, cid: Cid, at_most: Duration) -> Result<bool> {
        let request = self.named(v1::GetInvocationRequest {
            cid: cid.to_string(),
            wait: Some(duration_to_proto(at_most)),
            ..v1::GetInvocationRequest::default()
        });
        let response = self.invocation().get_invocation(request).await;
        let response = response.map_err(|status| from_status(&status))?;
        let invocation = response.into_inner().invocation.unwrap_or_default();
        Ok(invocation.end_time.is_some())
    }

    /// Keeps it for the result: the node accepts both together.
    fn follow_up(&self, mut call: Call) -> Result<Accepted> {
        let cid = *call.cid.get_or_insert_default();
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
        self.shared.tell_item(&self.token, item)
    }

    async fn known(&self) -> Result<Vec<KnownService>> {
        let mut discovery = DiscoveryServiceClient::new(self.channel.clone());
        let (mut services, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListServicesRequest {
                page_token,
                ..v1::ListServicesRequest::default()
            };
            let page = discovery.list_services(request).await;
            let page = page.map_err(|status| from_status(&status))?.into_inner();
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

impl Invoke for Platform {
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
            // Whoever handles a dispatch repeats nothing by itself.
            let results = Results::follow(self.invocation(), group.cid, 1).await?;
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
                self.shared.show(Message::Progress(progress));
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
        Box::pin(self.known())
    }
}
