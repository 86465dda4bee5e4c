//! A client of a node: the same words as in a handler's context, over gRPC.

mod again;
mod batch;
mod manage;
mod results;
mod sent;

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use self::again::{TRIES, again, may_be_said_again, never_began};
pub use self::manage::Chosen;
pub use self::results::Results;
use self::sent::failure;
use crate::codec::convert::{duration_to_proto, failure_to_proto, reply_from_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::admin_service_client::AdminServiceClient;
use crate::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::codec::status::from_status;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::{Payload, Reply};
use crate::remote::wire;
use crate::service::{Accepted, Call, OnDeadline};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
    /// dispatched, or it is accepted once by its CID or key. 1: never again. Default: 5.
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
        let asked = call.background.as_deref();
        let continues = asked.is_some_and(|asked| asked.on_deadline == OnDeadline::Continue);
        let has_key = asked.is_some_and(|asked| asked.idempotency_key.is_some());
        // Whoever loses the connection can still ask for the outcome.
        let brought = call.cid.or_else(|| continues.then(Cid::new));
        let timeout = call.timeout;
        let service = call.service.clone();
        let call = Call {
            cid: brought,
            ..call
        };
        let request = wire::request(call)?;
        let invoke = |_| {
            let mut request = Request::new(request.clone());
            if let Some(timeout) = timeout {
                request.set_timeout(timeout.saturating_add(TRANSPORT_SLACK));
            }
            let mut stub = self.invocation.clone();
            async move {
                let response = stub.invoke(request).await;
                response.map_err(|status| failure(&status))
            }
        };
        // Stored ones are accepted once, by their CID or key.
        let is_safe = |error: &Error| match continues || has_key {
            true => may_be_said_again(error),
            false => never_began(error, &service),
        };
        let response = again(self.tries, is_safe, invoke).await;
        let response = response.map_err(|error| match (error.cid(), brought) {
            (None, Some(cid)) => error.with_cid(cid),
            _ => error,
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
            cid: Some(call.cid.unwrap_or_default()),
            ..call
        })?;
        let accept = async |mut stub: InvocationServiceClient<Channel>| {
            stub.invoke_async(request.clone()).await
        };
        let (response, repeated) = self.until_accepted(accept).await?;
        let first_try_was = is_ours && repeated && response.get_ref().cid == request.cid;
        Ok(Accepted {
            ignored: wire::ignored(&response),
            cid: Cid::parse(&response.get_ref().cid)?,
            // What an earlier try of this call had accepted is new to its caller.
            already_accepted: response.get_ref().already_accepted && !first_try_was,
        })
    }

    /// Says what is accepted once until the node has heard it; answers as well whether it was said more than once.
    async fn until_accepted<T, F>(
        &self,
        say: impl Fn(InvocationServiceClient<Channel>) -> F,
    ) -> Result<(Response<T>, bool)>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let mut repeated = false;
        let accept = |tried| {
            repeated = tried > 0;
            let said = say(self.invocation.clone());
            async { said.await.map_err(|status| failure(&status)) }
        };
        let response = again(self.tries, may_be_said_again, accept).await?;
        Ok((response, repeated))
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
        let response = self.invocation.clone().get_invocation(request).await;
        let response = response.map_err(|status| from_status(&status))?;
        Ok(response.into_inner().invocation.unwrap_or_default())
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
        let complete = |_| {
            let (mut stub, request) = (self.invocation.clone(), request.clone());
            async move {
                let response = stub.complete_invocation(request).await;
                response.map_err(|status| failure(&status))
            }
        };
        let response = again(self.tries, may_be_said_again, complete).await?;
        Ok(response.into_inner().state())
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
        let response = self.invocation.clone().get_invocation(request).await;
        let response = response.map_err(|status| from_status(&status))?;
        Ok(response.into_inner().invocation.unwrap_or_default())
    }

    /// The workers that are connected, by name.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn workers(&self) -> Result<Vec<v1::Worker>> {
        let mut workers = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListWorkersRequest {
                page_token,
                ..v1::ListWorkersRequest::default()
            };
            let page = self.admin.clone().list_workers(request).await;
            let page = page.map_err(|status| from_status(&status))?.into_inner();
            workers.extend(page.workers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(workers);
            }
        }
    }

    /// Has the node forget a service that nobody serves any more.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `FAILED_PRECONDITION` / `SERVICE_IN_USE`.
    pub async fn forget_service(&self, service: &str) -> Result<()> {
        let request = v1::ForgetServiceRequest {
            service: service.to_owned(),
        };
        let answer = self.admin.clone().forget_service(request).await;
        answer.map(drop).map_err(|status| from_status(&status))
    }

    /// Lists the services whose names begin with `prefix`.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn services(&self, prefix: &str) -> Result<Vec<v1::ServiceSummary>> {
        let mut services = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListServicesRequest {
                name_prefix: prefix.to_owned(),
                page_token,
                ..v1::ListServicesRequest::default()
            };
            let response = self.discovery.clone().list_services(request).await;
            let response = response
                .map_err(|status| from_status(&status))?
                .into_inner();
            services.extend(response.services);
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(services);
            }
        }
    }

    /// Describes a service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn describe(&self, service: &str) -> Result<v1::ServiceDescription> {
        let request = v1::GetServiceRequest {
            service: service.to_owned(),
        };
        let response = self.discovery.clone().get_service(request).await;
        let response = response.map_err(|status| from_status(&status))?;
        Ok(response.into_inner().service.unwrap_or_default())
    }
}
