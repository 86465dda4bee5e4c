//! What the command line waits for, and what Ctrl-C does then.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::process::{Child, ChildStderr, Command, Stdio};

use cidery::Cid;

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::pty::Terminal;
use crate::support::{Folder, TestNode, any_port};

struct Running {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stderr }
    }

    /// Reads standard error until a line contains `text`; returns all lines read.
    fn read_until(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for line in self.stderr.by_ref() {
            lines.push(line.unwrap());
            if lines.last().unwrap().contains(text) {
                return lines;
            }
        }
        panic!("`{text}` is not in {lines:#?}");
    }

    fn interrupt(&self) {
        interrupt(&self.child);
    }
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
    assert!(sent.unwrap().success());
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_command_that_follows_is_detached_by_an_interrupt() {
    let server = Server::start(&[]);
    for options in [
        &["--follow"][..],
        &[
            "--continue",
            "--cid",
            "01a22929-5e12-741b-a9ed-b511714fd156",
        ],
    ] {
        let mut following = Running::start(
            cidery()
                .args([
                    "invoke",
                    "demo.sleep",
                    "seconds=600",
                    "--node",
                    &server.address,
                ])
                .args(options),
        );
        match options {
            ["--follow"] => drop(following.read_until("started")),
            _ => wait_until_running(&server.address, 2),
        }
        following.interrupt();
        let detached = following.read_until("detached").pop().unwrap();
        let cid = detached.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(detached, format!("detached: {cid} is still running"));
        let rest: Vec<String> = following.stderr.by_ref().map(Result::unwrap).collect();
        assert!(
            rest[0].contains(&format!("cidery result {cid} --follow")),
            "{rest:?}"
        );
        assert!(
            rest[1].contains(&format!("cidery cancel {cid}")),
            "{rest:?}"
        );
        assert_eq!(following.child.wait().unwrap().code(), Some(130));
        Cid::parse(&cid).unwrap();
        let result = stderr(&server.run(&["result", &cid]));
        assert!(result.to_lowercase().contains("running"), "{result}");
    }
}

/// Waits until so many handlers of `demo.sleep` run on a node.
pub(super) fn wait_until_running(address: &str, handlers: u32) {
    let expected = format!("\"running\":{handlers},");
    for _ in 0..1_000 {
        let mut command = cidery();
        command.args([
            "services",
            "demo.sleep",
            "--output",
            "jsonl",
            "--node",
            address,
        ]);
        if stdout(&command.output().unwrap()).contains(&expected) {
            return;
        }
    }
    panic!("no {handlers} handlers run");
}

#[test]
fn an_interrupted_node_says_what_it_waits_for_and_a_second_interrupt_ends_it() {
    for command in [&["serve", "--demo", "--in-memory"][..], &["demo"]] {
        let options = ["--listen", "127.0.0.1:0", "--log", "error"];
        let mut node = Terminal::run(cidery().args(command).args(options), 100);
        let ready = match command {
            ["demo"] => "The node keeps running",
            _ => "try:",
        };
        let shown = node.read_until(ready).to_owned();
        let address = shown.split("listening on ").nth(1).unwrap();
        let address = address.lines().next().unwrap().trim();
        let sleep = ["invoke", "demo.sleep", "seconds=600", "--async"];
        let accepted = cidery().args(sleep).args(["--node", address]).output();
        assert!(accepted.unwrap().status.success());
        wait_until_running(address, 1);
        interrupt(&node.child);
        node.read_until(
            "waiting for 1 running handler, at most 30s; press Ctrl-C again to stop at once",
        );
        interrupt(&node.child);
        node.read_to_end();
        assert_eq!(node.child.wait().unwrap().code(), Some(130));
    }
}

