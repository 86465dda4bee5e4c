//! `--watch`: rounds for people, for programs and in a terminal, and a node that goes away.

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr};
use crate::support::pty::Terminal;

use super::{Running, restart};

#[test]
fn rounds_are_blocks_with_their_time() {
    let server = Server::start(&[]);
    let mut watching = Running::start(&server.address, &["services", "customer.", "-w=0.5"]);
    for _ in 0..2 {
        let time = watching.line();
        assert!(time.len() == 19 && time.starts_with("20"), "{time}");
        assert!(watching.line().starts_with("NAME"));
        while !watching.line().is_empty() {}
    }
    assert_eq!(watching.end("INT").code(), Some(0));
}

#[test]
fn each_round_is_one_line_of_json() {
    let server = Server::start(&[]);
    let invoke = ["invoke", "demo.count", "to=1", "--async"];
    assert!(server.run(&invoke).status.success());
    for (arguments, is_list) in [
        (&["invocations"][..], true),
        (&["services"], true),
        (&["workers"], true),
        (&["operations"], true),
        (&["dead-letters"], true),
        (&["status"], false),
        (&["invocations", "--count"], false),
    ] {
        let arguments = [arguments, &["--watch=0.5", "-o", "json"]].concat();
        let mut watching = Running::start(&server.address, &arguments);
        for _ in 0..2 {
            let line = watching.line();
            let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
            assert_eq!(value.is_array(), is_list, "{arguments:?}: {line}");
        }
        assert_eq!(watching.end("TERM").code(), Some(143));
    }
}

#[test]
fn documents_of_yaml_are_separated() {
    let server = Server::start(&[]);
    let mut watching = Running::start(&server.address, &["status", "-w=0.5", "-o", "yaml"]);
    assert_eq!(watching.line(), "---");
    while watching.line() != "---" {}
    assert_eq!(watching.end("INT").code(), Some(0));
}

#[test]
fn a_node_that_is_lost_is_tried_again() {
    let folder = Folder::new("watch");
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["--data-dir", data]);
    let address = server.address.clone();
    let watch = ["invocations", "--count", "-w=0.5", "-o", "json"];
    let mut watching = Running::start(&address, &watch);
    assert_eq!(watching.line(), r#"{"count":0}"#);
    drop(server);
    let note = watching.note();
    assert!(note.contains("lost the node"), "{note}");
    let server = restart(&address, data);
    assert!(
        server
            .run(&["invoke", "demo.count", "to=1", "--async"])
            .status
            .success()
    );
    while watching.line() != r#"{"count":1}"# {}
    assert_eq!(watching.end("INT").code(), Some(0));
    // A node that was never there is an error.
    let never = cidery()
        .args(["services", "--watch", "--node", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(never.status.code(), Some(6), "{}", stderr(&never));
}

#[test]
fn a_terminal_is_drawn_in_place_and_given_back() {
    let server = Server::start(&[]);
    let mut command = cidery();
    command
        .args(["services", "--watch=0.5"])
        .env("CIDERY_NODE", &server.address);
    let mut terminal = Terminal::run(&command, 80);
    terminal.read_until("cidery.echo");
    let first = terminal.read_until("every 0.5 s").to_owned();
    assert!(first.contains("\u{1b}[?1049h"), "{first:?}");
    terminal.type_keys("\u{3}");
    let shown = terminal.read_to_end().to_owned();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{shown:?}");
    let (_, after) = shown.rsplit_once("\u{1b}[?1049l").expect(&shown);
    assert!(after.contains("\u{1b}[?25h"), "{after:?}");
    // What was shown last stays.
    assert!(after.contains("cidery.echo"), "{after:?}");
}

#[test]
fn wrong_intervals_are_refused() {
    for wrong in ["--watch=0.4", "--watch=soon", "-w=-1"] {
        let output = cidery().args(["services", wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    let both = ["dead-letters", "--watch", "purge", "--yes"];
    let output = cidery().args(both).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
