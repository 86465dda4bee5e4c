//! Worker processes are killed, frozen (also beyond their lease) and woken at random under load, in each language.
//!
//! Rolling restarts of workers and the node. Nothing accepted is lost, each invocation has one outcome, and every
//! synchronous caller gets an answer.
//!
//! `CIDERY_CRASH_ROUNDS` is the number of rounds (default: 2), for Rust times four.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Error, dict};
use tokio::task::JoinSet;

use crate::recovery::{events_by_cid, rounds};
use crate::support::binary::Server;
use crate::support::programs::{Program, Role, Running, java, node, rust};
use crate::support::{Folder, PATIENCE, names};

/// The number of worker processes.
const WORKERS: usize = 3;
/// A frozen worker is lost soon: it does not answer a ping, and its lease expires. A worker that merely waits for a
/// busy machine is not: a program that exits when it is lost would only make the machine busier.
const QUICK_LOSS: [&str; 4] = ["--ping-interval", "500ms", "--worker-lease", "2s"];
/// A frozen worker is not lost.
const NO_LOSS: [&str; 4] = ["--ping-interval", "60s", "--worker-lease", "120s"];

/// The failures of calls whose worker is killed or frozen. No call waits for its own deadline: it fails when its worker
/// is lost, within the lease.
const LOST: [&str; 3] = ["WORKER_LOST", "NO_WORKER", "QUEUE_FULL"];

/// Processes of one program.
struct Workers<'p> {
    program: &'p Program,
    address: String,
    running: Vec<Running>,
}

impl<'p> Workers<'p> {
    fn start(program: &'p Program, address: &str) -> Self {
        Self {
            program,
            address: address.to_owned(),
            running: (0..WORKERS).map(|_| program.start(address)).collect(),
        }
    }

    /// Starts one program, and the others when it is connected; returns the ID of its worker.
    async fn start_first(
        program: &'p Program,
        address: &str,
        client: &ContractClient,
    ) -> (Self, String) {
        let mut workers = Self {
            program,
            address: address.to_owned(),
            running: vec![program.start(address)],
        };
        workers.serve(client).await;
        let first = client.workers().await.unwrap().remove(0).id;
        let others = (1..WORKERS).map(|_| program.start(address));
        workers.running.extend(others);
        workers.serve(client).await;
        (workers, first)
    }

    /// Replaces a worker that ended.
    fn replace(&mut self, one: usize) {
        self.running[one] = self.program.start(&self.address);
    }

    /// Restarts the workers that ended, as a process supervisor does.
    fn restart_ended(&mut self) {
        for one in 0..self.running.len() {
            if self.running[one].has_ended() {
                self.replace(one);
            }
        }
    }

