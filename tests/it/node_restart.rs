//! Restarts of a node: workers connect to the next node before the last one has stopped, and clients do not notice.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Node, Worker, WorkerHandle, dict};
use tokio::sync::Semaphore;

use crate::support::binary::{Server, tool};
use crate::support::programs::{protoc, root};
use crate::support::proxy::Proxy;
use crate::support::raw::spawn;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{Folder, PATIENCE, TestNode, ended, until};

/// Serves `a.waits`, which waits for a permit of `gate`, and makes a nested call before it answers.
async fn serve(address: &str, gate: &Arc<Semaphore>) -> WorkerHandle {
    let gate = Arc::clone(gate);
    let waits = move |ctx: cidery::Context| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            ctx.invoke("customer.get", dict! { "cust_id": 1 }).await?;
            Ok::<_, cidery::Error>(dict! { "ok": true })
        }
    };
    let builder = Worker::builder().service("a.waits", waits);
    builder.connect(address).await.unwrap()
}

async fn wait_for_worker(client: &ContractClient) {
    let is_listed = async {
        while client.workers().await.unwrap().len() != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_listed).await.unwrap();
}

/// The runtime of a worker. It ends like a process: with all tasks that still run.
struct Process(Option<tokio::runtime::Runtime>);

impl Process {
    fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    async fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        let running = self.0.as_ref().unwrap().spawn(task);
        running.await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// Two nodes, and a worker of the first one that runs some calls. New connections lead to the second node.
struct Restart {
    last: TestNode,
    next: TestNode,
    process: Process,
    worker: WorkerHandle,
    gate: Arc<Semaphore>,
    calls: Vec<tokio::task::JoinHandle<cidery::Result<()>>>,
}

impl Restart {
    async fn start(calls: usize) -> Self {
        let node = async || TestNode::start(Node::builder().demo()).await;
        let (last, next) = (node().await, node().await);
        let proxy = Proxy::to(last.address()).await;
        let gate = Arc::new(Semaphore::new(0));
        let (process, address) = (Process::start(), proxy.address.to_string());
        let open = Arc::clone(&gate);
        let worker = process.run(async move { serve(&address, &open).await });
        let worker = worker.await;
        let calls = (0..calls).map(|_| {
            let client = last.client.clone();
            spawn(async move { client.invoke(Call::new("a.waits", ())).await.map(drop) })
        });
        let calls: Vec<_> = calls.collect();
        until("all run", || worker.in_flight() == calls.len()).await;
        proxy.redirect_to(next.address());
        Self {
            last,
            next,
            process,
            worker,
            gate,
            calls,
        }
    }
}

async fn assert_answered(calls: Vec<tokio::task::JoinHandle<cidery::Result<()>>>) {
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

/// As when a machine is shut down: the node stops, then its worker, then the handlers end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stops_with_its_node_loses_no_call() {
    for _ in 0..8 {
        let all = Restart::start(100).await;
        let id = all.worker.id();
        let stopping = spawn(all.last.handle.stop());
        until("the session is detached", || all.worker.id() != id).await;
        let gate = Arc::clone(&all.gate);
        let stopped = async {
            all.process.run(all.worker.stop()).await;
            drop(all.process);
        };
        tokio::join!(stopped, async { gate.add_permits(100) });
        assert_answered(all.calls).await;
        stopping.await.unwrap();
        assert!(all.next.client.workers().await.unwrap().is_empty());
    }
}

/// A worker that drains connects to no other node when its own node stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_worker_connects_to_no_other_node() {
    let all = Restart::start(1).await;
    let draining = async || all.last.client.workers().await.unwrap()[0].draining;
    let stopped = spawn(all.worker.stop());
    let is_draining = async {
        while !draining().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_draining).await.unwrap();
    let stopping = spawn(all.last.handle.stop());
    // A worker that connects does so within its first backoff of 100 ms, which these polls outlast.
    const POLLS: usize = 1_000;
    for _ in 0..POLLS {
        let known = all.next.client.services("a.waits").await.unwrap();
        assert!(known.is_empty(), "{known:?}");
    }
    all.gate.add_permits(1);
    assert_answered(all.calls).await;
    stopped.await.unwrap();
    stopping.await.unwrap();
    let known = all.next.client.services("a.waits").await.unwrap();
    assert!(known.is_empty(), "{known:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_serves_the_next_node_while_the_last_one_stops() {
    let (last, next) = (
        TestNode::start(Node::builder().demo()).await,
        TestNode::start(Node::builder().demo()).await,
    );
    let proxy = Proxy::to(last.address()).await;
    let gate = Arc::new(Semaphore::new(0));
    let worker = serve(&proxy.address.to_string(), &gate).await;
    let id = worker.id();
    let cid = last.client.invoke_async(Call::new("a.waits", ()));
    let cid = cid.await.unwrap().cid;
    let caller = last.client.clone();
    let calling = spawn(async move { caller.invoke(Call::new("a.waits", ())).await });
    let followed = last.client.clone();
    let following = spawn(async move { ended(&followed, cid).await.state() });
    until("both run", || worker.in_flight() == 2).await;

    proxy.redirect_to(next.address());
    let stopping = spawn(last.handle.stop());
    wait_for_worker(&next.client).await;
    until("the worker is connected to the next node", || {
        worker.id() != id
    })
    .await;
    // The dispatches of the last node continue, and make their nested calls there.
    assert_eq!(worker.in_flight(), 2);
    gate.add_permits(3);
    calling.await.unwrap().unwrap();
    let succeeded = cidery::codec::proto::v1::State::Succeeded;
    assert_eq!(following.await.unwrap(), succeeded);
    stopping.await.unwrap();
    next.client.invoke(Call::new("a.waits", ())).await.unwrap();
    worker.stop().await;
    assert!(next.client.workers().await.unwrap().is_empty());
}

/// A node that stops admits no worker, not even on an established connection.
#[tokio::test]
async fn a_node_that_stops_admits_no_worker() {
    let node = TestNode::start(Node::builder().demo()).await;
    let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
    let caller = node.client.clone();
    let calling = spawn(async move { caller.invoke(Call::new("a.task", ())).await });
    let dispatch = worker.dispatch().await;
    let invoker = node.handle.invoker().clone();
    let stopping = spawn(node.handle.stop());
    while invoker.check_accepting().is_ok() {
        tokio::task::yield_now().await;
    }
    let refused = worker.open_another(hello("b.task")).await.unwrap_err();
    assert_eq!(refused.reason(), "NODE_STOPPING");
    worker.answer(&dispatch.token, &dict! {});
    calling.await.unwrap().unwrap();
    stopping.await.unwrap();
}

/// For any gRPC client with `wait_for_ready`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_its_connection_does_not_notice_a_restart() {
    let Some(python) = tool("CIDERY_PYTHON", "a client that waits for its connection") else {
        return;
    };
    let (folder, stubs) = (Folder::new("waits"), Folder::new("waits-stubs"));
    protoc(&python, &["python", "grpc_python"], stubs.path(), "");
    let data = folder.path().join("data");
    let mut server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let address = server.address.clone();
    let script = root().join("tests/interop/waits.py");
    let mut command = Command::new(python);
    command.arg(script).arg(stubs.path()).arg(&address);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut wait_for_answers = || {
        for line in lines.by_ref().take(20) {
            assert_eq!(line.unwrap(), "answered");
        }
    };
    for _ in 0..3 {
        wait_for_answers();
        server.signal("TERM");
        server.child.wait().unwrap();
        drop(server);
        let again = ["--data-dir", data.to_str().unwrap(), "--listen", &address];
        server = Server::start(&again);
    }
    // More than the answers that were printed before the last restart and are not read yet.
    wait_for_answers();
    wait_for_answers();
    drop(client.stdin.take());
    assert!(lines.all(|line| line.unwrap() == "answered"));
    assert!(client.wait().unwrap().success());
}
