//! `cidery.v1.InvocationService`: the methods of the gRPC service, one module for each group of them.

mod batch;
mod complete;
mod filter;
mod get;
mod invoke;
mod manage;
mod server;
mod stream;
mod summarize;
mod view;

use std::sync::Arc;

use bytes::Bytes;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status};

pub(super) use self::filter::RequestFilter;
use self::invoke::Incoming;
pub(super) use self::invoke::invoke_nested;
pub use self::server::{InvocationFuture, InvocationServer};
pub(in crate::edge) use self::stream::ResultResponses;
pub(super) use self::summarize::summary_to_proto;
pub(super) use self::view::outline_to_proto;
use super::catalog::Catalog;
use super::hint::Hint;
use super::request::{self, into_status, with_cid, with_ignored};
use super::unary::{Answer, UnaryResponse, framed};
use crate::codec::convert::{
    accepted_group_to_proto, accepted_to_proto, parse_optional_cid, parse_required_cid,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_server::InvocationService;
use crate::codec::wire::decode_request;
use crate::edge::caller::{caller, on_behalf_of_caller};
use crate::engine::Invoker;
use crate::model::access::Caller;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// The implementation of `InvocationService`. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct InvocationApi {
    invoker: Invoker,
    workers: WorkerRegistry,
    catalog: Catalog,
}

impl InvocationApi {
    /// Creates the service of a node.
    #[must_use]
    pub(crate) fn new(invoker: Invoker, workers: WorkerRegistry, catalog: Catalog) -> Self {
        Self {
            invoker,
            workers,
            catalog,
        }
    }

    /// The caller of a request.
    fn caller(&self, extensions: &Extensions) -> Caller {
        caller(&self.invoker, extensions)
    }

    /// Answers `Invoke`.
    ///
    /// Written by hand instead of with `async`: the request is decoded before the future is made, which would otherwise
    /// hold it.
    fn respond(&self, caller: Caller, transport: &MetadataMap, message: Bytes) -> Answer {
        let invoker = self.invoker.on_behalf_of(caller);
        let incoming = decode_request(message)
            .and_then(|message| invoke::read(&invoker, &self.workers, transport, message));
        let Incoming {
            cid,
            call,
            caller,
            expects,
        } = match incoming {
            Ok(incoming) => incoming,
            Err(status) => return Box::pin(std::future::ready(Err(status))),
        };
        match caller {
            None if call.continues() => Box::pin(invoke::begin(invoker, cid, call, expects)),
            None => Box::pin(async move {
                let invoked = invoker.invoke(cid, call).await;
                invoke::respond(&invoker, &expects, invoked)
            }),
            // A nested call: part of the invocation whose handler makes it.
            Some(caller) => Box::pin(async move {
                let invoked = invoke_nested(&caller, call).await;
                invoke::respond(&invoker, &expects, invoked)
            }),
        }
    }

    /// Answers `InvokeAsync`.
    async fn accept(
        self: Arc<Self>,
        caller: Caller,
        transport: MetadataMap,
        message: Bytes,
    ) -> Result<Response<UnaryResponse>, Status> {
        let message: v1::InvokeAsyncRequest = decode_request(message)?;
        let requested = parse_optional_cid("cid", &message.cid);
        let requested_cid = requested.as_ref().ok().copied().flatten();
        let (invoker, workers) = (&self.invoker.on_behalf_of(caller), &self.workers);
        let input = message.input.as_ref();
        let hint = Hint::of_input(&transport, invoker, &message.service, input);
        let accepted = invoke::invoke_async(invoker, workers, requested, message, &transport).await;
        let accepted = into_status(accepted.map_err(|error| match requested_cid {
            Some(cid) => hint.explain(error.with_cid(cid)),
            None => hint.explain(error),
        }))?;
        let message = into_status(framed(&accepted_to_proto(&accepted)))?;
        let mut response = with_cid(accepted.cid, UnaryResponse::Message(message));
        hint.add(&mut response);
        let ignored = (!accepted.ignored.is_empty()).then(|| accepted.ignored.to_text());
        with_ignored(response.metadata_mut(), ignored.as_deref());
        Ok(response)
    }
}

#[tonic::async_trait]
impl InvocationService for InvocationApi {
    type StreamResultsStream = ResultResponses;

    /// Never called: [`InvocationServer`] answers it with [`respond`](InvocationApi::respond).
    async fn invoke(
        &self,
        request: Request<v1::InvokeRequest>,
    ) -> Result<Response<v1::InvokeResponse>, Status> {
        let _ = request;
        Err(request::unimplemented("Invoke"))
    }

    /// Never called: [`InvocationServer`] answers it with [`accept`](InvocationApi::accept).
    async fn invoke_async(
        &self,
        request: Request<v1::InvokeAsyncRequest>,
    ) -> Result<Response<v1::InvokeAsyncResponse>, Status> {
        let _ = request;
        Err(request::unimplemented("InvokeAsync"))
    }

