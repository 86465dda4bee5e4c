//! Somebody has a copy of the data directory, and not its key: no command gives the content, and each names the key.

use std::path::{Path, PathBuf};
use std::process::Output;

use cidery::codec::proto::v1;

use super::dump::{CORPUS, node};
use super::{KEY, OTHER_KEY};
use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::certificates::write;

/// The id of the key that is missing.
const ID: &str = "`k1`";

/// A copy of the data directory of a node that runs, as a thief makes it, and the CIDs in it.
async fn stolen() -> (Folder, Vec<String>) {
    let (folder, stolen) = (Folder::new("stolen"), Folder::new("stolen"));
    let node = node(&folder, Some(KEY)).await;
    let listed = node
        .stub
        .clone()
        .list_invocations(v1::ListInvocationsRequest::default())
        .await;
    let listed = listed.unwrap().into_inner().invocations;
    // Stopped, so that the copy is one of a single moment.
    node.handle.stop().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, stolen.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    (stolen, listed.into_iter().map(|one| one.cid).collect())
}

/// Both outputs of a command, in which there is nothing of the corpus.
#[track_caller]
fn shown(output: &Output) -> String {
    let text = stdout(output) + &stderr(output);
    let found: Vec<_> = CORPUS.iter().filter(|it| text.contains(**it)).collect();
    assert!(found.is_empty(), "{found:?}: {text}");
    text
}

fn run(arguments: &[&str]) -> Output {
    cidery().args(arguments).output().unwrap()
}

fn serve(data_dir: &str, keys: Option<&Path>) -> Output {
    let mut command = cidery();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir]);
    if let Some(keys) = keys {
        command.arg("--store-key-file").arg(keys);
    }
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_directory_gives_no_content_and_says_which_key_is_missing() {
    let (stolen, _) = stolen().await;
    let data_dir = stolen.path().to_str().unwrap();
    let own_key = write(&stolen, "own.key", OTHER_KEY);
    for keys in [None, Some(own_key.as_path())] {
        let refused = serve(data_dir, keys);
        let text = shown(&refused);
        assert_eq!(refused.status.code(), Some(3), "{text}");
        assert!(
            text.contains("STORE_KEY_MISSING") && text.contains(ID),
            "{text}"
        );
    }
    let (file, elsewhere) = (own_key.to_str().unwrap(), stolen.path().join("restored"));
    let elsewhere = elsewhere.to_str().unwrap();
    for arguments in [
        &["store", "check", data_dir][..],
        &["store", "check", data_dir, "--store-key-file", file],
        &["store", "stats", data_dir],
        &["store", "stats", data_dir, "-o", "json"],
        &["store", "key", "list", data_dir],
        &["store", "key", "list", data_dir, "--store-key-file", file],
    ] {
        let output = run(arguments);
        let text = shown(&output);
        assert!(output.status.success(), "{arguments:?}: {text}");
        assert!(text.contains("k1"), "{arguments:?}: {text}");
    }
    // What is restored needs the same key.
    let file = stolen.path().join("cidery.db");
    let restored = run(&[
        "store",
        "restore",
        file.to_str().unwrap(),
        "--data-dir",
        elsewhere,
    ]);
    assert!(restored.status.success(), "{}", shown(&restored));
    shown(&restored);
    let text = shown(&serve(elsewhere, None));
    assert!(
        text.contains("STORE_KEY_MISSING") && text.contains(ID),
        "{text}"
    );
}

/// Whoever makes the store forget its key gets a node with the names of things, and with none of their content.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_directory_that_forgot_its_key_gives_no_content() {
    let (stolen, cids) = stolen().await;
    let data_dir = stolen.path().to_str().unwrap();
    let own_key = write(&stolen, "own.key", OTHER_KEY);
    let forgotten = run(&["store", "key", "forget", "k1", "--data-dir", data_dir]);
    assert!(forgotten.status.success(), "{}", shown(&forgotten));
    let keys = [("CIDERY_STORE_KEY_FILE", own_key.as_path())];
    let server = Server::start_in(&["--data-dir", data_dir, "--hold"], &keys);
    assert!(cids.len() > 5, "{cids:?}");
    for cid in &cids {
        for command in ["result", "explain"] {
            let output = server.run(&[command, cid]);
            let text = shown(&output);
            assert!(!output.status.success(), "{command}: {text}");
            assert!(
                text.contains("STORE_KEY_MISSING") && text.contains(ID),
                "{text}"
            );
        }
    }
    let (proto, copy) = (stolen.path().join("proto"), stolen.path().join("copy.db"));
    for arguments in [
        &["invocations"][..],
        &["invocations", "-o", "json"],
        &["dead-letters"],
        &["services"],
        &["status"],
        &["operations", "list"],
        &["export", "proto", proto.to_str().unwrap()],
        &["store", "backup", copy.to_str().unwrap()],
    ] {
        shown(&server.run(arguments));
    }
    // A filter by content cannot tell what matches, and says so.
    let filtered = server.run(&["invocations", "--filter", "failure_message : q7"]);
    let text = shown(&filtered);
    assert!(
        text.contains("STORE_KEY_MISSING") && text.contains("k1"),
        "{text}"
    );
    // A backup of it has no more than it.
    let bytes = std::fs::read(&copy).unwrap();
    let content = String::from_utf8_lossy(&bytes);
    assert!(!CORPUS.iter().any(|text| content.contains(text)));
    let of_copy: PathBuf = copy;
    let text = shown(&run(&["store", "check", of_copy.to_str().unwrap()]));
    assert!(text.contains("k1"), "{text}");
}
