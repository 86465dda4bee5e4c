//! Server processes and their CPU time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cidery::{Dict, Node, NodeBuilder};

/// A server process, usually this program with `--serve`.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(kind: &str) -> Self {
        Self::start_with(&["--serve", kind])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::spawn(command.args(arguments))
    }

    /// Starts a program that prints its address on the first line once it serves.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut address)
            .unwrap();
        let address = address.trim().to_owned();
        Self { child, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time of all its threads so far (`/proc/PID/task/*/schedstat`, first field, nanoseconds).
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos: u64 = threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
            .filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanos)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node with an echo service that decodes its input: a dict in, a dict out.
pub(crate) fn serve_cidery() {
    serve_echo(|node| node);
}

/// As above, with a changed builder.
pub(crate) fn serve_echo(change: impl FnOnce(NodeBuilder) -> NodeBuilder) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = change(Node::builder())
            .service("echo", async |input: Dict| input)
            .listen("127.0.0.1:0")
            .start()
            .await
            .unwrap();
        println!("{}", node.address().unwrap());
        std::future::pending::<()>().await;
    });
}
