//! The front of the edge: sends requests to their services, and sees to it that every answer carries a CID and every
//! failure a reason, those that the transport makes included.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::routing::future::RouteFuture;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use percent_encoding::percent_decode;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower_service::Service;

use crate::codec::proto::v1::invocation_service_server::InvocationServiceServer;
use crate::codec::status::{CID_KEY, cid_value, to_status};
use crate::edge::body::RequestBody;
use crate::edge::grpc::{self, Catalog, InvocationApi, STREAMS_THAT_LAST, Serving};
use crate::engine::Invoker;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::remote::worker_registry::WorkerRegistry;

/// The prefix of the paths that are called most: they do without the router.
const INVOCATION: &str = "/cidery.v1.InvocationService/";

/// What answers the requests of a connection.
#[derive(Clone, Debug)]
pub struct Front {
    /// `None` where the host has wrapped everything: then the router has it.
    invocation: Option<InvocationServiceServer<InvocationApi>>,
    rest: Router,
    request_timeout: Duration,
}

/// What a host does to everything that is on the port: layers of its own, for one.
pub type Wrap = Box<dyn FnOnce(Router) -> Router + Send>;

impl Front {
    /// Puts the gRPC services of a node and the routes of its host on one port, wrapped as the host wants it. `address`
    /// is where the node can be reached, for the calls that discovery shows.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where the descriptors that are built in cannot be read.
    pub(crate) fn new(
        invoker: &Invoker,
        workers: &WorkerRegistry,
        serving: &Serving,
        address: Option<SocketAddr>,
        host: Router,
        wrap: Option<Wrap>,
    ) -> Result<Self> {
        let catalog = Catalog::new(invoker)?;
        let invocation = grpc::invocation_service(invoker, workers);
        let routes = grpc::other_services(invoker, workers, serving, &catalog, address);
        let typed = grpc::typed_methods(invoker, workers, &catalog);
        let all = |routes: Routes| {
            let grpc = routes.prepare().into_axum_router();
            host.fallback_service(grpc.fallback_service(typed))
        };
        let (invocation, rest) = match wrap {
            None => (Some(invocation), all(routes)),
            Some(wrap) => (None, wrap(all(routes.add_service(invocation)))),
        };
        Ok(Self {
            invocation,
            rest,
            request_timeout: invoker.limits().request_timeout,
        })
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answer {
        if !is_grpc(request.headers()) {
            return Answer::Http(self.rest.call(request));
        }
        let asked = Asked::of(&request);
        let lasts = STREAMS_THAT_LAST.contains(&request.uri().path());
        let timeout = (!lasts).then_some(self.request_timeout);
        let request = request.map(|body| RequestBody::new(body, timeout));
        match &mut self.invocation {
            Some(invocation) if request.uri().path().starts_with(INVOCATION) => {
                Answer::Invocation(invocation.call(request), asked)
            }
            _ => Answer::Grpc(self.rest.call(request), asked),
        }
    }
}

/// An answer under way.
pub enum Answer {
    /// Of the service that is called most.
    Invocation(BoxFuture<Response<Body>, Infallible>, Asked),
    /// Of another service, or of the host's wrapping.
    Grpc(RouteFuture<Infallible>, Asked),
    /// Of the host's own routes.
    Http(RouteFuture<Infallible>),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invocation(..) => "Invocation",
            Self::Grpc(..) => "Grpc",
            Self::Http(..) => "Http",
        })
    }
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.get_mut() {
            Self::Invocation(future, asked) => {
                ready!(future.as_mut().poll(cx)).map(|response| asked.answer(response))
            }
            Self::Grpc(future, asked) => ready!(Pin::new(future).poll(cx))
                .map(|response| asked.answer(response.map(Body::new))),
            Self::Http(future) => {
                ready!(Pin::new(future).poll(cx)).map(|response| response.map(Body::new))
            }
        })
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// What has to be remembered of a request to explain what the transport says of it: where it went.
#[derive(Debug)]
pub struct Asked(Uri);

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        // Shares the bytes of the request.
        Self(request.uri().clone())
    }

    fn answer(&self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        let failed = headers
            .get(Status::GRPC_STATUS)
            .is_some_and(|status| status != "0");
        if failed && !headers.contains_key(Status::GRPC_STATUS_DETAILS) {
            let cid = Cid::new();
            let error = self.explain(headers).with_cid(cid);
            tracing::debug!(%cid, path = self.0.path(), reason = error.reason(), "refused: {error}");
            response = to_status(&error).into_http();
        }
        response
            .headers_mut()
            .entry(CID_KEY)
            .or_insert_with(|| cid_value(Cid::new()));
        response
    }

    /// Says in our own words what the transport answered.
    fn explain(&self, headers: &HeaderMap) -> Error {
        let code = headers
            .get(Status::GRPC_STATUS)
            .map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
        let message = headers.get(Status::GRPC_MESSAGE).map(HeaderValue::as_bytes);
        let said = percent_decode(message.unwrap_or_default()).decode_utf8_lossy();
        match code {
            // What the transport answers to a compression it does not know, and to nothing else.
            Code::Unimplemented if headers.contains_key("grpc-accept-encoding") => {
                Error::unimplemented(reason::NOT_SUPPORTED, said)
            }
            Code::Unimplemented => {
                let path = self.0.path();
                let message =
                    format!("there is no method `{path}`; `grpcurl HOST list` lists services");
                Error::unimplemented(reason::METHOD_UNKNOWN, message)
            }
            Code::OutOfRange => {
                let what_to_do = match self.0.path().ends_with("/InvokeBatch") {
                    true => "; send its requests in several batches",
                    false => "",
                };
                let message = format!("{said}{what_to_do}");
                Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message).with_retryable(false)
            }
            Code::Internal => {
                let message = format!("the request cannot be read: {said}");
                Error::invalid_argument(reason::MALFORMED_MESSAGE, message)
            }
            code => {
                let kind = Kind::from_grpc_code(code as i32).unwrap_or(Kind::Unknown);
                Error::new(kind, reason::TRANSPORT, said)
            }
        }
    }
}
