//! A client of a node: the same words as in a handler's context, over gRPC.

mod batch;
mod discover;
mod manage;
mod results;

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

pub use self::manage::Chosen;
pub use self::results::Results;
use crate::codec::convert::{duration_to_proto, failure_to_proto, reply_from_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::admin_service_client::AdminServiceClient;
use crate::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::model::call::{Accepted, Call, OnDeadline};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::{Payload, Reply};
use crate::remote::again::{self, TRIES, may_be_said_again, never_began};
use crate::remote::wire;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// HTTP/2 PING while something is asked: how often, and how long the answer may take. A node that is frozen is told
/// from one that has nothing to say.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How much later than the node's answer the transport gives up: a client that ends a call by itself never reads the
/// status with its reason and CID.
const TRANSPORT_SLACK: Duration = Duration::from_millis(500);
/// What a client reads at most in one message: four times what a node sends unless told otherwise.
const MAX_MESSAGE_BYTES: usize = 4 * crate::codec::limits::MAX_MESSAGE_BYTES;

/// A client of a node. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct Client {
    invocation: InvocationServiceClient<Channel>,
    discovery: DiscoveryServiceClient<Channel>,
    admin: AdminServiceClient<Channel>,
    tries: u32,
}

impl Client {
    /// Connects to a node: `127.0.0.1:24337`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for what is no address; `UNAVAILABLE` / `CONNECT_FAILED`.
    pub async fn connect(node: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{node}"))
            .map_err(|error| {
                let message = format!("`{node}` is not an address: use host:port");
                Error::invalid_argument(reason::REQUEST_INVALID, message).with_source(error)
            })?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .connect()
            .await
            .map_err(|error| {
                let message = format!("cannot reach a node at {node}");
                Error::unavailable(reason::CONNECT_FAILED, message).with_source(error)
            })?;
        Ok(Self {
            invocation: InvocationServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            discovery: DiscoveryServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            admin: AdminServiceClient::new(channel),
            tries: TRIES,
        })
    }

    /// How often a call is made in all that failed and does no harm when it is repeated: it failed before it was
    /// dispatched, or it is accepted once by its CID or key. 1: never again. Default: 8, for some five seconds in all.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries.max(1);
        self
    }

    /// Invokes a service and waits for its reply. Answers with the CID as well.
    ///
    /// # Errors
    ///
    /// What the service or the node answered; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke(&self, call: Call) -> Result<(Cid, Reply)> {
        let asked = call.durable.as_deref();
        let continues = asked.is_some_and(|asked| asked.on_deadline == OnDeadline::Continue);
        let has_key = asked.is_some_and(|asked| asked.idempotency_key.is_some());
        // Whoever loses the connection can still ask what became of it, and all tries have one name.
        let cid = call.cid.unwrap_or_else(Cid::new);
        let timeout = call.timeout;
        let service = call.service.clone();
        let request = wire::request(Call {
            cid: Some(cid),
            ..call
        })?;
        let invoke = async || {
            let mut request = Request::new(request.clone());
            if let Some(timeout) = timeout {
                request.set_timeout(timeout.saturating_add(TRANSPORT_SLACK));
            }
            self.invocation.clone().invoke(request).await
        };
        // Stored ones are accepted once, by their CID or key.
        let is_safe = |error: &Error| match continues || has_key {
            true => may_be_said_again(error),
            false => never_began(error, &service),
        };
        let response = again::say(self.tries, is_safe, invoke).await;
        let response = response.map_err(|error| match error.cid() {
            None => error.with_cid(cid),
            Some(_) => error,
        });
        let response = response?.into_inner();
        let cid = Cid::parse(&response.cid)?;
        let (output, format) = (response.output, response.data_format);
        Ok((cid, reply_from_proto(output, format, response.metadata)?))
    }

    /// Has a service run in the background and answers with the CID.
    ///
    /// # Errors
    ///
    /// What the node answered; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke_async(&self, call: Call) -> Result<Accepted> {
        let is_ours = call.cid.is_none();
        let request = wire::async_request(Call {
            cid: Some(call.cid.unwrap_or_else(Cid::new)),
            ..call
        })?;
        let accept = async || self.invocation.clone().invoke_async(request.clone()).await;
        let response = again::say(self.tries, may_be_said_again, accept).await?;
        wire::accepted(&response, is_ours.then_some(&request.cid))
    }

    /// Follows an invocation from its beginning to its end.
    ///
    /// # Errors
    ///
    /// What the node answered; `UNAVAILABLE` where the connection is lost.
    pub async fn results(&self, cid: Cid) -> Result<Results> {
        Results::follow(self.invocation.clone(), cid, self.tries).await
    }

    /// Looks at an invocation, at the latest when it has ended or `wait` is over.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `UNAVAILABLE` where the connection is lost.
    pub async fn invocation(&self, cid: Cid, wait: Duration) -> Result<v1::Invocation> {
        let request = v1::GetInvocationRequest {
            cid: cid.to_string(),
            wait: Some(duration_to_proto(wait)),
            ..v1::GetInvocationRequest::default()
        };
        self.get(request).await
    }

    /// Gives the outcome of an invocation whose handler answered "later"; answers its state then. It is given again
    /// where the connection was lost: that does no harm.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` or `ENDED`; `INVALID_ARGUMENT` / `OUTPUT_INVALID`; `UNAVAILABLE` where
    /// the connection is lost.
    pub async fn complete(
        &self,
        cid: Cid,
        token: &str,
        outcome: Result<Payload>,
    ) -> Result<v1::State> {
        use v1::complete_invocation_request::Outcome;
        let (outcome, data_format) = match outcome {
            Ok(response) => wire::input_to_proto(response)?,
            Err(error) => (Outcome::Failure(failure_to_proto(&error)), 0),
        };
        let request = v1::CompleteInvocationRequest {
            cid: cid.to_string(),
            token: token.to_owned(),
            outcome: Some(outcome),
            data_format,
            ..v1::CompleteInvocationRequest::default()
        };
        let complete = async || {
            self.invocation
                .clone()
                .complete_invocation(request.clone())
                .await
        };
        Ok(self.ask(complete).await?.state())
    }

    /// Looks at an invocation with its input, its attempts and its children.
    ///
    /// # Errors
    ///
    /// As for [`invocation`](Self::invocation).
    pub async fn explain(&self, cid: Cid) -> Result<v1::Invocation> {
        let request = v1::GetInvocationRequest {
            cid: cid.to_string(),
            view: v1::InvocationView::Full.into(),
            ..v1::GetInvocationRequest::default()
        };
        self.get(request).await
    }

    async fn get(&self, request: v1::GetInvocationRequest) -> Result<v1::Invocation> {
        let get = async || {
            let mut stub = self.invocation.clone();
            stub.get_invocation(request.clone()).await
        };
        Ok(self.ask(get).await?.invocation.unwrap_or_default())
    }

    /// Asks what changes nothing, or does no harm when it is said twice, until the node answers.
    async fn ask<T, F>(&self, ask: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let response = again::say(self.tries, may_be_said_again, ask).await?;
        Ok(response.into_inner())
    }
}
