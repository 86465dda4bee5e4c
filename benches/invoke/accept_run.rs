//! Accepted and run on the embedded store: the callers wait for the acceptance, and a round ends when all outcomes are
//! recorded. The baseline is a tonic handler that appends the request to a log, syncs it and returns a number, and a
//! background echo whose outcome is appended and synced as well.
//!
//! `Invoke` with an idempotency key is compared with the same build: it is accepted, runs, and is answered with its
//! outcome.

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::wire::RawCodec;
use cidery::remote::client::ContractClient;
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codegen::BoxFuture;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::Table;
use crate::baseline::{Message, serve_unary};
use crate::durable::{ACCEPT, Waiting, accept_request, folder, write};
use crate::load::{self, Calls, INVOKE, Load, Round};
use crate::server::Server;

const RUN: &str = "/bench.AcceptRun/Run";
const QUEUE_CAPACITY: usize = 65_536;
const ROUNDS: usize = 7;
/// How often a server is asked how many outcomes are missing.
const POLL: Duration = Duration::from_millis(2);

/// Compares at 1, 64 and 256 callers.
pub(crate) fn compare() {
    for (callers, calls) in [(1, 500), (64, 10_000), (256, 10_000)] {
        at(callers, calls);
    }
}

fn at(callers: usize, calls: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, baseline) = (Server::start("durable"), Server::start("log-accept-run"));
    let (mut a, mut b, mut keyed) = (Vec::new(), Vec::new(), Vec::new());
    runtime.block_on(async {
        let client = ContractClient::connect(&ours.address).await.unwrap();
        let bodies = vec![accept_request(None)];
        let our_load = Load::with_bodies(&ours.address, ACCEPT, callers, bodies).await;
        let baseline_load = Load::new(&baseline.address, RUN, callers).await;
        let keyed_calls = Calls::connect(&ours.address, callers).await;
        let count = Calls::connect(&baseline.address, 1).await;
        let key = AtomicU64::new(0);
        let our_round = async |calls| {
            let open = || async {
                let service = client.describe("echo").await.unwrap();
                service.pending + service.running
            };
            until_recorded(&our_load, &ours, calls, open).await
        };
        let baseline_round = async |calls| {
            let open = || open_in_log(count.channel());
            until_recorded(&baseline_load, &baseline, calls, open).await
        };
        our_round(calls / 4).await;
        baseline_round(calls / 4).await;
        for _ in 0..ROUNDS {
            a.push(our_round(calls).await);
            b.push(baseline_round(calls).await);
            let invoke = |channel| invoke_with_key(channel, key.fetch_add(1, Ordering::Relaxed));
            keyed.push(keyed_calls.run(&ours, calls, invoke).await);
        }
    });
    let goal = if callers == 1 { ">= 0.85" } else { ">= 0.75" };
    let table = |title, against, goals| Table {
        title,
        sizes: (callers, ROUNDS, calls),
        against,
        done: "invocations",
        whose: "server",
        goals,
    };
    table("Accepted and run on disk", "two appends", (goal, "", "")).show(&a, &b);
    let title = "Invoke with an idempotency key";
    table(title, "accepted and run", (">= 0.6", "", "")).show(&keyed, &a);
    for (kind, server) in [("durable", &ours), ("log", &baseline)] {
        let _ = fs::remove_dir_all(folder(kind, server.id()));
    }
}

/// A round of calls and the time until no outcome is missing.
async fn until_recorded<F: Future<Output = u64>>(
    load: &Load,
    server: &Server,
    calls: usize,
    open: impl Fn() -> F,
) -> Round {
    let (cpu, begun) = (server.cpu(), Instant::now());
    let accepted = load.run(server, calls).await;
    while open().await > 0 {
        tokio::time::sleep(POLL).await;
    }
    let calls = u32::try_from(calls).unwrap();
    Round {
        per_second: f64::from(calls) / begun.elapsed().as_secs_f64(),
        cpu: (server.cpu() - cpu) / calls,
        ..accepted
    }
}

async fn invoke_with_key(channel: Channel, key: u64) {
    let request = v1::InvokeRequest {
        service: "echo".to_owned(),
        input: Some(v1::invoke_request::Input::Payload(
            load::customer().encode_to_vec().into(),
        )),
        idempotency_key: key.to_string(),
        ..v1::InvokeRequest::default()
    };
    let response = call(channel, INVOKE, request.encode_to_vec().into()).await;
    assert!(response.len() > 100, "the response has no dict");
}

/// How many outcomes the baseline has not appended yet.
async fn open_in_log(channel: Channel) -> u64 {
    let response = call(channel, RUN, Bytes::new()).await;
    let message = Message::decode(response).unwrap();
    message.service.parse().unwrap()
}

async fn call(channel: Channel, path: &'static str, request: Bytes) -> Bytes {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let response = grpc.unary(Request::new(request), path, RawCodec).await;
    response.unwrap().into_inner()
}

/// The baseline: a log, and how many outcomes are not in it yet.
#[derive(Clone)]
struct AcceptRun {
    log: SyncSender<Waiting>,
    open: Arc<AtomicU64>,
}

impl AcceptRun {
    async fn append(&self, message: &Message) -> Result<(), Status> {
        let (answer, answered) = oneshot::channel();
        let bytes = message.encode_length_delimited_to_vec();
        let full = |_| Status::resource_exhausted("full");
        self.log.try_send((bytes, answer)).map_err(full)?;
        answered.await.map_err(|_| Status::unavailable("closed"))
    }

    async fn answer(self, message: Message) -> Result<tonic::Response<Message>, Status> {
        let answer = |service| {
            Ok(tonic::Response::new(Message {
                service,
                payload: None,
            }))
        };
        if message.payload.is_none() {
            return answer(self.open.load(Ordering::Relaxed).to_string());
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.append(&message).await?;
        tokio::spawn(async move {
            self.append(&message).await.unwrap();
            self.open.fetch_sub(1, Ordering::Relaxed);
        });
        answer(cidery::Cid::new().to_string())
    }
}

impl UnaryService<Message> for AcceptRun {
    type Response = Message;
    type Future = BoxFuture<tonic::Response<Message>, Status>;

    fn call(&mut self, request: Request<Message>) -> Self::Future {
        Box::pin(self.clone().answer(request.into_inner()))
    }
}

impl NamedService for AcceptRun {
    const NAME: &'static str = "bench.AcceptRun";
}

/// Serves the baseline.
pub(crate) fn serve() {
    let folder = folder("log", std::process::id());
    fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join("log")).unwrap();
    let (log, waiting) = sync_channel(QUEUE_CAPACITY);
    std::thread::spawn(move || write(file, &waiting));
    let open = Arc::default();
    serve_unary(AcceptRun { log, open });
}
