//! The service of a port: routes each request to a gRPC service, a typed method, or the host's own HTTP routes.
//!
//! Only gRPC calls over HTTP/2 pass without the guard of browsers' requests, and only they reach gRPC methods.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::routing::future::RouteFuture;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use tonic::Code;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;

use crate::codec::status::to_status;
use crate::edge::acts::Act;
use crate::edge::address::NodeAddress;
use crate::edge::allowed::Allowed;
use crate::edge::auth::{Authenticated, Authenticator};
use crate::edge::connection::Connection;
use crate::edge::cors::Cors;
use crate::edge::credential_end::{CredentialEnd, end_with};
use crate::edge::grpc::{
    self, Catalog, InvocationFuture, InvocationServer, LONG_LIVED_STREAMS, MessageTypes, Serving,
    not_grpc,
};
use crate::edge::grpc_only::GrpcOnly;
use crate::edge::http::{HttpApi, Problem, Route};
use crate::edge::http_context::HttpContext;
use crate::edge::http_guard::HttpGuard;
use crate::edge::metrics::{HttpRequest, MetricsApi, PortMetrics, RpcCall, code_of};
use crate::edge::port_auth::PortAuth;
use crate::edge::reads::is_read;
use crate::edge::request_body::{RequestBody, RequestMemory};
use crate::edge::response_body::ResponseBody;
use crate::edge::server_span::ServerSpan;
use crate::edge::status_mapping::StatusMapper;
use crate::edge::web;
use crate::engine::Invoker;
use crate::engine::trace::Tracer;
use crate::model::access::Caller;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::BoxFuture;

/// The path prefix of `InvocationService`: its methods are called most and bypass the router.
const INVOCATION_PREFIX: &str = "/cidery.v1.InvocationService/";
/// The methods that do not look at their connection: they are called most.
const HOT_PATHS: [&str; 2] = [
    "/cidery.v1.InvocationService/Invoke",
    "/cidery.v1.InvocationService/InvokeAsync",
];

/// Methods whose callers may wait as long as they like: for the next message of a stream, or for an outcome.
const WAITING: [&str; 6] = [
    "/cidery.v1.InvocationService/GetInvocation",
    "/cidery.v1.InvocationService/StreamResults",
    "/cidery.v1.AdminService/WatchEvents",
    "/cidery.v1.AdminService/ReadBackup",
    "/externalscaler.ExternalScaler/StreamIsActive",
    "/grpc.health.v1.Health/Watch",
];

/// Serves all requests of a connection.
#[derive(Debug)]
pub struct ConnectionService {
    port: PortService,
    connection: Arc<Connection>,
}

/// The services of a port.
#[derive(Clone, Debug)]
pub struct PortService {
    /// `None` where the host has wrapped the router: then the router serves it too.
    invocation: Option<InvocationServer>,
    router: Router,
    /// The paths of plain HTTP, for calls of services. `None` where the host has routes, which precede these, or has
    /// wrapped the router.
    http: Option<HttpApi>,
    guard: HttpGuard,
    /// For calls in other protocols than gRPC.
    types: MessageTypes,
    /// The largest message, in bytes.
    message_bytes: usize,
    auth: PortAuth,
    invoker: Invoker,
    tracer: Tracer,
    request_timeout: Duration,
    metrics: Arc<PortMetrics>,
    /// Whether other sites may link to the pages of the console: only the node itself answers at their paths.
    may_be_linked: bool,
}

/// Wraps the router of a port, for example in tower layers of the host.
pub type WrapRouter = Box<dyn FnOnce(Router) -> Router + Send>;

/// The HTTP routes of the host of a node.
#[derive(Default)]
pub struct HostRoutes {
    /// The routes.
    pub routes: Router,
    /// What wraps them and those of the node, if anything does.
    pub wrap: Option<WrapRouter>,
}

impl std::fmt::Debug for HostRoutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostRoutes").finish_non_exhaustive()
    }
}

