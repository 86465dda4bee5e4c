//! SIGHUP reads the configuration again.

use std::io::{BufRead as _, BufReader};
use std::process::ChildStderr;

use super::Site;
use crate::support::binary::{Server, cidery, stdout};
use crate::support::pty::Terminal;

/// The log of a running node.
struct Log(BufReader<ChildStderr>);

impl Log {
    fn of(server: &mut Server) -> Self {
        Self(BufReader::new(server.child.stderr.take().unwrap()))
    }

    /// Reads to the line with `text`; returns it and the lines before it.
    #[track_caller]
    fn read_until(&mut self, text: &str) -> String {
        let mut read = String::new();
        loop {
            let from = read.len();
            assert!(
                self.0.read_line(&mut read).unwrap() > 0,
                "`{text}` is not in {read}"
            );
            if read[from..].contains(text) {
                return read;
            }
        }
    }
}

fn start(site: &Site) -> Server {
    let path = site.path();
    Server::start(&["--config", path.to_str().unwrap(), "--log-format", "json"])
}

#[test]
fn a_hang_up_changes_what_can_change_and_names_the_rest() {
    let site = Site::new("log = \"warn\"\n");
    let mut server = start(&site);
    let mut log = Log::of(&mut server);
    site.write("log = \"debug\"\ndrain = \"50ms\"\n[limits]\nitems = 2\n");
    server.signal("HUP");
    // Before the filter has changed, only the warning is logged.
    let read = log.read_until("needs a restart");
    assert!(
        read.contains("limits.items") && !read.contains("configuration reloaded"),
        "{read}"
    );
    server.signal("HUP");
    let read = log.read_until("configuration reloaded");
    assert!(!read.contains("needs a restart"), "{read}");
    log.read_until("limits.items");
    server.signal("HUP");
    log.read_until("nothing to apply has changed");
    server.signal("TERM");
    assert!(
        log.read_until("\"stopping\"")
            .contains("\"drain\":\"50ms\"")
    );
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// A store that is full takes work again without a restart.
#[test]
fn the_limit_of_the_store_can_be_raised() {
    let site = Site::new("store_limit = \"1GiB\"\n");
    let (path, data) = (site.path(), site.folder.path().join("data"));
    let mut server = Server::start(&[
        "--config",
        path.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    let limit = |server: &Server| {
        let status = server.run(&["status", "-o", "json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        status["store_bytes_limit"].as_u64().unwrap()
    };
    assert_eq!(limit(&server), 1 << 30);
    let mut log = Log::of(&mut server);
    site.write("store_limit = \"2GiB\"\n");
    server.signal("HUP");
    log.read_until("configuration reloaded");
    let raised = std::iter::repeat_with(|| limit(&server)).find(|limit| *limit != 1 << 30);
    assert_eq!(raised, Some(2 << 30));
}

#[test]
fn a_wrong_file_changes_nothing_and_the_node_serves_on() {
    let site = Site::new("log = \"info\"\n");
    let mut server = start(&site);
    let mut log = Log::of(&mut server);
    site.write("log = \"debug\"\ndrian = \"1s\"\n[limits]\nitems = true\n");
    server.signal("HUP");
    let read = log.read_until("was not reloaded");
    assert!(
        read.contains("cidery.toml:2") && read.contains("`drain`"),
        "{read}"
    );
    assert!(
        read.contains("cidery.toml:4") && !read.contains("DEBUG"),
        "{read}"
    );
    assert!(server.run(&["invoke", "cidery.ping"]).status.success());
    // The log comes before the status.
    let status = |server: &Server, code: i32| {
        let status = || server.run(&["status"]);
        let status = std::iter::repeat_with(status).find(|it| it.status.code() == Some(code));
        stdout(&status.unwrap())
    };
    let said = status(&server, 1);
    for part in [
        "RELOAD_FAILED",
        "configuration (",
        "cidery.toml:2: drian",
        "1 more",
    ] {
        // A long message is wrapped.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(part), "{part}: {said}");
    }
    // It serves: a probe must not restart it.
    assert!(server.run(&["health"]).status.success());
    site.write("log = \"error\"\n");
    server.signal("HUP");
    log.read_until("configuration reloaded");
    assert!(!status(&server, 0).contains("RELOAD_FAILED"));
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// Where its terminal has gone, nobody could stop a node with Ctrl-C any more.
#[test]
fn a_node_in_a_terminal_stops_when_the_terminal_closes() {
    let mut command = cidery();
    command.args(["serve", "--in-memory", "--listen", "127.0.0.1:0"]);
    let mut terminal = Terminal::run(&command, 80);
    terminal.read_until("serving");
    terminal.close();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}
