//! Server processes and their CPU time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cidery::{Dict, Node, NodeBuilder};

/// The program of this build.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_cidery");

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
        // As the program `cidery` says it.
        let address = address
            .trim()
            .trim_start_matches("listening on ")
            .to_owned();
        Self { child, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// See [`cpu_of`].
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    /// Resident memory in MB (`VmRSS`).
    pub(crate) fn resident_mb(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "memory is small")]
        let kib = self.number("status", "VmRSS:") as f64;
        kib * 1024.0 / 1e6
    }

    /// Bytes that it has caused to be written to disk.
    pub(crate) fn written(&self) -> u64 {
        self.number("io", "write_bytes:")
    }

    /// A number in a file of `/proc/PID`.
    fn number(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        value.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// The CPU time of all threads of a process so far (`/proc/PID/task/*/schedstat`, first field, nanoseconds).
pub(crate) fn cpu_of(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos: u64 = threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanos)
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
