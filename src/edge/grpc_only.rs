//! Tells apart what is no gRPC call: the paths of plain HTTP, gRPC methods that are called otherwise, and the rest.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use futures_util::FutureExt as _;
use futures_util::future::{Either, Map, ready};
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;

use crate::edge::grpc::{Catalog, NotGrpc, not_grpc};
use crate::edge::http::{HttpApi, Problem, nearest};
use crate::model::error::{Error, reason};
use crate::model::id::truncated;
use crate::service::BoxFuture;

/// The gRPC services, typed methods and HTTP paths of a node: the fallback for all paths that are no routes of the
/// host.
#[derive(Clone, Debug)]
pub(super) struct GrpcOnly {
    grpc: Router,
    catalog: Catalog,
    http: HttpApi,
}

impl GrpcOnly {
    pub(super) fn new(grpc: Router, catalog: Catalog, http: HttpApi) -> Self {
        Self {
            grpc,
            catalog,
            http,
        }
    }

    /// The answer to a request that is no gRPC call.
    fn respond(
        &self,
        why: NotGrpc,
        mut request: Request<Body>,
    ) -> BoxFuture<'static, Response<Body>> {
        if let Some(route) = self.http.route_of(&request) {
            let connection = request.extensions_mut().remove();
            return self.http.respond(route, request, connection);
        }
        let path = request.uri().path();
        let response = match self.catalog.has_method(path) {
            true => refusal(why),
            // About the server, not about a path of it (RFC 9110, 9.3.7).
            false if path == "*" && request.method() == Method::OPTIONS => no_content(),
            false => not_found(path),
        };
        Box::pin(ready(response))
    }
}

/// An answer that cannot fail.
type Answered = fn(Response<Body>) -> Result<Response<Body>, Infallible>;

impl Service<Request<Body>> for GrpcOnly {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        Either<RouteFuture<Infallible>, Map<BoxFuture<'static, Response<Body>>, Answered>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match not_grpc(&request) {
            None => Either::Left(self.grpc.call(request)),
            Some(why) => Either::Right(self.respond(why, request).map(Ok as Answered)),
        }
    }
}

/// 204.
fn no_content() -> Response<Body> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 404, with the path that is probably meant.
fn not_found(path: &str) -> Response<Body> {
    let meant = match nearest(path) {
        Some(pattern) => format!("did you mean `{pattern}`?"),
        None => {
            "/docs has the paths, and `grpcurl -plaintext HOST:PORT list` lists the gRPC services"
                .to_owned()
        }
    };
    let message = format!("there is no path `{}`; {meant}", truncated(path));
    let error = Error::not_found(reason::PATH_UNKNOWN, message);
    Problem::from(error).into_response()
}

/// The answer to a request for a gRPC method that is no gRPC call.
fn refusal(why: NotGrpc) -> Response<Body> {
    let problem = match why {
        NotGrpc::Method => {
            let message = "a gRPC method, which is called with POST: by a gRPC client (`grpcurl -plaintext HOST:PORT \
                           PACKAGE.SERVICE/METHOD`), or with JSON (`-H 'content-type: application/json'`)";
            let error = Error::unimplemented(reason::METHOD_NOT_ALLOWED, message);
            let post = HeaderValue::from_static("POST");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, error).with_header(ALLOW, post)
        }
        NotGrpc::ContentType => {
            let message = "a gRPC method, which accepts `application/json`, `application/proto`, \
                           `application/connect+json`, `application/connect+proto`, `application/grpc-web` and, over \
                           HTTP/2, `application/grpc`";
            let error = Error::invalid_argument(reason::MEDIA_TYPE_UNSUPPORTED, message);
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
        }
        NotGrpc::Version => {
            let message = "gRPC requires HTTP/2; a proxy in between may use HTTP/1.1";
            let error = Error::unimplemented(reason::HTTP_VERSION_UNSUPPORTED, message);
            Problem::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, error)
        }
    };
    problem.into_response()
}
