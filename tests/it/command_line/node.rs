//! What `cidery serve` logs when it starts, and what `cidery demo` prints.

use cidery::codec::json;

use super::waiting::wait_until_running;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::proxy::Proxy;
use crate::support::pty::Terminal;
use crate::support::{Folder, until};

fn log_of(server: &mut Server) -> String {
    server.signal("TERM");
    let mut log = String::new();
    std::io::Read::read_to_string(server.child.stderr.as_mut().unwrap(), &mut log).unwrap();
    log
}

#[test]
fn the_first_log_line_says_what_is_served_where() {
    let folder = Folder::new("start-log");
    let data = folder.path().to_str().unwrap();
    let options = ["--log-format", "json", "--data-dir", data];
    let mut server = Server::start(&options);
    for _ in 0..2 {
        let accepted = server.run(&["invoke", "demo.count", "to=1", "--async", "--delay", "1h"]);
        assert!(accepted.status.success(), "{}", stderr(&accepted));
    }
    log_of(&mut server);
    server.child.wait().unwrap();
    let mut server = Server::start(&options);
    let log = log_of(&mut server);
    let line = log
        .lines()
        .find(|line| line.contains("\"serving\""))
        .unwrap();
    let line = json::read(line.as_bytes()).unwrap();
    assert_eq!(line["version"].as_text(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(line["address"].as_text(), Some(server.address.as_str()));
    assert_eq!(line["store"].as_text(), Some("sqlite"));
    let path = folder.path().canonicalize().unwrap();
    assert_eq!(line["data_dir"].as_text(), path.to_str());
    assert_eq!(line["pending"].as_int(), Some(2));
}

#[test]
fn the_log_says_which_attempts_failed_and_what_operators_did() {
    let mut server = Server::start(&[]);
    let fail = ["invoke", "demo.fail", "code=INTERNAL", "retryable=true"];
    let failed = server.run(&[&fail[..], &["--retry", "2", "--follow"]].concat());
    assert!(!failed.status.success());
    let later = server.run(&["invoke", "demo.count", "to=1", "--async", "--delay", "1h"]);
    let cid = stdout(&later);
    let cid = cid.trim();
    let cancelled = server.run(&["cancel", cid, "--reason", "ops ticket 12", "--yes"]);
    assert!(cancelled.status.success(), "{}", stderr(&cancelled));
    let later = server.run(&["invoke", "demo.count", "to=1", "--async", "--delay", "1h"]);
    assert!(later.status.success());
    let (log, _) = server.terminate();
    let line = |text: &str| {
        let found = log.lines().find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("{text}: {log}"))
    };
    for (attempt, level, what) in [
        ("attempt=1", " WARN invocation{cid=", "}: attempt failed: "),
        ("attempt=2", "ERROR invocation{cid=", "}: failed: "),
    ] {
        let line = line(attempt);
        assert!(line.contains(level) && line.contains(what), "{log}");
    }
    assert_eq!(log.matches("demo.fail").count(), 2, "{log}");
    let cancelled = line("invocations cancelled");
    assert!(
        cancelled.contains(cid) && cancelled.contains("ops ticket 12"),
        "{cancelled}"
    );
    assert!(line("pending invocations are lost").contains("pending=1"));
    for internal in ["task{", "location=src"] {
        assert!(!log.contains(internal), "{log}");
    }
}

#[test]
fn the_demo_prints_each_event_once_and_no_log_lines() {
    let output = cidery()
        .args(["demo", "--exit", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let (shown, noted) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{shown}{noted}");
    // Nothing is left to try at a node that has stopped.
    assert!(noted.starts_with("The node stops now."), "{noted}");
    assert!(noted.contains("in memory only"), "{noted}");
    assert!(!shown.contains("Try it yourself"), "{shown}");
    assert_eq!(noted.lines().count(), 1, "{noted}");
    let count = |text: &str| shown.lines().filter(|line| line.starts_with(text)).count();
    assert_eq!(count("<- item             {\"n\":"), 3, "{shown}");
    assert_eq!(
        count("<- retry_scheduled  attempt 1 failed: "),
        1,
        "{shown}"
    );
    assert_eq!(count("<- accepted         demo.count"), 1, "{shown}");
    assert_eq!(count("<- succeeded        {\"total\":3}"), 1, "{shown}");
}

#[test]
fn a_running_demo_says_what_can_be_tried_and_that_it_is_in_memory() {
    let mut terminal = Terminal::run(cidery().args(["demo", "--listen", "127.0.0.1:0"]), 80);
    let shown = terminal.read_until("The node keeps running").to_owned();
    let tried = shown.split("== Try it yourself").nth(1).unwrap();
    for text in [
        "  cidery invoke customer.get cust_id=1",
        "  grpcurl -plaintext",
        "from cidery import Client",
    ] {
        assert!(tried.contains(text), "{text} is not in {tried}");
    }
    terminal.read_until("in memory only");
}

/// The value of each line of a JSON log.
fn events(log: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().map(|line| (line, serde_json::from_str(line)));
    lines
        .map(|(line, value)| value.unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn a_json_log_has_nothing_but_json_and_says_what_a_stop_waits_for() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&["--log-format", "json", "--drain", "50ms"]);
        let sleep = ["invoke", "demo.sleep", "seconds=600", "--async"];
        for _ in 0..2 {
            let cid = stdout(&server.run(&sleep)).trim().to_owned();
            server.run(&["result", &cid, "--follow", "--wait", "1ms"]);
        }
        wait_until_running(&server.address, 2);
        server.signal(signal);
        let mut log = String::new();
        std::io::Read::read_to_string(server.child.stderr.as_mut().unwrap(), &mut log).unwrap();
        let events = events(&log);
        let stopping = events.iter().find(|event| event["message"] == "stopping");
        let stopping = stopping.unwrap();
        assert_eq!(stopping["signal"], format!("SIG{signal}"));
        assert_eq!(stopping["running"], 2, "{stopping}");
        assert_eq!(stopping["services"], "demo.sleep=2", "{stopping}");
        assert_eq!(stopping["drain"], "50ms", "{stopping}");
    }
}

#[test]
fn a_json_log_has_the_failure_of_the_start() {
    let server = Server::start(&[]);
    let serve = ["serve", "--in-memory", "--log-format", "json", "--listen"];
    let failed = server.run(&[&serve[..], &[&server.address]].concat());
    assert_eq!(failed.status.code(), Some(6));
    let [event] = &events(&stderr(&failed))[..] else {
        panic!("{}", stderr(&failed));
    };
    assert_eq!(event["level"], "ERROR");
    assert_eq!(event["reason"], "BIND_FAILED");
    assert!(event["hint"].as_str().unwrap().contains("--listen"));
    // An error has to be somewhere.
    let silent = [&serve[..], &[&server.address, "--log", "off"]].concat();
    assert!(stderr(&server.run(&silent)).contains("BIND_FAILED"));
    let wrong = server.run(&["serve", "--log-format=json", "--drain", "5"]);
    assert_eq!(wrong.status.code(), Some(2));
    let wrong = &events(&stderr(&wrong))[0];
    assert_eq!(wrong["error"]["reason"], "USAGE_INVALID");
}

/// An operator sees at once that calls are at risk, not only when the lease of the worker expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_disconnects_in_the_middle_of_calls_is_a_warning_with_their_number() {
    use std::io::{BufRead as _, BufReader};
    let mut server = Server::start(&["--log-format", "json"]);
    let proxy = Proxy::to(server.address.parse().unwrap()).await;
    let forever = async || std::future::pending::<()>().await;
    let worker = cidery::Worker::builder()
        .name("the-worker")
        .service("a.task", forever);
    let worker = worker.connect(&proxy.address.to_string()).await.unwrap();
    for _ in 0..2 {
        let accepted = server.run(&["invoke", "a.task", "--async"]);
        assert!(accepted.status.success(), "{}", stderr(&accepted));
    }
    until("both run", || worker.in_flight() == 2).await;
    proxy.cut();
    let log = BufReader::new(server.child.stderr.take().unwrap());
    let mut lines = log.lines().map(Result::unwrap);
    let warning = lines.find(|line| line.contains("in the middle of calls"));
    let warning = json::read(warning.unwrap().as_bytes()).unwrap();
    assert_eq!(warning["level"].as_text(), Some("WARN"));
    assert_eq!(warning["worker.name"].as_text(), Some("the-worker"));
    assert_eq!(warning["in_flight"].as_int(), Some(2));
}
