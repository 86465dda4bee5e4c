//! The load generator, the same for both servers: it sends pre-encoded bytes and does not decode responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::value::Kind;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::baseline::Message;
use crate::server::Server;

pub(crate) const INVOKE: &str = "/cidery.v1.InvocationService/Invoke";
const CONNECTIONS: usize = 4;

/// The result of one round.
#[derive(Clone)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) cpu: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

pub(crate) struct Load {
    channels: Vec<Channel>,
    path: PathAndQuery,
    /// The requests of the callers, assigned round-robin.
    bodies: Vec<Bytes>,
    callers: usize,
}

/// A dict of six fields, 110 bytes.
pub(crate) fn customer() -> prost_types::Struct {
    let text = |text: &str| Kind::StringValue(text.to_owned());
    let fields = [
        ("cust_id", Kind::NumberValue(123_456.0)),
        ("cust_name", text("Alexis Smith")),
        ("phone_no", text("123-456-789")),
        ("is_active", Kind::BoolValue(true)),
        ("balance", Kind::NumberValue(10.5)),
        ("city", text("Springfield")),
    ];
    prost_types::Struct {
        fields: fields
            .into_iter()
            .map(|(key, kind)| (key.to_owned(), prost_types::Value { kind: Some(kind) }))
            .collect(),
    }
}

impl Load {
    pub(crate) async fn new(address: &str, path: &'static str, callers: usize) -> Self {
        Self::of_services(address, path, callers, &["echo".to_owned()]).await
    }

    /// Callers of several services.
    pub(crate) async fn of_services(
        address: &str,
        path: &'static str,
        callers: usize,
        services: &[String],
    ) -> Self {
        let bodies = services.iter().map(|service| {
            let message = Message {
                service: service.clone(),
                payload: Some(customer()),
            };
            message.encode_to_vec().into()
        });
        Self::with_bodies(address, path, callers, bodies.collect()).await
    }

    pub(crate) async fn with_bodies(
        address: &str,
        path: &'static str,
        callers: usize,
        bodies: Vec<Bytes>,
    ) -> Self {
        Self {
            channels: connect(address).await,
            path: PathAndQuery::from_static(path),
            bodies,
            callers,
        }
    }

    pub(crate) async fn run(&self, server: &Server, calls: usize) -> Round {
        let (cpu, begun) = (server.cpu(), Instant::now());
        let latencies = self.call(calls).await;
        Round::of(latencies, begun.elapsed(), server.cpu() - cpu)
    }

    /// Makes the calls and returns the latency of each.
    pub(crate) async fn call(&self, calls: usize) -> Vec<Duration> {
        let left = Arc::new(AtomicUsize::new(calls));
        let callers: Vec<_> = (0..self.callers)
            .map(|n| {
                let channel = self.channels[n % CONNECTIONS].clone();
                let body = self.bodies[n % self.bodies.len()].clone();
                let (path, left) = (self.path.clone(), Arc::clone(&left));
                tokio::spawn(call_until_none_left(channel, path, body, left))
            })
            .collect();
        let mut latencies = Vec::with_capacity(calls);
        for caller in callers {
            latencies.extend(caller.await.unwrap());
        }
        latencies
    }
}

/// Calls of any method over several connections.
pub(crate) struct Calls {
    channels: Vec<Channel>,
    callers: usize,
}

impl Calls {
    pub(crate) async fn connect(address: &str, callers: usize) -> Self {
        Self {
            channels: connect(address).await,
            callers,
        }
    }

    /// The channel of the first connection.
    pub(crate) fn channel(&self) -> Channel {
        self.channels[0].clone()
    }

    /// Makes the calls and measures the latency of each.
    pub(crate) async fn run<F>(
        &self,
        server: &Server,
        calls: usize,
        call: impl Fn(Channel) -> F,
    ) -> Round
    where
        F: Future<Output = ()>,
    {
        let left = AtomicUsize::new(calls);
        let (cpu, begun) = (server.cpu(), Instant::now());
        let caller = async |n: usize| {
            let mut latencies = Vec::new();
            while take(&left) {
                let begun = Instant::now();
                call(self.channels[n % CONNECTIONS].clone()).await;
                latencies.push(begun.elapsed());
            }
            latencies
        };
        let latencies = futures_util::future::join_all((0..self.callers).map(caller)).await;
        let latencies = latencies.into_iter().flatten().collect();
        Round::of(latencies, begun.elapsed(), server.cpu() - cpu)
    }
}

/// Several connections to a server.
pub(crate) async fn connect(address: &str) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

/// Takes one of the remaining calls.
fn take(left: &AtomicUsize) -> bool {
    let less = |n: usize| n.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

impl Round {
    pub(crate) fn of(mut latencies: Vec<Duration>, elapsed: Duration, cpu: Duration) -> Self {
        latencies.sort_unstable();
        let calls = u32::try_from(latencies.len()).unwrap().max(1);
        let part = |part: usize| latencies.get(latencies.len() * part / 100);
        Self {
            per_second: f64::from(calls) / elapsed.as_secs_f64(),
            cpu: cpu / calls,
            p50: part(50).copied().unwrap_or_default(),
            p99: part(99).copied().unwrap_or_default(),
        }
    }
}

async fn call_until_none_left(
    channel: Channel,
    path: PathAndQuery,
    body: Bytes,
    left: Arc<AtomicUsize>,
) -> Vec<Duration> {
    let mut grpc = Grpc::new(channel);
    let mut latencies = Vec::new();
    while take(&left) {
        let begun = Instant::now();
        grpc.ready().await.unwrap();
        let request = Request::new(body.clone());
        let answer = grpc.unary(request, path.clone(), AsBytes).await.unwrap();
        assert!(
            answer.into_inner() > 35,
            "the response has no dict or no CID"
        );
        latencies.push(begun.elapsed());
    }
    latencies
}

/// One call, on a channel.
pub(crate) async fn unary(channel: Channel, path: &'static str, body: Bytes) {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let answer = grpc.unary(Request::new(body), path, AsBytes).await;
    assert!(
        answer.unwrap().into_inner() > 35,
        "the response has no dict or no CID"
    );
}

/// A codec that sends bytes and returns the length of the response.
struct AsBytes;

impl Codec for AsBytes {
    type Encode = Bytes;
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let len = buffer.remaining();
        buffer.advance(len);
        Ok(Some(len))
    }
}
