//! `Invoke` and `InvokeAsync`: decoding of requests, encoding of responses, nested calls of workers' handlers.

use bytes::Bytes;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

use crate::codec::convert::{
    async_call_from_proto, call_from_proto, complete_retry_policy, parse_optional_cid,
    reply_to_proto,
};
use crate::codec::payload;
use crate::codec::proto::v1;
use crate::edge::grpc::hint::Hint;
use crate::edge::grpc::request::{
    self, into_status, with_already_accepted, with_cid, with_ignored,
};
use crate::edge::grpc::unary::{UnaryResponse, framed};
use crate::engine::Invoker;
use crate::model::call::{ALREADY_ACCEPTED_KEY, Accepted, Call};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::{Format, Payload, Reply};
use crate::model::sio::IGNORED_KEY;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::{Context, output_invalid};

/// A decoded synchronous request.
pub(super) struct Incoming {
    pub(super) cid: Cid,
    pub(super) call: Call,
    /// The context of the calling handler, where a worker's handler makes a nested call.
    pub(super) caller: Option<Context>,
    pub(super) expects: Expects,
}

/// What the response depends on.
pub(super) struct Expects {
    format: Format,
    hint: Hint,
}

/// Decodes a synchronous request.
pub(super) fn read(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    transport: &MetadataMap,
    message: v1::InvokeRequest,
) -> Result<Incoming, Status> {
    let requested_cid = parse_optional_cid("cid", &message.cid);
    let cid = requested_cid.as_ref().ok().copied().flatten();
    let cid = cid.unwrap_or_else(Cid::new);
    let hint = Hint::of_input(transport, invoker, &message.service, message.input.as_ref());
    let call = read_call(invoker, requested_cid, message, transport);
    let call = into_status(call.map_err(|error| hint.explain(error.with_cid(cid))))?;
    let expects = Expects {
        format: payload::answer_format(call.response_format, &call.input),
        hint,
    };
    let caller =
        request::dispatch_token(transport).map(|token| workers.context(token, invoker.caller()));
    let caller = caller.transpose().map_err(|error| error.with_cid(cid));
    Ok(Incoming {
        cid,
        call,
        caller: into_status(caller)?,
        expects,
    })
}

fn read_call(
    invoker: &Invoker,
    cid: Result<Option<Cid>>,
    message: v1::InvokeRequest,
    transport: &MetadataMap,
) -> Result<Call> {
    let mut call = call_from_proto(cid, message, request::trace(transport))?;
    call.timeout = request::call_timeout(invoker, &call.service, call.timeout, transport)?;
    Ok(call)
}

/// Encodes the reply of a synchronous invocation, with its CID and the ignored input keys as response headers.
pub(super) fn respond(
    invoker: &Invoker,
    expects: &Expects,
    invoked: Result<(Cid, Reply)>,
) -> Result<Response<UnaryResponse>, Status> {
    let invoked = invoked.map_err(|error| expects.hint.explain(error));
    let (cid, reply) = into_status(invoked)?;
    let ignored = reply.metadata.get(IGNORED_KEY).map(str::to_owned);
    let already_accepted = reply.metadata.get(ALREADY_ACCEPTED_KEY).is_some();
    let message = message_of(invoker, cid, reply, expects.format)?;
    let mut response = with_cid(cid, UnaryResponse::Message(message));
    with_already_accepted(&mut response, already_accepted);
    with_ignored(response.metadata_mut(), ignored.as_deref());
    expects.hint.add(&mut response);
    Ok(response)
}

/// Accepts a call that continues after the deadline of its caller, and sends its CID before its outcome.
pub(super) async fn begin(
    invoker: Invoker,
    cid: Cid,
    call: Call,
    expects: Expects,
) -> Result<Response<UnaryResponse>, Status> {
    let begun = invoker.begin_durable(cid, call).await;
    let begun = begun.map_err(|error| expects.hint.explain(error));
    let (accepted, outcome) = into_status(begun)?;
    let hint = expects.hint.clone();
    let message = async move {
        let outcome = outcome.await;
        let outcome = outcome.map_err(|error| expects.hint.explain(error));
        let (cid, reply) = into_status(outcome)?;
        let message = message_of(&invoker, cid, reply, expects.format)?;
        Ok((message, MetadataMap::new()))
    };
    let mut response = with_cid(accepted.cid, UnaryResponse::Late(Box::pin(message)));
    with_already_accepted(&mut response, accepted.already_accepted);
    let ignored = (!accepted.ignored.is_empty()).then(|| accepted.ignored.to_text());
    with_ignored(response.metadata_mut(), ignored.as_deref());
    hint.add(&mut response);
    Ok(response)
}

/// The framed message of a response.
fn message_of(invoker: &Invoker, cid: Cid, reply: Reply, format: Format) -> Result<Bytes, Status> {
    let message = encode(invoker, cid, reply, format);
    into_status(message.map_err(|error| error.with_cid(cid)))
}

fn encode(invoker: &Invoker, cid: Cid, reply: Reply, format: Format) -> Result<Bytes> {
    let payload = match reply.payload {
        // In the requested format already, or in JSON where that format cannot represent the response.
        document @ Payload::Document(..) if format != Format::Dict => document,
        other => payload::encode(other, format).map_err(output_invalid)?,
    };
    let (bytes, limit) = (payload.weight(), invoker.limits().message_bytes);
    if bytes > limit {
        return Err(request::too_large(bytes, limit));
    }
    framed(&reply_to_proto(cid, Reply { payload, ..reply })?)
}

/// Accepts an asynchronous invocation, of an external caller or of a worker's handler.
pub(super) async fn invoke_async(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    cid: Result<Option<Cid>>,
    mut message: v1::InvokeAsyncRequest,
    transport: &MetadataMap,
) -> Result<Accepted> {
    if let Some(policy) = &mut message.retry_policy {
        complete_retry_policy(policy, &invoker.limits().retry_policy());
    }
    let call = async_call_from_proto(cid, message, request::trace(transport))?;
    match request::dispatch_token(transport) {
        None => invoker.invoke_async(call).await,
        Some(token) => {
            let caller = workers.context(token, invoker.caller())?;
            caller.platform().invoke_async(call).await
        }
    }
}

/// Runs a nested call of a worker's handler as part of the handler's own invocation.
pub(in crate::edge::grpc) async fn invoke_nested(
    caller: &Context,
    call: Call,
) -> Result<(Cid, Reply)> {
    let reply = caller.platform().invoke(call).await;
    let reply = reply.map_err(|error| error.with_cid(caller.cid()))?;
    Ok((caller.cid(), reply))
}
