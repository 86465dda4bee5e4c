//! `cidery tail`: lines, filters, and what ended while the node could not be reached.

use std::collections::HashSet;

use crate::support::Folder;
use crate::support::binary::{Server, stdout};

use super::{Running, restart};

/// Runs an invocation to its end; returns its CID.
fn run(server: &Server, service: &[&str]) -> String {
    let accepted = server.run(&[&["invoke", "--async"], service].concat());
    let cid = stdout(&accepted).trim().to_owned();
    server.run(&["result", &cid, "--follow", "-q"]);
    cid
}

#[test]
fn a_line_says_what_became_of_an_invocation() {
    let server = Server::start(&[]);
    let mut all = Running::start(&server.address, &["tail"]);
    let mut failed = Running::start(&server.address, &["tail", "state = FAILED"]);
    for tail in [&mut all, &mut failed] {
        assert_eq!(tail.note(), format!("watching {}", server.address));
    }
    let succeeded = run(&server, &["demo.count", "to=1"]);
    let gone = run(&server, &["demo.fail", "code=NOT_FOUND", "message=gone"]);
    let words = |line: String| -> Vec<String> {
        let words = line.split_whitespace().skip(1).take(3);
        words.map(str::to_owned).collect()
    };
    assert_eq!(words(all.line()), ["demo.count", "succeeded", &succeeded]);
    assert_eq!(words(all.line()), ["demo.fail", "failed", &gone]);
    let line = failed.line();
    assert!(line.ends_with("DEMO_FAILED: gone"), "{line}");
    assert_eq!(words(line), ["demo.fail", "failed", &gone]);
    assert_eq!(all.end("INT").code(), Some(0));
    assert_eq!(failed.end("TERM").code(), Some(143));
    // What ended before, with `--since`.
    let since = ["tail", "--since", "1h", "-o", "name"];
    let mut since = Running::start(&server.address, &since);
    assert_eq!([since.line(), since.line()], [succeeded, gone]);
}

#[test]
fn what_ended_while_the_node_was_away_is_shown_once() {
    let folder = Folder::new("tail");
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["--data-dir", data]);
    let address = server.address.clone();
    let mut tail = Running::start(&address, &["tail", "-o", "name"]);
    assert_eq!(tail.note(), format!("watching {address}"));
    let count = ["demo.count", "to=1"];
    let mut expected: Vec<String> = (0..3).map(|_| run(&server, &count)).collect();
    let mut found: Vec<String> = (0..3).map(|_| tail.line()).collect();
    drop(server);
    let note = tail.note();
    assert!(note.contains("lost the node"), "{note}");
    // Where `tail` cannot see it.
    let elsewhere = Server::start(&["--data-dir", data]);
    expected.extend((0..3).map(|_| run(&elsewhere, &count)));
    drop(elsewhere);
    let server = restart(&address, data);
    assert_eq!(tail.note(), format!("watching {address} again"));
    expected.push(run(&server, &count));
    found.extend((0..4).map(|_| tail.line()));
    let distinct: HashSet<&String> = found.iter().collect();
    assert_eq!(distinct.len(), expected.len(), "{found:?}");
    assert_eq!(found, expected);
}

#[test]
fn a_reader_that_goes_away_ends_it_in_order() {
    let server = Server::start(&[]);
    let mut tail = Running::start(&server.address, &["tail", "--output", "json"]);
    // It does not say when it watches.
    tail.out = None;
    while tail.child.try_wait().unwrap().is_none() {
        run(&server, &["demo.count", "to=1"]);
    }
    assert_eq!(tail.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_filter_is_checked_before_anything_else() {
    let server = Server::start(&[]);
    let wrong = server.run(&["tail", "sevice = a"]);
    assert_eq!(wrong.status.code(), Some(2));
}
