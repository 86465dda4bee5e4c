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
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;

use crate::codec::status::to_status;
use crate::edge::acts::Act;
use crate::edge::address::NodeAddress;
use crate::edge::auth::{Authenticated, Authenticator, PeerNames};
use crate::edge::connection::Connection;
use crate::edge::credential_end::{CredentialEnd, end_with};
use crate::edge::grpc::{
    self, Catalog, HealthApi, InvocationFuture, InvocationServer, LONG_LIVED_STREAMS, Serving,
    not_grpc,
};
use crate::edge::grpc_only::GrpcOnly;
use crate::edge::http_guard::{AllowedHosts, HttpGuard};
use crate::edge::plain_text::plain_text;
use crate::edge::request_body::{RequestBody, RequestMemory};
use crate::edge::response_body::ResponseBody;
use crate::edge::status_mapping::StatusMapper;
use crate::engine::Invoker;
use crate::model::access::Caller;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// The path prefix of `InvocationService`: its methods are called most and bypass the router.
const INVOCATION_PREFIX: &str = "/cidery.v1.InvocationService/";
/// The methods that do not look at their connection: they are called most.
const HOT_PATHS: [&str; 2] = [
    "/cidery.v1.InvocationService/Invoke",
    "/cidery.v1.InvocationService/InvokeAsync",
];

/// Methods whose responses may go on as long as their callers like.
const RESPONSE_STREAMS: [&str; 2] = [
    "/cidery.v1.InvocationService/StreamResults",
    "/cidery.v1.AdminService/WatchEvents",
];
/// Health checks need no credential: probes have none, and they tell nothing else.
const HEALTH_PREFIX: &str = "/grpc.health.v1.Health/";

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
    guard: HttpGuard,
    /// `None` where authentication is off.
    authenticator: Option<Authenticator>,
    request_timeout: Duration,
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
        allowed_hosts: AllowedHosts,
        authenticator: &Authenticator,
    ) -> Result<Self> {
        let catalog = Catalog::new(invoker)?;
        let invocation = grpc::invocation_service(invoker, workers, &catalog);
        let routes = grpc::other_services(invoker, workers, serving, &catalog, address);
        let routes = routes.add_service(grpc::security_service(invoker, authenticator.keys()));
        let typed = grpc::typed_methods(invoker, workers, &catalog);
        let health = HealthApi::new(invoker.clone(), catalog.clone(), serving.clone());
        let combine = |routes: Routes| {
            let grpc = routes.prepare().into_axum_router();
            let grpc = grpc.fallback_service(typed);
            host.routes
                .fallback_service(GrpcOnly::new(grpc, catalog, health))
        };
        let (invocation, router) = match host.wrap {
            None => (Some(invocation), combine(routes)),
            Some(wrap) => (None, wrap(combine(routes.add_service(invocation)))),
        };
        Ok(Self {
            invocation,
            router,
            guard: HttpGuard::new(allowed_hosts),
            authenticator: invoker
                .requires_authentication()
                .then(|| authenticator.clone()),
            request_timeout: invoker.limits().request_timeout,
        })
    }

    /// Who makes a gRPC request. `None` where authentication is off, and for health checks.
    fn authenticate<B>(
        &self,
        request: &mut Request<B>,
        connection: &Connection,
    ) -> Result<Option<Authenticated>> {
        match &self.authenticator {
            Some(authenticator) if !request.uri().path().starts_with(HEALTH_PREFIX) => {
                if let Some(certificate) = connection.peer_certificate() {
                    let names = PeerNames {
                        uris: &certificate.uris,
                        dns_names: &certificate.dns_names,
                    };
                    authenticator.identify(&connection.credentials, names);
                }
                let authenticated =
                    authenticator.authenticate(request, connection.peer, &connection.credentials);
                authenticated.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// When a stream ends because of its credential.
    fn credential_end(
        &self,
        path: &str,
        authenticated: Option<&Authenticated>,
    ) -> Option<CredentialEnd> {
        let (authenticator, authenticated) = self.authenticator.as_ref().zip(authenticated)?;
        let is_stream = LONG_LIVED_STREAMS.contains(&path) || RESPONSE_STREAMS.contains(&path);
        let clock = authenticator.keys().clock().clone();
        is_stream.then(|| Box::pin(authenticated.end(clock)) as CredentialEnd)
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
            if let Err(refusal) = port.guard.check(&request, connection.local) {
                tracing::debug!(uri = %request.uri(), ?refusal, "request refused");
                let response = plain_text(refusal.status(), refusal.message());
                return ResponseFuture::Refused(Some(response.map(Body::new)));
            }
            let timeout = port.request_timeout;
            let request = request.map(|body| RequestBody::timed(body, timeout));
            return ResponseFuture::Http(port.router.clone().call(request));
        }
        let authenticated = match port.authenticate(&mut request, connection) {
            Ok(authenticated) => authenticated,
            Err(error) => {
                let refused = to_status(&error).into_http();
                let refused = StatusMapper::new(&request).map_response(refused);
                return ResponseFuture::Refused(Some(refused));
            }
        };
        let path = request.uri().path();
        let is_long_lived = LONG_LIVED_STREAMS.contains(&path);
        let timeout = (!is_long_lived).then_some(port.request_timeout);
        let is_invocation = port.invocation.is_some() && path.starts_with(INVOCATION_PREFIX);
        let (mut act, mut credential_end) = (None, None);
        if !HOT_PATHS.contains(&path) {
            let caller = authenticated.as_ref().map(|it| &it.caller);
            act = Act::of(path, caller.unwrap_or(&Caller::Trusted), connection.peer);
            credential_end = port.credential_end(path, authenticated.as_ref());
            let expire_time = authenticated.as_ref().and_then(Authenticated::expire_time);
            if let Some(expire_time) = expire_time {
                request.extensions_mut().insert(expire_time);
            }
            request.extensions_mut().insert(Arc::clone(connection));
        }
        let mut caller = authenticated.map(|authenticated| authenticated.caller);
        if !is_invocation && let Some(caller) = caller.take() {
            request.extensions_mut().insert(caller);
        }
        let context = ResponseContext {
            mapper: StatusMapper::new(&request),
            connection: Arc::clone(connection),
            memory: RequestMemory::new(),
            act,
            credential_end,
        };
        let memory = Arc::clone(&context.memory);
        let request =
            request.map(|body| RequestBody::new(body, timeout, Arc::clone(connection), memory));
        match &port.invocation {
            Some(invocation) if is_invocation => {
                ResponseFuture::Invocation(invocation.respond(request, caller), context)
            }
            _ => ResponseFuture::Grpc(port.router.clone().call(request), context),
        }
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
    /// Of a stream.
    credential_end: Option<CredentialEnd>,
}

impl std::fmt::Debug for ResponseContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseContext")
    }
}

