//! `run` stops gracefully on signals, without code of the program: rolling restarts of embedded nodes and of workers.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Node, Worker, dict};
use tokio::sync::{Semaphore, oneshot};

use crate::chaos::{Load, assert_succeeded_once, until_served};
use crate::recovery::rounds;
use crate::support::programs::{Program, Running, rust, rust_example};
use crate::support::raw::spawn;
use crate::support::{Folder, PATIENCE, TestNode, any_port};

/// How long a lost worker may resume its session.
const LEASE: Duration = Duration::from_millis(200);

/// Starts `examples/node.rs`, and waits until it serves.
async fn start_node(program: &Program, address: &str, data: &str) -> (Running, ContractClient) {
    let mut command = program.command();
    let mut running = Running(command.args([address, data]).spawn().unwrap());
    let connected = async {
        loop {
            assert!(!running.has_ended(), "the node has ended");
            if let Ok(client) = ContractClient::connect(address).await {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let client = tokio::time::timeout(PATIENCE, connected).await.unwrap();
    (running, client)
}

/// A port that is free now.
fn free_address() -> String {
    let listener = TcpListener::bind(any_port()).unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_embedded_nodes_fails_no_call() {
    let (program, folder, address) = (
        rust_example("node"),
        Folder::new("embedded"),
        free_address(),
    );
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let (mut node, mut client) = start_node(&program, &address, data).await;
    let load = Load::start(8, &address, "rust.step", 20);
    for _ in 0..rounds() * 2 {
        // Each call takes 5 ms: the load calls meanwhile.
        for _ in 0..10 {
            client.invoke(Call::new("rust.step", ())).await.unwrap();
        }
        node.signal("TERM");
        assert!(node.0.wait().unwrap().success());
        (node, client) = start_node(&program, &address, data).await;
    }
    let outcomes = load.end().await;
    assert!(outcomes.failed.is_empty(), "{:#?}", outcomes.failed);
    assert!(
        outcomes.answered > 20,
        "only {} were answered",
        outcomes.answered
    );
    assert_succeeded_once(&address, &outcomes.accepted, "embedded").await;
}

/// A node whose service `customer.get` waits for a permit, and `examples/worker.rs` as its worker, which runs a call
/// of `rust.nested` that invokes it.
struct Nested {
    node: TestNode,
    worker: Running,
    gate: Arc<Semaphore>,
    call: tokio::task::JoinHandle<cidery::Result<()>>,
}

impl Nested {
    async fn start() -> Self {
        let (entered, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (enter, wait) = (Arc::clone(&entered), Arc::clone(&gate));
        let waits = move || {
            let (enter, wait) = (Arc::clone(&enter), Arc::clone(&wait));
            async move {
                enter.add_permits(1);
                wait.acquire().await.unwrap().forget();
                dict! { "cust_name": "Ann" }
            }
        };
        // The call of a worker that is lost fails after the lease.
        let builder = Node::builder().limits(|limits| limits.worker_lease = LEASE);
        let node = TestNode::start(builder.service("customer.get", waits)).await;
        let worker = rust().start(&node.address().to_string());
        until_served(&node.client, "rust.nested").await;
        let client = node.client.clone();
        let call = Call::new("rust.nested", ());
        let call = spawn(async move { client.invoke(call).await.map(drop) });
        entered.acquire().await.unwrap().forget();
        Self {
            node,
            worker,
            gate,
            call,
        }
    }

    /// Sends the first signal, and waits until the worker drains.
    async fn drain(&self, signal: &str) {
        self.worker.signal(signal);
        let draining = async || self.node.client.workers().await.unwrap()[0].draining;
        let drains = async {
            while !draining().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, drains).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_finishes_its_calls_after_each_of_the_signals() {
    for signal in ["TERM", "INT", "HUP"] {
        let mut all = Nested::start().await;
        all.drain(signal).await;
        all.gate.add_permits(1);
        all.call.await.unwrap().unwrap();
        assert!(all.worker.0.wait().unwrap().success(), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_worker_at_once() {
    let mut all = Nested::start().await;
    all.drain("TERM").await;
    all.worker.signal("INT");
    let worker = tokio::task::spawn_blocking(move || all.worker.0.wait().unwrap());
    let exit = tokio::time::timeout(PATIENCE, worker)
        .await
        .unwrap()
        .unwrap();
    assert!(exit.success(), "{exit}");
    // The call did not end: its service still waits for a permit.
    let error = all.call.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "WORKER_LOST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_until_stops_a_worker_and_a_node_gracefully() {
    let (entered, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (enter, wait) = (Arc::clone(&entered), Arc::clone(&gate));
    let waits = move || {
        let (enter, wait) = (Arc::clone(&enter), Arc::clone(&wait));
        async move {
            enter.add_permits(1);
            wait.acquire().await.unwrap().forget();
        }
    };
    let address = free_address();
    let (stop_node, node_stopped) = oneshot::channel::<()>();
    let node = Node::builder().listen(&address);
    let node = spawn(node.run_until(async { drop(node_stopped.await) }));
    let connected = async {
        loop {
            if let Ok(client) = ContractClient::connect(&address).await {
                return client;
            }
        }
    };
    let client = tokio::time::timeout(PATIENCE, connected).await.unwrap();
    let (stop_worker, worker_stopped) = oneshot::channel::<()>();
    let worker = Worker::builder().service("a.waits", waits);
    let worker = {
        let address = address.clone();
        spawn(async move {
            let stopped = async { drop(worker_stopped.await) };
            worker.run_until(&address, stopped).await
        })
    };
    until_served(&client, "a.waits").await;
    let call = {
        let client = client.clone();
        spawn(async move { client.invoke(Call::new("a.waits", ())).await.map(drop) })
    };
    entered.acquire().await.unwrap().forget();
    stop_worker.send(()).unwrap();
    stop_node.send(()).unwrap();
    gate.add_permits(1);
    call.await.unwrap().unwrap();
    worker.await.unwrap().unwrap();
    node.await.unwrap().unwrap();
}

/// Programs that do not use `run` keep the default behavior of signals.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn start_catches_no_signals() {
    const TERM: u64 = 1 << 14;
    let node = TestNode::demo().await;
    let worker = Worker::builder().service("a.task", async || ());
    let worker = worker.connect(&node.address().to_string()).await;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    assert_eq!(caught & TERM, 0);
    worker.unwrap().stop().await;
}
