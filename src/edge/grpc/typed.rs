//! Typed methods: a service by its own gRPC path, `customer.Service/Get` and `customer.Service/GetAsync`.
//!
//! It is the fallback for paths of no other gRPC service. The path is looked up in the current catalog.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use prost::Message as _;
use tonic::codegen::BoxFuture;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tower_service::Service;

use super::catalog::Catalog;
use super::invocation::invoke_nested;
use super::request::{self, into_status, with_cid, with_ignored};
use crate::codec::convert::{DISPATCH_KEY, accepted_to_proto, parse_optional_cid};
use crate::codec::payload;
use crate::codec::status::CID_KEY;
use crate::codec::typed::{CallMode, MethodMatch, decode, encode};
use crate::codec::wire::RawCodec;
use crate::engine::Invoker;
use crate::model::call::{Call, OnDeadline, Start};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::metadata::{Metadata, TRACEPARENT};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::IGNORED_KEY;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::{self, output_invalid};

/// The options of a call, sent as metadata.
const TIMEOUT_KEY: &str = "cidery-timeout";
const IDEMPOTENCY_KEY: &str = "cidery-idempotency-key";
const DELAY_KEY: &str = "cidery-delay";
const ON_DEADLINE_KEY: &str = "cidery-on-deadline";
/// The prefix of reserved metadata keys: unknown keys with it are refused.
const RESERVED_PREFIX: &str = "cidery-";

/// The tower service of all typed methods.
#[derive(Clone, Debug)]
pub(in crate::edge) struct TypedApi {
    invoker: Invoker,
    workers: WorkerRegistry,
    catalog: Catalog,
}

impl TypedApi {
    pub(super) fn new(invoker: Invoker, workers: WorkerRegistry, catalog: Catalog) -> Self {
        Self {
            invoker,
            workers,
            catalog,
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
            let path = request.uri().path();
            let Some(found) = this.catalog.method(path).await else {
                return Ok(unknown_method());
            };
            let limit = this.invoker.limits().message_bytes;
            let method = TypedMethod {
                invoker: this.invoker,
                workers: this.workers,
                found,
            };
            let mut grpc =
                Grpc::new(RawCodec).apply_max_message_size_config(Some(limit), Some(usize::MAX));
            Ok(grpc.unary(method, request).await)
        })
    }
}

/// The same status as from tonic; the status mapping adds the reason.
fn unknown_method() -> Response<tonic::body::Body> {
    Status::new(Code::Unimplemented, "").into_http()
}

/// One call of a typed method.
struct TypedMethod {
    invoker: Invoker,
    workers: WorkerRegistry,
    found: MethodMatch,
}

impl UnaryService<Bytes> for TypedMethod {
    type Response = Bytes;
    type Future = BoxFuture<tonic::Response<Bytes>, Status>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let this = Self {
            invoker: self.invoker.clone(),
            workers: self.workers.clone(),
            found: self.found.clone(),
        };
        Box::pin(async move { this.respond(request).await })
    }
}

impl TypedMethod {
    async fn respond(
        self,
        request: tonic::Request<Bytes>,
    ) -> Result<tonic::Response<Bytes>, Status> {
        let (transport, _, message) = request.into_parts();
        let header = transport
            .get(CID_KEY)
            .map(|cid| cid.to_str().unwrap_or_default());
        let requested = into_status(parse_optional_cid(CID_KEY, header.unwrap_or_default()))?;
        let cid = requested.unwrap_or_else(Cid::new);
        let response = match self.found.mode {
            CallMode::Sync => self.invoke(cid, requested, &transport, &message).await,
            CallMode::Async => self.invoke_async(requested, &transport, &message).await,
        };
        let add_cid = |error: Error| match (error.cid(), self.found.mode, requested) {
            (None, CallMode::Sync, _) => error.with_cid(cid),
            (None, CallMode::Async, Some(cid)) => error.with_cid(cid),
            _ => error,
        };
        into_status(response.map_err(add_cid))
    }