impl ResponseContext {
    fn respond(&mut self, response: Response<Body>) -> Response<ResponseBody> {
        let mut response = self.mapper.map_response(response);
        if let Some(act) = &self.act {
            act.ended(&response);
        }
        if let Some(end) = self.credential_end.take() {
            response = response.map(|body| end_with(body, end));
        }
        response.map(|body| ResponseBody::counted(body, Arc::clone(&self.connection)))
    }
}

/// The future of a response.
pub enum ResponseFuture {
    /// Of `InvocationService`.
    Invocation(InvocationFuture<RequestBody>, ResponseContext),
    /// Of another gRPC service, or of the wrapped router.
    Grpc(RouteFuture<Infallible>, ResponseContext),
    /// Of the host's own HTTP routes.
    Http(RouteFuture<Infallible>),
    /// Of the guard, or of a caller without a valid credential. `None` once it is taken.
    Refused(Option<Response<Body>>),
}

impl std::fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invocation(..) => "Invocation",
            Self::Grpc(..) => "Grpc",
            Self::Http(..) => "Http",
            Self::Refused(..) => "Refused",
        })
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.get_mut() {
            Self::Invocation(future, context) => {
                ready!(Pin::new(future).poll(cx)).map(|response| context.respond(response))
            }
            Self::Grpc(future, context) => ready!(Pin::new(future).poll(cx))
                .map(|response| context.respond(response.map(Body::new))),
            Self::Http(future) => ready!(Pin::new(future).poll(cx))
                .map(|response| response.map(|body| ResponseBody::uncounted(Body::new(body)))),
            Self::Refused(response) => {
                let response = response.take().unwrap_or_default();
                Ok(response.map(ResponseBody::uncounted))
            }
        })
    }
}
