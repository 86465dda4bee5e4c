//! Resident memory of `cidery serve`: idle from the start, after durable loads, and after a load of large payloads.
//! Half of what is accepted is followed to its outcome. The baseline is a bare tonic server that appends what it
//! accepts and its outcome to one log.
//!
//! Pages of the program's file count as resident once they are read, and the system takes them back when it needs
//! memory; anonymous memory is what the process itself allocated.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::remote::client::ContractClient;
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tokio::time::{Instant, sleep};

use crate::durable::{ACCEPT, folder};
use crate::load::{self, Calls, Load};
use crate::outcome::{accepted_and_followed, append_and_wait};
use crate::record::{Figure, Goal, Sheet};
use crate::server::{PROGRAM, Server};
use crate::settings::settings;

/// The service that the load invokes: its response is its input.
const SERVICE: &str = "cidery.echo";
const CALLERS: usize = 64;
/// How many calls are made between two looks at the time.
const CALLS: usize = 2_000;
/// How many calls have a large payload, and its size in bytes.
const LARGE_CALLS: usize = 2_000;
const LARGE: usize = 128 * 1024;
/// How often the node is asked how many outcomes are missing.
const POLL: Duration = Duration::from_millis(20);
/// How long after its start a server is idle.
const START: Duration = Duration::from_secs(5);

/// What is measured, and for how long.
#[derive(Clone, Copy)]
struct Plan {
    loads: usize,
    /// The duration of each load.
    load: Duration,
    /// The time between the last outcome of a load and the reading.
    rest: Duration,
}

impl Plan {
    /// One load of 100 s, read 30 s later.
    const FULL: Self = Self {
        loads: 1,
        load: Duration::from_secs(100),
        rest: Duration::from_secs(30),
    };
    /// Five loads of 4 s, each read 5 s later: memory that grows from load to load shows.
    const QUICK: Self = Self {
        loads: 5,
        load: Duration::from_secs(4),
        rest: Duration::from_secs(5),
    };
}

/// Resident memory of a process, in KiB.
#[derive(Clone, Copy)]
struct Resident {
    anonymous: u64,
    /// Pages of the program's file, of its libraries, and of files that it maps.
    file: u64,
}

impl Resident {
    fn of(server: &Server) -> Self {
        let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.unwrap().split_whitespace().next();
            kib.unwrap().parse().unwrap()
        };
        Self {
            anonymous: field("RssAnon:"),
            file: field("RssFile:") + field("RssShmem:"),
        }
    }

    fn all(self) -> u64 {
        self.anonymous + self.file
    }
}

/// Memory of one server over a plan.
struct Figures {
    idle: Resident,
    after_loads: Vec<Resident>,
    after_large: Resident,
    /// How many invocations the loads made.
    invocations: usize,
}

/// Measures once: a round takes more than two minutes.
pub(crate) fn measure() {
    let plan = match settings().is_quick() {
        true => Plan::QUICK,
        false => Plan::FULL,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ours = runtime.block_on(node(plan));
    show("cidery", &ours, [Some(20.0), Some(64.0)]);
    let baseline = runtime.block_on(baseline(plan));
    show("by hand", &baseline, [None, None]);
}

/// `goals`: idle, and after each load.
fn show(who: &'static str, figures: &Figures, goals: [Option<f64>; 2]) {
    let sheet = Sheet {
        row: "memory",
        title: format!("Resident memory, {} invocations", figures.invocations),
        x: "callers",
        at: 64.0,
        who,
        against: None,
    };
    sheet.head();
    let [idle, loaded] = goals;
    let figure = |figure: &str, resident: Resident, goal: Option<f64>| {
        for (part, kib, goal) in [
            ("", resident.all(), goal.map(Goal::AtMost)),
            (", anonymous", resident.anonymous, None),
        ] {
            sheet.figure(&Figure {
                figure: &format!("{figure}{part}, MB"),
                values: vec![mb(kib)],
                baseline: None,
                goal,
            });
        }
    };
    figure("idle from the start", figures.idle, idle);
    for (n, resident) in (1..).zip(&figures.after_loads) {
        figure(&format!("after load {n}"), *resident, loaded);
    }
    let large = format!("after {} KiB payloads", LARGE / 1024);
    figure(&large, figures.after_large, None);
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
fn mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// Measures `cidery serve` with a store on disk.
async fn node(plan: Plan) -> Figures {
    let folder = folder("memory", std::process::id());
    let server = serve(&folder);
    let run = async |payload: Struct, calls: usize| {
        let request = accept_request(&payload);
        let bodies = vec![request.clone()];
        let accept = Load::with_bodies(&server.address, ACCEPT, CALLERS, bodies).await;
        accept.run(&server, calls / 2).await;
        let calls_to_outcome = Calls::connect(&server.address, CALLERS).await;
        let call = |channel| accepted_and_followed(channel, request.clone());
        calls_to_outcome.run(&server, calls / 2, call).await;
        let client = ContractClient::connect(&server.address).await.unwrap();
        let open = async || {
            let service = client.describe(SERVICE).await.unwrap();
            service.pending + service.running
        };
        while open().await > 0 {
            sleep(POLL).await;
        }
    };
    let figures = figures(&server, plan, run).await;
    drop(server);
    let _ = fs::remove_dir_all(folder);
    figures
}

/// Starts a node of its own process.
fn serve(folder: &Path) -> Server {
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--quiet", "--listen", "127.0.0.1:0", "--data-dir"]);
    Server::spawn(command.arg(folder))
}

fn accept_request(payload: &Struct) -> Bytes {
    let request = v1::InvokeAsyncRequest {
        service: SERVICE.to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(
            payload.encode_to_vec().into(),
        )),
        ..v1::InvokeAsyncRequest::default()
    };
    request.encode_to_vec().into()
}

/// Measures the baseline.
async fn baseline(plan: Plan) -> Figures {
    let server = Server::start("log-run");
    let run = async |payload: Struct, calls: usize| {
        let load = Calls::connect(&server.address, CALLERS).await;
        let call = |channel| append_and_wait(channel, payload.clone());
        load.run(&server, calls, call).await;
    };
    let figures = figures(&server, plan, run).await;
    let folder = folder("log", server.id());
    drop(server);
    let _ = fs::remove_dir_all(folder);
    figures
}

/// Reads the memory of a server before and after each load. `run` makes calls with a payload, on connections that end
/// with it, until all have their outcomes.
async fn figures(server: &Server, plan: Plan, run: impl AsyncFn(Struct, usize)) -> Figures {
    sleep(START).await;
    let idle = Resident::of(server);
    let (mut after_loads, mut invocations) = (Vec::new(), 0);
    for _ in 0..plan.loads {
        let begun = Instant::now();
        while begun.elapsed() < plan.load {
            run(load::customer(), CALLS).await;
            invocations += CALLS;
        }
        sleep(plan.rest).await;
        after_loads.push(Resident::of(server));
    }
    run(large(), LARGE_CALLS).await;
    sleep(plan.rest).await;
    Figures {
        idle,
        after_loads,
        after_large: Resident::of(server),
        invocations,
    }
}

fn large() -> Struct {
    let kind = Some(Kind::StringValue("x".repeat(LARGE)));
    let fields = [("document".to_owned(), Value { kind })];
    Struct {
        fields: fields.into(),
    }
}
