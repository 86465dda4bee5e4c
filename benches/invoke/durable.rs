//! `InvokeAsync` on the embedded store. The baseline is a tonic handler in front of an append-only log: one thread with
//! group commit, `fdatasync`, then the responses. The invocations are due in an hour, so that only acceptance is
//! measured. Both are on the same disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use cidery::codec::proto::v1;
use cidery::store::SqliteStore;
use cidery::{Cid, Node};
use prost::Message as _;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::codegen::BoxFuture;
use tonic::server::{NamedService, UnaryService};

use crate::baseline::{Message, serve_unary};
use crate::contest::{Comparison, Contender, Goals, compete};
use crate::load::{self, Load};
use crate::relay;
use crate::server::{Server, serve_echo};
use crate::settings::settings;

const PATH: &str = "/bench.Log/Append";
pub(crate) const ACCEPT: &str = "/cidery.v1.InvocationService/InvokeAsync";
/// Capacity of the queue of the log, and the maximum size of a commit group.
const QUEUE_CAPACITY: usize = 65_536;
const MAX_GROUP: usize = 1_024;

/// Compares acceptance at 1, 64 and 256 callers.
pub(crate) fn compare() {
    for (callers, calls, goal) in [(1, 4_000, 0.8), (64, 15_000, 0.9), (256, 15_000, 0.9)] {
        at(callers, settings().part_of(calls), goal);
    }
}

fn at(callers: usize, calls: usize, goal: f64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, baseline) = (Server::start("durable"), Server::start("log"));
    let all = runtime.block_on(async {
        let bodies = vec![accept_request(Some(3_600))];
        let our_load = Load::with_bodies(&ours.address, ACCEPT, callers, bodies).await;
        let baseline_load = Load::new(&baseline.address, PATH, callers).await;
        let contenders = [
            Contender::new("cidery", |calls| our_load.run(&ours, calls)),
            Contender::new("bare log", |calls| baseline_load.run(&baseline, calls)),
        ];
        compete(&contenders, calls).await
    });
    let comparison = Comparison {
        row: "accept-later",
        title: "Accepted on disk, due later",
        callers,
        done: "accepts",
        whose: "server",
    };
    comparison.show(&all[0], &all[1], Goals::rate_at_least(goal));
    remove_folders([("durable", &ours), ("log", &baseline)]);
}

/// Removes the data of servers.
pub(crate) fn remove_folders<'a>(servers: impl IntoIterator<Item = (&'a str, &'a Server)>) {
    for (kind, server) in servers {
        let _ = fs::remove_dir_all(folder(kind, server.id()));
    }
}

/// A request with the same dict as for `Invoke`, due later or at once.
pub(crate) fn accept_request(seconds: Option<i64>) -> bytes::Bytes {
    let start = seconds.map(|seconds| {
        v1::invoke_async_request::Start::Delay(prost_types::Duration { seconds, nanos: 0 })
    });
    let request = v1::InvokeAsyncRequest {
        service: "echo".to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(
            load::customer().encode_to_vec().into(),
        )),
        start,
        ..v1::InvokeAsyncRequest::default()
    };
    request.encode_to_vec().into()
}

/// The data directory of a server, beside the build so that it is on a disk.
pub(crate) fn folder(kind: &str, process: u32) -> PathBuf {
    let target = std::env::current_exe().unwrap();
    target.with_file_name(format!("bench-{kind}-{process}"))
}

/// A node with the embedded store.
pub(crate) fn serve() {
    let store = SqliteStore::open(folder("durable", std::process::id())).unwrap();
    serve_echo(|node| node.store(store));
}

/// As above, without a service: workers serve.
pub(crate) fn serve_node() {
    let store = SqliteStore::open(folder("durable", std::process::id())).unwrap();
    relay::serve(Node::builder().store(store));
}

pub(crate) type Waiting = (Vec<u8>, oneshot::Sender<()>);

#[derive(Clone)]
struct Log(SyncSender<Waiting>);

pub(crate) fn write(mut log: File, waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Waiting> = std::iter::once(first)
            .chain(waiting.try_iter().take(MAX_GROUP - 1))
            .collect();
        let bytes: Vec<u8> = group
            .iter()
            .flat_map(|(bytes, _)| bytes.iter().copied())
            .collect();
        log.write_all(&bytes).unwrap();
        log.sync_data().unwrap();
        for (_, answer) in group {
            let _ = answer.send(());
        }
    }
}

impl UnaryService<Message> for Log {
    type Response = Message;
    type Future = BoxFuture<tonic::Response<Message>, Status>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        let log = self.0.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let bytes = request.into_inner().encode_length_delimited_to_vec();
            log.try_send((bytes, answer))
                .map_err(|_| Status::resource_exhausted("full"))?;
            answered.await.map_err(|_| Status::unavailable("closed"))?;
            let service = Cid::new().to_string();
            Ok(tonic::Response::new(Message {
                service,
                payload: None,
            }))
        })
    }
}

impl NamedService for Log {
    const NAME: &'static str = "bench.Log";
}

/// The baseline.
pub(crate) fn serve_log() {
    let folder = folder("log", std::process::id());
    fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join("log")).unwrap();
    let (log, waiting) = sync_channel(QUEUE_CAPACITY);
    std::thread::spawn(move || write(file, &waiting));
    serve_unary(Log(log));
}
