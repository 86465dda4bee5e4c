//! `cidery store backup` and `restore`, as an operator types them.

use std::path::Path;
use std::process::Output;

use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::{Cid, dict};
use serde_json::Value;

use super::{assert_valid, files};
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::{Folder, PATIENCE, ended};

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
async fn an_interrupted_backup_leaves_nothing_on_either_side() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, _) = server(&data).await;
    let client = ContractClient::connect(&server.address).await.unwrap();
    for _ in 0..12 {
        let text = "x".repeat(4 << 20);
        let mut large = Call::new("cidery.echo", dict! { "text": text });
        large.durable().start = Some(Start::After(PATIENCE * 120));
        client.invoke_async(large).await.unwrap();
    }
    let path = folder.path().join("nightly.db");
    let mut command = cidery();
    command.args([
        "store",
        "backup",
        path.to_str().unwrap(),
        "--node",
        &server.address,
    ]);
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    crate::support::until("the copy begins", || !files(&data).is_empty()).await;
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", "INT", &pid])
        .status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let notes = stderr(&output);
    // A copy is complete after 200 ms of pauses at the earliest.
    assert_eq!(output.status.code(), Some(130), "{notes}");
    assert!(notes.contains("interrupted: there is no backup"), "{notes}");
    assert!(!notes.contains("may still have"), "{notes}");
    assert_eq!(entries(folder.path()), [] as [&str; 0]);
    crate::support::until("the node removes its copy", || files(&data).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_whole_backup_is_restored() {
    let (data, folder) = (Folder::new("command"), Folder::new("command"));
    let (server, _) = server(&data).await;
    let path = folder.path().join("nightly.db");
    let elsewhere = folder.path().join("restored");
    let output = server.run(&["store", "backup", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    // The database of a node is not all of its store.
    let refused = restore(&data.path().join("cidery.db"), &elsewhere);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("cidery store backup"));
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