impl PortService {
    /// Combines the gRPC services of a node with the routes of its host. Discovery shows `address` in its examples.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the built-in descriptors cannot be decoded.
    pub(crate) fn new(
        invoker: &Invoker,
        workers: &WorkerRegistry,
        serving: &Serving,
        address: Option<NodeAddress>,
        host: HostRoutes,
        allowed: Allowed,
        authenticator: &Authenticator,
    ) -> Result<Self> {
        let catalog = Catalog::new(invoker)?;
        let invocation = grpc::invocation_service(invoker, workers, &catalog);
        let routes = grpc::other_services(invoker, workers, serving, &catalog, address);
        let routes = routes.add_service(grpc::security_service(invoker, authenticator.keys()));
        let typed = grpc::typed_methods(invoker, workers, &catalog);
        let types = grpc::message_types(invoker, workers, &catalog)?;
        let auth = PortAuth::new(authenticator, invoker.requires_authentication());
        #[cfg(feature = "console")]
        let auth = {
            let is_tls = address.is_some_and(|address| address.is_tls);
            auth.with_console(authenticator, &allowed.console, is_tls)
        };
        let metrics = PortMetrics::new()?;
        let endpoint = MetricsApi::new(workers.clone(), Arc::clone(&metrics));
        let has_console = allowed.has_console();
        let is_alone = !host.routes.has_routes() && host.wrap.is_none();
        let may_be_linked = has_console && is_alone;
        let http = HttpApi::new(
            invoker,
            workers,
            serving,
            &catalog,
            (address, has_console),
            auth.clone(),
            endpoint,
        );
        let alone = is_alone.then(|| http.clone());
        let combine = |routes: Routes| {
            let grpc = routes.prepare().into_axum_router();
            let grpc = grpc.fallback_service(typed);
            host.routes
                .fallback_service(GrpcOnly::new(grpc, catalog, http))
        };
        let (invocation, router) = match host.wrap {
            None => (Some(invocation), combine(routes)),
            Some(wrap) => (None, wrap(combine(routes.add_service(invocation)))),
        };
        Ok(Self {
            invocation,
            router,
            http: alone,
            guard: HttpGuard::new(allowed.hosts, allowed.origins),
            auth,
            types,
            message_bytes: invoker.limits().message_bytes,
            invoker: invoker.clone(),
            tracer: invoker.tracer().clone(),
            request_timeout: invoker.limits().request_timeout,
            metrics,
            may_be_linked,
        })
    }

    /// What is counted of the port.
    pub(crate) fn metrics(&self) -> Arc<PortMetrics> {
        Arc::clone(&self.metrics)
    }

    /// When a request ends because of its credential: one that reads for as long as its caller likes.
    fn credential_end(
        &self,
        path: &str,
        authenticated: Option<&Authenticated>,
    ) -> Option<CredentialEnd> {
        let authenticated = authenticated?;
        let waits = LONG_LIVED_STREAMS.contains(&path) || WAITING.contains(&path);
        waits.then(|| self.auth.end(Some(authenticated)))?
    }

    /// Whether a path is that of a method that bypasses the router.
    #[inline]
    fn is_invocation(&self, path: &str) -> bool {
        self.invocation.is_some() && path.starts_with(INVOCATION_PREFIX)
    }

    /// Answers a gRPC request that was translated.
    async fn respond(self, request: Request<Body>) -> Response<Body> {
        let is_invocation = self.is_invocation(request.uri().path());
        let mut router = self.router;
        let response = match self.invocation.filter(|_| is_invocation) {
            Some(invocation) => invocation.respond(request, None).await,
            None => {
                let response = router.call(request).await;
                response.map(|response| response.map(Body::new))
            }
        };
        response.unwrap_or_default()
    }

    /// The services, for the requests of one connection.
    #[must_use]
    pub fn on(&self, connection: Arc<Connection>) -> ConnectionService {
        ConnectionService {
            port: self.clone(),
            connection,
        }
    }
}

