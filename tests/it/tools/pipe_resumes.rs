//! A durable pipe, its node or itself killed: each row is in the output once, in order, and ran as one invocation.
//!
//! `CIDERY_PIPE_ROWS` is the number of rows; `scripts/test --soak` takes a million.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::{Folder, PATIENCE};

/// How often the output is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

fn rows() -> usize {
    let rows = std::env::var("CIDERY_PIPE_ROWS").ok();
    rows.and_then(|rows| rows.parse().ok()).unwrap_or(3_000)
}

/// The files of a pipe.
struct Run {
    folder: Folder,
    rows: usize,
}

impl Run {
    fn new(name: &str) -> Self {
        Self {
            folder: Folder::new(name),
            rows: rows(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data_dir(&self) -> String {
        self.file("data").to_str().unwrap().to_owned()
    }

    /// A node with a store, on this address.
    fn node(&self, address: &str) -> Server {
        Server::start(&["--data-dir", &self.data_dir(), "--listen", address])
    }

    /// Starts the pipe, with an input that the test writes.
    fn start(&self, address: &str) -> (Child, ChildStdin) {
        let mut child = cidery()
            .args(["pipe", "cidery.echo", "--keep", "id", "--async", "--state"])
            .arg(self.file("state"))
            .arg("--out")
            .arg(self.file("out.csv"))
            .arg("--failed")
            .arg(self.file("failed.csv"))
            .env("CIDERY_NODE", address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        (child, stdin)
    }

    /// Writes the header and the rows up to a number; a pipe that is killed meanwhile does not read them.
    fn feed(stdin: &mut ChildStdin, from: usize, to: usize) {
        let header = if from == 1 { "id,text\n" } else { "" };
        let mut text = header.to_owned();
        for id in from..=to {
            text.push_str(&format!("{id},\"row, {id}\"\n"));
        }
        let _ = stdin.write_all(text.as_bytes());
    }

    fn lines_of_output(&self) -> usize {
        let text = std::fs::read(self.file("out.csv")).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Waits until the output has so many lines. The pipe writes them at least each second.
    fn wait_for_lines(&self, lines: usize) {
        let (mut written, mut since) = (0, Instant::now());
        loop {
            let now = self.lines_of_output();
            if now >= lines {
                return;
            }
            if now > written {
                (written, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "no progress after {now} lines");
            std::thread::park_timeout(POLL_INTERVAL);
        }
    }

    fn assert_complete(&self, server: &Server) {
        let text = std::fs::read_to_string(self.file("out.csv")).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("id,response"));
        let mut count = 0;
        for (id, line) in (1..).zip(lines) {
            let expected =
                format!("{id},\"{{\"\"id\"\":\"\"{id}\"\",\"\"text\"\":\"\"row, {id}\"\"}}\"");
            assert_eq!(line, expected);
            count = id;
        }
        assert_eq!(count, self.rows);
        let failed = std::fs::read_to_string(self.file("failed.csv")).unwrap();
        assert_eq!(failed.lines().count(), 1, "{failed}");
        // Rows that were sent again were accepted before.
        let counted = server.run(&["invocations", "--count", "--service", "cidery.echo"]);
        assert_eq!(stdout(&counted).trim(), self.rows.to_string());
    }
}

#[test]
fn a_node_that_is_killed_and_comes_back_loses_and_repeats_no_row() {
    let run = Run::new("pipe-node");
    let mut node = run.node("127.0.0.1:0");
    let address = node.address.clone();
    let (pipe, mut stdin) = run.start(&address);
    Run::feed(&mut stdin, 1, run.rows / 3);
    run.wait_for_lines(50);
    node.child.kill().unwrap();
    node.child.wait().unwrap();
    let rows = run.rows;
    let feeder = std::thread::spawn(move || Run::feed(&mut stdin, rows / 3 + 1, rows));
    let node = run.node(&address);
    let ended = pipe.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    run.assert_complete(&node);
}

#[test]
fn a_pipe_that_is_killed_continues_after_the_rows_that_it_has_written() {
    let run = Run::new("pipe-killed");
    let node = run.node("127.0.0.1:0");
    for part in [run.rows / 4, run.rows / 2] {
        let (mut pipe, mut stdin) = run.start(&node.address);
        // Not all: the pipe has not ended.
        Run::feed(&mut stdin, 1, part);
        run.wait_for_lines(part / 2);
        pipe.kill().unwrap();
        pipe.wait().unwrap();
        // As if it had been killed between a write and its record.
        append(&run.file("out.csv"), "17,\"half a ro");
    }
    // One row differs from what was sent before.
    let (pipe, mut stdin) = run.start(&node.address);
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all("id,text\n1,other\n".as_bytes());
        Run::feed(&mut stdin, 2, 1_000);
    });
    let refused = pipe.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(stderr(&refused).contains("its rows differ"), "{refused:?}");

    let (pipe, mut stdin) = run.start(&node.address);
    let rows = run.rows;
    let feeder = std::thread::spawn(move || Run::feed(&mut stdin, 1, rows));
    let ended = pipe.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("continuing after row"), "{ended:?}");
    run.assert_complete(&node);

    // It is complete: nothing is written again.
    let (pipe, stdin) = run.start(&node.address);
    drop(stdin);
    let ended = pipe.wait_with_output().unwrap();
    assert_eq!(
        ended.status.code(),
        Some(2),
        "CSV begins with a header: {ended:?}"
    );
    let (pipe, mut stdin) = run.start(&node.address);
    Run::feed(&mut stdin, 1, 1);
    drop(stdin);
    let ended = pipe.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(stderr(&ended).contains("written already"), "{ended:?}");
    run.assert_complete(&node);
}

fn append(file: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
