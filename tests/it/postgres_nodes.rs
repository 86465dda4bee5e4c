//! Nodes that share a PostgreSQL, as processes.

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::postgres::server;

fn accepted(node: &Server, call: &[&str]) -> String {
    let output = node.run(&[&["invoke", "--async"], call].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).trim().to_owned()
}

/// The response of an invocation, which is waited for.
fn result(node: &Server, cid: &str) -> String {
    let output = node.run(&["result", cid, "--wait", "60s"]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn what_a_killed_node_ran_another_one_runs_to_its_end() {
    let Some(server) = server() else { return };
    let url = server.url();
    let (one, mut other) = (
        Server::start(&["--store", &url]),
        Server::start(&["--store", &url]),
    );
    // It runs, on either node, when both have been asked for the others.
    let long: Vec<_> = (0..4)
        .map(|_| accepted(&one, &["demo.sleep", "seconds=3"]))
        .collect();
    let short: Vec<_> = [&one, &other, &one]
        .map(|node| accepted(node, &["customer.get", "cust_id=1"]))
        .into();
    drop(one);
    for cid in &long {
        assert!(result(&other, cid).contains("slept"));
    }
    for cid in &short {
        assert!(result(&other, cid).contains("Alexis Smith"));
    }
    let (log, status) = other.terminate();
    assert!(status.success(), "{log}");
    // The tables are there, and so is all that ended.
    let again = Server::start(&["--store", &url]);
    assert!(result(&again, &long[0]).contains("slept"));
}

#[test]
fn a_result_is_waited_for_on_any_node() {
    let Some(server) = server() else { return };
    let url = server.url();
    let nodes = [
        Server::start(&["--store", &url]),
        Server::start(&["--store", &url]),
    ];
    let cid = accepted(&nodes[0], &["demo.sleep", "seconds=0.5"]);
    for node in &nodes {
        assert!(result(node, &cid).contains("slept"));
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_named() {
    let url = "postgres://anna@127.0.0.1:1/jobs";
    let refused = cidery().args(["serve", "--store", url]).output().unwrap();
    assert!(!refused.status.success());
    let shown = stderr(&refused);
    assert!(shown.contains("127.0.0.1:1/jobs"), "{shown}");
    assert!(shown.contains("refused"), "{shown}");
}

#[test]
fn a_password_in_the_url_is_refused_and_not_shown() {
    let url = "postgres://anna:s3cret@127.0.0.1:1/jobs";
    let refused = cidery().args(["serve", "--store", url]).output().unwrap();
    assert!(!refused.status.success());
    let shown = stdout(&refused) + &stderr(&refused);
    assert!(shown.contains("store_password"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
