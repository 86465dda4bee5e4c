//! A night shift: a bad deployment fails all calls of a service. The operator sees it, finds out why, pauses the
//! service, deploys again, and retries what failed, while new calls arrive and the node is killed as retries run.
//!
//! `CIDERY_NIGHT_SHIFT` is how many invocations fail: 2 000 by default, 20 000 in `scripts/test`, 400 000 with
//! `--soak`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::codec::convert::timestamp_to_proto;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::operation_service_client::OperationServiceClient;
use cidery::engine::clock::Clock;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Error, Input, Worker, WorkerHandle, dict};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::binary::{Server, stderr, stdout};
use crate::support::raw::spawn;
use crate::support::{Folder, PATIENCE};

const SERVICE: &str = "orders.ship";
const REASON: &str = "ADDRESS_UNKNOWN";
const FILTER: &str = r#"service = "orders.ship" AND failure_reason = ADDRESS_UNKNOWN"#;

/// Invocations that succeeded before the deployment.
const OTHERS: usize = 500;
/// How many handlers of a worker run at once.
const IN_FLIGHT: u32 = 100;
/// How many failures a status counts.
const STATUS_FAILURES: usize = 50_000;
/// How long a handler of a good build takes: some run when the node is killed.
const WORK: Duration = Duration::from_millis(20);
/// How often a new call arrives.
const ARRIVAL: Duration = Duration::from_millis(10);

fn count() -> usize {
    let count = std::env::var("CIDERY_NIGHT_SHIFT").ok();
    count.and_then(|count| count.parse().ok()).unwrap_or(2_000)
}

/// When the handler of a good build began to run an order, by its number.
#[derive(Clone, Default)]
struct Runs {
    by_order: Arc<Mutex<HashMap<usize, Vec<Life>>>>,
    is_second_life: Arc<AtomicBool>,
}

/// Which process of the node was running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    First,
    Second,
}

impl Runs {
    fn note(&self, order: usize) {
        let life = match self.is_second_life.load(Ordering::SeqCst) {
            false => Life::First,
            true => Life::Second,
        };
        let mut by_order = self.by_order.lock().unwrap();
        by_order.entry(order).or_default().push(life);
    }

    fn of(&self, order: usize) -> Vec<Life> {
        let by_order = self.by_order.lock().unwrap();
        by_order.get(&order).cloned().unwrap_or_default()
    }
}

#[derive(Deserialize, JsonSchema)]
struct Order {
    order: usize,
    note: String,
}

/// The size of the note of an order: all that fail have 32 MiB, many of them more.
fn note_bytes() -> usize {
    ((32 << 20) / count()).max(512)
}

fn call(order: usize) -> Call {
    let note = "x".repeat(note_bytes());
    Call::new(SERVICE, dict! { "order": order, "note": note })
}

/// Deploys a build of the worker.
async fn deploy(server: &Server, build: &str, runs: &Runs) -> WorkerHandle {
    let (is_bad, runs) = (build == "bad", runs.clone());
    let ship = move |Input(order): Input<Order>| {
        let runs = runs.clone();
        async move {
            let Order { order, note } = order;
            assert_eq!(note.len(), note_bytes());
            if is_bad {
                return Err(Error::failed_precondition(
                    REASON,
                    "the address has no town",
                ));
            }
            runs.note(order);
            tokio::time::sleep(WORK).await;
            Ok(dict! { "shipped": true })
        }
    };
    Worker::builder()
        .name("orders")
        .build_id(build)
        .max_in_flight(IN_FLIGHT)
        .service(SERVICE, ship)
        .connect(&server.address)
        .await
        .unwrap()
}

/// Accepts orders, and answers with their CIDs.
async fn order(client: &ContractClient, orders: Range<usize>) -> Vec<Cid> {
    let accept = |order| async move { client.invoke_async(call(order)).await.unwrap().cid };
    stream::iter(orders)
        .map(accept)
        .buffered(64)
        .collect()
        .await
}

/// New calls that arrive one after the other, whether the node is up or not, until they are stopped.
struct Arrivals {
    accepted: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: JoinHandle<HashMap<String, usize>>,
}

