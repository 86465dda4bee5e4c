//! A node that stops, and another one in its place: workers serve the next one before the last one has ended.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cidery::model::call::Call;
use cidery::{Client, Node, Worker, WorkerHandle, dict};
use tokio::sync::Semaphore;

use crate::support::bare::{Bare, hello};
use crate::support::binary::{Server, tool};
use crate::support::programs::{protoc, root};
use crate::support::proxy::Proxy;
use crate::support::raw::spawn;
use crate::support::{Folder, TestNode, ended, until};

/// Serves `a.waits`, which answers when `gate` has room, and invokes another service before it does.
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

async fn served(client: &Client) {
    let there = async || client.workers().await.unwrap().len() == 1;
    while !there().await {
        tokio::task::yield_now().await;
    }
}

/// A runtime of a worker's own: as a process does, it ends with whatever still runs in it.
struct Process(Option<tokio::runtime::Runtime>);

impl Process {
    fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    async fn run<T: Send + 'static>(&self, what: impl Future<Output = T> + Send + 'static) -> T {
        let running = self.0.as_ref().unwrap().spawn(what);
        running.await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// Two nodes with a worker of the first one, which has as many calls as this; new connections lead to the second one.
struct Parting {
    last: TestNode,
    next: TestNode,
    process: Process,
    worker: WorkerHandle,
    gate: Arc<Semaphore>,
    calling: Vec<tokio::task::JoinHandle<cidery::Result<()>>>,
}

impl Parting {
    async fn begin(calls: usize) -> Self {
        let node = async || TestNode::start(Node::builder().demo()).await;
        let (last, next) = (node().await, node().await);
        let cable = Proxy::to(last.address()).await;
        let gate = Arc::new(Semaphore::new(0));
        let (process, address) = (Process::start(), cable.address.to_string());
        let open = Arc::clone(&gate);
        let worker = process.run(async move { serve(&address, &open).await });
        let worker = worker.await;
        let calls = (0..calls).map(|_| {
            let client = last.client.clone();
            spawn(async move { client.invoke(Call::new("a.waits", ())).await.map(drop) })
        });
        let calling: Vec<_> = calls.collect();
        until("all run", || worker.in_flight() == calling.len()).await;
        cable.redirect_to(next.address());
        Self {
            last,
            next,
            process,
            worker,
            gate,
            calling,
        }
    }
}

async fn all_are_answered(calling: Vec<tokio::task::JoinHandle<cidery::Result<()>>>) {
    for calling in calling {
        calling.await.unwrap().unwrap();
    }
}

/// As when a machine is shut down: the node is told to stop, then its worker, then the handlers end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stops_meanwhile_loses_nothing() {
    for _ in 0..8 {
        let all = Parting::begin(100).await;
        let id = all.worker.id();
        let stopping = spawn(all.last.handle.stop());
        until("it parts", || all.worker.id() != id).await;
        let gate = Arc::clone(&all.gate);
        let stopped = async {
            all.process.run(all.worker.stop()).await;
            drop(all.process);
        };
        tokio::join!(stopped, async { gate.add_permits(100) });
        all_are_answered(all.calling).await;
        stopping.await.unwrap();
        assert!(all.next.client.workers().await.unwrap().is_empty());
    }
}

/// A worker that stops says hello to nobody, whatever becomes of its node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_takes_nothing_new() {
    let all = Parting::begin(1).await;
    let draining = async || all.last.client.workers().await.unwrap()[0].draining;
    let stopped = spawn(all.worker.stop());
    while !draining().await {
        tokio::task::yield_now().await;
    }
    let stopping = spawn(all.last.handle.stop());
    // Long enough for a worker that would look for the next one.
    tokio::time::sleep(Duration::from_millis(400)).await;
    all.gate.add_permits(1);
    all_are_answered(all.calling).await;
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
    let cable = Proxy::to(last.address()).await;
    let gate = Arc::new(Semaphore::new(0));
    let worker = serve(&cable.address.to_string(), &gate).await;
    let id = worker.id();
    let cid = last.client.invoke_async(Call::new("a.waits", ()));
    let cid = cid.await.unwrap().cid;
    let caller = last.client.clone();
    let calling = spawn(async move { caller.invoke(Call::new("a.waits", ())).await });
    let followed = last.client.clone();
    let following = spawn(async move { ended(&followed, cid).await.state() });
    until("both run", || worker.in_flight() == 2).await;

    cable.redirect_to(next.address());
    let stopping = spawn(last.handle.stop());
    served(&next.client).await;
    until("it has heard so", || worker.id() != id).await;
    // Nothing was cut off: what the last node handed over is answered to it, with what it invokes in turn.
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

/// A node that stops takes no other worker, not even on a connection that there is.
#[tokio::test]
async fn a_node_that_stops_takes_no_new_worker() {
    let node = TestNode::start(Node::builder().demo()).await;
    let mut worker = Bare::connect(node.address(), hello("a.task")).await;
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

/// Any gRPC client that waits for the connection to be ready does not notice that its node is restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_connection_does_not_notice_a_restart() {
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
    let client = command.spawn().unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.signal("TERM");
        server.child.wait().unwrap();
        drop(server);
        let again = ["--data-dir", data.to_str().unwrap(), "--listen", &address];
        server = Server::start(&again);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Its input ends with the wait for it.
    let said = client.wait_with_output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let answered: usize = said.trim().parse().unwrap_or_else(|_| panic!("{said}"));
    assert!(answered > 20, "only {answered} were answered");
}
