//! Commands that go on until they are ended: `top`, `tail`, and lists with `--watch`.

mod tail;
mod tmux;
mod top;
mod watch;

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use crate::support::binary::{Server, cidery};

/// A running command with two pipes, killed when dropped.
struct Running {
    child: Child,
    out: Option<Lines<BufReader<ChildStdout>>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn start(address: &str, arguments: &[&str]) -> Self {
        let mut child = cidery()
            .args(arguments)
            .env("CIDERY_NODE", address)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        let out = Some(out);
        Self { child, out, err }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let out = self.out.as_mut().expect("it is closed");
        out.next().expect("it ended").unwrap()
    }

    #[track_caller]
    fn note(&mut self) -> String {
        self.err.next().expect("it ended").unwrap()
    }

    /// The command ends by a signal.
    fn end(&mut self, signal: &str) -> ExitStatus {
        kill(self.child.id(), signal);
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(process: u32, signal: &str) {
    let process = process.to_string();
    let sent = Command::new("kill").args(["-s", signal, &process]).status();
    assert!(sent.unwrap().success());
}

/// Starts a node again at its address, with the same data.
fn restart(address: &str, data: &str) -> Server {
    Server::start(&["--data-dir", data, "--listen", address])
}
