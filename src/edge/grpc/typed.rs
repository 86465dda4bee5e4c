//! Typed methods: a service by its own gRPC path, `customer.Service/Get` and `customer.Service/GetAsync`.
//!
//! It is the fallback for paths of no other gRPC service. The path is looked up in the current catalog.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use tonic::codegen::BoxFuture;
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::{Extensions, Status};
use tower_service::Service;

use super::call_options::{self, is_metadata};
use super::hint::Hint;
use super::invocation::invoke_nested;
use super::method_finder::MethodFinder;
use super::request::{self, into_status, with_already_accepted, with_cid, with_ignored};
use super::typed_response::encode_response;
use super::unary::{
    Answer, LateMessage, UnaryCall, UnaryMethod, UnaryResponse, framed, framed_bytes,
};
use crate::codec::convert::accepted_to_proto;
use crate::codec::status::{CID_HEADER, cid_value, to_status};
use crate::codec::typed::{Body as MessageBody, CallMode, Method, MethodMatch, decode};
use crate::edge::caller::on_behalf_of_caller;
use crate::engine::Invoker;
use crate::model::call::{ALREADY_ACCEPTED_KEY, Call};
use crate::model::error::{Error, IGNORED, Result, reason};
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::{Payload, Reply};
use crate::model::sio::IGNORED_KEY;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service;

/// The tower service of all typed methods.
#[derive(Clone, Debug)]
pub(in crate::edge) struct TypedApi {
    invoker: Invoker,
    workers: WorkerRegistry,
    finder: MethodFinder,
}

impl TypedApi {
    pub(super) fn new(invoker: Invoker, workers: WorkerRegistry, finder: MethodFinder) -> Self {
        Self {
            invoker,
            workers,
            finder,
        }
    }
}

impl Service<Request<Body>> for TypedApi {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let invoker = on_behalf_of_caller(&this.invoker, request.extensions());
            // A request that was translated has the method whose types it was read with.
            let found = match request.extensions().get::<MethodMatch>() {
                Some(found) => Ok(found.clone()),
                None => {
                    let path = request.uri().path();
                    let find = this
                        .finder
                        .find(path, request.headers(), request.extensions());
                    find.await
                }
            };
            let found = match found {
                Ok(found) => found,
                Err(error) => return Ok(to_status(&error).into_http()),
            };
            let limit = invoker.limits().message_bytes;
            let method = TypedMethod {
                invoker,
                workers: this.workers,
                found,
            };
            Ok(UnaryCall::new(method, request, limit).await)
        })
    }
}

/// One call of a typed method.
struct TypedMethod {
    invoker: Invoker,
    workers: WorkerRegistry,
    found: MethodMatch,
}

type TypedResponse = tonic::Response<UnaryResponse>;

impl UnaryMethod for TypedMethod {
    fn call(self, transport: MetadataMap, message: Bytes) -> Answer {
        Box::pin(self.respond(transport, message))
    }
}

impl TypedMethod {
    async fn respond(
        self,
        transport: MetadataMap,
        message: Bytes,
    ) -> Result<TypedResponse, Status> {
        // A malformed one is reported with all other options.
        let requested = call_options::requested_cid(&transport).unwrap_or_default();
        let cid = requested.unwrap_or_else(Cid::new);
        let mode = self.found.mode;
        let mut hint = Hint::of_message(&transport, &self.found.method.request, &message);
        let method = Arc::clone(&self.found.method);
        let caller = self.caller(&transport);
        let read = caller.and_then(|caller| Ok((caller, self.read(&transport, &message)?)));
        let response = match read {
            Err(error) => Err(error),
            Ok((caller, (call, ignored))) => {
                hint.or(|| call_options::misnamed(call.metadata.as_deref()?));
                let names = ignored.clone();
                let response = match mode {
                    CallMode::Sync => self.invoke(cid, caller, call, ignored).await,
                    CallMode::Async => self.invoke_async(caller, call, ignored).await,
                };
                response.map_err(|error| call_failed(&method.request, names, error))
            }
        };
        match response {
            Ok(mut response) => {
                hint.add(&mut response);
                Ok(response)
            }
            Err(error) => {
                let error = match (error.cid(), mode, requested) {
                    (None, CallMode::Sync, _) => error.with_cid(cid),
                    (None, CallMode::Async, Some(cid)) => error.with_cid(cid),
                    _ => error,
                };
                into_status(Err(hint.explain(error)))
            }
        }
    }

