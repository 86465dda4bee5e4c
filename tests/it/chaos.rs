//! Worker processes are killed, stopped and woken at random under load: nothing accepted is lost, each invocation has
//! one outcome, every synchronous caller gets an answer.
//!
//! `CIDERY_CRASH_ROUNDS` says how often something happens to a worker, times four (default: 2 rounds).

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cidery::service::Call;
use cidery::{Cid, Client, dict};
use tokio::task::JoinSet;

use crate::recovery::{rounds, stories};
use crate::support::binary::Server;
use crate::support::{Folder, PATIENCE, names};

/// `examples/worker.rs` in a process of its own; ended when dropped.
struct WorkerProcess(Child);

impl WorkerProcess {
    fn start(node: &str) -> Self {
        let cidery = PathBuf::from(env!("CARGO_BIN_EXE_cidery"));
        let mut command = Command::new(cidery.with_file_name("examples").join("worker"));
        command.arg(node).stdin(Stdio::null()).stderr(Stdio::null());
        let started = command.spawn();
        // `cargo test` builds the examples; `cargo test --test it` does not.
        Self(started.expect("`cargo build --example worker` builds the worker"))
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Submits in the background and waits for calls, in turns, until it is told to stop; answers with what was accepted.
async fn load(address: String, stop: Arc<AtomicBool>) -> Vec<Cid> {
    let client = Client::connect(&address).await.unwrap();
    let mut accepted = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let call = Call::new("rust.step", dict! { "n": accepted.len() as u64 });
        if let Ok(one) = client.invoke_async(call).await {
            accepted.push(one.cid);
        }
        let call = Call::new("rust.step", dict! {});
        let answer = tokio::time::timeout(PATIENCE * 2, client.clone().tries(1).invoke(call)).await;
        if let Err(error) = answer.expect("a caller has no answer") {
            let expected = [
                "WORKER_LOST",
                "NO_WORKER",
                "QUEUE_FULL",
                "DEADLINE_EXCEEDED",
            ];
            assert!(expected.contains(&error.reason()), "{error}");
        }
    }
    accepted
}

async fn served(client: &Client) {
    let served = async {
        while client.workers().await.map_or(0, |workers| workers.len()) < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_come_and_go_and_nothing_is_lost() {
    let (folder, seed) = (Folder::new("chaos"), fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let data = folder.path().join("data");
    let options = ["--data-dir", data.to_str().unwrap()];
    let mut server = Server::start(&options);
    let address = server.address.clone();
    let mut workers: Vec<_> = (0..3).map(|_| WorkerProcess::start(&address)).collect();
    let client = Client::connect(&address).await.unwrap();
    served(&client).await;
    let (stop, mut callers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for _ in 0..8 {
        callers.spawn(load(address.clone(), Arc::clone(&stop)));
    }
    for _ in 0..rounds() * 4 {
        tokio::time::sleep(Duration::from_millis(random.u64(20..150))).await;
        let one = random.usize(0..workers.len());
        if random.bool() {
            workers[one].signal("KILL");
            workers[one] = WorkerProcess::start(&address);
        } else {
            workers[one].signal("STOP");
            tokio::time::sleep(Duration::from_millis(random.u64(20..200))).await;
            workers[one].signal("CONT");
        }
    }
    served(&client).await;
    stop.store(true, Ordering::Relaxed);
    let accepted: Vec<Cid> = callers.join_all().await.into_iter().flatten().collect();
    assert!(accepted.len() > 20, "only {} were accepted", accepted.len());
    // The node is restarted in order; the workers find it again.
    server.signal("TERM");
    server.child.wait().unwrap();
    drop(server);
    let server = Server::start(&["--data-dir", data.to_str().unwrap(), "--listen", &address]);
    let client = Client::connect(&server.address).await.unwrap();
    served(&client).await;
    let of_each = stories(&server, accepted.iter()).await;
    for cid in &accepted {
        let names = names(&of_each[&cid.to_string()]);
        let ends = names
            .iter()
            .filter(|name| ["succeeded", "failed"].contains(name))
            .count();
        assert_eq!(
            (ends, *names.last().unwrap()),
            (1, "succeeded"),
            "{cid}: {names:?} (seed {seed})"
        );
    }
}
