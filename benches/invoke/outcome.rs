//! From `InvokeAsync` to the outcome by `StreamResults`, on the embedded store. The baseline is a tonic handler that
//! appends the request to a log, syncs it and returns a number, a background echo whose outcome is appended and synced
//! as well, and a second call that waits for it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::wire::RawCodec;
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::Struct;
use tokio::sync::{oneshot, watch};
use tonic::client::Grpc;
use tonic::codegen::BoxFuture;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::baseline::{Message, serve_unary};
use crate::contest::{Comparison, Contender, Goals, compete};
use crate::durable::{ACCEPT, Waiting, accept_request, folder, remove_folders, write};
use crate::load::{self, Calls};
use crate::peer::Peers;
use crate::server::Server;
use crate::settings::settings;

pub(crate) const STREAM: &str = "/cidery.v1.InvocationService/StreamResults";
const RUN: &str = "/bench.Run/Run";
const QUEUE_CAPACITY: usize = 65_536;

/// Compares at 1, 64 and 256 callers.
pub(crate) fn compare() {
    for (callers, calls) in [(1, 1_500), (64, 8_000), (256, 8_000)] {
        at(callers, settings().part_of(calls));
    }
}

fn at(callers: usize, calls: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, baseline) = (Server::start("durable"), Server::start("log-run"));
    let all = runtime.block_on(async {
        let request = accept_request(None);
        let our_calls = Calls::connect(&ours.address, callers).await;
        let our_call = |channel| accepted_and_followed(channel, request.clone());
        let by_hand = Calls::connect(&baseline.address, callers).await;
        let by_hand_call = |channel| append_and_wait(channel, load::customer());
        let contenders = [
            Contender::new("cidery", |calls| our_calls.run(&ours, calls, &our_call)),
            Contender::new("by hand", |calls| {
                by_hand.run(&baseline, calls, by_hand_call)
            }),
        ];
        compete(&contenders, calls).await
    });
    let comparison = Comparison {
        row: "outcome",
        title: "Accepted to the outcome on a stream, on disk",
        callers,
        done: "outcomes",
        whose: "server",
    };
    comparison.show(&all[0], &all[1], Goals::rate_at_least(0.75));
    remove_folders([("durable", &ours), ("log", &baseline)]);
}

/// The same through a worker process, beside the other systems if they are there.
pub(crate) fn compare_workers() {
    for (callers, calls, goals) in [
        (1, 1_500, [3.0, 0.7]),
        (64, 8_000, [5.5, 4.5]),
        (256, 8_000, [4.5, 6.0]),
    ] {
        through_a_worker(callers, settings().part_of(calls), goals);
    }
}

fn through_a_worker(callers: usize, calls: usize, goals: [f64; 2]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, in_process) = (Server::start("durable-node"), Server::start("durable"));
    let _worker = Server::start_with(&["--serve", "worker", &ours.address]);
    let peers = Peers::start(
        &[
            "restate-outcome",
            "jetstream-outcome",
            "jetstream-outcome-default",
        ],
        callers,
    );
    let all = runtime.block_on(async {
        let request = accept_request(None);
        let call = |channel| accepted_and_followed(channel, request.clone());
        let our_calls = Calls::connect(&ours.address, callers).await;
        let in_process_calls = Calls::connect(&in_process.address, callers).await;
        let mut contenders = vec![
            Contender::new("cidery", |calls| our_calls.run(&ours, calls, &call)),
            Contender::new("without a worker", |calls| {
                in_process_calls.run(&in_process, calls, &call)
            }),
        ];
        contenders.extend(peers.contenders());
        compete(&contenders, calls).await
    });
    let comparison = Comparison {
        row: "worker-outcome",
        title: "Accepted to the outcome through a worker, on disk",
        callers,
        done: "outcomes",
        whose: "server",
    };
    for (n, other) in all[1..].iter().enumerate() {
        let goal = n.checked_sub(1).and_then(|n| goals.get(n).copied());
        let goals = goal.map(Goals::rate_at_least).unwrap_or_default();
        comparison.show(&all[0], other, goals);
    }
    remove_folders([("durable", &ours), ("durable", &in_process)]);
}

