//! Answers requests: finds the path, the caller and the method.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;

use super::counted_body::counted;
use super::problem::Problem;
use super::request::{HttpRequest, Peer};
use super::route::Route;
#[cfg(feature = "console")]
use super::session;
use super::{complete, event_stream, health, invocations, invoke, page, services, span};
use crate::codec::status::{CID_HEADER, cid_value};
use crate::edge::address::NodeAddress;
use crate::edge::compression::{GZIP, accepts_gzip, compressed};
use crate::edge::connection::Connection;
use crate::edge::grpc::{Catalog, DiscoveryApi, HealthApi, InvocationApi, Serving};
use crate::edge::metrics::MetricsApi;
use crate::edge::openapi::{self, Described, Documents};
use crate::edge::port_auth::PortAuth;
use crate::engine::Invoker;
use crate::model::access::Caller;
use crate::model::error::{Error, reason};
use crate::model::id::Cid;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::BoxFuture;

/// Answers the paths of plain HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct HttpApi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    invoker: Invoker,
    invocations: InvocationApi,
    discovery: DiscoveryApi,
    health: HealthApi,
    metrics: MetricsApi,
    documents: Documents,
    auth: PortAuth,
    has_console: bool,
}

impl HttpApi {
    /// The paths of a node: where it is, and whether it serves its console.
    pub(in crate::edge) fn new(
        invoker: &Invoker,
        workers: &WorkerRegistry,
        serving: &Serving,
        catalog: &Catalog,
        (address, has_console): (Option<NodeAddress>, bool),
        auth: PortAuth,
        metrics: MetricsApi,
    ) -> Self {
        Self(Arc::new(Inner {
            invoker: invoker.clone(),
            invocations: InvocationApi::new(invoker.clone(), workers.clone(), catalog.clone()),
            discovery: DiscoveryApi::new(invoker.clone(), catalog.clone(), address),
            health: HealthApi::new(invoker.clone(), catalog.clone(), serving.clone()),
            metrics,
            documents: Documents::default(),
            auth,
            has_console,
        }))
    }

    /// The route of a request; `None` where its path is not one of the node.
    pub(in crate::edge) fn route_of(&self, request: &Request<Body>) -> Option<Route> {
        let (route, _) = Route::of(request.uri().path())?;
        let is_there = !route.is_console_page() || page::is_there(request);
        let is_there = is_there && (self.0.has_console || !route.is_console());
        is_there.then_some(route)
    }

    /// Answers a request for a route. It has a connection, unless a layer of the host took that away.
    pub(in crate::edge) fn respond(
        &self,
        route: Route,
        request: Request<Body>,
        connection: Option<Arc<Connection>>,
    ) -> BoxFuture<'static, Response<Body>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let is_head = request.method() == Method::HEAD;
            let answered = inner.answer(route, request, connection).await;
            let mut response = answered.unwrap_or_else(Problem::into_response);
            let cid = response.headers_mut().entry(CID_HEADER);
            cid.or_insert_with(|| cid_value(Cid::new()));
            if route.is_console() {
                page::isolate(response.headers_mut());
            }
            match is_head {
                // A stream has no length.
                true if route != Route::Events => without_body(response),
                _ => response,
            }
        })
    }
}

impl Inner {
    async fn answer(
        &self,
        route: Route,
        mut request: Request<Body>,
        connection: Option<Arc<Connection>>,
    ) -> Result<Response<Body>, Problem> {
        if *request.method() == Method::OPTIONS {
            return Ok(options(route.methods()));
        }
        if !route.has(request.method()) {
            return Err(Problem::method_not_allowed(route.methods()));
        }
        if route.is_open() {
            return Ok(self.answer_all(route, &request));
        }
        let connection = connection.ok_or_else(no_connection)?;
        #[cfg(feature = "console")]
        if route == Route::Session {
            return Box::pin(session::answer(
                &self.invoker,
                &self.auth,
                &connection,
                request,
            ))
            .await;
        }
        let authenticated = self.auth.authenticate(&mut request, &connection)?;
        let credential_end = match route {
            Route::Events | Route::Invocation => self.auth.end(authenticated.as_ref()),
            _ => None,
        };
        let caller = match authenticated {
            Some(authenticated) => authenticated.caller,
            None if self.invoker.requires_authentication() => Caller::Unauthenticated,
            None => Caller::Trusted,
        };
        if route.reads(request.method()) {
            self.invoker.count_read(&caller)?;
        }
        let span = span::begin(self.invoker.tracer(), route, &mut request);
        let (parts, body) = request.into_parts();
        let mut request = HttpRequest {
            peer: Peer {
                invoker: self.invoker.on_behalf_of(caller),
                connection,
            },
            parts,
            body,
            credential_end,
        };
        // Calls, which are most requests, are answered in place.
        let answered = match route {
            Route::Invoke => invoke::invoke(&mut request).await,
            _ => Box::pin(self.answer_caller(route, request)).await,
        };
        if let Some(span) = span {
            span::end(span, &answered);
        }
        answered
    }

