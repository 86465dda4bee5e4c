//! Runs the real binary.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A running `cidery serve`, killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

/// The command, without environment variables that change its behavior.
pub(crate) fn cidery() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cidery"));
    for name in [
        "CIDERY_CONFIG",
        "CIDERY_NODE",
        "CIDERY_CONTEXT",
        "CIDERY_CA",
        "CIDERY_CERT",
        "CIDERY_KEY",
        "CIDERY_TLS_CERT",
        "CIDERY_TLS_KEY",
        "CIDERY_TLS_CLIENT_CA",
        "CIDERY_TLS_CLIENT_AUTH",
        "CIDERY_TLS_CLIENT_CRL",
        "CIDERY_ROLE",
        "CIDERY_CERTIFICATE_RULE",
        "CIDERY_LISTEN",
        "CIDERY_LOG",
        "CIDERY_LOG_FORMAT",
        "CIDERY_DATA_DIR",
        "CIDERY_OTLP_ENDPOINT",
        "CIDERY_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "CIDERY_STORE",
        "CIDERY_STORE_PASSWORD",
        "CIDERY_STORE_KEY_FILE",
        "CIDERY_API_KEY",
        "CIDERY_API_KEY_FILE",
        "COLUMNS",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(name);
    }
    command.env("TZ", "UTC");
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::null());
    command
}

impl Server {
    /// Starts `cidery serve --demo` on a free port; `options` are added.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_in(options, &[])
    }

    /// As `start`, with environment variables.
    pub(crate) fn start_in(options: &[&str], environment: &[(&str, &Path)]) -> Self {
        let child = cidery()
            .args(["serve", "--demo"])
            .args(if options.contains(&"--listen") {
                [].as_slice()
            } else {
                &["--listen", "127.0.0.1:0"]
            })
            .args(
                if options.contains(&"--data-dir") || options.contains(&"--store") {
                    None
                } else {
                    Some("--in-memory")
                },
            )
            .args(options)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self::of(child)
    }

    /// A started node, whose standard output is a pipe.
    pub(crate) fn of(mut child: Child) -> Self {
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut first)
            .unwrap();
        let Some(address) = first.trim().strip_prefix("listening on ") else {
            let output = child.wait_with_output().unwrap();
            panic!("the node did not start: {}", stderr(&output));
        };
        let address = address.to_owned();
        Self { child, address }
    }

    /// Runs a command against this node.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        cidery()
            .args(arguments)
            .env("CIDERY_NODE", &self.address)
            .output()
            .unwrap()
    }

    /// Stops the node with SIGTERM; returns its log, and how it ended.
    pub(crate) fn terminate(&mut self) -> (String, std::process::ExitStatus) {
        self.signal("TERM");
        let mut log = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        std::io::Read::read_to_string(stderr, &mut log).unwrap();
        (log, self.child.wait().unwrap())
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The path of a tool that `scripts/test` installs. Without it: `None`, and one note for each group of tests.
pub(crate) fn tool(variable: &str, group: &str) -> Option<String> {
    use std::io::Write as _;
    static REPORTED: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    let tool = std::env::var(variable).ok();
    let mut reported = REPORTED.lock().unwrap();
    if tool.is_none() && !reported.iter().any(|other| other == group) {
        reported.push(group.to_owned());
        // Written past the test harness, which captures output: skipped tests must be visible.
        let mut err = std::io::stderr();
        let _ = writeln!(
            err,
            "left out: {group} ({variable} is not set; scripts/test sets it)"
        );
    }
    tool
}