/// Submits an invocation and follows it to its end.
pub(crate) async fn accepted_and_followed(channel: Channel, request: Bytes) {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(ACCEPT);
    let answer = grpc.unary(Request::new(request), path, RawCodec).await;
    let accepted = v1::InvokeAsyncResponse::decode(answer.unwrap().into_inner()).unwrap();
    let follow = v1::StreamResultsRequest {
        cids: vec![accepted.cid],
        ..v1::StreamResultsRequest::default()
    };
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(STREAM);
    let follow = Request::new(Bytes::from(follow.encode_to_vec()));
    let stream = grpc.server_streaming(follow, path, RawCodec).await;
    let (mut stream, mut last) = (stream.unwrap().into_inner(), Bytes::new());
    while let Some(event) = stream.message().await.unwrap() {
        last = event;
    }
    assert!(last.len() > 100, "the last event has no dict");
}

/// The same with the baseline.
pub(crate) async fn append_and_wait(channel: Channel, payload: Struct) {
    let mut grpc = Grpc::new(channel);
    let mut message = Message {
        service: "echo".to_owned(),
        payload: Some(payload),
    };
    for _ in 0..2 {
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static(RUN);
        let request = Request::new(Bytes::from(message.encode_to_vec()));
        let answer = grpc.unary(request, path, RawCodec).await.unwrap();
        message = Message::decode(answer.into_inner()).unwrap();
    }
    assert!(message.payload.is_some(), "the outcome has no dict");
}

/// The outcomes by number. A watch channel, because the waiting call may arrive first.
type Outcomes = Arc<Mutex<HashMap<String, watch::Sender<Option<Message>>>>>;

#[derive(Clone)]
struct Run {
    log: SyncSender<Waiting>,
    outcomes: Outcomes,
}

impl Run {
    async fn append(&self, message: &Message) -> Result<(), Status> {
        let (answer, answered) = oneshot::channel();
        let bytes = message.encode_length_delimited_to_vec();
        let full = |_| Status::resource_exhausted("full");
        self.log.try_send((bytes, answer)).map_err(full)?;
        let closed = |_| Status::unavailable("closed");
        answered.await.map_err(closed)
    }

    async fn answer(self, message: Message) -> Result<tonic::Response<Message>, Status> {
        if message.payload.is_none() {
            return self.outcome(&message.service).await;
        }
        self.append(&message).await?;
        let number = cidery::Cid::new().to_string();
        let outcome = watch::Sender::new(None);
        let mut outcomes = self.outcomes.lock().unwrap();
        outcomes.insert(number.clone(), outcome.clone());
        drop(outcomes);
        let echo = self.clone();
        tokio::spawn(async move {
            echo.append(&message).await.unwrap();
            outcome.send_replace(Some(message));
        });
        Ok(tonic::Response::new(Message {
            service: number,
            payload: None,
        }))
    }

    async fn outcome(&self, number: &str) -> Result<tonic::Response<Message>, Status> {
        let outcome = self.outcomes.lock().unwrap().remove(number);
        let unknown = || Status::not_found("unknown");
        let mut outcome = outcome.ok_or_else(unknown)?.subscribe();
        let there = outcome.wait_for(Option::is_some).await;
        let message = there.map_err(|_| unknown())?.clone();
        message.map(tonic::Response::new).ok_or_else(unknown)
    }
}

impl UnaryService<Message> for Run {
    type Response = Message;
    type Future = BoxFuture<tonic::Response<Message>, Status>;

    fn call(&mut self, request: Request<Message>) -> Self::Future {
        Box::pin(self.clone().answer(request.into_inner()))
    }
}

impl NamedService for Run {
    const NAME: &'static str = "bench.Run";
}

/// The baseline.
pub(crate) fn serve_run() {
    let folder = folder("log", std::process::id());
    fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join("log")).unwrap();
    let (log, waiting) = sync_channel(QUEUE_CAPACITY);
    std::thread::spawn(move || write(file, &waiting));
    let outcomes = Outcomes::default();
    serve_unary(Run { log, outcomes });
}
