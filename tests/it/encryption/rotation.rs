//! Keys are rotated while a node is used: nothing fails, and what old keys encrypted can be read.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cidery::engine::store::Store as _;
use cidery::model::call::Call;
use cidery::store::StoreKeys;
use cidery::{Cid, Error, Node, dict};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{KEY, OTHER_KEY, THIRD_KEY, opened, opened_with};
use crate::support::binary::{cidery, stdout};
use crate::support::stored::{NOW, accepted, found};
use crate::support::{Folder, TestNode, ended, until};

/// How many callers there are at once, and how many invocations each key is to encrypt.
const CALLERS: usize = 8;
const CALLS: usize = 24;

/// Replaces the file of keys.
fn write(path: &Path, keys: &[&str]) {
    let _ = std::fs::remove_file(path);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    std::io::Write::write_all(&mut file, keys.join("\n").as_bytes()).unwrap();
}

/// Callers that invoke until they are stopped.
struct Load {
    stops: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    callers: JoinSet<Vec<Cid>>,
}

impl Load {
    fn start(node: &TestNode) -> Self {
        let (stops, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (client, stops, calls) =
                (node.client.clone(), Arc::clone(&stops), Arc::clone(&calls));
            callers.spawn(async move {
                let mut cids = Vec::new();
                while !stops.load(Ordering::Relaxed) {
                    let call = Call::new("customer.get", dict! { "cust_id": 7 });
                    let cid = client.invoke_async(call).await.unwrap().cid;
                    ended(&client, cid).await;
                    cids.push(cid);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                cids
            });
        }
        Self {
            stops,
            calls,
            callers,
        }
    }

    /// Waits for further calls.
    async fn more(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        until("calls", || {
            self.calls.load(Ordering::Relaxed) >= before + CALLS
        })
        .await;
    }

    async fn stop(self) -> Vec<Cid> {
        self.stops.store(true, Ordering::Relaxed);
        self.callers.join_all().await.concat()
    }
}

async fn node(folder: &Folder, keys: &Path) -> TestNode {
    let keys = Some(StoreKeys::read(keys).unwrap());
    let store = opened_with(folder, keys).unwrap();
    TestNode::start(Node::builder().demo().store(store)).await
}

async fn reload(node: &TestNode) -> Result<(), Error> {
    node.handle.invoker().store().reload_keys().await
}

/// How many invocations need each key, by its id; what is not encrypted has none.
fn needed(folder: &Folder, keys: &Path) -> Vec<(Option<String>, u64, Option<bool>)> {
    let output = cidery()
        .args(["store", "key", "list", "-o", "json"])
        .arg(folder.path())
        .arg("--store-key-file")
        .arg(keys)
        .output()
        .unwrap();
    let listed: Vec<Value> = serde_json::from_str(&stdout(&output)).unwrap();
    let needed = listed.iter().map(|key| {
        let id = key["key"].as_str().map(str::to_owned);
        (
            id,
            key["invocations"].as_u64().unwrap(),
            key["in_file"].as_bool(),
        )
    });
    needed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_load() {
    let (folder, of_keys) = (Folder::new("rotation"), Folder::new("rotation"));
    let file: PathBuf = of_keys.path().join("store.key");
    write(&file, &[KEY]);
    let first = node(&folder, &file).await;
    let load = Load::start(&first);
    load.more().await;
    write(&file, &[OTHER_KEY, KEY]);
    reload(&first).await.unwrap();
    load.more().await;
    let mut cids = load.stop().await;
    first.handle.stop().await;
    // With a third one, from the start; then the old ones are taken from the file, and the node goes on reading them.
    write(&file, &[THIRD_KEY, OTHER_KEY, KEY]);
    let second = node(&folder, &file).await;
    let load = Load::start(&second);
    write(&file, &[THIRD_KEY]);
    reload(&second).await.unwrap();
    load.more().await;
    cids.extend(load.stop().await);
    for cid in &cids {
        ended(&second.client, *cid).await;
    }
    second.handle.stop().await;
    let needed = needed(&folder, &file);
    let ids: Vec<_> = needed
        .iter()
        .map(|(id, _, in_file)| (id.as_deref().unwrap(), in_file.unwrap()))
        .collect();
    assert_eq!(ids, [("k1", false), ("k2", false), ("k3", true)]);
    assert!(
        needed.iter().all(|(_, count, _)| *count >= CALLS as u64),
        "{needed:?}"
    );
    let error = opened_with(&folder, Some(StoreKeys::read(&file).unwrap())).unwrap_err();
    assert_eq!(error.fact("key_ids"), Some("k1,k2"));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_changes_nothing() {
    let (folder, of_keys) = (Folder::new("rotation"), Folder::new("rotation"));
    let file = of_keys.path().join("store.key");
    write(&file, &[KEY]);
    let keys = StoreKeys::read(&file).unwrap();
    let store = opened_with(&folder, Some(keys.clone())).unwrap();
    let before = accepted(&store, "a", NOW).await;
    let same_id = OTHER_KEY.replace("k2:", "k1:");
    for lines in [&[][..], &["k1"], &[&same_id], &[OTHER_KEY, &same_id]] {
        write(&file, lines);
        let error = store.reload_keys().await.unwrap_err();
        assert_eq!(error.reason(), "STORE_KEY_INVALID", "{lines:?}");
        let text = format!("{error:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.len() < 9 || !text.contains(&line[3..])),
            "{text}"
        );
        assert_eq!(keys.ids(), ["k1"]);
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        store.reload_keys().await.unwrap_err().reason(),
        "STORE_KEY_INVALID"
    );
    let after = accepted(&store, "a", NOW).await;
    drop(store);
    let store = opened(&folder, KEY);
    for cid in [before, after] {
        found(&store, cid).await;
    }
}
