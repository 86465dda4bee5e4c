//! Resident memory of the program `cidery serve` on the embedded store: idle from the start, and after a load of
//! invocations that were accepted and ran in a worker.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::accept_run::Subject;
use crate::durable::folder;
use crate::record::{Figure, Goal, Sheet};
use crate::server::Server;
use crate::settings::settings;

const CALLERS: usize = 64;
/// Until the node has done what it does after a start.
const IDLE: Duration = Duration::from_secs(2);
/// Seconds of load, and of rest after it.
const LOAD: usize = 100;
const REST: usize = 30;
const CALLS: usize = 2_000;

/// Measures once: each round would take more than two minutes.
pub(crate) fn measure() {
    let folder = folder("memory", std::process::id());
    let mut program = Command::new(env!("CARGO_BIN_EXE_cidery"));
    program
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&folder)
        .stderr(Stdio::null());
    let node = Server::spawn(&mut program);
    sleep(IDLE);
    let idle = node.resident_mb();
    let worker = Server::start_with(&["--serve", "worker", &node.address]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let seconds = |all| Duration::from_secs(settings().part_of(all) as u64);
    runtime.block_on(async {
        let subject = Subject::connect(&node, CALLERS).await;
        let begun = Instant::now();
        while begun.elapsed() < seconds(LOAD) {
            subject.round(CALLS).await;
        }
    });
    drop(runtime);
    let busy = node.resident_mb();
    sleep(seconds(REST));
    let rested = node.resident_mb();
    let sheet = Sheet {
        row: "memory",
        title: "Resident memory of cidery serve".to_owned(),
        x: "callers",
        at: 64.0,
        who: "cidery",
        against: None,
    };
    sheet.head();
    for (figure, value, goal) in [
        ("idle from the start, MB", idle, Some(20.0)),
        ("at the end of a load, MB", busy, None),
        ("30 s after a load, MB", rested, Some(64.0)),
    ] {
        sheet.figure(&Figure {
            figure,
            values: vec![value],
            baseline: None,
            goal: goal.map(Goal::AtMost),
        });
    }
    drop((worker, node));
    let _ = fs::remove_dir_all(folder);
}
