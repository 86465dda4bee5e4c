//! Calls that take connections and requests in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::wire::RawCodec;
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::time::Instant;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use super::curve::Sample;
use crate::contest::micros;
use crate::load;
use crate::server::Server;

pub(super) const CONNECTIONS: usize = 4;
/// Messages of 4 MiB with a response around them.
const MAX_MESSAGE: usize = 32 << 20;

/// Opens connections to a server.
pub(super) async fn connect(server: &Server, connections: usize) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

/// One kind of calls to a server.
pub(super) struct Calls {
    channels: Vec<Channel>,
    path: &'static str,
    bodies: Vec<Bytes>,
    callers: usize,
    /// The number of the next call.
    next: AtomicUsize,
}

impl Calls {
    /// Calls over four connections.
    pub(super) async fn new(
        server: &Server,
        path: &'static str,
        bodies: Vec<Bytes>,
        callers: usize,
    ) -> Arc<Self> {
        Self::over(connect(server, CONNECTIONS).await, path, bodies, callers)
    }

    pub(super) fn over(
        channels: Vec<Channel>,
        path: &'static str,
        bodies: Vec<Bytes>,
        callers: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            channels,
            path,
            bodies,
            callers,
            next: AtomicUsize::new(0),
        })
    }

    /// The first connection.
    pub(super) fn channel(&self) -> &Channel {
        &self.channels[0]
    }

    async fn call(&self) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let channel = &self.channels[n % self.channels.len()];
        let body = &self.bodies[n % self.bodies.len()];
        unary(channel, self.path, body.clone()).await;
    }

    /// Makes calls.
    pub(super) async fn make(self: &Arc<Self>, calls: usize) {
        let callers: Vec<_> = (0..self.callers.min(calls))
            .map(|n| {
                let it = Arc::clone(self);
                let own = calls / it.callers + usize::from(n < calls % it.callers);
                tokio::spawn(async move {
                    for _ in 0..own {
                        it.call().await;
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
    }

    /// Makes calls and measures them.
    pub(super) async fn run(self: &Arc<Self>, server: &Server, calls: usize) -> Sample {
        measured(server, calls, self.make(calls)).await
    }

    /// Makes calls and measures them until `ended` resolves.
    pub(super) async fn run_until(
        self: &Arc<Self>,
        server: &Server,
        calls: usize,
        ended: impl Future<Output = ()>,
    ) -> Sample {
        let all = async {
            self.make(calls).await;
            ended.await;
        };
        measured(server, calls, all).await
    }
}

/// The CPU time of the server while a future runs, for each of its operations, in microseconds.
pub(super) async fn measured(
    server: &Server,
    operations: usize,
    future: impl Future<Output = ()>,
) -> Sample {
    let (cpu, begun) = (server.cpu(), Instant::now());
    future.await;
    let (cpu, elapsed) = (server.cpu() - cpu, begun.elapsed());
    let operations = f64::from(u32::try_from(operations).unwrap());
    Sample {
        cost: micros(cpu) / operations,
        per_second: Some(operations / elapsed.as_secs_f64()),
    }
}

/// One call.
pub(super) async fn unary(channel: &Channel, path: &'static str, request: Bytes) -> Bytes {
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let response = grpc.unary(Request::new(request), path, RawCodec).await;
    response.unwrap().into_inner()
}

/// The dict of six fields, encoded.
pub(super) fn dict() -> Bytes {
    load::customer().encode_to_vec().into()
}

/// A request of `Invoke`.
pub(super) fn invoke(service: &str, payload: Bytes) -> Bytes {
    let request = v1::InvokeRequest {
        service: service.to_owned(),
        input: Some(v1::invoke_request::Input::Payload(payload)),
        ..v1::InvokeRequest::default()
    };
    request.encode_to_vec().into()
}

/// A request of `InvokeAsync`, due at once.
pub(super) fn accept(service: &str, payload: Bytes) -> v1::InvokeAsyncRequest {
    v1::InvokeAsyncRequest {
        service: service.to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(payload)),
        ..v1::InvokeAsyncRequest::default()
    }
}

/// The same, due in an hour.
pub(super) fn accept_later(service: &str, payload: Bytes) -> v1::InvokeAsyncRequest {
    let hour = prost_types::Duration {
        seconds: 3_600,
        nanos: 0,
    };
    v1::InvokeAsyncRequest {
        start: Some(v1::invoke_async_request::Start::Delay(hour)),
        ..accept(service, payload)
    }
}