impl Arrivals {
    fn start(client: ContractClient, first: usize) -> Self {
        let (accepted, stop) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
        let (count, stopped) = (Arc::clone(&accepted), stop.clone());
        let task = spawn(async move {
            let mut orders = HashMap::new();
            while !stopped.is_cancelled() {
                let order = first + orders.len();
                let cid = Cid::new();
                // With its CID it is accepted once, however often it is sent.
                let again = || Call {
                    cid: Some(cid),
                    ..call(order)
                };
                while client.invoke_async(again()).await.is_err() {
                    tokio::time::sleep(ARRIVAL).await;
                }
                orders.insert(cid.to_string(), order);
                count.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(ARRIVAL).await;
            }
            orders
        });
        Self {
            accepted,
            stop,
            task,
        }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The numbers of the orders, by CID.
    async fn stop(self) -> HashMap<String, usize> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

/// How long a call of another service takes: the median of many.
async fn latency(client: &ContractClient) -> Duration {
    let mut took = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        client
            .invoke(Call::new("cidery.echo", dict! {}))
            .await
            .unwrap();
        took.push(begun.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

/// Runs a command that succeeds, and reads what it writes.
fn json(server: &Server, arguments: &[&str]) -> Json {
    let output = server.run(&[arguments, &["-o", "json"]].concat());
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// How many invocations match a filter.
async fn matching(client: &ContractClient, filter: &str) -> u64 {
    let filter = cidery::codec::filter::resolve(None, filter, Clock::System.now());
    let filter = filter.unwrap().unwrap();
    client.summarize(filter).await.unwrap().total
}

/// Waits until so many invocations match a filter.
async fn until_matching(client: &ContractClient, filter: &str, expected: usize) {
    let begun = Instant::now();
    loop {
        let now = matching(client, filter).await;
        if now == expected as u64 {
            return;
        }
        // As long as it takes while something happens, at 400 000 as well.
        assert!(begun.elapsed() < PATIENCE * 20, "{now} match `{filter}`");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The operation, once it has seen so many invocations or has ended.
async fn operation(server: &Server, id: &str, processed: u64) -> v1::Operation {
    let node = format!("http://{}", server.address);
    let mut operations = OperationServiceClient::connect(node).await.unwrap();
    loop {
        let request = v1::GetOperationRequest {
            id: id.to_owned(),
            wait: true,
        };
        let response = operations.get_operation(request).await.unwrap();
        let operation = response.into_inner().operation.unwrap();
        if operation.processed >= processed || operation.end_time.is_some() {
            return operation;
        }
    }
}

/// The most memory that the node has used, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1);
    kib.unwrap().parse().unwrap()
}

/// The node says what fails and why.
fn see_the_failures(server: &Server, failed: usize) {
    let status = json(server, &["status"]);
    let failures = status["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["service"], SERVICE);
    assert_eq!(failures[0]["reason"], REASON);
    // Of more, the status counts those that failed last, and says so.
    assert_eq!(failures[0]["count"], failed.min(STATUS_FAILURES));
    assert_eq!(status["failures_incomplete"], failed > STATUS_FAILURES);
    let letters = stdout(&server.run(&["dead-letters"]));
    let says_why = letters.contains(REASON) && letters.contains(SERVICE);
    assert!(says_why, "{letters}");
}

/// Starts to retry what failed, slowly enough for what follows.
fn start_to_retry(server: &Server, failed: usize) -> String {
    let counted = json(server, &["retry", "--filter", FILTER, "--dry-run"]);
    assert_eq!(counted[0]["count"], failed, "{counted}");
    let rate = (failed / 5).max(400).to_string();
    let options = ["--rate", &rate, "--yes", "--detach"];
    let started = json(
        server,
        &[&["retry", "--filter", FILTER], &options[..]].concat(),
    );
    started["id"].as_str().unwrap().to_owned()
}

/// Every failed invocation has one retry.
async fn assert_retried_once(client: &ContractClient, failed: usize) {
    let mut retries: HashMap<String, usize> = HashMap::new();
    let filter = v1::InvocationFilter {
        services: vec![SERVICE.to_owned()],
        ..v1::InvocationFilter::default()
    };
    let note = |one: v1::Invocation| {
        if !one.retry_of.is_empty() {
            *retries.entry(one.retry_of).or_default() += 1;
        }
    };
    client
        .each_invocation(filter, usize::MAX, note)
        .await
        .unwrap();
    assert_eq!(retries.len(), failed);
    assert!(retries.values().all(|count| *count == 1), "retried twice");
    assert_eq!(matching(client, "dead_letter = true").await, 0);
}

fn run(server: &Server, arguments: &[&str]) {
    let output = server.run(arguments);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// The orders of the invocations that had succeeded before a time. `orders` has those of invocations that are no
/// retries.
async fn succeeded_before(
    client: &ContractClient,
    time: Timestamp,
    orders: &HashMap<String, usize>,
) -> Vec<usize> {
    let filter = v1::InvocationFilter {
        services: vec![SERVICE.to_owned()],
        states: vec![v1::State::Succeeded.into()],
        ended_before: Some(timestamp_to_proto(time)),
        ..v1::InvocationFilter::default()
    };
    let mut succeeded = Vec::new();
    let note = |one: v1::Invocation| {
        let original = match one.retry_of.is_empty() {
            true => one.cid,
            false => one.retry_of,
        };
        succeeded.push(orders[&original]);
    };
    client
        .each_invocation(filter, usize::MAX, note)
        .await
        .unwrap();
    succeeded
}

/// Waits until one of these orders runs.
async fn until_one_runs(runs: &Runs, orders: Range<usize>) {
    let begun = Instant::now();
    while !orders.clone().any(|order| !runs.of(order).is_empty()) {
        assert!(begun.elapsed() < PATIENCE, "no retry runs");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Each order ran; returns how many did so twice: once in each life of the node.
fn ran_twice(runs: &Runs, orders: usize) -> usize {
    let mut twice = 0;
    for order in 0..orders {
        match runs.of(order)[..] {
            [_] => {}
            [Life::First, Life::Second] => twice += 1,
            ref runs => panic!("order {order} ran {runs:?}"),
        }
    }
    twice
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bad_deployment_failed_is_found_and_retried() {
    let failed = count();
    let folder = Folder::new("night-shift");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    let address = server.address.clone();
    let client = ContractClient::connect(&address).await.unwrap();
    let runs = Runs::default();

    // A good build, then a bad one.
    let good = deploy(&server, "good", &runs).await;
    let mut cids = order(&client, 0..OTHERS).await;
    until_matching(&client, "state = SUCCEEDED", OTHERS).await;
    good.stop().await;
    let bad = deploy(&server, "bad", &runs).await;
    cids.extend(order(&client, OTHERS..OTHERS + failed).await);
    let numbered = cids.iter().enumerate();
    let mut orders: HashMap<_, _> = numbered.map(|(n, cid)| (cid.to_string(), n)).collect();
    until_matching(&client, FILTER, failed).await;
    see_the_failures(&server, failed);

    // Paused, and deployed again. New calls arrive from now on.
    let pause = ["service", "pause", SERVICE, "--reason", "bad build"];
    run(&server, &pause);
    bad.stop().await;
    let good = deploy(&server, "good again", &runs).await;
    let quiet = latency(&client).await;
    let arrivals = Arrivals::start(client.clone(), OTHERS + failed);
    run(&server, &["service", "resume", SERVICE]);

    // Retried by filter. Other services go on as before.
    let small = peak_kib(&server);
    let id = start_to_retry(&server, failed);
    let busy = latency(&client).await;
    let slow = (10 * quiet).max(Duration::from_millis(100));
    assert!(busy < slow, "{busy:?} instead of {quiet:?}");

    // The node is killed as retries run: some have succeeded, some are running, some are yet to be made.
    let retried = OTHERS..OTHERS + failed;
    until_one_runs(&runs, retried.clone()).await;
    let middle = operation(&server, &id, failed as u64 / 5).await;
    assert_eq!(middle.end_time, None, "too fast to be killed in the middle");
    let first_peak = peak_kib(&server);
    server.signal("KILL");
    server.child.wait().unwrap();
    let killed = Clock::System.now();
    let arrived = arrivals.accepted();
    runs.is_second_life.store(true, Ordering::SeqCst);
    server = Server::start(&["--data-dir", data, "--listen", &address]);
    let client = ContractClient::connect(&address).await.unwrap();
    let ended = operation(&server, &id, u64::MAX).await;
    assert_eq!(ended.state(), v1::OperationState::Succeeded, "{ended:?}");
    let counts = (ended.matched, ended.processed);
    assert_eq!(counts, (failed as u64, failed as u64));
    let arrived_later = arrivals.accepted() - arrived;
    assert!(
        arrived > 0 && arrived_later > 0,
        "{arrived}, {arrived_later}"
    );
    orders.extend(arrivals.stop().await);

    // Every call has its outcome, once.
    until_matching(&client, "state = SUCCEEDED", orders.len()).await;
    assert_retried_once(&client, failed).await;
    // What had succeeded did not run again. What was running may have run again.
    let succeeded = succeeded_before(&client, killed, &orders).await;
    assert!(succeeded.iter().any(|order| retried.contains(order)));
    for order in succeeded {
        assert_eq!(runs.of(order), [Life::First], "{order}");
    }
    let twice = ran_twice(&runs, orders.len());
    assert!(twice <= IN_FLIGHT as usize, "{twice} ran twice");
    // Neither process holds what is retried.
    let (peak, all) = (
        first_peak.max(peak_kib(&server)),
        failed * note_bytes() / 1_024,
    );
    assert!(
        peak.saturating_sub(small) < all as u64 / 2,
        "{small} KiB, then {peak} KiB, for inputs of {all} KiB"
    );
    good.stop().await;
}