// hyper's trait: a tower service would be cloned for each request.
impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, mut request: Request<Incoming>) -> ResponseFuture {
        let Self { port, connection } = self;
        if let Some(certificate) = connection.peer_certificate() {
            request.extensions_mut().insert(Arc::clone(certificate));
        }
        if not_grpc(&request).is_some() {
            return self.call_http(request);
        }
        let (context, caller) = match self.admit(&mut request) {
            Ok(admitted) => admitted,
            Err(refused) => return ResponseFuture::Refused(Some(*refused)),
        };
        let path = request.uri().path();
        let is_long_lived = LONG_LIVED_STREAMS.contains(&path);
        let timeout = (!is_long_lived).then_some(port.request_timeout);
        let is_invocation = port.is_invocation(path);
        let memory = Arc::clone(&context.memory);
        let mut request =
            request.map(|body| RequestBody::new(body, timeout, Arc::clone(connection), memory));
        match &port.invocation {
            Some(invocation) if is_invocation => {
                ResponseFuture::Invocation(invocation.respond(request, caller), context)
            }
            _ => {
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                ResponseFuture::Grpc(port.router.clone().call(request), context)
            }
        }
    }
}

/// What the response to an admitted request needs, and who makes it.
type Admitted = (ResponseContext, Option<Caller>);

impl ConnectionService {
    /// Admits a gRPC request: finds out who calls, and puts what its service needs into its extensions, but for the
    /// caller: `None` where authentication is off.
    #[inline]
    fn admit<B>(&self, request: &mut Request<B>) -> Result<Admitted, Box<Response<Body>>> {
        let Self { port, connection } = self;
        let call = port.metrics.rpc.begin(request.uri().path());
        let authenticated = port.auth.authenticate(request, connection);
        let authenticated = authenticated.and_then(|authenticated| {
            if let Some(Authenticated { caller, .. }) = &authenticated {
                self.count_read(request.uri().path(), caller)?;
            }
            Ok(authenticated)
        });
        let authenticated = match authenticated {
            Ok(authenticated) => authenticated,
            Err(error) => {
                let refused = to_status(&error).into_http();
                let refused = StatusMapper::new(request).map_response(refused);
                let code = code_of(refused.headers()).unwrap_or(Code::Unknown);
                port.metrics.rpc.end(call, code);
                return Err(Box::new(refused));
            }
        };
        // Those who are refused above have no traces recorded.
        let span = ServerSpan::begin(&port.tracer, request);
        let (mut act, mut credential_end) = (None, None);
        if !HOT_PATHS.contains(&request.uri().path()) {
            let caller = authenticated.as_ref().map(|it| &it.caller);
            act = Act::of(request, caller.unwrap_or(&Caller::Trusted), connection.peer);
            credential_end = port.credential_end(request.uri().path(), authenticated.as_ref());
            let expire_time = authenticated.as_ref().and_then(Authenticated::expire_time);
            if let Some(expire_time) = expire_time {
                request.extensions_mut().insert(expire_time);
            }
            request.extensions_mut().insert(Arc::clone(connection));
        }
        let context = ResponseContext {
            mapper: StatusMapper::new(request),
            connection: Arc::clone(connection),
            memory: RequestMemory::new(),
            act,
            credential_end,
            call: Some(call),
            span,
        };
        let caller = authenticated.map(|authenticated| authenticated.caller);
        Ok((context, caller))
    }

    /// Counts a request that reads against the rate of its principal.
    #[inline]
    fn count_read(&self, path: &str, caller: &Caller) -> Result<()> {
        match HOT_PATHS.contains(&path) || !is_read(path) {
            true => Ok(()),
            false => self.port.invoker.count_read(caller),
        }
    }

