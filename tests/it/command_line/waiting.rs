//! What the command line waits for, and what Ctrl-C does then.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

use cidery::Cid;

use crate::support::TestNode;
use crate::support::binary::{Server, cidery, stderr, stdout};

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
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
        assert!(sent.unwrap().success());
    }
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
fn wait_until_running(address: &str, handlers: u32) {
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
        let mut node = Running::start(cidery().args(command).args([
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
        ]));
        let mut out = BufReader::new(node.child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let address = first
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        let last = match command {
            ["demo"] => Some("The node keeps running"),
            _ => None,
        };
        // The demonstration is read to its end: it must not fill the pipe.
        let reader =
            std::thread::spawn(move || drop(std::io::copy(&mut out, &mut std::io::sink())));
        if let Some(last) = last {
            node.read_until(last);
        }
        let run = |arguments: &[&str]| {
            cidery()
                .args(arguments)
                .args(["--node", &address])
                .output()
                .unwrap()
        };
        run(&["invoke", "demo.sleep", "seconds=600", "--async"]);
        wait_until_running(&address, 1);
        node.interrupt();
        let lines = node.read_until("press Ctrl-C");
        assert_eq!(
            lines.last().unwrap(),
            "waiting for 1 running handler, at most 30s; press Ctrl-C again to stop at once"
        );
        node.interrupt();
        assert_eq!(node.child.wait().unwrap().code(), Some(130));
        reader.join().unwrap();
    }
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
