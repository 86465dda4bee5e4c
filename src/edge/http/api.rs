//! Answers requests: finds the path, the caller and the method.

use std::sync::Arc;

use axum::body::Body;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
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

    /// Answers a request for a route.
    pub(in crate::edge) fn respond(
        &self,
        route: Route,
        request: Request<Body>,
    ) -> BoxFuture<'static, Response<Body>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let is_head = request.method() == Method::HEAD;
            let answered = inner.answer(route, request).await;
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
    ) -> Result<Response<Body>, Problem> {
        if *request.method() == Method::OPTIONS {
            return Ok(options(route.methods()));
        }
        let method = request.method().as_str();
        if !route.methods().split(", ").any(|allowed| allowed == method) {
            return Err(Problem::method_not_allowed(route.methods()));
        }
        if route.is_open() {
            return Ok(self.answer_all(route, &request));
        }
        let connection = request.extensions_mut().remove::<Arc<Connection>>();
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
        let name = Route::of(request.uri().path()).map_or("", |(_, name)| name);
        let name = name.to_owned();
        let (mut parts, body) = request.into_parts();
        let (tracer, method) = (self.invoker.tracer(), parts.method.as_str());
        let span = span::begin(tracer, route, &name, method, &mut parts.headers);
        let request = HttpRequest {
            peer: Peer {
                invoker: self.invoker.on_behalf_of(caller),
                connection,
            },
            name,
            parts,
            body,
            credential_end,
        };
        let answered = self.answer_caller(route, request).await;
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
            Route::Invoke => invoke::invoke(request).await,
            Route::Invocations => Box::pin(invocations::list(invocations, request)).await,
            Route::Invocation if request.parts.method == Method::DELETE => {
                Box::pin(invocations::cancel(invocations, request)).await
            }
            Route::Invocation => Box::pin(invocations::get(invocations, request)).await,
            Route::Events => Box::pin(event_stream::events(invocations, request)).await,
            Route::Complete => Box::pin(complete::complete(invocations, request)).await,
            Route::Services => Box::pin(services::list(discovery, request)).await,
            Route::Service => Box::pin(services::get(discovery, request)).await,
            Route::Metrics => Box::pin(measure(&self.metrics, request)).await,
            Route::OpenApi => Box::pin(describe(&self.documents, request)).await,
            Route::Health | Route::Ready | Route::Docs => Err(no_connection().into()),
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
    let described = Described::new(documents, invoker, &request.parts.headers).await?;
    let body = counted(described.text.clone(), connection)?;
    Ok(described.respond(body))
}

/// What the node counts.
async fn measure(metrics: &MetricsApi, request: HttpRequest) -> Result<Response<Body>, Problem> {
    let Peer {
        invoker,
        connection,
    } = &request.peer;
    let exposition = metrics.read(invoker, &request.parts.headers).await?;
    let body = counted(exposition.text.into(), connection)?;
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static(exposition.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
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
