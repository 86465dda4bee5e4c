//! `cidery health`, and that configured limits hold.

use super::{Site, objects};
use crate::support::binary::{Server, cidery, stderr, stdout};

#[test]
fn a_probe_says_whether_a_node_serves() {
    let server = Server::start(&[]);
    let health = |arguments: &[&str]| server.run(&[&["health"], arguments].concat());
    let serving = health(&[]);
    assert_eq!(
        (serving.status.code(), stdout(&serving).as_str()),
        (Some(0), "SERVING\n")
    );
    let object = &objects(&health(&["-o", "jsonl"]))[0];
    assert_eq!(*object, serde_json::json!({ "status": "SERVING" }));
    assert_eq!(
        health(&["--service", "customer.get"]).status.code(),
        Some(0)
    );
    assert_eq!(health(&["--service", "nobody"]).status.code(), Some(4));
    assert!(
        server
            .run(&["service", "pause", "customer.get"])
            .status
            .success()
    );
    let paused = health(&["--service", "customer.get"]);
    assert_eq!(
        (paused.status.code(), stdout(&paused).as_str()),
        (Some(6), "NOT_SERVING\n")
    );
    let nobody = cidery()
        .args(["health", "--node", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(6), "{}", stderr(&nobody));
    // A port that accepts and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let mut late = cidery();
    late.args(["health", "--timeout", "100ms", "--node", &silent]);
    assert_eq!(late.output().unwrap().status.code(), Some(6));
}

/// As the configuration does: a supervisor may have them without a value.
#[test]
fn empty_variables_of_clients_count_as_not_set() {
    let server = Server::start(&[]);
    let mut health = cidery();
    health.args(["health", "--node", &server.address]);
    for name in [
        "CIDERY_CONTEXT",
        "CIDERY_CA",
        "CIDERY_CERT",
        "CIDERY_KEY",
        "CIDERY_API_KEY",
        "CIDERY_API_KEY_FILE",
    ] {
        health.env(name, "");
    }
    let output = health.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn configured_limits_hold() {
    let site = Site::new("demo = true\n[limits]\nitems = 2\n");
    let path = site.path();
    let server = Server::start(&["--config", path.to_str().unwrap(), "--limit", "batch=1"]);
    let output = server.run(&["invoke", "demo.count", "to=3", "--follow", "-o", "jsonl"]);
    assert!(
        stdout(&output).contains("ITEMS_LIMIT"),
        "{}",
        stdout(&output)
    );
}
