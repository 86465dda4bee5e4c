//! `cidery top` in a real terminal: keys, sizes, signals, and a node that goes away and comes back.

use std::time::Duration;

use cidery::{Client, dict};

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::pty::Terminal;

use super::tmux::Tmux;
use super::{kill, restart};

/// Calls a service again and again, whether or not the node is there.
async fn load(address: &str) {
    let client = Client::connect(address).await.unwrap();
    loop {
        let _ = client.invoke("cidery.echo", dict! { "a": 1 }).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn it_shows_a_node_under_load_through_a_restart() {
    let folder = Folder::new("top");
    let data = folder.path().join("data").display().to_string();
    let server = Server::start(&["--data-dir", &data]);
    let address = server.address.clone();
    let program = env!("CARGO_BIN_EXE_cidery");
    let command = format!("{program} top --node {address}; echo left $?; stty -a; cat");
    let Some(tmux) = Tmux::run(&folder, (80, 24), &command) else {
        return;
    };
    tokio::select! {
        () = load(&address) => {}
        () = follow(&tmux, server, &data) => {}
    }
}

/// What the screen shows of the node, and what keys do.
async fn follow(tmux: &Tmux, server: Server, data: &str) {
    let address = server.address.clone();
    let later = ["invoke", "demo.count", "to=1", "--async", "--delay", "1h"];
    let later = stdout(&server.run(&later)).trim().to_owned();
    let fail = ["invoke", "demo.fail", "code=NOT_FOUND", "--follow"];
    assert_eq!(server.run(&fail).status.code(), Some(4));
    let narrow = tmux.shows(&["SERVING", "cidery.echo", "CALLS/S"]).await;
    assert!(!narrow.contains("SERVED BY"), "{narrow}");
    tmux.tell(&["resize-window", "-x", "160", "-y", "48"]);
    tmux.shows(&["SERVED BY", "in node", "LAST FAILURE"]).await;
    // Calls have a duration, once there are two polls.
    tmux.shows_row("cidery.echo", |row| {
        ["us ", "ms "].iter().any(|unit| row.contains(unit))
    })
    .await;
    // It shrinks again.
    tmux.tell(&["resize-window", "-x", "80", "-y", "24"]);
    tmux.waits("80 columns", |screen| {
        screen.contains("CALLS/S") && !screen.contains("SERVED BY")
    })
    .await;
    drop(server);
    let lost = tmux.shows(&["RECONNECTING", "reconnecting: "]).await;
    assert!(lost.contains("cidery.echo"), "{lost}");
    let server = restart(&address, data);
    tmux.shows(&["SERVING", "cidery.echo"]).await;
    // Retry one that failed.
    tmux.keys(&["3"]);
    tmux.shows(&["demo.fail", "DEMO_FAILED"]).await;
    tmux.keys(&["r"]);
    tmux.shows(&["Retry ", "? [y/N]"]).await;
    tmux.keys(&["y"]);
    tmux.shows(&["retried as"]).await;
    // Cancel one that is due later, out of its history.
    tmux.keys(&["1", "/", "demo.count"]);
    tmux.shows(&["/demo.count", "filter: demo.count"]).await;
    tmux.keys(&["Enter", "Enter"]);
    tmux.shows(&["concurrency", "pending", "DUE_LATER"]).await;
    tmux.keys(&["Enter"]);
    tmux.shows(&[&later, "accepted", "waits: it is due"]).await;
    tmux.keys(&["c"]);
    tmux.shows(&[&format!("Cancel {later}? [y/N]")]).await;
    tmux.keys(&["y"]);
    tmux.shows(&["cancelled", "to be removed"]).await;
    tmux.keys(&["q"]);
    let left = tmux.shows(&["left 0", "icanon", "echoe"]).await;
    assert!(!left.contains("-icanon"), "{left}");
    drop(server);
}

#[test]
fn it_needs_a_terminal() {
    let output = cidery().arg("top").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    for command in ["cidery status", "--watch"] {
        assert!(text.contains(command), "{text}");
    }
    let json = cidery().args(["top", "-o", "json"]).output().unwrap();
    assert_eq!(json.status.code(), Some(2), "{}", stderr(&json));
}

#[test]
fn the_terminal_is_given_back_after_a_signal() {
    let server = Server::start(&[]);
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut command = cidery();
        command.arg("top").env("CIDERY_NODE", &server.address);
        let mut terminal = Terminal::run(&command, 80);
        terminal.read_until("cidery.echo");
        kill(terminal.child.id(), signal);
        let shown = terminal.read_to_end().to_owned();
        assert_eq!(terminal.child.wait().unwrap().code(), Some(code));
        let (_, after) = shown.rsplit_once("\u{1b}[?1049l").expect(&shown);
        assert!(after.contains("\u{1b}[?25h"), "{after:?}");
    }
    // Ctrl-C is a key.
    let mut command = cidery();
    command.arg("top").env("CIDERY_NODE", &server.address);
    let mut terminal = Terminal::run(&command, 80);
    terminal.read_until("cidery.echo");
    terminal.type_keys("\u{3}");
    terminal.read_to_end();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}

/// Before anything is drawn: the message stays on the screen.
#[test]
fn a_node_that_is_not_there_is_an_error() {
    let mut command = cidery();
    command.args(["top", "--node", "127.0.0.1:1"]);
    let mut terminal = Terminal::run(&command, 80);
    let shown = terminal.read_to_end().to_owned();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(6), "{shown}");
    assert!(!shown.contains("\u{1b}[?1049h"), "{shown:?}");
}
