//! Attacks on memory: responses that are not read, messages that are never finished, requests that cause much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Context, Dict, Limits, Node, Result, Value, Worker, WorkerHandle, dict};
use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::binary::Server;
use crate::support::raw::{INVOKE, Raw, framed};
use crate::support::{Folder, PATIENCE, TestNode, error_of, follow};

const MIB: usize = 1024 * 1024;
const GET: &str = "/cidery.v1.InvocationService/GetInvocation";
const STREAM: &str = "/cidery.v1.InvocationService/StreamResults";

/// How much memory of a node process one connection may take: its budget, and several times as much for what is being
/// read from the store, decoded, encoded and sent.
const BOUND_MIB: usize = 160;
/// How much more memory a node keeps after an attack than before it, at most.
const REMAINDER_MIB: usize = 24;
/// The same where the attack fills the page caches of a new store: of its writer and its readers.
const CACHES_MIB: usize = 112;
/// How much all running attempts may take: three quarters of their budget, and half as much again.
const RUNNING_BOUND_MIB: usize = 300;

/// The resident memory of a process, in MiB.
pub(super) fn resident_mib(server: &Server) -> usize {
    let path = format!("/proc/{}/statm", server.child.id());
    let statm = std::fs::read_to_string(path).unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096 / MIB
}

