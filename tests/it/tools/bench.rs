//! `cidery bench`: what it counts, and what it reports.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::schema::validate;

fn bench(server: &Server, arguments: &[&str]) -> Value {
    let arguments = [&["bench"], arguments, &["--warm-up", "0s", "-o", "json"]].concat();
    let output = server.run(&arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    let value = serde_json::from_str(&stdout(&output)).unwrap();
    let schema = serde_json::from_str(include_str!("../../../docs/cli.schema.json")).unwrap();
    validate(&schema, "bench", &value).unwrap();
    value
}

#[test]
fn callers_make_the_calls_that_are_asked_for() {
    let server = Server::start(&[]);
    let arguments = [
        "cidery.ping",
        "--count",
        "50",
        "--callers",
        "4",
        "--connections",
        "2",
    ];
    let result = bench(&server, &arguments);
    assert_eq!(
        (&result["succeeded"], &result["failed"]),
        (&50.into(), &0.into())
    );
    let counted = result["histogram"].as_array().unwrap().iter();
    let counted: u64 = counted.map(|range| range["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, 50);
    let latency = |key: &str| result["latency"][key].as_f64().unwrap();
    assert!(latency("min") > 0.0 && latency("p50") <= latency("p99_9"));
    assert!(latency("p99_9") <= latency("max"));
}

#[test]
fn invocations_in_the_background_are_measured_to_their_outcome() {
    let server = Server::start(&[]);
    let accepted = bench(&server, &["demo.count", "to=1", "--async", "--count", "10"]);
    assert_eq!(accepted["measures"], "ACCEPTANCE");
    let arguments = [
        "demo.sleep",
        "seconds=0.2",
        "--async",
        "--await",
        "--count",
        "3",
    ];
    let ended = bench(&server, &arguments);
    assert_eq!(ended["measures"], "OUTCOME");
    assert!(ended["latency"]["min"].as_f64() >= Some(0.2), "{ended}");
}

/// Calls that take longer than the time between two of them: latencies count from when they were due, and what finds
/// no room is counted.
#[test]
fn at_a_fixed_rate_late_calls_are_late_and_missed_ones_are_counted() {
    let server = Server::start(&[]);
    let arguments = [
        "demo.sleep",
        "seconds=0.5",
        "--rate",
        "100/s",
        "--in-flight",
        "2",
        "--duration",
        "1s",
    ];
    let result = bench(&server, &arguments);
    let number = |key: &str| result[key].as_u64().unwrap();
    // A hundred are due; each of the two places has room for two or three.
    assert!((2..=8).contains(&number("succeeded")), "{result}");
    assert!(number("missed") >= 80, "{result}");
    assert_eq!(number("missed") + number("calls"), 100, "{result}");
}

/// What holds up the bench itself counts too: a latency begins when its call is due, not when it is sent.
#[test]
fn at_a_fixed_rate_latencies_are_from_when_calls_were_due() {
    let server = Server::start(&[]);
    let child = cidery()
        .args([
            "bench",
            "cidery.ping",
            "--rate",
            "10/s",
            "--in-flight",
            "1000",
        ])
        .args(["--duration", "5s", "--warm-up", "0s", "-o", "json"])
        .env("CIDERY_NODE", &server.address)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !has_pings(&server.address) {}
    signal(&child, "STOP");
    let slept = server.run(&["invoke", "demo.sleep", "seconds=2"]);
    signal(&child, "CONT");
    assert!(slept.status.success(), "{}", stderr(&slept));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    // All are made.
    let counts = (&result["calls"], &result["missed"]);
    assert_eq!(counts, (&50.into(), &0.into()), "{result}");
    // Those that were due in the first second and a half waited for half a second or more. Once they are sent, all of
    // them are answered at once.
    let ranges = result["histogram"].as_array().unwrap().iter();
    let late = ranges.filter(|range| range["from"].as_f64() >= Some(0.5));
    let late: u64 = late.map(|range| range["count"].as_u64().unwrap()).sum();
    assert!(late >= 10, "{result}");
    assert!(result["latency"]["min"].as_f64() < Some(0.5), "{result}");
}

/// Whether a node has counted a call of `cidery.ping`.
fn has_pings(address: &str) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    metrics.contains("cidery_invocations_total{service=\"cidery.ping\"")
}

/// Reads until a bench says that it begins. The rest is read by a thread.
fn until_it_begins(child: &mut Child) -> JoinHandle<std::io::Result<u64>> {
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ctrl-C prints") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0);
    }
    std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()))
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn failures_are_counted_by_code_and_reason() {
    let server = Server::start(&[]);
    let output = server.run(&[
        "bench",
        "demo.fail",
        "code=NOT_FOUND",
        "--count",
        "5",
        "-o",
        "json",
    ]);
    // No call has succeeded.
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let failures = serde_json::json!([
        { "code": "NOT_FOUND", "reason": "DEMO_FAILED", "count": 5 }
    ]);
    assert_eq!(
        (&result["failures"], &result["latency"]),
        (&failures, &Value::Null)
    );
    let unknown = server.run(&["bench", "demo.fial"]);
    assert_eq!(unknown.status.code(), Some(4), "{}", stderr(&unknown));
    for wrong in [
        &["--rate", "0"][..],
        &["--rate", "5", "--callers", "2"],
        &["--duration", "2d"],
        &["--await"],
    ] {
        let refused = server.run(&[&["bench", "cidery.ping"], wrong].concat());
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn an_interrupt_prints_what_is_measured() {
    let server = Server::start(&[]);
    let mut child = cidery()
        .args([
            "bench",
            "cidery.ping",
            "--duration",
            "1h",
            "--warm-up",
            "0s",
            "-v",
        ])
        .env("CIDERY_NODE", &server.address)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says so before it begins, and the signal is caught by then.
    let reader = until_it_begins(&mut child);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    drop(reader.join());
    assert_eq!(output.status.code(), Some(130));
    assert!(stdout(&output).contains("rate"), "{}", stdout(&output));
}
