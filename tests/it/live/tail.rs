//! `cidery tail`: lines, filters, and what ended while the node could not be reached.

use std::collections::HashSet;

use cidery::{Client, dict};

use crate::support::Folder;
use crate::support::binary::{Server, stdout};

use super::tmux::Tmux;
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

/// Calls services in the background again and again, whether or not the node is there.
async fn load(address: &str) {
    let client = Client::connect(address).await.unwrap();
    loop {
        let _ = client.invoke_async("demo.count", dict! { "to": 1 }).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn in_a_terminal_under_load_lines_fit_it_through_a_restart() {
    let folder = Folder::new("tail-tmux");
    let data = folder.path().join("data").display().to_string();
    let server = Server::start(&["--data-dir", &data]);
    let address = server.address.clone();
    let program = env!("CARGO_BIN_EXE_cidery");
    let command = format!("{program} tail --node {address}; echo left $?; cat");
    let Some(mut tmux) = Tmux::run(&folder, (80, 24), &command) else {
        return;
    };
    // Under load, lines scroll away before they are looked at.
    tmux.first_line = -1_000;
    tokio::select! {
        () = load(&address) => {}
        () = follow(&tmux, server, &data) => {}
    }
}

/// Fails an invocation, with a message that is longer than the narrow terminal.
async fn fail(server: &Server, number: u32) {
    let client = Client::connect(&server.address).await.unwrap();
    let message = format!("number {number}: the disk of the printer is full, and nobody knows why");
    let input = dict! { "code": "NOT_FOUND", "message": message };
    client.invoke_async("demo.fail", input).await.unwrap();
}

/// A row begins with the time of an event, with a reason below one, or is a note: nothing wraps.
#[track_caller]
fn assert_rows(screen: &str) {
    for row in screen.lines().filter(|row| !row.is_empty()) {
        let is_event = row.get(2..3) == Some(":") && row.get(5..6) == Some(":");
        let is_reason = row.starts_with("              DEMO_FAILED: ");
        let is_note = row.contains("the node") || row.starts_with("watching ");
        assert!(is_event || is_reason || is_note, "{row:?} in\n{screen}");
    }
}

async fn follow(tmux: &Tmux, server: Server, data: &str) {
    let address = server.address.clone();
    tmux.shows(&["demo.count", "succeeded"]).await;
    fail(&server, 1).await;
    let screen = tmux.shows(&["DEMO_FAILED: number 1: the disk"]).await;
    assert_rows(&screen);
    let cut = screen.lines().find(|row| row.contains("number 1")).unwrap();
    assert!(cut.ends_with('…') && cut.chars().count() == 80, "{cut:?}");
    tmux.tell(&["resize-window", "-x", "160", "-y", "48"]);
    fail(&server, 2).await;
    let screen = tmux.shows(&["DEMO_FAILED: number 2: the disk"]).await;
    let wide = screen.lines().find(|row| row.contains("number 2")).unwrap();
    assert!(
        wide.contains("  failed  ") && wide.contains("demo.fail "),
        "{wide:?}"
    );
    tmux.tell(&["resize-window", "-x", "80", "-y", "24"]);
    drop(server);
    tmux.shows(&[&format!("lost the node {address}")]).await;
    let server = restart(&address, data);
    tmux.shows(&[&format!("watching {address} again")]).await;
    // All rows that are left after it are of the narrow terminal.
    fail(&server, 3).await;
    let rows_after = |screen: &str| {
        let (_, after) = screen.split_once("again\n")?;
        after.contains("number 3").then(|| after.to_owned())
    };
    let screen = tmux.waits("the third failure", |screen| rows_after(screen).is_some());
    assert_rows(&rows_after(&screen.await).unwrap());
    tmux.keys(&["C-c"]);
    tmux.shows(&["left 0"]).await;
    drop(server);
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
