//! The answer to requests without TLS on a port that has it: an error which says so, in the protocol of the client.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tonic::body::Body;

use crate::codec::status::to_status;
use crate::edge::connection::Connection;
use crate::edge::grpc::not_grpc;
use crate::edge::plain_text::plain_text;
use crate::edge::status_mapping::StatusMapper;
use crate::model::error::{Error, reason};

/// How many requests of one connection are answered at once. Their bodies are not read.
const MAX_STREAMS: u32 = 16;
const MESSAGE: &str = "this port uses TLS: connect with `https://` (grpcurl without `-plaintext`, TLS credentials in \
                       gRPC), and the CA certificate of the node";

/// Answers the requests of a connection until it ends or the time for a request is over.
pub(super) async fn refuse(stream: TcpStream, connection: &Connection, timeout: Duration) {
    tracing::debug!(peer = %connection.peer, "a client connects without TLS, which this port requires");
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS);
    builder
        .http1()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(timeout);
    let answer = |request: Request<Incoming>| ready(Ok::<_, Infallible>(answer(&request)));
    let served = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
    // It ends without an error, or the client does not read: neither matters.
    let _ = tokio::time::timeout(timeout, served).await;
}

fn answer(request: &Request<Incoming>) -> Response<Body> {
    if not_grpc(request).is_some() {
        return plain_text(StatusCode::BAD_REQUEST, MESSAGE).map(Body::new);
    }
    let error = Error::failed_precondition(reason::TLS_REQUIRED, MESSAGE);
    StatusMapper::new(request).map_response(to_status(&error).into_http())
}