    async fn invoke_batch(
        &self,
        request: Request<v1::InvokeBatchRequest>,
    ) -> Result<Response<v1::InvokeBatchResponse>, Status> {
        let (transport, extensions, message) = request.into_parts();
        let invoker = on_behalf_of_caller(&self.invoker, &extensions);
        let requests = message.requests.iter();
        let inputs = requests.map(|request| (request.service.as_str(), request.input.as_ref()));
        let hint = Hint::of_inputs(&transport, &invoker, inputs);
        let accepted = batch::accept(&invoker, &self.workers, message, &transport).await;
        let accepted = into_status(accepted.map_err(|error| hint.explain(error)))?;
        let mut response = with_cid(accepted.cid, accepted_group_to_proto(&accepted));
        hint.add(&mut response);
        let ignored = (!accepted.ignored.is_empty()).then(|| accepted.ignored.to_text());
        with_ignored(response.metadata_mut(), ignored.as_deref());
        Ok(response)
    }

    async fn stream_results(
        &self,
        request: Request<v1::StreamResultsRequest>,
    ) -> Result<Response<ResultResponses>, Status> {
        let (transport, extensions, message) = request.into_parts();
        let timeout = into_status(request::timeout(None, &transport))?;
        let invoker = on_behalf_of_caller(&self.invoker, &extensions);
        let stream = ResultResponses::new(&invoker, extensions.get(), message, timeout);
        Ok(Response::new(into_status(stream)?))
    }

    async fn get_invocation(
        &self,
        request: Request<v1::GetInvocationRequest>,
    ) -> Result<Response<v1::GetInvocationResponse>, Status> {
        let (transport, extensions, message) = request.into_parts();
        let invoker = on_behalf_of_caller(&self.invoker, &extensions);
        let cid = into_status(get::requested_cid(&invoker, &message).await)?;
        let context = get::GetContext {
            invoker: &invoker,
            workers: &self.workers,
            catalog: &self.catalog,
            connection: extensions.get(),
            transport: &transport,
        };
        let response = get::get(context, cid, message).await;
        let response = into_status(response.map_err(|error| error.with_cid(cid)))?;
        Ok(with_cid(cid, response))
    }

    async fn list_invocations(
        &self,
        request: Request<v1::ListInvocationsRequest>,
    ) -> Result<Response<v1::ListInvocationsResponse>, Status> {
        let (_, extensions, message) = request.into_parts();
        let invoker = on_behalf_of_caller(&self.invoker, &extensions);
        let response = get::list(&invoker, extensions.get(), message).await;
        into_status(response).map(Response::new)
    }

    async fn summarize_invocations(
        &self,
        request: Request<v1::SummarizeInvocationsRequest>,
    ) -> Result<Response<v1::SummarizeInvocationsResponse>, Status> {
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        let response = summarize::summarize(&invoker, request.into_inner()).await;
        into_status(response).map(Response::new)
    }

    async fn cancel_invocations(
        &self,
        request: Request<v1::CancelInvocationsRequest>,
    ) -> Result<Response<v1::CancelInvocationsResponse>, Status> {
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        let response = manage::cancel(&invoker, request.into_inner()).await;
        into_status(response).map(Response::new)
    }

    async fn retry_invocations(
        &self,
        request: Request<v1::RetryInvocationsRequest>,
    ) -> Result<Response<v1::RetryInvocationsResponse>, Status> {
        let (transport, extensions, message) = request.into_parts();
        let invoker = on_behalf_of_caller(&self.invoker, &extensions);
        let hint = Hint::of_input(&transport, &invoker, "", message.input.as_ref());
        let response = manage::retry(&invoker, message).await;
        let response = into_status(response.map_err(|error| hint.explain(error)))?;
        let mut response = Response::new(response);
        hint.add(&mut response);
        Ok(response)
    }

    async fn purge_invocations(
        &self,
        request: Request<v1::PurgeInvocationsRequest>,
    ) -> Result<Response<v1::PurgeInvocationsResponse>, Status> {
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        let response = manage::purge(&invoker, request.into_inner()).await;
        into_status(response).map(Response::new)
    }

    async fn complete_invocation(
        &self,
        request: Request<v1::CompleteInvocationRequest>,
    ) -> Result<Response<v1::CompleteInvocationResponse>, Status> {
        let (transport, extensions, message) = request.into_parts();
        let invoker = on_behalf_of_caller(&self.invoker, &extensions);
        let cid = into_status(parse_required_cid("cid", &message.cid))?;
        let hint = Hint::of_input(&transport, &invoker, "", message.outcome.as_ref());
        let response = complete::complete(&invoker, &self.workers, cid, message).await;
        let response = response.map_err(|error| hint.explain(error.with_cid(cid)));
        let mut response = with_cid(cid, into_status(response)?);
        hint.add(&mut response);
        Ok(response)
    }
}
