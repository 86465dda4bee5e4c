//! `cidery.v1.InvocationService`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::batch;
use super::complete::complete;
use super::manage;
use super::request::{self, answered, brought_cid, required_cid, with_cid, with_ignored};
use super::results::ResultStream;
use crate::codec::convert::{
    PayloadOneof as _, duration_from_proto, format_from_proto, format_of, invocation_to_proto,
    metadata_to_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_server::InvocationService;
use crate::codec::{payload, sio};
use crate::engine::store::Stored;
use crate::engine::{InvocationView, Invoker};
use crate::model::call::{Accepted, Call, DurableOptions, OnDeadline};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{EventKind, HELD, State};
use crate::model::payload::{Format, Payload, Reply};
use crate::model::sio::IGNORED_KEY;
use crate::remote::hub::Workers;
use crate::remote::wire::{self, asked_for};
use crate::service::{BoxFuture, Context, output_invalid};

/// Invokes services for gRPC callers.
#[derive(Clone, Debug)]
pub struct InvocationApi {
    invoker: Invoker,
    workers: Workers,
}

impl InvocationApi {
    /// Answers for an invoker.
    #[must_use]
    pub fn new(invoker: Invoker, workers: Workers) -> Self {
        Self { invoker, workers }
    }

    /// Reads a request: the call, and the format it is answered in.
    fn call(
        cid: Cid,
        message: v1::InvokeRequest,
        transport: &MetadataMap,
    ) -> Result<(Call, Format)> {
        let on_deadline: v1::OnDeadline = request::known("/on_deadline", message.on_deadline)?;
        let input = request::input(message.input, message.data_format)?;
        let asked = format_from_proto("/response_format", message.response_format)?;
        let format = payload::answer_format(asked, &input);
        let timeout = duration_from_proto("/timeout", message.timeout)?;
        let background = DurableOptions {
            idempotency_key: (!message.idempotency_key.is_empty())
                .then_some(message.idempotency_key),
            on_deadline: match on_deadline {
                v1::OnDeadline::Unspecified | v1::OnDeadline::Cancel => OnDeadline::Cancel,
                v1::OnDeadline::Continue => OnDeadline::Continue,
            },
            ..DurableOptions::default()
        };
        let call = Call {
            service: message.service.into(),
            input,
            cid: (!message.cid.is_empty()).then_some(cid),
            timeout: request::timeout(timeout, transport)?,
            metadata: request::metadata(message.metadata, transport)?,
            response_format: asked,
            durable: asked_for(background),
        };
        Ok((call, format))
    }

    /// What a request asks for, the format it is answered in, and on behalf of which handler, if it is of one.
    fn read(
        &self,
        request: Request<v1::InvokeRequest>,
    ) -> Result<(Cid, Call, Format, Option<Context>), Status> {
        let (transport, _, message) = request.into_parts();
        let cid = answered(brought_cid("cid", &message.cid))?.unwrap_or_else(Cid::new);
        let call = Self::call(cid, message, &transport);
        let (call, format) = answered(call.map_err(|error| error.with_cid(cid)))?;
        let caller = request::dispatch_token(&transport).map(|token| self.workers.context(token));
        Ok((cid, call, format, answered(caller.transpose())?))
    }

    fn answer(
        &self,
        format: Format,
        invoked: Result<(Cid, Reply)>,
    ) -> Result<Response<v1::InvokeResponse>, Status> {
        let (cid, reply) = answered(invoked)?;
        let ignored = reply.metadata.get(IGNORED_KEY).map(str::to_owned);
        let response = self.invoke_response(cid, reply, format);
        let response = answered(response.map_err(|error| error.with_cid(cid)))?;
        let mut response = with_cid(cid, response);
        with_ignored(&mut response, ignored.as_deref());
        Ok(response)
    }

    fn invoke_response(
        &self,
        cid: Cid,
        reply: Reply,
        format: Format,
    ) -> Result<v1::InvokeResponse> {
        let payload = match reply.payload {
            // In the format that was asked for, or in JSON where that had no form for it.
            document @ Payload::Document(..) if format != Format::Dict => document,
            other => payload::encode(other, format).map_err(output_invalid)?,
        };
        self.check_size(&payload)?;
        Ok(v1::InvokeResponse {
            cid: cid.to_string(),
            data_format: format_of(&payload).into(),
            output: Some(v1::invoke_response::Output::from_payload(payload)?),
            metadata: metadata_to_proto(&reply.metadata),
        })
    }

    fn check_size(&self, payload: &Payload) -> Result<()> {
        let limit = self.invoker.limits().message_bytes;
        let bytes = payload.weight();
        if bytes <= limit {
            return Ok(());
        }
        Err(request::too_large(bytes, limit))
    }

    async fn invoke_async(
        &self,
        cid: Option<Cid>,
        mut message: v1::InvokeAsyncRequest,
        transport: &MetadataMap,
    ) -> Result<Accepted> {
        let sent = request::metadata(std::mem::take(&mut message.metadata), transport)?;
        let call = wire::async_call(cid, message, sent)?;
        match request::dispatch_token(transport) {
            None => self.invoker.invoke_async(call).await,
            Some(token) => {
                let caller = self.workers.context(token)?;
                caller.platform().invoke_async(call).await
            }
        }
    }

    async fn get(
        &self,
        cid: Cid,
        message: v1::GetInvocationRequest,
        transport: &MetadataMap,
    ) -> Result<v1::GetInvocationResponse> {
        let wait = duration_from_proto("/wait", message.wait)?.unwrap_or(Duration::ZERO);
        // What is known is answered in time for the caller to read it.
        let wait = request::timeout(Some(wait), transport)?.unwrap_or(wait);
        let view: v1::InvocationView = request::known("/view", message.view)?;
        let full = view == v1::InvocationView::Full;
        let found = match request::dispatch_token(transport) {
            None => self.invoker.find(cid, wait).await?,
            Some(token) => {
                // A handler that waits: its slot is free meanwhile.
                let caller = self.workers.context(token)?;
                caller.platform().wait_for(cid, wait).await?;
                self.invoker.find(cid, Duration::ZERO).await?
            }
        };
        let mut invocation = self.shown(found, full)?;
        if full {
            const CHILDREN: usize = 100;
            let children = self.invoker.children(cid, CHILDREN).await?;
            invocation.child_cids = children.iter().map(Cid::to_string).collect();
        }
        Ok(v1::GetInvocationResponse {
            invocation: Some(invocation),
        })
    }
}

impl InvocationApi {
    async fn list(
        &self,
        message: v1::ListInvocationsRequest,
    ) -> Result<v1::ListInvocationsResponse> {
        let view: v1::InvocationView = request::known("/view", message.view)?;
        let full = view == v1::InvocationView::Full;
        let (found, next_page_token) = manage::list(&self.invoker, &message).await?;
        let invocations = found.into_iter().map(|mut found| {
            self.mask_outcome(&mut found);
            self.shown(found, full)
        });
        Ok(v1::ListInvocationsResponse {
            invocations: invocations.collect::<Result<_>>()?,
            next_page_token,
        })
    }

    fn shown(&self, mut found: InvocationView, full: bool) -> Result<v1::Invocation> {
        if full {
            self.mask_input(&mut found);
        }
        invocation_to_proto(&found.invocation, pending_reason(&found), full)
    }

    /// Secrets of an outcome are for whoever asks for that outcome.
    fn mask_outcome(&self, found: &mut InvocationView) {
        let service = found.invocation.request.service.as_str();
        let Ok(facts) = self.invoker.service(service) else {
            return;
        };
        let sio = facts.definition.declaration();
        if let Some(last) = found.invocation.events.last_mut()
            && sio.has_secrets()
            && let EventKind::Succeeded(reply) = &mut Arc::make_mut(last).kind
        {
            let payload = std::mem::replace(&mut reply.payload, Payload::empty());
            reply.payload = sio::masked_output(sio, payload);
        }
    }

    /// Secrets of an input are shown to nobody but the handler.
    fn mask_input(&self, found: &mut InvocationView) {
        let request = &mut found.invocation.request;
        let Ok(facts) = self.invoker.service(request.service.as_str()) else {
            return;
        };
        let sio = facts.definition.declaration();
        if sio.has_secrets() {
            let masked = sio::masked_input(sio, request.input.clone());
            Arc::make_mut(request).input = masked;
        }
    }
}

/// Whether it was put off because no worker takes it.
fn no_taker(found: &InvocationView) -> bool {
    let failure = found.invocation.last_failure.as_ref();
    failure.is_some_and(|failure| failure.reason() == reason::NO_COMPATIBLE_WORKER)
}

pub(super) fn pending_reason(found: &InvocationView) -> v1::PendingReason {
    match found.invocation.shown_state() {
        State::Pending { .. } if found.invocation.due >= HELD => v1::PendingReason::Held,
        State::Pending { .. } if found.due && found.unserved => v1::PendingReason::NoWorker,
        State::Pending { .. } if no_taker(found) => v1::PendingReason::NoCompatibleWorker,
        State::Pending { .. } if found.due && found.invocation.key_busy => {
            v1::PendingReason::KeyBusy
        }
        State::Pending { .. } if found.due => v1::PendingReason::Queued,
        State::Pending { started: true } => v1::PendingReason::Backoff,
        State::Pending { started: false } => v1::PendingReason::DueLater,
        _ => v1::PendingReason::Unspecified,
    }
}

impl InvocationApi {
    /// The CID that `GetInvocation` asks for, by itself or by a service and an idempotency key.
    async fn asked_cid(&self, message: &v1::GetInvocationRequest) -> Result<Cid> {
        if let Some(cid) = brought_cid("cid", &message.cid)? {
            return Ok(cid);
        }
        if message.service.is_empty() || message.idempotency_key.is_empty() {
            let message = "is required, or `service` and `idempotency_key`";
            let violation = Violation::new("/cid", "MISSING", message);
            return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
        }
        let service = ServiceName::parse(&message.service)?;
        let key = message.idempotency_key.clone();
        let store = self.invoker.store();
        let found = store.find_by_idempotency_key(service.clone(), key).await?;
        let found = match found {
            Some(cid) => match store.get(cid).await? {
                Stored::Found(found) if found.request.service == service => Some(cid),
                _ => None,
            },
            None => None,
        };
        found.ok_or_else(|| {
            let message = "nothing that is kept was accepted with this key for this service";
            Error::not_found(reason::CID_UNKNOWN, message)
        })
    }
}

/// A call of a worker's handler, as part of what that handles.
pub(super) async fn invoke_nested(caller: &Context, call: Call) -> Result<(Cid, Reply)> {
    let reply = caller.platform().invoke(call).await;
    let reply = reply.map_err(|error| error.with_cid(caller.cid()))?;
    Ok((caller.cid(), reply))
}

#[tonic::async_trait]
impl InvocationService for InvocationApi {
    type StreamResultsStream = ResultStream;

    /// As the macro would write it, save that the request is read before there is a future, which would keep it.
    fn invoke<'a, 'async_trait>(
        &'a self,
        request: Request<v1::InvokeRequest>,
    ) -> BoxFuture<'async_trait, Result<Response<v1::InvokeResponse>, Status>>
    where
        'a: 'async_trait,
    {
        match self.read(request) {
            Ok((cid, call, format, None)) => {
                let invoked = self.invoker.invoke(cid, call);
                Box::pin(invoked.map(move |invoked| self.answer(format, invoked)))
            }
            // Part of the invocation of the handler that calls.
            Ok((_, call, format, Some(caller))) => Box::pin(async move {
                let invoked = invoke_nested(&caller, call).await;
                self.answer(format, invoked)
            }),
            Err(status) => Box::pin(std::future::ready(Err(status))),
        }
    }

    async fn invoke_async(
        &self,
        request: Request<v1::InvokeAsyncRequest>,
    ) -> Result<Response<v1::InvokeAsyncResponse>, Status> {
        let (transport, _, message) = request.into_parts();
        let brought = answered(brought_cid("cid", &message.cid))?;
        let accepted = Self::invoke_async(self, brought, message, &transport).await;
        let accepted = answered(accepted.map_err(|error| match brought {
            Some(cid) => error.with_cid(cid),
            None => error,
        }))?;
        let response = v1::InvokeAsyncResponse {
            cid: accepted.cid.to_string(),
            already_accepted: accepted.already_accepted,
        };
        let mut response = with_cid(accepted.cid, response);
        let ignored = (!accepted.ignored.is_empty()).then(|| accepted.ignored.to_text());
        with_ignored(&mut response, ignored.as_deref());
        Ok(response)
    }

    async fn stream_results(
        &self,
        request: Request<v1::StreamResultsRequest>,
    ) -> Result<Response<ResultStream>, Status> {
        let (transport, _, message) = request.into_parts();
        let timeout = answered(request::timeout(None, &transport))?;
        let stream = ResultStream::new(&self.invoker, message, timeout);
        Ok(Response::new(answered(stream)?))
    }

    async fn get_invocation(
        &self,
        request: Request<v1::GetInvocationRequest>,
    ) -> Result<Response<v1::GetInvocationResponse>, Status> {
        let (transport, _, message) = request.into_parts();
        let cid = answered(self.asked_cid(&message).await)?;
        let response = self.get(cid, message, &transport).await;
        let response = answered(response.map_err(|error| error.with_cid(cid)))?;
        Ok(with_cid(cid, response))
    }

    async fn invoke_batch(
        &self,
        request: Request<v1::InvokeBatchRequest>,
    ) -> Result<Response<v1::InvokeBatchResponse>, Status> {
        let (transport, _, message) = request.into_parts();
        let accepted = batch::accept(&self.invoker, &self.workers, message, &transport).await;
        let accepted = answered(accepted)?;
        let response = v1::InvokeBatchResponse {
            cid: accepted.cid.to_string(),
            member_cids: accepted.members.iter().map(Cid::to_string).collect(),
            already_accepted: accepted.already_accepted,
        };
        let mut response = with_cid(accepted.cid, response);
        let ignored = (!accepted.ignored.is_empty()).then(|| accepted.ignored.to_text());
        with_ignored(&mut response, ignored.as_deref());
        Ok(response)
    }

    async fn list_invocations(
        &self,
        request: Request<v1::ListInvocationsRequest>,
    ) -> Result<Response<v1::ListInvocationsResponse>, Status> {
        answered(self.list(request.into_inner()).await).map(Response::new)
    }

    async fn cancel_invocations(
        &self,
        request: Request<v1::CancelInvocationsRequest>,
    ) -> Result<Response<v1::CancelInvocationsResponse>, Status> {
        let answer = manage::cancel(&self.invoker, request.into_inner()).await;
        answered(answer).map(Response::new)
    }

    async fn retry_invocations(
        &self,
        request: Request<v1::RetryInvocationsRequest>,
    ) -> Result<Response<v1::RetryInvocationsResponse>, Status> {
        let answer = manage::retry(&self.invoker, request.into_inner()).await;
        answered(answer).map(Response::new)
    }

    async fn purge_invocations(
        &self,
        request: Request<v1::PurgeInvocationsRequest>,
    ) -> Result<Response<v1::PurgeInvocationsResponse>, Status> {
        let answer = manage::purge(&self.invoker, request.into_inner()).await;
        answered(answer).map(Response::new)
    }

    async fn complete_invocation(
        &self,
        request: Request<v1::CompleteInvocationRequest>,
    ) -> Result<Response<v1::CompleteInvocationResponse>, Status> {
        let message = request.into_inner();
        let cid = answered(required_cid("cid", &message.cid))?;
        let response = complete(&self.invoker, &self.workers, cid, message).await;
        let response = answered(response.map_err(|error| error.with_cid(cid)))?;
        Ok(with_cid(cid, response))
    }
}
