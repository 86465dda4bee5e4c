//! `cidery check-worker`: right workers pass, and each flaw of a worker fails its check alone.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use cidery::Value;
use cidery::codec::json;
use futures_util::StreamExt as _;

use crate::support::binary::{cidery, tool};
use crate::support::faulty_worker::{FaultyWorker, Flaw};
use crate::support::programs::{
    Program, Role, Running, go, go_complete, java, node, python, python_complete, root, rust,
};
use crate::support::raw::spawn;

/// A run of the command that waits for its worker.
struct Run {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

/// The verdicts of a run.
struct Report {
    checks: Vec<Value>,
    code: Option<i32>,
}

impl Run {
    fn start(timeout: &str) -> Self {
        let mut child = cidery()
            .args(["check-worker", "127.0.0.1:0", "--output", "jsonl"])
            .args(["--wait", "1m", "--timeout", timeout])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let listening = json::read(first.as_bytes()).unwrap();
        Self {
            address: listening["address"].as_text().unwrap().to_owned(),
            child,
            output,
        }
    }

    fn finish(mut self) -> Report {
        let mut lines = String::new();
        self.output.read_to_string(&mut lines).unwrap();
        let checks = lines
            .lines()
            .map(|line| json::read(line.as_bytes()).unwrap());
        Report {
            checks: checks.collect(),
            code: self.child.wait().unwrap().code(),
        }
    }
}

impl Report {
    /// The names of the checks with a verdict.
    fn with(&self, verdict: &str) -> Vec<&str> {
        let checks = self.checks.iter();
        let found = checks.filter(|check| check["verdict"].as_text() == Some(verdict));
        found
            .map(|check| check["check"].as_text().unwrap())
            .collect()
    }

