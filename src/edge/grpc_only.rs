//! Keeps requests that are no gRPC calls away from gRPC methods, and answers them as HTTP does.
//!
//! The forms of gRPC for browsers (gRPC-Web, JSON over HTTP) will enter here, behind the same guard.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use futures_util::FutureExt as _;
use futures_util::future::{Either, Ready, ready};
use http::header::ALLOW;
use http::{HeaderValue, Request, Response, StatusCode};
use tower_service::Service;

use crate::edge::grpc::{Catalog, HealthApi, NotGrpc, not_grpc};
use crate::edge::healthz::{self, HEALTH_PATH};
use crate::edge::metrics::{METRICS_PATH, MetricsApi};
use crate::edge::plain_text::plain_text;
use crate::service::BoxFuture;

/// An answer without a wait.
type Answer = Ready<Answered>;
type Answered = Result<Response<Body>, Infallible>;

/// The gRPC services and typed methods of a node: the fallback for all paths that are no routes of the host.
#[derive(Clone, Debug)]
pub(super) struct GrpcOnly {
    grpc: Router,
    catalog: Catalog,
    health: HealthApi,
    metrics: MetricsApi,
}

impl GrpcOnly {
    pub(super) fn new(
        grpc: Router,
        catalog: Catalog,
        health: HealthApi,
        metrics: MetricsApi,
    ) -> Self {
        Self {
            grpc,
            catalog,
            health,
            metrics,
        }
    }
}

impl Service<Request<Body>> for GrpcOnly {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<RouteFuture<Infallible>, Either<Answer, BoxFuture<'static, Answered>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(why) = not_grpc(&request) else {
            return Either::Left(self.grpc.call(request));
        };
        if request.uri().path() == METRICS_PATH {
            let metrics = self.metrics.clone().respond(request);
            return Either::Right(Either::Right(Box::pin(metrics.map(Ok))));
        }
        let response = match request.uri().path() {
            HEALTH_PATH => healthz::respond(request.method(), &self.health),
            path if self.catalog.has_method(path) => refusal(why),
            _ => plain_text(
                StatusCode::NOT_FOUND,
                "not found; this is a gRPC server: `grpcurl -plaintext HOST:PORT list` lists its services, and \
                 /healthz is its health, /metrics what it counts",
            ),
        };
        Either::Right(Either::Left(ready(Ok(response))))
    }
}

/// The answer to a request for a gRPC method that is no gRPC call.
fn refusal(why: NotGrpc) -> Response<Body> {
    match why {
        NotGrpc::Method => {
            let mut response = plain_text(
                StatusCode::METHOD_NOT_ALLOWED,
                "a gRPC method, which is called with POST by a gRPC client: `grpcurl -plaintext HOST:PORT \
                 PACKAGE.SERVICE/METHOD`",
            );
            let post = HeaderValue::from_static("POST");
            response.headers_mut().insert(ALLOW, post);
            response
        }
        NotGrpc::ContentType => plain_text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a gRPC method, which accepts `application/grpc` and `application/grpc+proto`; JSON is sent by a gRPC \
             client: `grpcurl -plaintext -d JSON HOST:PORT PACKAGE.SERVICE/METHOD`",
        ),
        NotGrpc::Version => plain_text(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "gRPC requires HTTP/2; a proxy in between may use HTTP/1.1",
        ),
    }
}