    async fn invoke(
        &self,
        cid: Cid,
        requested: Option<Cid>,
        transport: &MetadataMap,
        message: &[u8],
    ) -> Result<tonic::Response<Bytes>> {
        let method = &self.found.method;
        let (call, ignored) = self.read(requested, transport, message, true)?;
        let (cid, reply) = match self.caller(transport)? {
            None => self.invoker.invoke(cid, call).await?,
            Some(caller) => invoke_nested(&caller, call).await?,
        };
        let Reply { payload, metadata } = reply;
        let value = payload::decode(payload).map_err(output_invalid)?;
        let body = encode(&method.response, &value).map_err(|violation| {
            output_invalid(Error::violations(reason::OUTPUT_INVALID, vec![violation]))
        })?;
        self.check_size(&body)?;
        let mut response = with_cid(cid, body);
        add_headers(&mut response, &metadata);
        with_ignored(
            &mut response,
            ignored.as_deref().or_else(|| metadata.get(IGNORED_KEY)),
        );
        Ok(response)
    }

    async fn invoke_async(
        &self,
        requested: Option<Cid>,
        transport: &MetadataMap,
        message: &[u8],
    ) -> Result<tonic::Response<Bytes>> {
        let (call, ignored) = self.read(requested, transport, message, false)?;
        let accepted = match self.caller(transport)? {
            None => self.invoker.invoke_async(call).await?,
            Some(caller) => caller.platform().invoke_async(call).await?,
        };
        // The response message of every `Async` method has the same fields.
        let body = accepted_to_proto(&accepted);
        let mut response = with_cid(accepted.cid, Bytes::from(body.encode_to_vec()));
        with_ignored(&mut response, ignored.as_deref());
        Ok(response)
    }

    /// Decodes a request: the call, and the ignored fields.
    fn read(
        &self,
        cid: Option<Cid>,
        transport: &MetadataMap,
        message: &[u8],
        is_sync: bool,
    ) -> Result<(Call, Option<String>)> {
        let headers = transport.as_ref();
        if is_sync && headers.contains_key(DELAY_KEY) {
            let message =
                "is an option of asynchronous calls: use the method whose name ends with `Async`";
            return Err(malformed(DELAY_KEY, message));
        }
        let timeout = duration(headers, TIMEOUT_KEY)?;
        let (value, ignored) = decode(&self.found.method.request, message)?;
        let mut call = Call::new(self.found.method.service.to_string(), Payload::Value(value));
        call.cid = cid;
        // For an asynchronous call it bounds an attempt, and `grpc-timeout` only the acceptance.
        call.timeout = if is_sync {
            request::timeout(timeout, transport)?
        } else {
            timeout
        };
        if let Some(delay) = duration(headers, DELAY_KEY)? {
            call.durable().start = Some(Start::After(delay));
        }
        if let Some(key) = headers.get(IDEMPOTENCY_KEY) {
            let key = key.to_str().ok().filter(|key| !key.is_empty());
            let key =
                key.ok_or_else(|| malformed(IDEMPOTENCY_KEY, "must be non-empty ASCII text"))?;
            call.durable().idempotency_key = Some(key.to_owned());
        }
        if let Some(value) = headers.get(ON_DEADLINE_KEY) {
            let on_deadline = match value.as_bytes() {
                _ if !is_sync => Err("is an option of synchronous calls"),
                b"cancel" => Ok(OnDeadline::Cancel),
                b"continue" => Ok(OnDeadline::Continue),
                _ => Err("must be `cancel` or `continue`"),
            };
            let on_deadline = on_deadline.map_err(|message| malformed(ON_DEADLINE_KEY, message))?;
            call.durable().on_deadline = on_deadline;
        }
        let metadata = metadata(headers)?;
        call.metadata = (!metadata.is_empty()).then(|| Arc::new(metadata));
        Ok((call, (!ignored.is_empty()).then(|| ignored.to_text())))
    }

