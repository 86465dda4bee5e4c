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

use crate::baseline::{Message, serve_unary};
use crate::contest::{Comparison, Contender, Goals, Rounds, compete};
use crate::durable::{ACCEPT, Waiting, accept_request, folder, remove_folders, write};
use crate::load::{self, Calls, INVOKE, Load, Round};
use crate::peer::Peers;
use crate::server::Server;
use crate::settings::settings;

const RUN: &str = "/bench.AcceptRun/Run";
const QUEUE_CAPACITY: usize = 65_536;
/// How often a server is asked how many outcomes are missing.
const POLL: Duration = Duration::from_millis(2);

/// Compares at 1, 64 and 256 callers.
pub(crate) fn compare() {
    for (callers, calls, goal, peers) in [
        (1, 2_000, 0.85, [2.2, 0.9]),
        (64, 10_000, 0.75, [5.5, 6.0]),
        (256, 10_000, 0.75, [6.5, 7.0]),
    ] {
        at(callers, settings().part_of(calls), goal, peers);
    }
}

fn at(callers: usize, calls: usize, goal: f64, peer_goals: [f64; 2]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, baseline) = (Server::start("durable"), Server::start("log-accept-run"));
    let peers = Peers::start(
        &["restate-run", "jetstream-run", "jetstream-run-default"],
        callers,
    );
    let all = runtime.block_on(async {
        let subject = Subject::connect(&ours, callers).await;
        let by_hand = ByHand::connect(&baseline, callers).await;
        let keyed_calls = Calls::connect(&ours.address, callers).await;
        let key = AtomicU64::new(0);
        let keyed = |calls| {
            let invoke = |channel| invoke_with_key(channel, key.fetch_add(1, Ordering::Relaxed));
            keyed_calls.run(&ours, calls, invoke)
        };
        let mut contenders = vec![
            Contender::new("cidery", |calls| subject.round(calls)),
            Contender::new("two appends", |calls| by_hand.round(calls)),
            Contender::new("Invoke with a key", keyed),
        ];
        contenders.extend(peers.contenders());
        compete(&contenders, calls).await
    });
    let comparison = |row, title| Comparison {
        row,
        title,
        callers,
        done: "invocations",
        whose: "server",
    };
    let accepted_and_run = comparison("accept-run", "Accepted and run on disk");
    let [run, two_appends, keyed, peers @ ..] = all.as_slice() else {
        unreachable!("three contenders, and the peers");
    };
    accepted_and_run.show(run, two_appends, Goals::rate_at_least(goal));
    for (n, peer) in peers.iter().enumerate() {
        let goal = peer_goals.get(n).copied();
        accepted_and_run.show(
            run,
            peer,
            goal.map(Goals::rate_at_least).unwrap_or_default(),
        );
    }
    // The same build is its baseline.
    let accepted = Rounds {
        name: "accepted and run",
        rounds: run.rounds.clone(),
    };
    comparison("invoke-with-key", "Invoke with an idempotency key").show(
        keyed,
        &accepted,
        Goals::rate_at_least(0.6),
    );
    remove_folders([("durable", &ours), ("log", &baseline)]);
}

/// A node whose callers wait for the acceptance.
pub(crate) struct Subject<'a> {
    server: &'a Server,
    load: Load,
    client: ContractClient,
}

impl<'a> Subject<'a> {
    pub(crate) async fn connect(server: &'a Server, callers: usize) -> Self {
        let bodies = vec![accept_request(None)];
        Self {
            server,
            load: Load::with_bodies(&server.address, ACCEPT, callers, bodies).await,
            client: ContractClient::connect(&server.address).await.unwrap(),
        }
    }

    /// Ends when all outcomes are recorded.
    pub(crate) async fn round(&self, calls: usize) -> Round {
        let open = || async {
            let service = self.client.describe("echo").await.unwrap();
            service.pending + service.running
        };
        until_recorded(&self.load, self.server, calls, open).await
    }
}

/// The baseline in the same role.
pub(crate) struct ByHand<'a> {
    server: &'a Server,
    load: Load,
    count: Calls,
}

impl<'a> ByHand<'a> {
    pub(crate) async fn connect(server: &'a Server, callers: usize) -> Self {
        Self {
            server,
            load: Load::new(&server.address, RUN, callers).await,
            count: Calls::connect(&server.address, 1).await,
        }
    }

    pub(crate) async fn round(&self, calls: usize) -> Round {
        let open = || open_in_log(self.count.channel());
        until_recorded(&self.load, self.server, calls, open).await
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