/// Drain and restart of a node last longer than the retries of other calls.
#[test]
fn a_command_that_follows_survives_a_restart_of_the_node() {
    let folder = Folder::new("follow-restart");
    let free = TcpListener::bind(any_port()).unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let data = folder.path().to_str().unwrap();
    let options = ["--data-dir", data, "--listen", &address];
    let mut server = Server::start(&options);
    let later = ["invoke", "demo.count", "to=1", "--follow", "--delay", "1h"];
    let mut following = Running::start(cidery().args(later).args(["--node", &address]));
    let noted = following.read_until("accepted");
    let cid = noted[0].strip_prefix("following ").unwrap().to_owned();
    server.signal("TERM");
    server.child.wait().unwrap();
    let note = following.read_until("retrying").pop().unwrap();
    let expected = "cannot connect to the node: connection refused; retrying for about a minute";
    assert_eq!(note, expected);
    let server = Server::start(&options);
    server.run(&["cancel", &cid]);
    following.read_until("cancelled");
    assert_eq!(following.child.wait().unwrap().code(), Some(7));
}

/// A server that is none, such as one of web pages, is no reason to retry.
#[test]
fn a_server_that_is_no_node_is_an_error_at_once() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The preface and the settings are shorter: it answers the request, as its client waits for it.
            let _ = stream.read_exact(&mut [0; 120]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
            // Closed with unread bytes, it would be reset, and the response lost.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    let cid = Cid::new().to_string();
    for command in [&["services"][..], &["result", &cid, "--follow"]] {
        let mut command = cidery().args(command).args(["-n", &address]).output();
        let output = command.as_mut().unwrap();
        let expected = format!(
            "error: {address} answers, but is not a Cidery node (NOT_A_NODE)\nhint: check `--node`, the \
             environment variable `CIDERY_NODE`, or the context\n"
        );
        assert!(stderr(output).ends_with(&expected), "{}", stderr(output));
        assert!(!stderr(output).contains("retrying"), "{}", stderr(output));
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn an_interrupted_call_is_cancelled_and_says_so() {
    let server = Server::start(&[]);
    let sleep = ["invoke", "demo.sleep", "seconds=600", "--node"];
    let mut calling = Running::start(cidery().args(sleep).arg(&server.address));
    wait_until_running(&server.address, 1);
    calling.interrupt();
    let note = calling.read_until("interrupted").pop().unwrap();
    assert!(note.starts_with("interrupted: the call "), "{note}");
    assert!(note.ends_with(" is cancelled"), "{note}");
    assert_eq!(calling.child.wait().unwrap().code(), Some(130));
    wait_until_running(&server.address, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_retries_says_what_it_waits_for() {
    let node = TestNode::demo().await;
    let worker = cidery::Worker::builder().service("a.task", async || {});
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    worker.stop().await;
    let address = node.address().to_string();
    let mut invoking = Running::start(cidery().args(["invoke", "a.task", "--node", &address]));
    let note = invoking.read_until("retrying");
    assert_eq!(
        note,
        ["no worker is connected for `a.task`; retrying for about 5 seconds"]
    );
}

/// The attempts of a stored invocation can be shown, those of a synchronous call cannot.
#[test]
fn the_failure_of_a_stored_invocation_hints_at_its_attempts() {
    let server = Server::start(&[]);
    let fail = ["invoke", "demo.fail", "code=INVALID_ARGUMENT"];
    let failed = stderr(&server.run(&[&fail[..], &["--follow"]].concat()));
    let cid = failed.split("cid: ").nth(1).unwrap();
    let cid = cid.lines().next().unwrap();
    let hint = format!("hint: `cidery explain {cid}` shows its attempts\n");
    assert!(failed.ends_with(&hint), "{failed}");
    let explained = stdout(&server.run(&["explain", cid]));
    assert!(explained.contains("attempt 1 failed"), "{explained}");
    let failed = stderr(&server.run(&["result", cid]));
    assert!(failed.ends_with(&hint), "{failed}");
    let failed = stderr(&server.run(&fail));
    assert!(!failed.contains("explain"), "{failed}");
}