/// The CPU time of a process, at a resolution of 10 ms.
pub(super) fn cpu_time(server: &Server) -> Duration {
    let path = format!("/proc/{}/stat", server.child.id());
    let stat = std::fs::read_to_string(path).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// A node process, and a worker in this one with a service of large items and a large outcome.
async fn node_with_large_results(folder: &Folder) -> (Server, ContractClient, WorkerHandle) {
    let data = folder.path().join("data");
    let server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let large = async |ctx: Context, input: Dict| -> Result<Value> {
        let mib = |key: &str| input.get(key).and_then(Value::as_int).unwrap_or_default();
        for _ in 0..mib("items") {
            ctx.emit(Value::from("x".repeat(MIB))).await?;
        }
        let outcome = (0..mib("outcome")).map(|_| "x".repeat(MIB));
        Ok(Value::from(outcome.collect::<String>()))
    };
    let worker = Worker::builder().service("large.result", large);
    let worker = worker.connect(&server.address).await.unwrap();
    let client = ContractClient::connect(&server.address).await.unwrap();
    (server, client, worker)
}

async fn ended(client: &ContractClient, input: Dict) -> Cid {
    let call = Call::new("large.result", input);
    let cid = client.invoke_async(call).await.unwrap().cid;
    let found = client.invocation(cid, PATIENCE).await.unwrap();
    assert!(found.end_time.is_some());
    cid
}

/// Calls of one connection whose responses are not read until they are dropped.
struct Unread {
    _calls: JoinSet<()>,
    /// How many of them have begun: their response has headers.
    begun: Arc<AtomicUsize>,
}

async fn unread(
    server: &Server,
    path: &str,
    requests: impl IntoIterator<Item = impl prost::Message>,
) -> Unread {
    let mut raw = Raw::connect_with_window(server.address.parse().unwrap(), 0).await;
    let (mut calls, begun) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for request in requests {
        let (response, mut send) = raw.begin(path, &[]);
        send.send_data(framed(&request.encode_to_vec()), true)
            .unwrap();
        let begun = Arc::clone(&begun);
        calls.spawn(async move {
            let response = response.await.unwrap();
            // A refusal has a status at once, and no body.
            if !response.headers().contains_key("grpc-status") {
                begun.fetch_add(1, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        });
    }
    Unread {
        _calls: calls,
        begun,
    }
}

impl Unread {
    /// Asserts that so many responses are held: without them the attack would be none.
    fn assert_begun(&self, at_least: usize) {
        let begun = self.begun.load(Ordering::Relaxed);
        assert!(begun >= at_least, "only {begun} responses have begun");
    }
}

/// A measured attack. `scripts/memory` prints the row that it makes of it, for `docs/reliability.md`.
struct Figures {
    attack: &'static str,
    before: usize,
    peak: usize,
}

impl Figures {
    /// Measures the most memory that the node takes while calls of another connection are answered.
    async fn of(
        attack: &'static str,
        before: usize,
        bound: usize,
        server: &Server,
        client: &ContractClient,
    ) -> Self {
        let mut peak = 0;
        for _ in 0..40 {
            client.invoke(Call::new("cidery.ping", ())).await.unwrap();
            peak = peak.max(resident_mib(server));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(peak < before + bound, "{peak} MiB, {before} MiB before");
        Self {
            attack,
            before,
            peak,
        }
    }

    /// Waits until the node has given back the memory of the attack, which is over.
    #[expect(clippy::print_stdout, reason = "`scripts/memory` reads it")]
    async fn given_back(self, server: &Server, remainder: usize) {
        let Self {
            attack,
            before,
            peak,
        } = self;
        let fallen = async {
            while resident_mib(server) > before + remainder {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let fallen = tokio::time::timeout(PATIENCE, fallen).await;
        let now = resident_mib(server);
        assert!(fallen.is_ok(), "{now} MiB are kept, {before} MiB before");
        println!("| {attack} | {before} MiB | {peak} MiB | {now} MiB |");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_that_are_not_read_take_bounded_memory() {
    let folder = Folder::new("memory");
    let (server, client, _worker) = node_with_large_results(&folder).await;
    let cid = ended(&client, dict! { "outcome": 15 }).await;
    let request = v1::GetInvocationRequest {
        cid: cid.to_string(),
        ..v1::GetInvocationRequest::default()
    };
    let before = resident_mib(&server);
    let unread = unread(&server, GET, vec![request; 150]).await;
    let attack = "150 `GetInvocation` of an outcome of 15 MiB, not read";
    let figures = Figures::of(attack, before, BOUND_MIB, &server, &client).await;
    unread.assert_begun(2);
    drop(unread);
    figures.given_back(&server, REMAINDER_MIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_ended_invocations_that_are_not_read_take_bounded_memory() {
    let folder = Folder::new("memory");
    let (server, client, _worker) = node_with_large_results(&folder).await;
    let cid = ended(&client, dict! { "items": 15 }).await;
    let before = resident_mib(&server);
    let unread = unread(&server, STREAM, vec![follow(cid); 300]).await;
    let attack = "300 `StreamResults` of an ended invocation with 15 items of 1 MiB, not read";
    let figures = Figures::of(attack, before, BOUND_MIB, &server, &client).await;
    unread.assert_begun(300);
    drop(unread);
    figures.given_back(&server, REMAINDER_MIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_live_invocations_that_are_not_read_take_bounded_memory() {
    const INVOCATIONS: usize = 40;
    let folder = Folder::new("memory");
    let (server, client, _worker) = node_with_large_results(&folder).await;
    // The page caches of the store are warm.
    ended(&client, dict! { "items": 15 }).await;
    let cids: Vec<_> = (0..INVOCATIONS).map(|_| Cid::new()).collect();
    let before = resident_mib(&server);
    let requests = cids.iter().map(|cid| v1::StreamResultsRequest {
        wait_for_accept: true,
        ..follow(cid)
    });
    let unread = unread(&server, STREAM, requests).await;
    for cid in cids {
        let call = Call {
            cid: Some(cid),
            ..Call::new("large.result", dict! { "items": 8 })
        };
        client.invoke_async(call).await.unwrap();
        crate::support::ended(&client, cid).await;
    }
    let attack =
        "40 `StreamResults` of invocations with 8 items of 1 MiB, from before they ran, not read";
    let figures = Figures::of(attack, before, BOUND_MIB, &server, &client).await;
    unread.assert_begun(INVOCATIONS);
    drop(unread);
    figures.given_back(&server, CACHES_MIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_not_finished_take_bounded_memory() {
    let server = Server::start(&[]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let mut raw = Raw::connect(server.address.parse().unwrap()).await;
    let mut half = BytesMut::new();
    half.put_u8(0);
    half.put_u32(u32::try_from(15 * MIB).unwrap());
    half.resize(14 * MIB, 0);
    let half: Bytes = half.freeze();
    let before = resident_mib(&server);
    let mut open = Vec::new();
    for _ in 0..600 {
        let (response, mut send) = raw.begin(INVOKE, &[]);
        send.send_data(half.clone(), false).unwrap();
        open.push((response, send));
    }
    // Some are refused, the others are held: without that the attack would be none.
    let all = open.len();
    let refused = async {
        while open.len() == all {
            open.retain_mut(|(response, _)| response.now_or_never().is_none());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert!(!open.is_empty());
    let attack = "600 requests of 15 MiB, not finished, after 2 s";
    let figures = Figures::of(attack, before, BOUND_MIB, &server, &client).await;
    drop((open, raw));
    figures.given_back(&server, REMAINDER_MIB).await;
}

/// Requests are answered when they are accepted: what they wait for is in the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_of_running_invocations_take_bounded_memory() {
    const INVOCATIONS: usize = 50;
    let folder = Folder::new("memory");
    let data = folder.path().join("data");
    let server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let before = resident_mib(&server);
    let mut cids = Vec::new();
    for _ in 0..INVOCATIONS {
        let input = dict! { "seconds": 3_600, "padding": "x".repeat(8 * MIB) };
        let accepted = client.invoke_async(Call::new("demo.sleep", input)).await;
        cids.push(accepted.unwrap().cid);
    }
    let attack = "50 `InvokeAsync` with an input of 8 MiB, of handlers that run for an hour";
    let figures = Figures::of(attack, before, RUNNING_BOUND_MIB, &server, &client).await;
    for cid in cids {
        client.cancel(cid, false).await.unwrap();
    }
    figures.given_back(&server, CACHES_MIB).await;
}

/// A connection may use more than its own budget while others do not need it.
#[tokio::test]
async fn many_large_calls_of_one_connection_succeed() {
    let length = async |input: Value| input.as_text().map_or(0, str::len) as u64;
    let limits = |limits: &mut Limits| limits.received_bytes = MIB;
    let node = Node::builder().service("a.length", length).limits(limits);
    let node = TestNode::start(node).await;
    let input = "x".repeat(MIB / 3);
    let calls = (0..60).map(|_| {
        node.client
            .invoke(Call::new("a.length", Value::from(input.as_str())))
    });
    for answer in futures_util::future::join_all(calls).await {
        let (_, reply) = answer.unwrap();
        let length = cidery::codec::payload::decode(reply.payload).unwrap();
        assert_eq!(length.as_int(), i64::try_from(input.len()).ok());
    }
}

/// Where the node holds too much, a large request is refused, and small ones go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_holds_too_much_refuses_large_requests() {
    let (held, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hold = {
        let (held, release) = (Arc::clone(&held), Arc::clone(&release));
        move |_: Value| {
            let (held, release) = (Arc::clone(&held), Arc::clone(&release));
            async move {
                held.notify_one();
                release.notified().await;
            }
        }
    };
    let limits = |limits: &mut Limits| limits.node_received_bytes = 8 * MIB;
    let node = Node::builder().service("a.hold", hold).limits(limits);
    let node = TestNode::start(node).await;
    let large = Call::new("a.hold", Value::from("x".repeat(5 * MIB / 2)));
    let first = crate::support::raw::spawn({
        let (client, large) = (node.client.clone(), large.clone());
        async move { client.invoke(large).await }
    });
    held.notified().await;
    let refused = node
        .client
        .clone()
        .max_attempts(1)
        .invoke(large)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "MEMORY_LIMIT");
    assert!(refused.retry_after().is_some());
    node.assert_healthy().await;
    release.notify_one();
    first.await.unwrap().unwrap();
}

/// All streams together follow a limited number of CIDs.
#[tokio::test]
async fn followed_cids_are_limited_for_the_node() {
    let limits = |limits: &mut Limits| limits.node_stream_cids = 10;
    let node = TestNode::start(Node::builder().limits(limits)).await;
    let request = |n: usize| v1::StreamResultsRequest {
        cids: (0..n).map(|_| Cid::new().to_string()).collect(),
        wait_for_accept: true,
        ..v1::StreamResultsRequest::default()
    };
    let mut stub = node.stub.clone();
    let first = stub.stream_results(request(8)).await.unwrap();
    let refused = stub.stream_results(request(3)).await.unwrap_err();
    assert_eq!(error_of(&refused).reason(), "STREAM_LIMIT");
    drop(first);
    let fits = async {
        while stub.stream_results(request(3)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, fits).await.unwrap();
}
