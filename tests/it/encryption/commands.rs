//! `cidery store key`, and the options that take a file of keys.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use cidery::dict;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use serde_json::Value;

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::{Folder, ended};

fn run(arguments: &[&str]) -> Output {
    cidery().args(arguments).output().unwrap()
}

/// Makes a file of keys with the command, and returns its path.
fn new_file(folder: &Folder) -> PathBuf {
    let path = folder.path().join("store.key");
    let made = run(&["store", "key", "new", path.to_str().unwrap()]);
    assert!(made.status.success(), "{}", stderr(&made));
    path
}

fn ids(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn assert_valid(definition: &str, text: &str) -> Value {
    let schema = serde_json::from_str(include_str!("../../../docs/cli.schema.json")).unwrap();
    let value = serde_json::from_str(text).unwrap();
    if let Err(fault) = crate::support::schema::validate(&schema, definition, &value) {
        panic!("{fault}");
    }
    value
}

#[test]
fn a_new_key_is_its_owners_and_replaces_no_file() {
    let folder = Folder::new("key");
    let path = new_file(&folder);
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let (text, first) = (std::fs::read_to_string(&path).unwrap(), ids(&path));
    assert_eq!((mode(), first.len()), (0o600, 1));
    let file = path.to_str().unwrap();
    let twice = run(&["store", "key", "new", file]);
    assert_eq!(twice.status.code(), Some(3), "{}", stderr(&twice));
    for text in ["FILE_EXISTS", "--add"] {
        assert!(stderr(&twice).contains(text), "{}", stderr(&twice));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    // A key made within the same second has the same id, and another one behind it.
    let renamed = text.replace(&first[0], "older");
    std::fs::write(&path, renamed).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let added = run(&["store", "key", "new", file, "--add", "-o", "json"]);
    let object = assert_valid("store_key_new", &stdout(&added));
    assert_eq!(
        (&object["keys"], &object["file"]),
        (&2.into(), &file.into())
    );
    assert_eq!(ids(&path), [object["key"].as_str().unwrap(), "older"]);
    assert_eq!(mode(), 0o640);
    // Neither the commands nor their errors print a key.
    let secret = text.lines().last().unwrap().split(':').nth(1).unwrap();
    for output in [&twice, &added] {
        assert!(!stdout(output).contains(secret) && !stderr(output).contains(secret));
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (folder, data) = (Folder::new("key"), Folder::new("key"));
    let path = new_file(&folder);
    let file = path.to_str().unwrap();
    for mode in [0o604, 0o644, 0o620, 0o666] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let data = data.path().to_str().unwrap();
        let refused = run(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data,
            "--store-key-file",
            file,
        ]);
        let log = stderr(&refused);
        assert_eq!(refused.status.code(), Some(3), "{log}");
        assert!(
            log.contains("STORE_KEY_INVALID") && log.contains("chmod 600"),
            "{log}"
        );
    }
    let folder_in_place = run(&[
        "store",
        "check",
        data.path().to_str().unwrap(),
        "--store-key-file",
        "/",
    ]);
    assert!(
        stderr(&folder_in_place).contains("not a regular file"),
        "{}",
        stderr(&folder_in_place)
    );
    // A pipe is not waited for.
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(&pipe)
        .status();
    assert!(made.unwrap().success());
    let refused = run(&["store", "check", "--store-key-file", pipe.to_str().unwrap()]);
    assert!(
        stderr(&refused).contains("not a regular file"),
        "{}",
        stderr(&refused)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_encrypted_backed_up_checked_and_restored() {
    let (folder, data) = (Folder::new("key"), Folder::new("key"));
    let path = new_file(&folder);
    let (file, id) = (path.to_str().unwrap(), ids(&path).remove(0));
    let data_dir = data.path().to_str().unwrap();
    let with_key = [
        "--data-dir",
        data_dir,
        "--store-key-file",
        file,
        "--store-encrypted-only",
    ];
    let mut server = Server::start(&with_key);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let call = Call::new("customer.get", dict! { "cust_id": 1 });
    let cid = client.invoke_async(call).await.unwrap().cid;
    ended(&client, cid).await;
    let backup = folder.path().join("nightly.db");
    let backup = backup.to_str().unwrap();
    let made = server.run(&["store", "backup", backup]);
    assert!(made.status.success(), "{}", stderr(&made));
    let (log, status) = server.terminate();
    assert!(
        status.success() && log.contains("the store is encrypted"),
        "{log}"
    );
    let secret = std::fs::read_to_string(&path).unwrap();
    let secret = secret.trim().rsplit(':').next().unwrap();
    assert!(!log.contains(secret));
    for store in [data_dir, backup] {
        // Without the key, all but the contents is checked.
        let checked = run(&["store", "check", store]);
        assert!(checked.status.success(), "{}", stderr(&checked));
        let notes = stderr(&checked);
        for text in [
            &format!("key `{id}`: 1 invocation"),
            "not read: the contents of 1 invocation",
            "no faults",
        ] {
            assert!(notes.contains(text), "{text}: {notes}");
        }
        let checked = run(&["store", "check", store, "--store-key-file", file]);
        assert!(
            checked.status.success() && !stderr(&checked).contains("not read"),
            "{}",
            stderr(&checked)
        );
        let listed = run(&["store", "key", "list", store, "-o", "json"]);
        let listed = {
            let listed: Value = serde_json::from_str(&stdout(&listed)).unwrap();
            assert_valid("store_key", &listed[0].to_string());
            listed
        };
        assert_eq!(
            (&listed[0]["key"], &listed[0]["invocations"]),
            (&Value::from(id.as_str()), &1.into())
        );
        assert_eq!(
            (listed.as_array().unwrap().len(), &listed[0]["in_file"]),
            (1, &Value::Null)
        );
        let stats = run(&["store", "stats", store]);
        assert!(stats.status.success());
    }
    let without = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir]);
    assert_eq!(without.status.code(), Some(3), "{}", stderr(&without));
    for text in ["STORE_KEY_MISSING", &id, "--store-key-file"] {
        assert!(stderr(&without).contains(text), "{}", stderr(&without));
    }
    // A restore needs no key, and the node on it the same one.
    let elsewhere = folder.path().join("restored");
    let restored = run(&[
        "store",
        "restore",
        backup,
        "--data-dir",
        elsewhere.to_str().unwrap(),
    ]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    let of_restored = Server::start_in(
        &["--data-dir", elsewhere.to_str().unwrap()],
        &[("CIDERY_STORE_KEY_FILE", &path)],
    );
    let client = ContractClient::connect(&of_restored.address).await.unwrap();
    ended(&client, cid).await;
}
