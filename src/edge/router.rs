//! The tower service of a port: routes each request to a gRPC service, a typed method, or the host's own HTTP routes.
//!
//! Only gRPC calls over HTTP/2 pass without the guard of browsers' requests, and only they reach gRPC methods.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::routing::future::RouteFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::service::Routes;
use tower_service::Service;

use crate::codec::proto::v1::invocation_service_server::InvocationServiceServer;
use crate::edge::grpc::{self, Catalog, InvocationApi, LONG_LIVED_STREAMS, Serving, not_grpc};
use crate::edge::grpc_only::{GrpcOnly, plain_text};
use crate::edge::http_guard::{AllowedHosts, HttpGuard};
use crate::edge::request_body::RequestBody;
use crate::edge::status_mapping::StatusMapper;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// The path prefix of `InvocationService`: its methods are called most and bypass the router.
const INVOCATION_PREFIX: &str = "/cidery.v1.InvocationService/";

/// Serves all requests of a port. Cheap to clone: each connection has its own.
#[derive(Clone, Debug)]
pub struct PortService {
    /// `None` where the host has wrapped the router: then the router serves it too.
    invocation: Option<InvocationServiceServer<InvocationApi>>,
    router: Router,
    guard: HttpGuard,
    request_timeout: Duration,
}

/// Wraps the router of a port, for example in tower layers of the host.
pub type WrapRouter = Box<dyn FnOnce(Router) -> Router + Send>;

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
        address: Option<SocketAddr>,
        host_routes: Router,
        wrap: Option<WrapRouter>,
        allowed_hosts: AllowedHosts,
    ) -> Result<Self> {
        let catalog = Catalog::new(invoker)?;
        let invocation = grpc::invocation_service(invoker, workers);
        let routes = grpc::other_services(invoker, workers, serving, &catalog, address);
        let typed = grpc::typed_methods(invoker, workers, &catalog);
        let combine = |routes: Routes| {
            let grpc = routes.prepare().into_axum_router();
            host_routes.fallback_service(GrpcOnly::new(grpc.fallback_service(typed), catalog))
        };
        let (invocation, router) = match wrap {
            None => (Some(invocation), combine(routes)),
            Some(wrap) => (None, wrap(combine(routes.add_service(invocation)))),
        };
        Ok(Self {
            invocation,
            router,
            guard: HttpGuard::new(allowed_hosts),
            request_timeout: invoker.limits().request_timeout,
        })
    }
}

impl Service<Request<Incoming>> for PortService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> ResponseFuture {
        if not_grpc(&request).is_some() {
            if let Err(refusal) = self.guard.check(&request) {
                tracing::debug!(uri = %request.uri(), ?refusal, "request refused");
                let response = plain_text(refusal.status(), refusal.message());
                return ResponseFuture::Refused(Some(response.map(Body::new)));
            }
            let timeout = Some(self.request_timeout);
            let request = request.map(|body| RequestBody::new(body, timeout));
            return ResponseFuture::Http(self.router.call(request));
        }
        let mapper = StatusMapper::new(&request);
        let is_long_lived = LONG_LIVED_STREAMS.contains(&request.uri().path());
        let timeout = (!is_long_lived).then_some(self.request_timeout);
        let request = request.map(|body| RequestBody::new(body, timeout));
        match &mut self.invocation {
            Some(invocation) if request.uri().path().starts_with(INVOCATION_PREFIX) => {
                ResponseFuture::Invocation(invocation.call(request), mapper)
            }
            _ => ResponseFuture::Grpc(self.router.call(request), mapper),
        }
    }
}

/// The future of a response.
pub enum ResponseFuture {
    /// Of `InvocationService`.
    Invocation(BoxFuture<Response<Body>, Infallible>, StatusMapper),
    /// Of another gRPC service, or of the wrapped router.
    Grpc(RouteFuture<Infallible>, StatusMapper),
    /// Of the host's own HTTP routes.
    Http(RouteFuture<Infallible>),
    /// Of the guard. `None` once it is taken.
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
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.get_mut() {
            Self::Invocation(future, mapper) => {
                ready!(future.as_mut().poll(cx)).map(|response| mapper.map_response(response))
            }
            Self::Grpc(future, mapper) => ready!(Pin::new(future).poll(cx))
                .map(|response| mapper.map_response(response.map(Body::new))),
            Self::Http(future) => {
                ready!(Pin::new(future).poll(cx)).map(|response| response.map(Body::new))
            }
            Self::Refused(response) => Ok(response.take().unwrap_or_default()),
        })
    }
}
