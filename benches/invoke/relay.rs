//! `Invoke` through a Rust worker process. The baseline is a minimal relay: a tonic unary method that sends the same
//! `Struct` to another process over a bidirectional stream and waits for the reply.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use cidery::{Dict, Node, NodeBuilder, Worker};
use http::uri::PathAndQuery;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codegen::BoxFuture;
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server as TonicServer};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower_service::Service;

use crate::baseline::{self, Message};
use crate::contest::{Comparison, Contender, Goals, compete};
use crate::load::{self, Load};
use crate::peer::Peers;
use crate::record::Goal;
use crate::server::Server;
use crate::settings::settings;

const CALLS: usize = 30_000;

const STREAM: &str = "/bench.Echo/Serve";

/// A call on the stream, in either direction.
#[derive(Clone, PartialEq, prost::Message)]
struct Frame {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(message, optional, tag = "2")]
    payload: Option<prost_types::Struct>,
}

type Outgoing = mpsc::UnboundedSender<Result<Frame, Status>>;

#[derive(Debug, Default)]
struct InFlight {
    outbox: Option<Outgoing>,
    number: u64,
    waiting: HashMap<u64, oneshot::Sender<Frame>>,
}

/// The relay: both of its methods.
#[derive(Clone, Default)]
struct Relay(Arc<Mutex<InFlight>>);

impl UnaryService<Message> for Relay {
    type Response = Message;
    type Future = BoxFuture<tonic::Response<Message>, Status>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        let relay = self.clone();
        Box::pin(async move {
            let Message { service, payload } = request.into_inner();
            let (answer, answered) = oneshot::channel();
            {
                let mut table = relay.0.lock().unwrap();
                table.number += 1;
                let number = table.number;
                table.waiting.insert(number, answer);
                let outbox = table.outbox.clone().unwrap();
                outbox.send(Ok(Frame { number, payload })).unwrap();
            }
            let Frame { payload, .. } = answered.await.unwrap();
            Ok(tonic::Response::new(Message { service, payload }))
        })
    }
}

impl StreamingService<Frame> for Relay {
    type Response = Frame;
    type ResponseStream = UnboundedReceiverStream<Result<Frame, Status>>;
    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: tonic::Request<Streaming<Frame>>) -> Self::Future {
        let (relay, mut said) = (self.clone(), request.into_inner());
        let (outbox, outgoing) = mpsc::unbounded_channel();
        relay.0.lock().unwrap().outbox = Some(outbox);
        tokio::spawn(async move {
            while let Ok(Some(frame)) = said.message().await {
                let answer = relay.0.lock().unwrap().waiting.remove(&frame.number);
                let _ = answer.unwrap().send(frame);
            }
        });
        let outgoing = UnboundedReceiverStream::new(outgoing);
        Box::pin(async move { Ok(tonic::Response::new(outgoing)) })
    }
}

impl NamedService for Relay {
    const NAME: &'static str = "bench.Echo";
}

impl Service<Request<Body>> for Relay {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let relay = self.clone();
        Box::pin(async move {
            if request.uri().path() == STREAM {
                let mut grpc = Grpc::new(ProstCodec::<Frame, Frame>::default());
                return Ok(grpc.streaming(relay, request).await);
            }
            let mut grpc = Grpc::new(ProstCodec::<Message, Message>::default());
            Ok(grpc.unary(relay, request).await)
        })
    }
}

/// Compares with one worker each, at 1, 64 and 256 callers.
pub(crate) fn compare() {
    [1, 64, 256].into_iter().for_each(at);
}

fn at(callers: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, baseline) = (Server::start("node"), Server::start("relay"));
    let _worker = Server::start_with(&["--serve", "worker", &ours.address]);
    let _other = Server::start_with(&["--serve", "relay-worker", &baseline.address]);
    let peers = Peers::start(&["nats-request"], callers);
    let calls = settings().part_of(if callers == 1 { CALLS / 5 } else { CALLS });
    let all = runtime.block_on(async {
        let our_load = Load::new(&ours.address, load::INVOKE, callers).await;
        let baseline_load = Load::new(&baseline.address, baseline::PATH, callers).await;
        let mut contenders = vec![
            Contender::new("cidery", |calls| our_load.run(&ours, calls)),
            Contender::new("bare relay", |calls| baseline_load.run(&baseline, calls)),
        ];
        contenders.extend(peers.contenders());
        compete(&contenders, calls).await
    });
    let comparison = Comparison {
        row: "relay",
        title: "Invoke through a Rust worker process",
        callers,
        done: "calls",
        whose: "node",
    };
    let goals = Goals {
        rate: Some(Goal::AtLeast(0.95)),
        cpu: Some(Goal::AtMost(1.10)),
        p99: None,
    };
    comparison.show(&all[0], &all[1], goals);
    for peer in &all[2..] {
        comparison.show(&all[0], peer, Goals::default());
    }
}

/// A node without services of its own.
pub(crate) fn serve_node() {
    serve(Node::builder());
}

/// As above, with a builder.
pub(crate) fn serve(builder: NodeBuilder) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let builder = builder.listen("127.0.0.1:0");
        let node = builder.start().await.unwrap();
        println!("{}", node.address().unwrap());
        std::future::pending::<()>().await;
    });
}

pub(crate) fn serve_worker(node: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let builder = Worker::builder().service("echo", async |input: Dict| input);
        let worker = builder.max_in_flight(1_000).connect(node).await.unwrap();
        println!("serves");
        worker.ended().await;
    });
}

pub(crate) fn serve_relay() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = TonicServer::builder().add_service(Relay::default());
        server.serve_with_incoming(incoming).await.unwrap();
    });
}

pub(crate) fn serve_relay_worker(node: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{node}")).unwrap();
        let mut grpc = Client::new(endpoint.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let (outbox, outgoing) = mpsc::unbounded_channel::<Frame>();
        let request = tonic::Request::new(UnboundedReceiverStream::new(outgoing));
        let path = PathAndQuery::from_static(STREAM);
        let codec = ProstCodec::<Frame, Frame>::default();
        let mut said = grpc
            .streaming(request, path, codec)
            .await
            .unwrap()
            .into_inner();
        println!("serves");
        while let Ok(Some(frame)) = said.message().await {
            outbox.send(frame).unwrap();
        }
    });
}