    /// Freezes a worker until the node has lost one of those in `ids`, and wakes it: its dispatches run elsewhere, its
    /// results are late.
    async fn freeze(&self, one: usize, ids: &[String], client: &ContractClient) {
        self.running[one].signal("STOP");
        let lost = async {
            loop {
                let now = ids_of_workers(client).await;
                if ids.iter().any(|id| !now.contains(id)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, lost).await.unwrap();
        self.running[one].signal("CONT");
    }

    /// Waits until all workers are connected.
    async fn serve(&mut self, client: &ContractClient) {
        let served = async {
            while client.workers().await.map_or(0, |workers| workers.len()) < self.running.len() {
                self.restart_ended();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap();
    }
}

async fn ids_of_workers(client: &ContractClient) -> Vec<String> {
    let workers = client.workers().await.unwrap();
    workers.into_iter().map(|worker| worker.id).collect()
}

/// What a client counted until it stopped.
#[derive(Default)]
pub(crate) struct Outcomes {
    pub(crate) accepted: Vec<Cid>,
    pub(crate) answered: usize,
    /// The errors of failed calls.
    pub(crate) failed: Vec<Error>,
}

/// Alternates between background and synchronous calls.
async fn load(address: String, service: String, tries: u32, stop: Arc<AtomicBool>) -> Outcomes {
    let client = ContractClient::connect(&address)
        .await
        .unwrap()
        .max_attempts(tries);
    let mut outcomes = Outcomes::default();
    while !stop.load(Ordering::Relaxed) {
        let call = Call::new(
            service.clone(),
            dict! { "n": outcomes.accepted.len() as u64 },
        );
        if let Ok(one) = client.invoke_async(call).await {
            outcomes.accepted.push(one.cid);
        }
        let call = Call::new(service.clone(), dict! {});
        let answer = tokio::time::timeout(PATIENCE * 2, client.invoke(call)).await;
        match answer.expect("a caller got no answer") {
            Ok(_) => outcomes.answered += 1,
            Err(error) => outcomes.failed.push(error),
        }
    }
    outcomes
}

/// Clients that run until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Outcomes>,
}

impl Load {
    pub(crate) fn start(clients: usize, address: &str, service: &str, tries: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let (address, service) = (address.to_owned(), service.to_owned());
            all.spawn(load(address, service, tries, Arc::clone(&stop)));
        }
        Self { stop, clients: all }
    }

    pub(crate) async fn end(self) -> Outcomes {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.clients.join_all().await;
        all.into_iter()
            .fold(Outcomes::default(), |mut sum, outcomes| {
                sum.accepted.extend(outcomes.accepted);
                sum.answered += outcomes.answered;
                sum.failed.extend(outcomes.failed);
                sum
            })
    }
}

/// Asserts that each invocation succeeded once; returns how many had more than one attempt.
pub(crate) async fn assert_succeeded_once(address: &str, accepted: &[Cid], of: &str) -> usize {
    assert!(accepted.len() > 20, "only {} were accepted", accepted.len());
    let of_each = events_by_cid(address, accepted.iter()).await;
    let mut repeated = 0;
    for cid in accepted {
        let names = names(&of_each[&cid.to_string()]);
        let ended = |name: &&&str| ["succeeded", "failed"].contains(*name);
        let ends = names.iter().filter(ended).count();
        let last = *names.last().unwrap();
        assert_eq!((ends, last), (1, "succeeded"), "{cid}: {names:?} ({of})");
        let starts = names.iter().filter(|name| **name == "started").count();
        repeated += usize::from(starts > 1);
    }
    repeated
}

/// Workers of one program are killed, frozen and replaced, and at last the node is restarted.
async fn lose_workers(program: Option<Program>, rounds: usize, service: &str) {
    let Some(program) = program else { return };
    let (folder, seed) = (Folder::new("chaos"), fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let data = folder.path().join("data");
    let options = [
        ["--data-dir", data.to_str().unwrap()].as_slice(),
        &QUICK_LOSS,
    ]
    .concat();
    let mut server = Server::start(&options);
    let address = server.address.clone();
    let client = ContractClient::connect(&address).await.unwrap();
    let (mut workers, first) = Workers::start_first(&program, &address, &client).await;
    let load = Load::start(8, &address, service, 1);
    // In each run, at least one worker is frozen beyond its lease.
    tokio::time::sleep(Duration::from_millis(random.u64(20..150))).await;
    workers.freeze(0, &[first], &client).await;
    for _ in 1..rounds {
        tokio::time::sleep(Duration::from_millis(random.u64(20..150))).await;
        let one = random.usize(0..WORKERS);
        match random.u8(0..4) {
            0 => {
                // The node cannot lose a worker that is not connected yet.
                workers.serve(&client).await;
                let ids = ids_of_workers(&client).await;
                workers.freeze(one, &ids, &client).await;
            }
            1 => {
                workers.running[one].signal("STOP");
                tokio::time::sleep(Duration::from_millis(random.u64(20..200))).await;
                workers.running[one].signal("CONT");
            }
            _ => {
                workers.running[one].signal("KILL");
                workers.replace(one);
            }
        }
        workers.restart_ended();
    }
    workers.serve(&client).await;
    let outcomes = load.end().await;
    let unexpected = |error: &&Error| !LOST.contains(&error.reason());
    let unexpected = outcomes.failed.iter().find(unexpected);
    assert!(unexpected.is_none(), "{unexpected:#?}");
    // The node is restarted in order; the workers reconnect, or are restarted.
    server.signal("TERM");
    server.child.wait().unwrap();
    drop(server);
    let server = Server::start(&["--data-dir", data.to_str().unwrap(), "--listen", &address]);
    workers
        .serve(&ContractClient::connect(&address).await.unwrap())
        .await;
    let of = format!("{}, seed {seed}", program.language);
    let repeated = assert_succeeded_once(&server.address, &outcomes.accepted, &of).await;
    assert!(repeated > 0, "no attempt was lost with its worker ({of})");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_survives_the_loss_of_workers() {
    lose_workers(Some(rust()), rounds() * 4, "rust.step").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_survives_the_loss_of_workers_in_node() {
    lose_workers(node(Role::Worker), rounds(), "node.echo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_survives_the_loss_of_workers_in_java() {
    lose_workers(java(Role::Worker), rounds(), "java.echo").await;
}

/// A worker is frozen before its calls arrive, and wakes after their deadlines: its results are refused, and it
/// continues.
async fn wake_after_deadlines(program: Option<Program>, service: &str) {
    const CALLS: usize = 5;
    let Some(program) = program else { return };
    let mut server = Server::start(&NO_LOSS);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let worker = program.start(&server.address);
    until_served(&client, service).await;
    worker.signal("STOP");
    // A dispatch that is not overdue: its result is taken, between those that are refused.
    let patient = Call::new(service.to_owned(), dict! {});
    let patient = client.invoke_async(patient).await.unwrap().cid;
    let calls = (0..CALLS).map(|_| {
        let mut call = Call::new(service.to_owned(), dict! {});
        call.timeout = Some(Duration::from_millis(300));
        client.invoke(call)
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap_err().reason(), "DEADLINE_EXCEEDED");
    }
    // The dispatches hold their permits until the grace period has passed.
    let running = async || client.describe(service).await.unwrap().running;
    let released = async {
        while running().await > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, released).await.unwrap();
    worker.signal("CONT");
    let log = BufReader::new(server.child.stderr.take().unwrap());
    let refused = log.lines().map(Result::unwrap);
    let mut refused = refused.filter(|line| line.contains("refused a message of a worker"));
    let late = move || (refused.by_ref().take(CALLS).count(), refused);
    let late = tokio::task::spawn_blocking(late);
    let (late, mut refused) = tokio::time::timeout(PATIENCE, late).await.unwrap().unwrap();
    assert_eq!(late, CALLS);
    let call = Call::new(service.to_owned(), dict! {});
    client.invoke(call).await.unwrap();
    let found = client.invocation(patient, PATIENCE).await.unwrap();
    assert!(found.end_time.is_some());
    drop(client);
    server.signal("TERM");
    assert_eq!(refused.next(), None);
}

pub(crate) async fn until_served(client: &ContractClient, service: &str) {
    let served = async {
        while client.describe(service).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_results_of_a_woken_worker_are_refused() {
    wake_after_deadlines(Some(rust()), "rust.echo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_results_of_a_woken_worker_in_node_are_refused() {
    wake_after_deadlines(node(Role::Worker), "node.echo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_results_of_a_woken_worker_in_java_are_refused() {
    wake_after_deadlines(java(Role::Worker), "java.echo").await;
}

/// A rolling restart of all workers, and then of the node: clients that retry do not notice. Running calls of workers
/// that do not drain may fail.
async fn rolling_restart(program: Option<Program>, service: &str, drains: bool) {
    let Some(program) = program else { return };
    let folder = Folder::new("rolling");
    let data = folder.path().join("data");
    let options = ["--data-dir", data.to_str().unwrap()];
    let mut server = Server::start(&options);
    let address = server.address.clone();
    let client = ContractClient::connect(&address).await.unwrap();
    let mut workers = Workers::start(&program, &address);
    workers.serve(&client).await;
    let load = Load::start(8, &address, service, 20);
    for _ in 0..rounds() {
        for one in 0..WORKERS {
            workers.running[one].signal("TERM");
            workers.running[one].0.wait().unwrap();
            workers.replace(one);
            workers.serve(&client).await;
        }
        server.signal("TERM");
        server.child.wait().unwrap();
        drop(server);
        server = Server::start(&["--data-dir", data.to_str().unwrap(), "--listen", &address]);
        workers.serve(&client).await;
    }
    let outcomes = load.end().await;
    let unexpected = |error: &&Error| drains || error.reason() != "WORKER_LOST";
    let unexpected = outcomes.failed.iter().find(unexpected);
    assert!(unexpected.is_none(), "{unexpected:#?}");
    assert!(
        outcomes.answered > 20,
        "only {} were answered",
        outcomes.answered
    );
    assert_succeeded_once(&server.address, &outcomes.accepted, program.language).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_call() {
    rolling_restart(Some(rust()), "rust.step", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_workers_in_node_loses_no_work() {
    rolling_restart(node(Role::Worker), "node.echo", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_workers_in_java_loses_no_work() {
    rolling_restart(java(Role::Worker), "java.echo", false).await;
}