    /// Answers a request that is not one of gRPC.
    #[inline(never)]
    fn call_http(&self, mut request: Request<Incoming>) -> ResponseFuture {
        let Self { port, connection } = self;
        let path = request.uri().path();
        let begun = HttpRequest::begin(Route::pattern_of(path), request.method());
        let route = Route::of(path).map(|(route, _)| route);
        let is_page = port.may_be_linked && route.is_some_and(Route::is_console_page);
        let refused = |response: Response<Body>| {
            port.metrics.http.end(begun, response.status());
            ResponseFuture::Refused(Some(response))
        };
        let cors = match port.guard.check(&request, connection.reached(), is_page) {
            Ok(cors) => cors,
            Err(refusal) => {
                // Not the query, which may have the token of a completion.
                tracing::debug!(path = request.uri().path(), ?refusal, "request refused");
                let problem = Problem::new(refusal.status(), refusal.error(&request));
                return refused(problem.into_response().map(Body::new));
            }
        };
        if let Some(preflight) = cors.preflight(&request) {
            return refused(preflight.map(Body::new));
        }
        #[cfg(feature = "console")]
        port.auth.take_cookie(&mut request);
        if let Some(protocol) = web::Protocol::of(&request) {
            return self.call_web(request, protocol, cors);
        }
        let timeout = port.request_timeout;
        request.extensions_mut().insert(Arc::clone(connection));
        let request = request.map(|body| RequestBody::timed(body, timeout));
        let context = HttpContext::new(begun, Arc::clone(connection), cors);
        match &port.http {
            // The router would find the same, and what it costs is a part of what such a call costs.
            Some(http) if route == Some(Route::Invoke) && *request.method() == Method::POST => {
                let request = request.map(axum::body::Body::new);
                ResponseFuture::Call(http.respond(Route::Invoke, request), context)
            }
            _ => ResponseFuture::Http(port.router.clone().call(request), context),
        }
    }

    /// Answers a call in another protocol than gRPC, which takes the path of a gRPC request.
    fn call_web(
        &self,
        mut request: Request<Incoming>,
        protocol: web::Protocol,
        cors: Cors,
    ) -> ResponseFuture {
        let port = self.port.clone();
        let (types, limit) = (port.types.clone(), port.message_bytes);
        let mut call = web::Call::new(protocol, &mut request, types, limit);
        let admitted = self.admit(&mut request);
        let connection = Arc::clone(&self.connection);
        let timeout = port.request_timeout;
        ResponseFuture::Web(Box::pin(async move {
            let response = match admitted {
                Err(refused) => *refused,
                Ok((mut context, caller)) => {
                    if let Some(caller) = caller {
                        request.extensions_mut().insert(caller);
                    }
                    let memory = Arc::clone(&context.memory);
                    let body = |body| {
                        RequestBody::unframed(body, timeout, Arc::clone(&connection), memory)
                    };
                    let request = call.request(request.map(body), &context.memory, &connection);
                    let response = match request.await {
                        Ok(request) => context.until_credential_end(port.respond(request)).await,
                        Err(error) => to_status(&error).into_http(),
                    };
                    let response = context.finish(response);
                    match context.call.take() {
                        Some(call) => response.map(|body| call.follow(body, &connection)),
                        None => response,
                    }
                }
            };
            let mut response = call.response(response, &connection).await;
            cors.apply(response.headers_mut());
            response
        }))
    }
}

/// What a response needs of its request.
pub struct ResponseContext {
    mapper: StatusMapper,
    connection: Arc<Connection>,
    /// Held until the response is there: the request is handled then.
    memory: Arc<RequestMemory>,
    /// What an operator asked for, if it is that.
    act: Option<Box<Act>>,
    /// Of a request that waits, and of its stream.
    credential_end: Option<CredentialEnd>,
    /// The call, until its status is known.
    call: Option<RpcCall>,
    /// Where the trace is recorded.
    span: Option<ServerSpan>,
}

impl std::fmt::Debug for ResponseContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseContext")
    }
}

impl ResponseContext {
    fn respond(&mut self, response: Response<Body>) -> Response<ResponseBody> {
        let response = self.finish(response);
        let call = self.call.take();
        response.map(|body| ResponseBody::counted(body, Arc::clone(&self.connection), call))
    }