    #[track_caller]
    fn assert_passed(&self, left_out: &[&str]) {
        assert_eq!(self.with("failed"), [""; 0], "{:?}", self.checks);
        assert_eq!(self.with("left_out"), left_out, "{:?}", self.checks);
        assert_eq!(self.code, Some(0));
    }
}

/// Checks a worker in this process that has a flaw.
async fn check(flaw: Flaw) -> Report {
    let run = Run::start("5s");
    let (worker, address) = (FaultyWorker::new(flaw), run.address.clone());
    let serves = spawn(async move { worker.serve(&address).await });
    let report = tokio::task::spawn_blocking(|| run.finish()).await.unwrap();
    serves.abort();
    report
}

/// The checks that do not apply to a worker without capabilities.
const OF_CAPABILITIES: [&str; 8] = [
    "cancel",
    "batches",
    "repeated dispatch",
    "resume",
    "acknowledged results",
    "restarted node",
    "refused resume",
    "drain",
];

/// Checks a program of `examples/`.
fn passes(program: Option<Program>, left_out: &[&str]) {
    let Some(program) = program else { return };
    let run = Run::start("20s");
    let _worker = program.start(&run.address);
    run.finish().assert_passed(left_out);
}

#[tokio::test]
async fn a_worker_without_a_flaw_passes() {
    check(Flaw::Nothing).await.assert_passed(&[]);
}

#[test]
fn the_worker_of_the_rust_library_passes() {
    passes(Some(rust()), &[]);
}

#[test]
fn the_minimal_worker_in_python_passes() {
    passes(python(Role::Worker), &OF_CAPABILITIES);
}

#[test]
fn the_minimal_worker_in_go_passes() {
    passes(go(Role::Worker), &OF_CAPABILITIES);
}

#[test]
fn the_minimal_worker_in_javascript_passes() {
    passes(node(Role::Worker), &OF_CAPABILITIES);
}

#[test]
fn the_minimal_worker_in_java_passes() {
    passes(java(Role::Worker), &OF_CAPABILITIES);
}

#[test]
fn the_complete_worker_in_python_passes() {
    passes(python_complete(), &[]);
}

#[test]
fn the_complete_worker_in_go_passes() {
    passes(go_complete(), &[]);
}

#[test]
fn the_worker_of_the_python_sdk_passes() {
    let Some(tools) = tool("CIDERY_SDK", "the worker of the Python SDK") else {
        return;
    };
    let run = Run::start("20s");
    let mut command = Command::new(format!("{tools}/python"));
    command
        .args([
            "-m",
            "cidery",
            "run",
            "examples/hello.py",
            "--node",
            &run.address,
        ])
        .env("PYTHONPATH", root().join("python/src"))
        .current_dir(root());
    let _worker = Running(command.spawn().unwrap());
    run.finish().assert_passed(&[]);
}

/// Each flaw, the check that finds it, and the section of the protocol that has the rule.
const FLAWS: [(Flaw, &str, &str); 18] = [
    (Flaw::DuplicateService, "hello", "Hello and welcome"),
    (Flaw::OtherToken, "dispatch faulty.second", RESULTS),
    (Flaw::WrongOutput, "dispatch faulty.second", RESULTS),
    (Flaw::NoOutcome, "dispatch faulty.second", RESULTS),
    (
        Flaw::EndsOnKeepAlive,
        "unknown messages",
        "Hello and welcome",
    ),
    (Flaw::SmallCredit, "concurrent dispatches", "Credit"),
    (Flaw::DropsOverdue, "overdue dispatch", "Cancellation"),
    (Flaw::DropsCancelled, "cancel", "Cancellation"),
    (Flaw::SmallMessages, "large input", "Limits"),
    (Flaw::IgnoresBatches, "batches", "Batching"),
    (Flaw::RunsTwice, "repeated dispatch", "Resume"),
    (Flaw::NoBackoff, "backoff", "Reconnecting"),
    (Flaw::LosesSession, "resume", "Resume"),
    (Flaw::LosesResults, "resume", "Resume"),
    (Flaw::KeepsAcknowledged, "acknowledged results", "Resume"),
    (Flaw::KeepsVoid, "restarted node", "Resume"),
    (Flaw::InsistsOnSession, "refused resume", "Resume"),
    (Flaw::DropsDrained, "drain", "Drain"),
];
const RESULTS: &str = "Dispatches and results";

#[tokio::test]
async fn each_flaw_fails_its_check_alone() {
    // Most runs wait for an answer that does not come.
    let runs = futures_util::stream::iter(FLAWS).map(async |(flaw, name, section)| {
        let report = check(flaw).await;
        assert_eq!(
            report.with("failed"),
            [name],
            "{flaw:?}: {:?}",
            report.checks
        );
        assert_eq!(report.code, Some(1), "{flaw:?}");
        let mut checks = report.checks.iter();
        let failed = checks.find(|check| check["verdict"].as_text() == Some("failed"));
        assert_eq!(
            failed.unwrap()["section"].as_text(),
            Some(section),
            "{flaw:?}"
        );
    });
    runs.buffer_unordered(6).collect::<()>().await;
}

#[tokio::test]
async fn a_worker_that_exits_with_its_stream_is_found() {
    let report = check(Flaw::Exits).await;
    assert_eq!(report.with("failed"), ["reconnect"]);
    let after = [
        "backoff",
        "resume",
        "acknowledged results",
        "restarted node",
        "refused resume",
        "drain",
    ];
    assert_eq!(report.with("left_out"), after);
}

#[test]
fn a_worker_that_never_connects_is_a_failed_check() {
    let output = cidery()
        .args(["check-worker", "127.0.0.1:0", "--wait", "10ms"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("failed    hello"), "{text}");
    assert!(
        text.contains("docs/worker-protocol.md, Hello and welcome"),
        "{text}"
    );
}

#[test]
fn an_address_that_is_not_loopback_needs_permission() {
    let output = cidery()
        .args(["check-worker", "0.0.0.0:0"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("INSECURE_ADDRESS"), "{text}");
}
