//! What the servers of the measurements share: a store in a folder of its own, and an echo that counts its calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use cidery::store::SqliteStore;
use cidery::{Client, Dict, Node, NodeBuilder, NodeHandle, State, dict};

use super::curve::Sample;
use crate::durable::folder;
use crate::server::Server;

/// How often a server is asked how many invocations have run.
const POLL: Duration = Duration::from_millis(2);

/// The folder of a store, which is removed in the end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(folder(&format!("growth-{}", std::process::id()), number))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server of one size.
pub(super) struct Subject {
    pub(super) size: usize,
    pub(super) server: Server,
    client: Client,
    /// How many calls of the echo were made.
    asked: AtomicU64,
    /// After the server: it is removed once nobody writes to it.
    _folder: Arc<Folder>,
}

impl Subject {
    /// Starts a server on a new store.
    pub(super) async fn start(size: usize, arguments: &[&str]) -> Self {
        Self::start_on(&Arc::new(Folder::new()), size, arguments).await
    }

    /// Starts a server on a store.
    pub(super) async fn start_on(folder: &Arc<Folder>, size: usize, arguments: &[&str]) -> Self {
        let common = ["--serve", "growth", folder.0.to_str().unwrap()];
        let server = Server::start_with(&[&common[..], arguments].concat());
        Self {
            size,
            client: Client::connect(&server.address).await.unwrap(),
            server,
            asked: AtomicU64::new(0),
            _folder: Arc::clone(folder),
        }
    }

    /// Notes calls of the echo.
    pub(super) fn ask(&self, calls: usize) {
        let calls = u64::try_from(calls).unwrap();
        self.asked.fetch_add(calls, Ordering::Relaxed);
    }

    /// Waits until all calls of the echo have run, and their outcomes are recorded.
    pub(super) async fn idle(&self) {
        let asked = self.asked.load(Ordering::Relaxed);
        while self.ran().await < asked {
            tokio::time::sleep(POLL).await;
        }
        // It is accepted and recorded after all others.
        let last = self.client.invoke_async("ran", dict! {}).await.unwrap();
        self.client.wait(last).await.unwrap();
    }

    async fn ran(&self) -> u64 {
        let response = self.client.invoke("ran", dict! {}).await.unwrap();
        response.parse().unwrap()
    }

    /// The client of the server.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Resident memory in KiB (`VmRSS`).
    pub(super) fn memory(&self) -> Sample {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Sample::cost(kib.unwrap().parse().unwrap())
    }
}

/// How often the echo ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran(Arc<AtomicU64>);

impl Ran {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

async fn ran(State(ran): State<Ran>) -> u64 {
    ran.0.load(Ordering::Relaxed)
}

/// The echo.
pub(super) async fn echo(State(ran): State<Ran>, input: Dict) -> Dict {
    ran.count();
    input
}

/// A node with the service `ran` on a store. It prints its address when it is `ready`.
pub(super) fn serve(
    folder: &str,
    change: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ready: impl AsyncFnOnce(Arc<NodeHandle>),
) {
    let store = SqliteStore::open(Path::new(folder)).unwrap();
    let builder = Node::builder().store(store).service("ran", ran);
    let builder = change(builder.state(Ran::default()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = Arc::new(builder.listen("127.0.0.1:0").start().await.unwrap());
        ready(Arc::clone(&node)).await;
        println!("{}", node.address().unwrap());
        std::future::pending::<()>().await;
    });
}

/// A node with the echo.
pub(super) fn serve_echo(folder: &str) {
    serve(folder, |node| node.service("echo", echo), async |_| {});
}
