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
use crate::server::Server;

/// The program of this build.
const PROGRAM: &str = env!("CARGO_BIN_EXE_cidery");
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
pub(crate) struct Plan {
    loads: usize,
    /// The duration of each load.
    load: Duration,
    /// The time between the last outcome of a load and the reading.
    rest: Duration,
}

impl Plan {
    /// One load of 100 s, read 30 s later.
    pub(crate) const FULL: Self = Self {
        loads: 1,
        load: Duration::from_secs(100),
        rest: Duration::from_secs(30),
    };
    /// Five loads of 4 s, each read 5 s later: memory that grows from load to load shows.
    pub(crate) const QUICK: Self = Self {
        loads: 5,
        load: Duration::from_secs(4),
        rest: Duration::from_secs(5),
    };
}

/// Resident memory of a process, in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Resident {
    pub(crate) anonymous: u64,
    /// Pages of the program's file, of its libraries, and of files that it maps.
    pub(crate) file: u64,
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

    pub(crate) fn all(self) -> u64 {
        self.anonymous + self.file
    }
}

/// Memory of one server over a plan.
pub(crate) struct Figures {
    pub(crate) idle: Resident,
    pub(crate) after_loads: Vec<Resident>,
    pub(crate) after_large: Resident,
    /// How many invocations the loads made.
    pub(crate) invocations: usize,
}

/// Compares a node and the baseline: `[PROGRAM] [quick]`. The program is `cidery`, that of this build by default.
pub(crate) fn compare(arguments: &[&str]) {
    let (program, plan) = match arguments {
        [program @ .., "quick"] => (program, Plan::QUICK),
        program => (program, Plan::FULL),
    };
    let program = program.first().unwrap_or(&PROGRAM);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ours = runtime.block_on(node(program, plan));
    let baseline = runtime.block_on(baseline(plan));
    let (load, rest) = (plan.load.as_secs(), plan.rest.as_secs());
    println!(
        "Resident memory, MB: {CALLERS} callers, loads of {load} s, read {rest} s later ({} invocations; baseline: {})",
        ours.invocations, baseline.invocations
    );
    println!(
        "{:<26} {:>8} {:>10} {:>8} {:>14}",
        "", "all", "anonymous", "file", "baseline: all"
    );
    row("idle", ours.idle, baseline.idle, "<= 20");
    for (n, (a, b)) in std::iter::zip(&ours.after_loads, &baseline.after_loads).enumerate() {
        row(&format!("after load {}", n + 1), *a, *b, "<= 64");
    }
    let what = format!("after payloads of {} KiB", LARGE / 1024);
    row(&what, ours.after_large, baseline.after_large, "");
    println!();
}

fn row(name: &str, ours: Resident, baseline: Resident, goal: &str) {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
    let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
    println!(
        "{name:<26} {:>8.1} {:>10.1} {:>8.1} {:>14.1}  {goal}",
        mb(ours.all()),
        mb(ours.anonymous),
        mb(ours.file),
        mb(baseline.all())
    );
}

/// Measures `cidery serve` with a store on disk.
pub(crate) async fn node(program: &str, plan: Plan) -> Figures {
    let folder = folder("memory", std::process::id());
    let server = serve(program, &folder);
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
fn serve(program: &str, folder: &Path) -> Server {
    let mut command = Command::new(program);
    command.args(["serve", "--quiet", "--listen", "127.0.0.1:0", "--data-dir"]);
    let mut server = Server::spawn(command.arg(folder));
    // `listening on ADDRESS`
    let address = server.address.rsplit(' ').next().unwrap().to_owned();
    server.address = address;
    server
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
pub(crate) async fn baseline(plan: Plan) -> Figures {
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
