//! What a terminal shows: the question before a bulk change, the progress bar, examples.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cidery::{Context, Progress, Worker};
use tokio::sync::Semaphore;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stdout};
use crate::support::pty::Terminal;

/// Runs a command against a node in a terminal of 80 columns.
fn run(server: &Server, arguments: &[&str]) -> Terminal {
    let mut command = cidery();
    command.args(arguments).env("CIDERY_NODE", &server.address);
    Terminal::run(&command, 80)
}

#[test]
fn a_bulk_change_is_asked_for() {
    let server = Server::start(&[]);
    for _ in 0..2 {
        let later = ["invoke", "cidery.echo", "--async", "--delay", "1h"];
        assert!(server.run(&later).status.success());
    }
    let cancel = ["cancel", "--service", "cidery.echo"];
    let pending = || stdout(&server.run(&["invocations", "--state", "pending", "--count"]));
    for (key, code, left) in [
        ("n", 7, "2\n"),
        ("\r", 7, "2\n"),
        ("\u{3}", 130, "2\n"),
        ("y", 0, "0\n"),
    ] {
        let mut asking = run(&server, &cancel);
        asking.read_until("Cancel 2 invocations of cidery.echo (2 PENDING)? [y/N]");
        asking.read_until("\u{1b}[?25l");
        asking.type_keys(key);
        let shown = asking.read_to_end().to_owned();
        assert_eq!(asking.child.wait().unwrap().code(), Some(code), "{shown}");
        assert_eq!(pending(), left, "{key:?}: {shown}");
        let (hidden, restored) = (shown.rfind("\u{1b}[?25l"), shown.rfind("\u{1b}[?25h"));
        assert!(hidden.is_some() && hidden < restored, "{key:?}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_a_bar_until_the_next_event() {
    let server = Server::start(&[]);
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let halfway = move |ctx: Context| {
        let wait = Arc::clone(&wait);
        async move {
            ctx.progress(Progress::at(0.5).message("midway"));
            ctx.progress(Progress::at(0.5).message("midway"));
            wait.acquire().await.unwrap().forget();
        }
    };
    let worker = Worker::builder().service("a.half", halfway);
    let worker = worker.connect(&server.address).await.unwrap();
    let half = ["invoke", "a.half", "--follow"];
    let mut following = run(&server, &half);
    let shown = following.read_until("midway").to_owned();
    assert!(shown.contains("#############-----------"), "{shown:?}");
    assert!(shown.contains("50 %  midway"), "{shown:?}");
    gate.add_permits(1);
    let shown = following.read_until("succeeded");
    let after = shown.split_once("midway").unwrap().1;
    assert!(after.contains("\u{1b}[2K"), "the bar is cleared: {after:?}");
    following.read_to_end();
    assert_eq!(following.child.wait().unwrap().code(), Some(0));
    // One line for each report, at most one per second.
    let mut piped = cidery();
    piped.args(half).env("CIDERY_NODE", &server.address);
    let mut piped = piped
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let noted = BufReader::new(piped.stderr.take().unwrap()).lines();
    let mut noted = noted.map(Result::unwrap);
    let line = noted.find(|line| line.contains("progress")).unwrap();
    assert!(line.ends_with("  progress   50 % midway"), "{line}");
    gate.add_permits(1);
    let rest: Vec<String> = noted.collect();
    assert!(!rest.concat().contains("progress"), "{rest:?}");
    assert!(piped.wait().unwrap().success());
    worker.stop().await;
}

/// The lines of CSV end with a carriage return, which a terminal needs not be shown.
#[test]
fn csv_on_a_terminal_has_plain_lines() {
    let server = Server::start(&[]);
    let invoke = ["invoke", "customer.get", "cust_id=1"];
    let mut invoking = run(
        &server,
        &[&invoke[..], &["--response-format", "csv"]].concat(),
    );
    // A terminal makes `\r\n` of a line end.
    let expected = "cust_id,cust_name\r\n1,Alexis Smith\r\n";
    assert_eq!(invoking.read_to_end(), expected);
}

/// Runs a pipe of a shell in a terminal. Its rows take a quarter of a second each.
fn pipe(server: &Server, folder: &Folder, redirection: &str) -> Terminal {
    let rows = folder.path().join("rows.csv");
    std::fs::write(&rows, "seconds\n0.25\n0.25\n0.25\n").unwrap();
    let program = env!("CARGO_BIN_EXE_cidery");
    let node = &server.address;
    let script = format!(
        "exec {program} pipe demo.sleep --node {node} --in-flight 1 < {} {redirection}",
        rows.display()
    );
    Terminal::run(Command::new("sh").args(["-c", &script]), 80)
}

#[test]
fn a_pipe_shows_a_bar_where_its_rows_are_not_on_the_terminal() {
    let server = Server::start(&[]);
    let folder = Folder::new("pipe-bar");
    let out = folder.path().join("out.csv");
    let rows = "slept\r\n0.25\r\n0.25\r\n0.25\r\n";
    let redirection = format!("> {}", out.display());
    let mut piping = pipe(&server, &folder, &redirection);
    assert!(piping.read_until(" 0 failed").contains("rows, "));
    let shown = piping.read_to_end().to_owned();
    assert_eq!(piping.child.wait().unwrap().code(), Some(0), "{shown:?}");
    let (_, after) = shown.rsplit_once("ETA").unwrap();
    assert!(after.contains("\u{1b}[2K"), "the bar is cleared: {after:?}");
    assert!(after.contains("3 rows in "), "{after:?}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), rows);
    // The rows themselves show how far it is.
    let mut piping = pipe(&server, &folder, "");
    let shown = piping.read_to_end();
    let (before, after) = shown.split_at_checked(rows.len()).expect(shown);
    assert_eq!(before, rows);
    assert!(
        !after.contains("ETA") && !after.contains("\u{1b}[2K"),
        "{after:?}"
    );
    assert!(after.contains("3 rows in "), "{after:?}");
}

/// In the log of a unit they would be noise.
#[test]
fn a_started_node_shows_examples_to_a_terminal_only() {
    let serve = ["serve", "--in-memory", "--listen", "127.0.0.1:0"];
    let mut terminal = Terminal::run(cidery().args(serve), 80);
    terminal.read_until("serving");
    assert!(terminal.read_until("try:").contains("cidery invoke"));
    let mut server = Server::start(&["--log", "warn"]);
    server.signal("TERM");
    let mut noted = String::new();
    std::io::Read::read_to_string(server.child.stderr.as_mut().unwrap(), &mut noted).unwrap();
    assert_eq!(noted, "");
}

/// Tables are as wide as the terminal, and no wider.
#[test]
fn tables_fit_a_terminal() {
    let server = Server::start(&[]);
    let accepted = server.run(&["invoke", "demo.count", "to=1", "--async"]);
    let cid = stdout(&accepted).trim().to_owned();
    for columns in [80, 160] {
        for arguments in [
            &["services"][..],
            &["invocations"],
            &["workers"],
            &["explain", &cid],
            &["help"],
            &["invoke", "-h"],
            &["invocations", "--help"],
        ] {
            let mut command = cidery();
            let command = command.args(arguments).env("CIDERY_NODE", &server.address);
            let mut terminal = Terminal::run(command, columns);
            let shown = strip(terminal.read_to_end());
            let lines = shown.lines().map(|line| line.chars().count());
            let width = lines.max().unwrap_or_default();
            assert!(width <= columns.into(), "{columns} {arguments:?}: {shown}");
        }
    }
}

/// Text without escape sequences of colors.
fn strip(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}
