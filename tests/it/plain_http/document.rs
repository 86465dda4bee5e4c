//! The commands that `docs/http.md` shows, run as shown. They need `curl`.

use std::process::Command;

use cidery::model::call::Call;
use tokio::sync::mpsc;

use super::invocations::deferring;
use crate::support::TestNode;
use crate::support::binary::{Server, stderr, stdout};
use crate::support::console::{Shell, blocks, sessions};

const DOCUMENT: &str = include_str!("../../../docs/http.md");

/// Whether `curl` is there, with the options of the document; without it the tests are left out, by name.
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output();
    let version = found.map(|output| stdout(&output)).unwrap_or_default();
    let mut numbers = version
        .split([' ', '.'])
        .skip(1)
        .map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_new = version >= (7, 84);
    if !is_new {
        use std::io::Write as _;
        let note = "left out: the commands of docs/http.md (there is no curl 7.84 or newer)";
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    is_new
}

#[test]
fn every_command_prints_what_the_document_shows() {
    if !has_curl() {
        return;
    }
    let server = Server::start(&[]);
    let sessions = sessions(DOCUMENT);
    assert!(sessions.len() > 5);
    let mut shell = Shell::start(&server.address);
    for step in sessions.iter().flatten() {
        shell.check(step);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_with_secrets_work_with_those_of_the_node() {
    if !has_curl() {
        return;
    }
    let (calls, mut called) = mpsc::unbounded_channel();
    let node = TestNode::start(deferring(calls)).await;
    let commands = blocks(DOCUMENT, "sh");
    assert_eq!(commands.len(), 2);
    for command in commands {
        node.client
            .invoke_async(Call::new("deferred", ()))
            .await
            .unwrap();
        let (cid, token) = called.recv().await.unwrap();
        let output = Command::new("sh")
            .args([
                "-c",
                &command.replace("127.0.0.1:24337", &node.address().to_string()),
            ])
            .envs([
                ("CID", cid.to_string()),
                ("TOKEN", token),
                ("CIDERY_API_KEY", "cdy_x_y".to_owned()),
            ])
            .output()
            .unwrap();
        let (printed, failed) = (stdout(&output), stderr(&output));
        let is_answer = printed.contains("SUCCEEDED") || printed.contains("\"services\":");
        assert!(is_answer, "{command}: {printed}{failed}");
    }
}
