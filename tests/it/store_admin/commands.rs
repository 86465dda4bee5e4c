//! `cidery store backup` and `restore`, as an operator types them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::{Cid, dict};
use serde_json::Value;

use super::{assert_valid, files};
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::proxy::Proxy;
use crate::support::{Folder, PATIENCE, ended, until};

/// A node on a store in a folder, with one invocation that has ended and one that is due in an hour.
async fn server(folder: &Folder) -> (Server, [Cid; 2]) {
    let server = Server::start(&["--data-dir", folder.path().to_str().unwrap()]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let done = Call::new("customer.get", dict! { "cust_id": 1 });
    let done = client.invoke_async(done).await.unwrap().cid;
    ended(&client, done).await;
    let mut later = Call::new("customer.get", dict! { "cust_id": 1 });
    later.durable().start = Some(Start::After(PATIENCE * 120));
    let later = client.invoke_async(later).await.unwrap().cid;
    (server, [done, later])
}

fn restore(backup: &Path, folder: &Path) -> Output {
    let mut command = cidery();
    command.args(["store", "restore"]).arg(backup);
    command.arg("--data-dir").arg(folder).output().unwrap()
}

/// The names of the files in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_elsewhere() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, cids) = server(&data).await;
    let path = folder.path().join("nightly.db");
    let target = path.to_str().unwrap();
    let output = server.run(&["store", "backup", target, "-o", "json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let backup: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_valid("store_backup", &backup);
    assert_eq!(backup["path"], target);
    assert_eq!(
        (&backup["invocations"], &backup["kept_as"]),
        (&2.into(), &Value::Null)
    );
    assert_eq!(
        backup["bytes"],
        std::fs::metadata(&path).unwrap().len(),
        "{backup}"
    );
    // Nothing is left on either side.
    assert_eq!(entries(folder.path()), ["nightly.db"]);
    assert_eq!(files(&data), [] as [&str; 0]);
    let elsewhere = folder.path().join("restored");
    let output = restore(&path, &elsewhere);
    assert!(output.status.success(), "{}", stderr(&output));
    for text in [
        "2 invocations, 1 pending",
        "cidery serve --hold --data-dir",
        "would run again",
    ] {
        let notes = stderr(&output);
        assert!(notes.contains(text), "{text} is not in {notes}");
    }
    drop(server);
    let restored = Server::start(&["--data-dir", elsewhere.to_str().unwrap()]);
    let client = ContractClient::connect(&restored.address).await.unwrap();
    ended(&client, cids[0]).await;
    let later = client.invocation(cids[1], std::time::Duration::ZERO).await;
    assert!(later.unwrap().end_time.is_none());
    let again = folder.path().join("again");
    let mut command = cidery();
    command.args(["store", "restore", "-o", "json", target, "--data-dir"]);
    let output = command.arg(&again).output().unwrap();
    let object = serde_json::from_str(&stdout(&output)).unwrap();
    assert_valid("store_restore", &object);
    assert_eq!(object["pending"], 1);
    // A directory with a store in it is never touched.
    let output = restore(&path, &elsewhere);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("FILE_EXISTS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_replaces_no_file_unless_it_is_told_to() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, _) = server(&data).await;
    let path = folder.path().join("nightly.db");
    std::fs::write(&path, "mine").unwrap();
    let target = path.to_str().unwrap();
    let refused = server.run(&["store", "backup", target]);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--force"));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let kept = server.run(&["store", "backup", target, "--force", "--keep", "-o", "json"]);
    let backup: Value = serde_json::from_str(&stdout(&kept)).unwrap();
    let name = backup["kept_as"].as_str().unwrap();
    assert_eq!(files(&data), [format!(".{name}.info"), name.to_owned()]);
    let on_node = data.path().join("backups").join(name);
    assert!(std::fs::read(on_node).unwrap() == std::fs::read(&path).unwrap());
    for path in ["/nowhere/at/all", folder.path().to_str().unwrap()] {
        let refused = server.run(&["store", "backup", path]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    }
    assert_eq!(entries(folder.path()), ["nightly.db"]);
}

/// A node that keeps invocations in memory has nothing to copy.
#[test]
fn a_refused_backup_leaves_no_file() {
    let folder = Folder::new("command");
    let server = Server::start(&[]);
    let path = folder.path().join("nightly.db");
    let refused = server.run(&["store", "backup", path.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("BACKUP_UNSUPPORTED"));
    assert!(!stderr(&refused).contains("may still have"));
    assert_eq!(entries(folder.path()), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_a_signal_ends_leaves_nothing_on_either_side() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, _) = server(&data).await;
    let client = ContractClient::connect(&server.address).await.unwrap();
    // A copy is complete after 200 ms of pauses at the earliest.
    for _ in 0..12 {
        let text = "x".repeat(4 << 20);
        let mut large = Call::new("cidery.echo", dict! { "text": text });
        large.durable().start = Some(Start::After(PATIENCE * 120));
        client.invoke_async(large).await.unwrap();
    }
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut command = cidery();
        command.args(["store", "backup", "--node", &server.address]);
        command.arg(folder.path().join("nightly.db"));
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        until("the copy begins", || !files(&data).is_empty()).await;
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let notes = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{notes}");
        assert!(notes.contains("interrupted: there is no backup"), "{notes}");
        assert!(!notes.contains("may still have"), "{notes}");
        assert_eq!(entries(folder.path()), [] as [&str; 0]);
        until("the node removes its copy", || files(&data).is_empty()).await;
    }
}

/// A command that is killed as it fetches the copy deletes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_removes_at_its_start_what_nobody_fetched() {
    let data = Folder::new("command");
    let (server, _) = server(&data).await;
    let client = ContractClient::connect(&server.address).await.unwrap();
    for (name, temporary) in [("fetched", true), ("kept", false)] {
        client.backup_store(name, temporary).await.unwrap();
    }
    let listed = server.run(&["store", "backups", "list", "-o", "json"]);
    let listed: Value = serde_json::from_str(&stdout(&listed)).unwrap();
    assert_eq!(listed[1]["temporary"], true, "{listed}");
    let table = stdout(&server.run(&["store", "backups"]));
    assert!(table.contains("TEMPORARY"), "{table}");
    server.signal("KILL");
    drop(server);
    let server = Server::start(&["--data-dir", data.path().to_str().unwrap()]);
    assert_eq!(files(&data), [".kept.info", "kept"]);
    let names = server.run(&["store", "backups", "-o", "name"]);
    assert_eq!(stdout(&names), "kept\n");
}

/// The bytes of a copy, with a connection that is cut once after its first part.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_read_on_after_a_lost_connection() {
    let data = Folder::new("command");
    let (server, _) = server(&data).await;
    let proxy = Proxy::to(server.address.parse().unwrap()).await;
    let address = proxy.address.to_string();
    let client = ContractClient::connect(&address).await.unwrap();
    // More than what a connection has in its windows.
    for _ in 0..3 {
        let text = "x".repeat(4 << 20);
        let large = Call::new("cidery.echo", dict! { "text": text });
        client.invoke_async(large).await.unwrap();
    }
    let written = client.backup_store("a", true).await.unwrap();
    let mut parts = client.read_backup("a", 0).await.unwrap();
    let mut read = parts.next().await.unwrap().unwrap().1.to_vec();
    proxy.cut();
    proxy.restore();
    while let Some((offset, part)) = parts.next().await.unwrap() {
        assert_eq!(offset, read.len() as u64);
        read.extend_from_slice(&part);
    }
    assert!(read == std::fs::read(written.path).unwrap());
    // A node that does not come back is given up.
    let impatient = client.clone().max_attempts(3);
    let mut parts = impatient.read_backup("a", 0).await.unwrap();
    parts.next().await.unwrap().unwrap();
    proxy.cut();
    let lost = async {
        loop {
            if let Err(error) = parts.next().await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(PATIENCE, lost).await.unwrap();
    assert!(
        ["CONNECT_FAILED", "TRANSPORT"].contains(&error.reason()),
        "{error}"
    );
    assert!(proxy.refused() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_copies_are_listed_and_deleted() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, _) = server(&data).await;
    for path in ["one.db", "two.db"].map(|name| folder.path().join(name)) {
        let path = path.to_str().unwrap();
        let kept = server.run(&["store", "backup", path, "--keep"]);
        assert!(kept.status.success(), "{}", stderr(&kept));
    }
    std::fs::write(data.path().join("backups/by-hand.db"), "x").unwrap();
    let listed = server.run(&["store", "backups", "-o", "jsonl"]);
    let listed: Vec<Value> = stdout(&listed)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for backup in &listed {
        assert_valid("stored_backup", backup);
        assert_eq!(backup["temporary"], false);
    }
    let invocations = listed.iter().map(|backup| backup["invocations"].as_u64());
    assert_eq!(invocations.collect::<Vec<_>>(), [None, Some(2), Some(2)]);
    let table = stdout(&server.run(&["store", "backups"]));
    assert_eq!(table.matches("KEPT").count(), 3, "{table}");
    let name = |place: usize| listed[place]["name"].as_str().unwrap();
    let delete = ["store", "backups", "delete"];
    let deleted = server.run(&[&delete[..], &[name(0), "missing", name(1)]].concat());
    assert_eq!(deleted.status.code(), Some(4), "{}", stderr(&deleted));
    assert!(stderr(&deleted).contains("BACKUP_UNKNOWN"));
    let deleted = server.run(&[&delete[..], &[name(2), "-o", "jsonl"]].concat());
    assert_valid(
        "deleted_backup",
        &serde_json::from_str(&stdout(&deleted)).unwrap(),
    );
    assert_eq!(files(&data), [] as [&str; 0]);
    let refused = server.run(&[&delete[..], &["../lock"]].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_whole_backup_is_restored() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, _) = server(&data).await;
    let path = folder.path().join("nightly.db");
    let elsewhere = folder.path().join("restored");
    let output = server.run(&["store", "backup", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let whole = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.db");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let refused = restore(&cut, &elsewhere);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("STORE_DAMAGED"));
    assert!(!elsewhere.exists());
    // What is left of a restore that was killed is replaced.
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("cidery.db.partial"), "x").unwrap();
    let output = restore(&path, &elsewhere);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(entries(&elsewhere), ["cidery.db"]);
}

/// The files of a node that was killed, or that still runs, are a store with a log: what is committed is in the copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_its_log_is_restored() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, cids) = server(&data).await;
    let log = data.path().join("cidery.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    let running = folder.path().join("of-running");
    let output = restore(&data.path().join("cidery.db"), &running);
    assert!(output.status.success(), "{}", stderr(&output));
    server.signal("KILL");
    drop(server);
    let killed = folder.path().join("of-killed");
    let (database, copied_log) = (folder.path().join("a.db"), folder.path().join("a.db-wal"));
    std::fs::copy(data.path().join("cidery.db"), &database).unwrap();
    std::fs::copy(&log, &copied_log).unwrap();
    let before = (
        std::fs::read(&database).unwrap(),
        std::fs::read(&copied_log).unwrap(),
    );
    let output = restore(&database, &killed);
    assert!(output.status.success(), "{}", stderr(&output));
    // Nothing of it is changed.
    let after = (
        std::fs::read(&database).unwrap(),
        std::fs::read(&copied_log).unwrap(),
    );
    assert!(before == after);
    for restored in [running, killed] {
        assert_eq!(entries(&restored), ["cidery.db"]);
        let restored = Server::start(&["--data-dir", restored.to_str().unwrap()]);
        let client = ContractClient::connect(&restored.address).await.unwrap();
        ended(&client, cids[0]).await;
        let later = client.invocation(cids[1], std::time::Duration::ZERO).await;
        assert!(later.unwrap().end_time.is_none());
    }
}

/// Commands on files connect to no node, and say so.
#[test]
fn commands_on_files_have_no_node() {
    for verb in ["check", "stats"] {
        let output = cidery()
            .args(["store", verb, "x", "--node", "127.0.0.1:1"])
            .output()
            .unwrap();
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("`cidery store {verb}`")), "{error}");
    }
}
