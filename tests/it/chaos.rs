//! Worker processes are killed, frozen (also beyond their lease) and woken at random under load, in each language.
//!
//! Workers and the node are also restarted in order. Nothing accepted is lost, each invocation has one outcome, every
//! synchronous caller gets an answer.
//!
//! `CIDERY_CRASH_ROUNDS` says how often something happens to a worker (default: 2 rounds), for Rust times four.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cidery::model::call::Call;
use cidery::{Cid, Client, dict};
use tokio::task::JoinSet;

use crate::recovery::{events_by_cid, rounds};
use crate::support::binary::Server;
use crate::support::programs::{Program, Role, Running, java, node, rust};
use crate::support::{Folder, PATIENCE, names};

/// How many processes serve.
const WORKERS: usize = 3;
/// How soon a worker that is frozen is lost: it does not answer a ping, and does not come back in time.
const PATIENT: [&str; 4] = ["--ping-interval", "250ms", "--worker-lease", "500ms"];

/// What may become of a call whose worker is killed or frozen in the middle. None waits for its own deadline: it is
/// told when its worker is lost, within the lease.
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

    /// Kills one, and starts another in its place.
    fn replace(&mut self, one: usize) {
        self.running[one] = self.program.start(&self.address);
    }

    /// Starts those again that have ended, as whoever looks after processes does.
    fn spawn_until_drain(&mut self) {
        for one in 0..self.running.len() {
            if self.running[one].has_ended() {
                self.replace(one);
            }
        }
    }

    /// Freezes one until the node has lost it, and wakes it: what it had runs elsewhere, what it still answers is late.
    async fn freeze(&mut self, one: usize, client: &Client) {
        // One that has just been started may not serve yet: nobody would lose it.
        self.serve(client).await;
        let ids = async || {
            let workers = client.workers().await.unwrap();
            workers
                .into_iter()
                .map(|worker| worker.id)
                .collect::<Vec<_>>()
        };
        let before = ids().await;
        self.running[one].signal("STOP");
        let lost = async {
            loop {
                let now = ids().await;
                if before.iter().any(|id| !now.contains(id)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, lost).await.unwrap();
        self.running[one].signal("CONT");
    }

    /// Waits until all of them serve.
    async fn serve(&mut self, client: &Client) {
        let served = async {
            while client.workers().await.map_or(0, |workers| workers.len()) < WORKERS {
                self.spawn_until_drain();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap();
    }
}

/// What a client had, until it was told to stop.
#[derive(Default)]
struct Had {
    accepted: Vec<Cid>,
    answered: usize,
    /// Why calls failed.
    failed: Vec<String>,
}

/// Submits in the background and waits for calls, in turns.
async fn load(address: String, service: String, tries: u32, stop: Arc<AtomicBool>) -> Had {
    let client = Client::connect(&address).await.unwrap().tries(tries);
    let mut had = Had::default();
    while !stop.load(Ordering::Relaxed) {
        let call = Call::new(service.clone(), dict! { "n": had.accepted.len() as u64 });
        if let Ok(one) = client.invoke_async(call).await {
            had.accepted.push(one.cid);
        }
        let call = Call::new(service.clone(), dict! {});
        let answer = tokio::time::timeout(PATIENCE * 2, client.invoke(call)).await;
        match answer.expect("a caller has no answer") {
            Ok(_) => had.answered += 1,
            Err(error) => had.failed.push(error.reason().to_owned()),
        }
    }
    had
}

/// Clients at work, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Had>,
}

impl Load {
    fn start(clients: usize, address: &str, service: &str, tries: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let (address, service) = (address.to_owned(), service.to_owned());
            all.spawn(load(address, service, tries, Arc::clone(&stop)));
        }
        Self { stop, clients: all }
    }

    async fn end(self) -> Had {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.clients.join_all().await;
        all.into_iter().fold(Had::default(), |mut sum, had| {
            sum.accepted.extend(had.accepted);
            sum.answered += had.answered;
            sum.failed.extend(had.failed);
            sum
        })
    }
}

/// Each of them succeeded, once; answers how many of them were attempted more than once.
async fn assert_succeeded_once(server: &Server, accepted: &[Cid], of: &str) -> usize {
    assert!(accepted.len() > 20, "only {} were accepted", accepted.len());
    let of_each = events_by_cid(server, accepted.iter()).await;
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

/// Workers of one program come and go, and at last the node does.
async fn come_and_go(program: Option<Program>, rounds: usize, service: &str) {
    let Some(program) = program else { return };
    let (folder, seed) = (Folder::new("chaos"), fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let data = folder.path().join("data");
    let options = [["--data-dir", data.to_str().unwrap()].as_slice(), &PATIENT].concat();
    let mut server = Server::start(&options);
    let address = server.address.clone();
    let client = Client::connect(&address).await.unwrap();
    let mut workers = Workers::start(&program, &address);
    workers.serve(&client).await;
    let load = Load::start(8, &address, service, 1);
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_millis(random.u64(20..150))).await;
        let one = random.usize(0..WORKERS);
        // Each run has at least one that is frozen for too long.
        match if round == 0 { 0 } else { random.u8(0..4) } {
            0 => workers.freeze(one, &client).await,
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
        workers.spawn_until_drain();
    }
    workers.serve(&client).await;
    let had = load.end().await;
    let unexpected = |reason: &&String| !LOST.contains(&reason.as_str());
    assert_eq!(had.failed.iter().find(unexpected), None);
    // The node is restarted in order; the workers find it again, or are started again.
    server.signal("TERM");
    server.child.wait().unwrap();
    drop(server);
    let server = Server::start(&["--data-dir", data.to_str().unwrap(), "--listen", &address]);
    workers
        .serve(&Client::connect(&address).await.unwrap())
        .await;
    let of = format!("{}, seed {seed}", program.language);
    let repeated = assert_succeeded_once(&server, &had.accepted, &of).await;
    assert!(repeated > 0, "no attempt was lost with its worker ({of})");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_come_and_go_and_nothing_is_lost() {
    come_and_go(Some(rust()), rounds() * 4, "rust.step").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_workers_come_and_go_and_nothing_is_lost() {
    come_and_go(node(Role::Worker), rounds(), "node.echo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_workers_come_and_go_and_nothing_is_lost() {
    come_and_go(java(Role::Worker), rounds(), "java.echo").await;
}

/// A worker is frozen with calls on their way to it, and wakes when nobody waits for them any more: each of its answers
/// is refused, and it goes on.
async fn wake_too_late(program: Option<Program>, service: &str) {
    const CALLS: usize = 5;
    let Some(program) = program else { return };
    let mut server = Server::start(&[]);
    let client = Client::connect(&server.address).await.unwrap();
    let worker = program.start(&server.address);
    until_served(&client, service).await;
    worker.signal("STOP");
    let calls = (0..CALLS).map(|_| {
        let mut call = Call::new(service.to_owned(), dict! {});
        call.timeout = Some(Duration::from_millis(300));
        client.invoke(call)
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap_err().reason(), "DEADLINE_EXCEEDED");
    }
    // Until the grace period is over they are awaited, so that their slots are free when they are.
    let runs = async || client.describe(service).await.unwrap().running > 0;
    while runs().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.signal("CONT");
    let log = BufReader::new(server.child.stderr.take().unwrap());
    let refused = log.lines().map(Result::unwrap);
    let mut refused = refused.filter(|line| line.contains("refused what a worker sent"));
    let late = move || (refused.by_ref().take(CALLS).count(), refused);
    let late = tokio::task::spawn_blocking(late);
    let (late, mut refused) = tokio::time::timeout(PATIENCE, late).await.unwrap().unwrap();
    assert_eq!(late, CALLS);
    let call = Call::new(service.to_owned(), dict! {});
    client.invoke(call).await.unwrap();
    drop(client);
    server.signal("TERM");
    assert_eq!(refused.next(), None);
}

async fn until_served(client: &Client, service: &str) {
    let served = async {
        while client.describe(service).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_of_a_woken_worker_are_refused() {
    wake_too_late(Some(rust()), "rust.echo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_of_a_woken_worker_in_node_are_refused() {
    wake_too_late(node(Role::Worker), "node.echo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_of_a_woken_worker_in_java_are_refused() {
    wake_too_late(java(Role::Worker), "java.echo").await;
}

/// One worker after another is told to stop and started again, and then the node: who waits for the connection to be
/// ready does not notice. Of workers that do not drain, calls may fail that were under way in their processes.
async fn restart_in_order(program: Option<Program>, service: &str, drains: bool) {
    let Some(program) = program else { return };
    let folder = Folder::new("rolling");
    let data = folder.path().join("data");
    let options = ["--data-dir", data.to_str().unwrap()];
    let mut server = Server::start(&options);
    let address = server.address.clone();
    let client = Client::connect(&address).await.unwrap();
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
    let had = load.end().await;
    let unexpected = |reason: &&String| drains || *reason != "WORKER_LOST";
    assert_eq!(had.failed.iter().find(unexpected), None);
    assert!(had.answered > 20, "only {} were answered", had.answered);
    assert_succeeded_once(&server, &had.accepted, program.language).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_restarts_in_order_fails_nobody() {
    restart_in_order(Some(rust()), "rust.step", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_in_node_are_restarted_in_order() {
    restart_in_order(node(Role::Worker), "node.echo", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_in_java_are_restarted_in_order() {
    restart_in_order(java(Role::Worker), "java.echo", false).await;
}