    /// The context of the worker's handler that makes this call, if one does.
    fn caller(&self, transport: &MetadataMap) -> Result<Option<service::Context>> {
        let token = request::dispatch_token(transport);
        token.map(|token| self.workers.context(token)).transpose()
    }

    fn check_size(&self, body: &Bytes) -> Result<()> {
        let limit = self.invoker.limits().message_bytes;
        let bytes = body.len();
        if bytes <= limit {
            return Ok(());
        }
        Err(request::too_large(bytes, limit))
    }
}

/// Parses a duration header: `500ms`, `2s`, `1m 30s`.
fn duration(headers: &HeaderMap, key: &str) -> Result<Option<Duration>> {
    let Some(value) = headers.get(key) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let duration = parsed.and_then(|duration| Duration::try_from(duration).ok());
    let message = "is not a duration such as `500ms` or `2s`";
    duration.map(Some).ok_or_else(|| malformed(key, message))
}

fn malformed(key: &str, message: &str) -> Error {
    let violation = Violation::new(format!("/{key}"), "MALFORMED", message);
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

/// Headers of the transport: they are neither stored nor passed to the handler.
const TRANSPORT_HEADERS: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "date",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "user-agent",
];

/// Headers with credentials: a store or a list that contained them would give them away.
const CREDENTIAL_HEADERS: [&str; 19] = [
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "private-token",
    "proxy-authorization",
    "set-cookie",
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-api-token",
    "x-auth-token",
    "x-csrf-token",
    "x-forwarded-access-token",
    "x-goog-api-key",
    "x-goog-iap-jwt-assertion",
    "x-id-token",
    "x-vault-token",
    "x-xsrf-token",
];

fn is_metadata(name: &str) -> bool {
    !(TRANSPORT_HEADERS.contains(&name)
        || CREDENTIAL_HEADERS.contains(&name)
        || name.starts_with("grpc-")
        || name.ends_with("-bin"))
}

/// The metadata of a call: all ASCII headers except those of the transport, credentials, and reserved ones.
fn metadata(headers: &HeaderMap) -> Result<Metadata> {
    const KNOWN: [&str; 6] = [
        CID_KEY,
        DISPATCH_KEY,
        TIMEOUT_KEY,
        DELAY_KEY,
        IDEMPOTENCY_KEY,
        ON_DEADLINE_KEY,
    ];
    let mut metadata = Metadata::new();
    let mut unknown = Vec::new();
    for name in headers.keys() {
        let name = name.as_str();
        if name.starts_with(RESERVED_PREFIX) {
            if !KNOWN.contains(&name) {
                let message = "is not an option of a call";
                unknown.push(Violation::new(format!("/{name}"), "UNKNOWN_KEY", message));
            }
            continue;
        }
        if !is_metadata(name) {
            continue;
        }
        let mut values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
        // A trace has one parent; repeated values of all other headers are joined.
        let value = match name {
            TRACEPARENT => values.next().map(str::to_owned),
            _ => values
                .map(str::to_owned)
                .reduce(|all, one| format!("{all},{one}")),
        };
        if let Some(value) = value {
            metadata.insert(name, value);
        }
    }
    if !unknown.is_empty() {
        return Err(Error::violations(reason::REQUEST_INVALID, unknown));
    }
    metadata.check()?;
    Ok(metadata)
}

/// Sends the metadata of a reply as headers: those with valid names and values, up to a size that clients accept by
/// default.
fn add_headers(response: &mut tonic::Response<Bytes>, metadata: &Metadata) {
    const MAX_REPLY_METADATA_BYTES: usize = 4 * 1024;
    let mut bytes = 0;
    for (name, value) in metadata.iter() {
        let name = name.to_ascii_lowercase();
        bytes += name.len() + value.len();
        if !is_metadata(&name)
            || name.starts_with(RESERVED_PREFIX)
            || bytes > MAX_REPLY_METADATA_BYTES
        {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            name.parse::<tonic::metadata::AsciiMetadataKey>(),
            value.parse(),
        ) {
            response.metadata_mut().insert(name, value);
        }
    }
}
