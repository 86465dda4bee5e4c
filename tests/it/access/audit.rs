//! The audit log: acts that change many invocations, copy the store, or fail.

use std::process::Output;

use bytes::Bytes;

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
        let key = data_dir_with_key(&folder, &["root", "--admin", "--invoke", "*"]);
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

    /// The lines of acts.
    fn acts(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let acts = lines.filter(|line: &serde_json::Value| line["event"] == "act");
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