    /// The response in the form of gRPC.
    fn finish(&mut self, response: Response<Body>) -> Response<Body> {
        let mut response = self.mapper.map_response(response);
        if let Some(act) = self.act.take() {
            act.ended(&response);
        }
        if let Some(end) = self.credential_end.take() {
            response = response.map(|body| end_with(body, end));
        }
        if let Some(code) = code_of(response.headers()) {
            self.end_call(code);
        }
        match self.span.take() {
            Some(span) => span.follow(response),
            None => response,
        }
    }

    /// The response to a request that waits still, once its credential is no longer valid.
    fn poll_credential_end(&mut self, cx: &mut Context<'_>) -> Option<Response<ResponseBody>> {
        let end = self.credential_end.as_mut()?;
        let Poll::Ready(error) = end.as_mut().poll(cx) else {
            return None;
        };
        self.credential_end = None;
        Some(self.respond(to_status(&error).into_http()))
    }

    /// As [`poll_credential_end`](Self::poll_credential_end), or the response.
    async fn until_credential_end(
        &mut self,
        response: impl Future<Output = Response<Body>>,
    ) -> Response<Body> {
        let Some(mut end) = self.credential_end.take() else {
            return response.await;
        };
        tokio::select! {
            error = &mut end => to_status(&error).into_http(),
            response = response => {
                self.credential_end = Some(end);
                response
            }
        }
    }

    fn end_call(&mut self, code: Code) {
        if let Some(call) = self.call.take() {
            self.connection.metrics().rpc.end(call, code);
        }
    }
}

impl Drop for ResponseContext {
    /// A call whose response is not there yet belongs to a caller that left.
    fn drop(&mut self) {
        self.end_call(Code::Cancelled);
        // It may be done, or not: its caller does not know either.
        if let Some(act) = self.act.take() {
            act.abandoned();
        }
    }
}

/// The future of a response.
pub enum ResponseFuture {
    /// Of `InvocationService`.
    Invocation(InvocationFuture<RequestBody>, ResponseContext),
    /// Of another gRPC service, or of the wrapped router.
    Grpc(RouteFuture<Infallible>, ResponseContext),
    /// Of a gRPC service, in another protocol.
    Web(BoxFuture<'static, Response<ResponseBody>>),
    /// Of the host's own HTTP routes, or of plain HTTP.
    Http(RouteFuture<Infallible>, HttpContext),
    /// Of a call by plain HTTP, which bypasses the router.
    Call(BoxFuture<'static, Response<axum::body::Body>>, HttpContext),
    /// Of the guard, of a preflight, or of a caller without a valid credential. `None` once it is taken.
    Refused(Option<Response<Body>>),
}

impl std::fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invocation(..) => "Invocation",
            Self::Grpc(..) => "Grpc",
            Self::Web(..) => "Web",
            Self::Http(..) => "Http",
            Self::Call(..) => "Call",
            Self::Refused(..) => "Refused",
        })
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Self::Invocation(_, context) | Self::Grpc(_, context) = this
            && let Some(response) = context.poll_credential_end(cx)
        {
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(match this {
            Self::Invocation(future, context) => {
                ready!(Pin::new(future).poll(cx)).map(|response| context.respond(response))
            }
            Self::Grpc(future, context) => ready!(Pin::new(future).poll(cx))
                .map(|response| context.respond(response.map(Body::new))),
            Self::Web(future) => Ok(ready!(future.as_mut().poll(cx))),
            Self::Http(future, context) => ready!(Pin::new(future).poll(cx)).map(|response| {
                let response = context.respond(response);
                response.map(|body| ResponseBody::uncounted(Body::new(body)))
            }),
            Self::Call(future, context) => {
                let response = context.respond_to_call(ready!(future.as_mut().poll(cx)));
                Ok(response.map(|body| ResponseBody::uncounted(Body::new(body))))
            }
            Self::Refused(response) => {
                let response = response.take().unwrap_or_default();
                Ok(response.map(ResponseBody::uncounted))
            }
        })
    }
}
