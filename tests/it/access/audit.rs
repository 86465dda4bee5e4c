//! The audit log: acts that change many invocations, copy the store, or fail.

use std::process::Output;

use bytes::Bytes;
use serde_json::Value;

use super::command_line::{data_dir_with_key, serve};
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::raw::Raw;
use crate::support::{Folder, PATIENCE};

struct Audited {
    folder: Folder,
    server: Server,
    key: String,
}

impl Audited {
    fn start() -> Self {
        let folder = Folder::new("audited");
        let all = [
            "--admin",
            "--invoke",
            "*",
            "--read",
            "all",
            "--control",
            "all",
        ];
        let key = data_dir_with_key(&folder, &[&["root"], &all[..]].concat());
        let audit = folder.path().join("audit.jsonl");
        let server = serve(&folder, &["--audit-log", audit.to_str().unwrap()]);
        Self {
            folder,
            server,
            key,
        }
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = cidery();
        command
            .args(arguments)
            .env("CIDERY_NODE", &self.server.address);
        let output = command.env("CIDERY_API_KEY", &self.key).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// Waits for an act, and returns what it is about.
    async fn object_of(&self, what: &str) -> String {
        self.until_audited(what, "Ok").await;
        let lines = self.lines();
        let act = lines.iter().rfind(|line| line["what"] == what).unwrap();
        act["object"].as_str().unwrap_or_default().to_owned()
    }

    /// The lines of acts.
    fn acts(&self) -> Vec<(String, String)> {
        let lines = self.lines();
        let acts = lines.iter().filter(|line| line["event"] == "act");
        let acts = acts.map(|line| {
            assert_eq!(line["principal"], "root", "{line}");
            assert!(line["peer"].is_string(), "{line}");
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            (text("what"), text("outcome"))
        });
        acts.collect()
    }

    async fn until_audited(&self, what: &str, outcome: &str) {
        let act = (what.to_owned(), outcome.to_owned());
        let wait = async {
            while !self.acts().contains(&act) {
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        assert!(found.is_ok(), "{act:?} is not in {:?}", self.acts());
    }
}

#[tokio::test]
async fn changes_of_many_invocations_and_copies_of_the_store_are_acts() {
    let node = Audited::start();
    let accept = || {
        let accepted = node.run(&["invoke", "cidery.ping", "--async", "--delay", "1h"]);
        stdout(&accepted).trim().to_owned()
    };
    node.run(&["cancel", &accept(), &accept()]);
    node.until_audited("2 invocations cancelled", "Ok").await;
    let copy = node.folder.path().join("copy.sqlite");
    node.run(&["store", "backup", copy.to_str().unwrap()]);
    for method in ["BackupStore", "ReadBackup"] {
        node.until_audited(&format!("AdminService/{method}"), "Ok")
            .await;
    }
}

/// What was asked for is written also where it fails: here its request breaks off.
#[tokio::test]
async fn an_act_that_fails_is_written_with_its_status() {
    let node = Audited::start();
    let address = node.server.address.parse().unwrap();
    let mut raw = Raw::connect(address).await;
    let key = format!("Bearer {}", node.key);
    let path = "/cidery.v1.AdminService/PauseService";
    let (response, mut send) = raw.begin(path, &[("authorization", &key)]);
    send.send_data(Bytes::from_static(&[0]), false).unwrap();
    // The requests of a connection are taken in turn.
    let ping = "/grpc.health.v1.Health/Check";
    raw.call(ping, &[], crate::support::raw::framed(&[])).await;
    drop((response, send));
    node.until_audited("AdminService/PauseService", "InvalidArgument")
        .await;
}

#[tokio::test]
async fn an_act_names_what_it_is_about() {
    let node = Audited::start();
    node.run(&["service", "pause", "cidery.ping"]);
    assert_eq!(
        node.object_of("AdminService/PauseService").await,
        "cidery.ping"
    );
    let copy = node.folder.path().join("copy.sqlite");
    node.run(&["store", "backup", copy.to_str().unwrap()]);
    // The node has chosen its name.
    let name = node.object_of("AdminService/BackupStore").await;
    assert!(!name.is_empty());
    assert_eq!(node.object_of("AdminService/ReadBackup").await, name);
    assert_eq!(node.object_of("AdminService/DeleteBackup").await, name);
    let made = node.run(&["key", "new", "alice", "--invoke", "*"]);
    assert_eq!(
        node.object_of("SecurityService/CreateApiKey").await,
        "alice"
    );
    // The whole key revokes it, and is not in the log.
    let made = stdout(&made);
    let (id, secret) = made
        .trim()
        .strip_prefix("cdy_")
        .unwrap()
        .split_once('_')
        .unwrap();
    node.run(&["key", "revoke", made.trim()]);
    assert_eq!(node.object_of("SecurityService/RevokeApiKey").await, id);
    assert!(
        node.lines()
            .iter()
            .all(|line| !line.to_string().contains(secret))
    );
}

#[tokio::test]
async fn an_operation_is_written_with_its_filter_when_it_starts_and_with_its_counts_when_it_ends() {
    let node = Audited::start();
    for _ in 0..2 {
        node.run(&["invoke", "cidery.ping", "--async", "--delay", "1h"]);
    }
    node.run(&["cancel", "--service", "cidery.ping", "--yes"]);
    let started = node.object_of("OperationService/StartOperation").await;
    assert!(
        started.contains(" cancel: ") && started.contains("service = cidery.ping"),
        "{started}"
    );
    let ended = async {
        loop {
            let lines = node.lines();
            if let Some(line) = lines.iter().find(|line| line["event"] == "operation_ended") {
                return line.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(ended["object"], started.as_str());
    assert_eq!(ended["principal"], "root");
    assert_eq!(ended["outcome"], "succeeded: 2 of 2 changed");
}

#[tokio::test]
async fn a_change_of_one_invocation_is_an_act_where_it_belongs_to_another_principal() {
    let node = Audited::start();
    let alice = stdout(&node.run(&["key", "new", "alice", "--invoke", "*"]));
    let accept = |key: &str| {
        let accepted = cidery()
            .args(["invoke", "cidery.ping", "--async", "--delay", "1h"])
            .env("CIDERY_NODE", &node.server.address)
            .env("CIDERY_API_KEY", key.trim())
            .output();
        stdout(&accepted.unwrap()).trim().to_owned()
    };
    let (own, foreign) = (accept(&node.key), accept(&alice));
    node.run(&["cancel", &own]);
    node.run(&["cancel", &foreign]);
    assert_eq!(node.object_of("1 invocation cancelled").await, foreign);
    node.run(&["purge", &foreign]);
    assert_eq!(node.object_of("1 invocation purged").await, foreign);
    let of_one = node
        .acts()
        .into_iter()
        .filter(|(what, _)| what == "1 invocation cancelled");
    assert_eq!(of_one.count(), 1);
}

/// What is lost is known at once, and until a line is written again.
#[tokio::test]
async fn an_audit_log_that_cannot_be_written_degrades_the_node() {
    let folder = Folder::new("audit-lost");
    let key = data_dir_with_key(&folder, &["root", "--admin", "--invoke", "*"]);
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let file = place.join("audit.jsonl");
    let server = serve(&folder, &["--audit-log", file.to_str().unwrap()]);
    let node = Audited {
        folder,
        server,
        key,
    };
    // The folder is gone, and the file with it.
    std::fs::remove_dir_all(&place).unwrap();
    let status = |with: bool| {
        let node = &node;
        let wait = async move {
            loop {
                let mut status = cidery();
                status
                    .arg("status")
                    .env("CIDERY_NODE", &node.server.address);
                let status = status.env("CIDERY_API_KEY", &node.key).output().unwrap();
                if stdout(&status).contains("AUDIT_LOG_FAILED") == with {
                    return;
                }
                node.run(&["service", "pause", "cidery.ping"]);
            }
        };
        tokio::time::timeout(PATIENCE, wait)
    };
    status(true).await.unwrap();
    std::fs::create_dir(&place).unwrap();
    status(false).await.unwrap();
    assert!(file.metadata().unwrap().len() > 0);
    let mut server = node.server;
    let (log, _) = server.terminate();
    assert_eq!(
        log.matches("lines of the audit log are lost").count(),
        1,
        "{log}"
    );
}
