//! A night shift: a bad deployment fails all calls of a service. The operator sees it, finds out why, pauses the
//! service, deploys again, and retries what failed, while new calls arrive and the node is killed in between.
//!
//! `CIDERY_NIGHT_SHIFT` is how many invocations fail: 2 000 by default, 20 000 in `scripts/test`, 400 000 with
//! `--soak`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::operation_service_client::OperationServiceClient;
use cidery::engine::clock::Clock;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Error, Input, Worker, WorkerHandle, dict};
use futures_util::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::support::binary::{Server, stderr, stdout};
use crate::support::{Folder, PATIENCE};

const SERVICE: &str = "orders.ship";
const REASON: &str = "ADDRESS_UNKNOWN";
const FILTER: &str = r#"service = "orders.ship" AND failure_reason = ADDRESS_UNKNOWN"#;

/// Invocations that succeeded before the deployment, and that arrive after it.
const OTHERS: usize = 500;
/// How many handlers of a worker run at once.
const IN_FLIGHT: u32 = 100;
/// The most memory that the node uses, in MB: much less than what all inputs and outcomes have at 400 000.
const MEMORY_MB: u64 = 400;

fn count() -> usize {
    let count = std::env::var("CIDERY_NIGHT_SHIFT").ok();
    count.and_then(|count| count.parse().ok()).unwrap_or(2_000)
}

/// How often the handler ended with a response, by the number of the order.
type Shipped = Arc<Mutex<HashMap<usize, usize>>>;

#[derive(Deserialize, JsonSchema)]
struct Order {
    order: usize,
}

/// Deploys a build of the worker.
async fn deploy(server: &Server, build: &str, shipped: &Shipped) -> WorkerHandle {
    let (is_bad, shipped) = (build == "bad", Arc::clone(shipped));
    let ship = move |Input(order): Input<Order>| {
        let shipped = Arc::clone(&shipped);
        async move {
            let Order { order } = order;
            if is_bad {
                return Err(Error::failed_precondition(
                    REASON,
                    "the address has no town",
                ));
            }
            *shipped.lock().unwrap().entry(order).or_default() += 1;
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
async fn order(client: &ContractClient, orders: std::ops::Range<usize>) -> Vec<Cid> {
    let accept = |order| async move {
        let call = Call::new(SERVICE, dict! { "order": order });
        client.invoke_async(call).await.unwrap().cid
    };
    stream::iter(orders)
        .map(accept)
        .buffered(64)
        .collect()
        .await
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

fn resident_mb(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib / 1024
}

/// The node says what fails and why.
fn see_the_failures(server: &Server, failed: usize) {
    let status = json(server, &["status"]);
    let failures = status["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["service"], SERVICE);
    assert_eq!(failures[0]["reason"], REASON);
    assert_eq!(failures[0]["count"], failed);
    let letters = stdout(&server.run(&["dead-letters"]));
    let says_why = letters.contains(REASON) && letters.contains(SERVICE);
    assert!(says_why, "{letters}");
}

/// Starts to retry what failed, slowly enough for what follows.
fn start_to_retry(server: &Server, failed: usize) -> String {
    let counted = json(server, &["retry", "--filter", FILTER, "--dry-run"]);
    assert_eq!(counted[0]["count"], failed, "{counted}");
    let rate = (failed / 4).max(1_000).to_string();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bad_deployment_failed_is_found_and_retried() {
    let failed = count();
    let folder = Folder::new("night-shift");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    let address = server.address.clone();
    let client = ContractClient::connect(&address).await.unwrap();
    let shipped = Shipped::default();

    // A good build, then a bad one.
    let good = deploy(&server, "good", &shipped).await;
    order(&client, 0..OTHERS).await;
    until_matching(&client, "state = SUCCEEDED", OTHERS).await;
    good.stop().await;
    let bad = deploy(&server, "bad", &shipped).await;
    order(&client, OTHERS..OTHERS + failed).await;
    until_matching(&client, FILTER, failed).await;
    see_the_failures(&server, failed);

    // Paused, deployed again, retried by filter while new calls arrive, and other services go on.
    run(
        &server,
        &["service", "pause", SERVICE, "--reason", "bad build"],
    );
    bad.stop().await;
    let good = deploy(&server, "good again", &shipped).await;
    let id = start_to_retry(&server, failed);
    order(&client, OTHERS + failed..2 * OTHERS + failed).await;
    let other = Call::new("cidery.echo", dict! {});
    client.invoke(other).await.unwrap();

    // The node is killed in the middle; it goes on, and the service is resumed.
    let middle = operation(&server, &id, failed as u64 / 5).await;
    assert_eq!(middle.end_time, None, "too fast to be killed in the middle");
    let before = resident_mb(&server);
    server.signal("KILL");
    server.child.wait().unwrap();
    server = Server::start(&["--data-dir", data, "--listen", &address]);
    let client = ContractClient::connect(&address).await.unwrap();
    assert!(matching(&client, "pending_reason = PAUSED").await > 0);
    run(&server, &["service", "resume", SERVICE]);
    let ended = operation(&server, &id, u64::MAX).await;
    assert_eq!(ended.state(), v1::OperationState::Succeeded, "{ended:?}");
    let counts = (ended.matched, ended.processed);
    assert_eq!(counts, (failed as u64, failed as u64));

    // Every call has its outcome, once.
    until_matching(&client, "state = SUCCEEDED", 2 * OTHERS + failed).await;
    assert_retried_once(&client, failed).await;
    // What the kill interrupted ran again, nothing else.
    let shipped = shipped.lock().unwrap().clone();
    assert_eq!(shipped.len(), 2 * OTHERS + failed);
    let twice = shipped.values().filter(|count| **count > 1).count();
    assert!(twice <= IN_FLIGHT as usize, "{twice} ran twice");
    let memory = before.max(resident_mb(&server));
    assert!(memory < MEMORY_MB, "{memory} MB");
    good.stop().await;
}