    /// The answers that are the same for all callers.
    fn answer_all(&self, route: Route, request: &Request<Body>) -> Response<Body> {
        let headers = request.headers();
        match route {
            Route::Docs => openapi::page(),
            #[cfg(feature = "console")]
            Route::Console => page::answer(request),
            Route::Ready => health::readiness(headers, &self.health, &self.invoker),
            _ => health::health(headers, &self.health),
        }
    }

    async fn answer_caller(
        &self,
        route: Route,
        request: HttpRequest,
    ) -> Result<Response<Body>, Problem> {
        let (invocations, discovery) = (&self.invocations, &self.discovery);
        match route {
            Route::Invocations => invocations::list(invocations, request).await,
            Route::Invocation if request.parts.method == Method::DELETE => {
                invocations::cancel(invocations, request).await
            }
            Route::Invocation => invocations::get(invocations, request).await,
            Route::Events => event_stream::events(invocations, request).await,
            Route::Complete => complete::complete(invocations, request).await,
            Route::Services => services::list(discovery, request).await,
            Route::Service => services::get(discovery, request).await,
            Route::Metrics => measure(&self.metrics, request).await,
            Route::OpenApi => describe(&self.documents, request).await,
            Route::Invoke | Route::Health | Route::Ready | Route::Docs => {
                Err(no_connection().into())
            }
            #[cfg(feature = "console")]
            Route::Console | Route::Session => Err(no_connection().into()),
        }
    }
}

/// The services that the caller may invoke, as OpenAPI.
async fn describe(documents: &Documents, request: HttpRequest) -> Result<Response<Body>, Problem> {
    let Peer {
        invoker,
        connection,
    } = &request.peer;
    let headers = &request.parts.headers;
    let described = Described::new(documents, invoker, headers).await?;
    let (text, is_gzip) = encoded(described.text.clone(), headers);
    let mut response = described.respond(counted(text, connection)?);
    if is_gzip {
        let gzip = HeaderValue::from_static(GZIP);
        response.headers_mut().insert(CONTENT_ENCODING, gzip);
    }
    Ok(response)
}

/// What the node counts.
async fn measure(metrics: &MetricsApi, request: HttpRequest) -> Result<Response<Body>, Problem> {
    let Peer {
        invoker,
        connection,
    } = &request.peer;
    let headers = &request.parts.headers;
    let exposition = metrics.read(invoker, headers).await?;
    let (text, is_gzip) = encoded(exposition.text.into(), headers);
    let mut response = Response::new(counted(text, connection)?);
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(exposition.content_type);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(GZIP));
    }
    Ok(response)
}

/// A text of the node as the caller reads it, and whether that is gzip: with many services it has some megabytes.
fn encoded(text: Bytes, headers: &HeaderMap) -> (Bytes, bool) {
    let reads_gzip = accepts_gzip(headers, &ACCEPT_ENCODING);
    match reads_gzip.then(|| compressed(&text)).flatten() {
        Some(compressed) => (compressed, true),
        None => (text, false),
    }
}

/// Only a layer of the host can take the connection out of a request.
fn no_connection() -> Error {
    Error::internal(reason::TRANSPORT, "the request has no connection")
}

/// The answer to OPTIONS.
fn options(allowed: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// The answer to HEAD: the headers that GET would have.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}
