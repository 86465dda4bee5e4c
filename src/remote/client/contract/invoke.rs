//! Calls of single services: invoke, follow, look up, complete.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;

use super::connection::ContractClient;
use crate::codec::convert::{
    accepted_from_proto, async_call_to_proto, call_to_proto, duration_to_proto, failure_to_proto,
    payload_to_proto, reply_from_proto,
};
use crate::codec::proto::v1;
use crate::model::call::{Accepted, Call, OnDeadline};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::payload::{Payload, Reply};
use crate::remote::protocol::endpoint::MAX_TIMEOUT;
use crate::remote::protocol::result_stream::ResultStream;
use crate::remote::protocol::retry::{is_safe_to_retry, was_not_dispatched};
use crate::remote::protocol::trace_context::add_trace;
use crate::remote::protocol::transport::ignored_keys;

/// How much later than the node the client's transport times out. A client that ends a call first never reads the
/// status with its reason and CID.
const TRANSPORT_SLACK: Duration = Duration::from_millis(500);

impl ContractClient {
    /// Invokes a service and waits for its reply. Returns the CID as well.
    ///
    /// # Errors
    ///
    /// The failure of the service, or of the node; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke(&self, call: Call) -> Result<(Cid, Reply)> {
        // The node accepts a recorded call once, by its CID or key.
        let is_recorded = call.durable.as_deref().is_some_and(|options| {
            options.on_deadline == OnDeadline::Continue || options.idempotency_key.is_some()
        });
        // One CID for all attempts. A caller that loses the connection can look the outcome up.
        let cid = call.cid.unwrap_or_else(Cid::new);
        let timeout = call.timeout;
        let service = call.service.clone();
        let metadata = call.metadata.clone().unwrap_or_default();
        let request = call_to_proto(Call {
            cid: Some(cid),
            ..call
        })?;
        // All attempts together take no longer.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let is_repeated = AtomicBool::new(false);
        let invoke = async || {
            let mut request = Request::new(request.clone());
            add_trace(&mut request, &metadata);
            if let Some(timeout) = timeout {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                let left = match is_repeated.swap(true, Ordering::Relaxed) {
                    true => left.unwrap_or(timeout),
                    false => timeout,
                };
                request.get_mut().timeout = Some(duration_to_proto(left));
                request.set_timeout(left.saturating_add(TRANSPORT_SLACK).min(MAX_TIMEOUT));
            }
            self.invocation.clone().invoke(request).await
        };
        let is_safe = |error: &Error| match is_recorded {
            true => is_safe_to_retry(error),
            false => was_not_dispatched(error, &service),
        };
        let response = self.call_until(until, is_safe, invoke).await;
        let response = response.map_err(|error| match error.cid() {
            None => error.with_cid(cid),
            Some(_) => error,
        });
        let response = response?.into_inner();
        let cid = Cid::parse(&response.cid)?;
        let (output, format) = (response.output, response.data_format);
        Ok((cid, reply_from_proto(output, format, response.metadata)?))
    }

    /// Runs a service in the background; returns the CID once the invocation is accepted.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke_async(&self, call: Call) -> Result<Accepted> {
        let is_generated = call.cid.is_none();
        let metadata = call.metadata.clone().unwrap_or_default();
        let request = async_call_to_proto(Call {
            cid: Some(call.cid.unwrap_or_else(Cid::new)),
            ..call
        })?;
        let accept = async || {
            let mut request = Request::new(request.clone());
            add_trace(&mut request, &metadata);
            self.invocation.clone().invoke_async(request).await
        };
        let response = self.call(is_safe_to_retry, accept).await?;
        let ignored = ignored_keys(&response);
        let generated = is_generated.then_some(&*request.cid);
        accepted_from_proto(response.get_ref(), ignored, generated)
    }

    /// Follows an invocation from its beginning to its end.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn results(&self, cid: Cid) -> Result<ResultStream> {
        let stream = ResultStream::open(self.invocation.clone(), cid, self.retries.clone()).await;
        stream.map_err(|error| self.name_node(error))
    }

    /// Follows the invocations of a request.
    ///
    /// # Errors
    ///
    /// As for [`results`](Self::results).
    pub async fn follow(&self, request: v1::StreamResultsRequest) -> Result<ResultStream> {
        let stream =
            ResultStream::follow(self.invocation.clone(), request, self.retries.clone()).await;
        stream.map_err(|error| self.name_node(error))
    }

    /// Looks up an invocation, once it has ended or `wait` has elapsed.
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

    /// Completes an invocation whose handler answered "later"; returns its state after that. Idempotent, and retried
    /// where the connection is lost.
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
            Ok(response) => payload_to_proto(response)?,
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
            let mut stub = self.invocation.clone();
            stub.complete_invocation(request.clone()).await
        };
        Ok(self.read(complete).await?.state())
    }

    /// Looks up an invocation with its input, its attempts and its children.
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
        Ok(self.read(get).await?.invocation.unwrap_or_default())
    }
}