    async fn invoke(
        self,
        cid: Cid,
        caller: Option<service::Context>,
        call: Call,
        ignored: Option<String>,
    ) -> Result<TypedResponse> {
        let encoder = ReplyEncoder {
            method: Arc::clone(&self.found.method),
            limit: self.invoker.limits().message_bytes,
            ignored,
        };
        let (cid, reply) = match caller {
            None if call.continues() => {
                let (accepted, outcome) = self.invoker.begin_durable(cid, call).await?;
                let message = async move {
                    let (cid, reply) = into_status(outcome.await)?;
                    let encoded = encoder.encode(reply).map_err(|error| error.with_cid(cid));
                    into_status(encoded)
                };
                let mut response = with_cid(accepted.cid, UnaryResponse::Late(Box::pin(message)));
                with_already_accepted(&mut response, accepted.already_accepted);
                return Ok(response);
            }
            None => self.invoker.invoke(cid, call).await?,
            Some(caller) => invoke_nested(&caller, call).await?,
        };
        let (body, metadata) = encoder.encode(reply)?;
        let mut headers = metadata.into_headers();
        headers.insert(CID_HEADER, cid_value(cid));
        let metadata = MetadataMap::from_headers(headers);
        let body = UnaryResponse::Message(body);
        Ok(tonic::Response::from_parts(
            metadata,
            body,
            Extensions::default(),
        ))
    }

    async fn invoke_async(
        self,
        caller: Option<service::Context>,
        call: Call,
        ignored: Option<String>,
    ) -> Result<TypedResponse> {
        let accepted = match caller {
            None => self.invoker.invoke_async(call).await?,
            Some(caller) => caller.platform().invoke_async(call).await?,
        };
        // The response message of every `Async` method has the same fields.
        let body = framed(&accepted_to_proto(&accepted))?;
        let mut response = with_cid(accepted.cid, UnaryResponse::Message(body));
        with_ignored(response.metadata_mut(), ignored.as_deref());
        Ok(response)
    }

    /// Decodes a request: the call, and the ignored fields.
    fn read(&self, transport: &MetadataMap, message: &[u8]) -> Result<(Call, Option<String>)> {
        let method = &self.found.method;
        let mut call = Call::new(method.service.to_string(), Payload::empty());
        call_options::apply(&mut call, transport, self.found.mode)?;
        let (value, ignored) = decode(&method.request, message)?;
        call.input = Payload::Value(value);
        Ok((call, (!ignored.is_empty()).then(|| ignored.to_text())))
    }

    /// The context of the worker's handler that makes this call, if one does.
    fn caller(&self, transport: &MetadataMap) -> Result<Option<service::Context>> {
        let token = request::dispatch_token(transport);
        token
            .map(|token| self.workers.context(token, self.invoker.caller()))
            .transpose()
    }
}

/// The error of a call, with the fields that were ignored. Paths in an input that was refused are those of its message.
fn call_failed(request: &MessageBody, ignored: Option<String>, error: Error) -> Error {
    let error = match error.reason() {
        reason::INPUT_INVALID => request.locate(error),
        _ => error,
    };
    match ignored {
        Some(names) if error.fact(IGNORED).is_none() => error.with_info(IGNORED, names),
        _ => error,
    }
}

/// Encodes the reply of a synchronous call.
struct ReplyEncoder {
    method: Arc<Method>,
    /// The largest message, in bytes.
    limit: usize,
    /// The ignored fields of the request.
    ignored: Option<String>,
}

impl ReplyEncoder {
    /// The framed message, and the metadata to send with it.
    fn encode(&self, reply: Reply) -> Result<LateMessage> {
        let Reply { payload, metadata } = reply;
        let body = framed_bytes(&encode_response(&self.method, payload, self.limit)?)?;
        let ignored = self
            .ignored
            .as_deref()
            .or_else(|| metadata.get(IGNORED_KEY));
        let mut sent = sendable(&metadata);
        with_ignored(&mut sent, ignored);
        if let Some(value) = metadata
            .get(ALREADY_ACCEPTED_KEY)
            .and_then(|value| value.parse().ok())
        {
            sent.insert(ALREADY_ACCEPTED_KEY, value);
        }
        Ok((body, sent))
    }
}

/// The metadata of a reply that can be sent: entries with valid names and values, up to a size that clients accept by
/// default.
fn sendable(metadata: &Metadata) -> MetadataMap {
    const MAX_REPLY_METADATA_BYTES: usize = 4 * 1024;
    let mut sent = MetadataMap::new();
    let mut bytes = 0;
    for (name, value) in metadata.iter() {
        let name = name.to_ascii_lowercase();
        bytes += name.len() + value.len();
        if !is_metadata(&name) || bytes > MAX_REPLY_METADATA_BYTES {
            continue;
        }
        if let (Ok(name), Ok(value)) = (name.parse::<AsciiMetadataKey>(), value.parse()) {
            sent.insert(name, value);
        }
    }
    sent
}
