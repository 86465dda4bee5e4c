//! A worker that sends mutated messages on its stream harms only itself.

use std::io::Read as _;

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message as Outbound;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::codec::struct_pb;
use cidery::codec::wire::RawCodec;
use cidery::{Client, dict};
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::engine::{duration, mutate, seed};
use crate::support::PATIENCE;
use crate::support::binary::Server;
use crate::support::raw::spawn;
use crate::support::raw_worker::hello;

/// How many mutated messages a stream carries, unless the node ends it earlier.
const MESSAGES: usize = 8;

/// The node of the test, and what talks to it.
struct Target {
    channel: Channel,
    client: Client,
}

impl Target {
    async fn connect(address: &str) -> Self {
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        Self {
            channel: endpoint.connect().await.unwrap(),
            client: Client::connect(address).await.unwrap(),
        }
    }

    /// Opens the stream of a worker; `first` is sent at once.
    async fn open(&self, first: Bytes) -> (mpsc::UnboundedSender<Bytes>, Option<Streaming<Bytes>>) {
        let (outbox, messages) = mpsc::unbounded_channel();
        outbox.send(first).unwrap();
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/cidery.v1.WorkerService/Serve");
        let request = tonic::Request::new(UnboundedReceiverStream::new(messages));
        let opened = grpc.streaming(request, path, RawCodec).await;
        (outbox, opened.ok().map(tonic::Response::into_inner))
    }

    /// The node answers others.
    async fn check(&self) {
        let input = dict! { "cust_id": 1 };
        let reply = timeout(PATIENCE, self.client.invoke("customer.get", input)).await;
        let reply = reply.expect("the node hangs").expect("the node fails");
        let name: String = reply.at("cust_name").unwrap();
        assert_eq!(name, "Alexis Smith");
    }
}

fn encode(message: Outbound) -> Vec<u8> {
    let request = v1::ServeRequest {
        message: Some(message),
        ..v1::ServeRequest::default()
    };
    request.encode_to_vec()
}

/// The hello of a worker that cannot resume: its dispatches are lost with its stream.
fn first_message(service: &str) -> Vec<u8> {
    let capabilities = (2..=6).collect();
    encode(Outbound::Hello(v1::Hello {
        capabilities,
        build_id: "1.0".to_owned(),
        ..hello(service)
    }))
}

/// One message of each kind, about the dispatch with this token.
fn messages(token: &str) -> Vec<Vec<u8>> {
    let token = token.to_owned();
    let payload = struct_pb::encode_dict(&dict! { "a": 1, "b": "text" }).unwrap();
    let result = v1::DispatchResult {
        token: token.clone(),
        outcome: Some(v1::dispatch_result::Outcome::Payload(payload.clone())),
        ..v1::DispatchResult::default()
    };
    let failure = v1::DispatchResult {
        token: token.clone(),
        outcome: Some(v1::dispatch_result::Outcome::Failure(v1::Failure {
            code: 9,
            reason: "NO_STOCK".to_owned(),
            message: "there is none".to_owned(),
            ..v1::Failure::default()
        })),
        ..v1::DispatchResult::default()
    };
    let batch = v1::ServeRequest {
        results: vec![result.clone(), failure.clone()],
        ..v1::ServeRequest::default()
    };
    vec![
        encode(Outbound::Progress(v1::DispatchProgress {
            token: token.clone(),
            progress: Some(v1::Progress {
                fraction: Some(0.5),
                message: "half".to_owned(),
                ..v1::Progress::default()
            }),
        })),
        encode(Outbound::Item(v1::DispatchItem {
            token: token.clone(),
            item: Some(v1::dispatch_item::Item::Payload(payload)),
            ..v1::DispatchItem::default()
        })),
        encode(Outbound::HandBack(v1::HandBack {
            tokens: vec![token],
        })),
        encode(Outbound::Drain(v1::WorkerDrain::default())),
        encode(Outbound::Result(Box::new(result))),
        encode(Outbound::Result(Box::new(failure))),
        batch.encode_to_vec(),
        first_message("fuzz.other"),
    ]
}

/// The token of the first dispatch on a stream, if one comes.
async fn first_token(inbound: &mut Streaming<Bytes>) -> Option<String> {
    let token = async {
        while let Some(Ok(message)) = inbound.next().await {
            let message = v1::ServeResponse::decode(message).unwrap();
            let single = match message.message {
                Some(Inbound::Dispatch(dispatch)) => Some(dispatch.token),
                _ => None,
            };
            let batch = message.dispatches.into_iter().map(|it| it.token);
            if let Some(token) = single.into_iter().chain(batch).next() {
                return Some(token);
            }
        }
        None
    };
    timeout(PATIENCE, token).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_sends_anything_harms_only_itself() {
    let mut server = Server::start(&[]);
    let mut stderr = server.child.stderr.take().unwrap();
    // Read all the time: the node drops lines that nobody reads.
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    let target = Target::connect(&server.address).await;
    let (seed, until) = (seed(), Instant::now() + duration());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pool: Vec<Vec<u8>> = messages("t");
    let (mut streams, mut dispatches) = (0, 0);
    while streams < 4 || Instant::now() < until {
        streams += 1;
        let service = format!("fuzz.task-{streams}");
        let mut first = first_message(&service);
        let is_mutated = streams % 4 == 0;
        if is_mutated {
            mutate(&mut first, &pool, &mut random);
        }
        let (outbox, inbound) = target.open(first.into()).await;
        let Some(mut inbound) = inbound else {
            continue;
        };
        // A caller for the worker, which gets any answer. Without its hello the worker may serve anything.
        let client = target.client.clone();
        let caller = spawn(async move { drop(client.invoke(service, dict! { "n": 1 }).await) });
        let token = match is_mutated {
            false => first_token(&mut inbound).await,
            true => None,
        };
        dispatches += usize::from(token.is_some());
        let seeds = messages(token.as_deref().unwrap_or("none"));
        for _ in 0..random.usize(1..=MESSAGES) {
            let mut message = random.choice(&seeds).cloned().unwrap_or_default();
            for _ in 0..random.usize(0..4) {
                mutate(&mut message, &pool, &mut random);
            }
            message.truncate(4_096);
            let _ = outbox.send(message.clone().into());
            let place = random.usize(..pool.len().max(1));
            match pool.len() < 256 {
                true => pool.push(message),
                false => pool[place] = message,
            }
        }
        drop(outbox);
        let ended = async { while let Some(Ok(_)) = inbound.next().await {} };
        let ended = timeout(PATIENCE, ended).await;
        assert!(ended.is_ok(), "the stream does not end, seed {seed}");
        target.check().await;
        caller.abort();
    }
    assert!(dispatches > 0, "no worker got a dispatch, seed {seed}");
    // Killed: a worker may have said that it resumes, and a node that stops would wait for it.
    drop(server);
    let log = log.join().unwrap();
    assert!(!log.contains("panicked"), "seed {seed}: {log}");
}
